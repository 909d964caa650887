"""config.yaml → typed settings. Importing this package is cheap; `config.load` is not."""
