"""Rows as CSV, JSON and JSON Lines: for the export key and for `mailtui get`."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Sequence
from typing import Any

from mailtui.resources.base import Column, Resource

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""A cell that begins with one of these is a formula to a spreadsheet (OWASP, CSV injection)."""


def as_csv(
    resource: Resource[Any], rows: Iterable[Any], columns: Sequence[Column[Any]] = ()
) -> str:
    """RFC 4180, with the column names on the first line; an unknown value is empty.

    A text that a spreadsheet would take for a formula gets an apostrophe in front: subjects,
    senders and file names are written by strangers. Several values in a cell are separated by
    spaces.
    """
    columns = columns or resource.columns
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([column.name for column in columns])
    for row in rows:
        writer.writerow([_cell(column.known(row)) for column in columns])
    return out.getvalue()


def as_json(
    resource: Resource[Any], rows: Iterable[Any], columns: Sequence[Column[Any]] = ()
) -> str:
    """An array of objects, one a row; an unknown value is null."""
    items = [as_object(row, columns or resource.columns) for row in rows]
    return json.dumps(items, ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def as_object(row: Any, columns: Sequence[Column[Any]]) -> dict[str, Any]:
    """One row: column name → its value as JSON knows it; unknown is None."""
    return {column.name: plain(column.known(row)) for column in columns}


def plain(value: Any) -> Any:
    """`value` as JSON knows it: sets and tuples become lists, what is no number becomes None."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted(plain(item) for item in value)
    return value


def _cell(value: Any) -> Any:
    value = plain(value)
    if isinstance(value, list):
        value = " ".join(str(item) for item in value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str) and value.startswith(FORMULA):
        return f"'{value}"
    return value
