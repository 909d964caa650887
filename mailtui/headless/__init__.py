"""The headless verbs: one module per verb, each with `add(parsers)` and `run(args) -> int`."""
