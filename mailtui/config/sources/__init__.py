"""Settings of each source: one module per source, each with a class `Settings`.

The module's name is the source's name in the configuration and in every other room.
"""
