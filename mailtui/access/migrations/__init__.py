"""Alembic's migrations of the operators' database, run by `access.database`."""
