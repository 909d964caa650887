"""Operators, roles and the second factor; the journal, frozen plans and evidence."""
