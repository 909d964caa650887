"""The write side: one module per source, one registry, one gate. Nothing here knows a screen.

Modules named after a source (or `SOURCE_*`) export `OPERATIONS`; the registry finds them.
"""
