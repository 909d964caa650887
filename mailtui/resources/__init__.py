"""Kinds of rows: one module per resource, with `RESOURCE`, `rows(state)` and `SOURCES`.

Columns are shared by the tables, the filter language, exports and `mailtui get`.
"""
