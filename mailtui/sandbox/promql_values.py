"""Values of PromQL expressions, evaluated for all steps of a query at once; and their text."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal

from mailtui.sandbox.tsdb import Labels

Values = list[float | None]
"""One value for each step; None: the series has no sample there."""


class QueryError(Exception):
    """An expression that cannot be evaluated (HTTP 422, errorType "execution")."""


class ParseError(Exception):
    """An expression that is not PromQL (HTTP 400, errorType "bad_data")."""


@dataclass(slots=True)
class Row:
    """One series of an instant vector over the steps."""

    labels: Labels
    values: Values


@dataclass(slots=True)
class Scalar:
    """A scalar at each step."""

    values: list[float]


@dataclass(slots=True)
class Text:
    """A string."""

    value: str


Vector = list[Row]
Value = Vector | Scalar | Text


def nameless(labels: Labels) -> Labels:
    """Without the metric's name."""
    if "__name__" not in labels:
        return labels
    return {k: v for k, v in labels.items() if k != "__name__"}


def present(rows: Vector) -> Vector:
    """Without rows that have no sample at any step."""
    return [row for row in rows if any(v is not None for v in row.values)]


def merged(rows: Vector) -> Vector:
    """Rows with equal labels made one; QueryError where both have a sample at one step."""
    seen: dict[tuple[tuple[str, str], ...], Row] = {}
    for row in rows:
        key = tuple(sorted(row.labels.items()))
        first = seen.get(key)
        if first is None:
            seen[key] = row
            continue
        if any(
            a is not None and b is not None for a, b in zip(first.values, row.values, strict=True)
        ):
            raise QueryError("vector cannot contain metrics with the same labelset")
        seen[key] = Row(
            first.labels,
            [b if a is None else a for a, b in zip(first.values, row.values, strict=True)],
        )
    return list(seen.values())


def write_labels(labels: Labels) -> str:
    """`{__name__="up", job="node"}`, as in Prometheus' messages."""
    return "{" + ", ".join(f"{k}={_quoted(v)}" for k, v in sorted(labels.items())) + "}"


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def write_float(value: float) -> str:
    """As Prometheus' JSON: shortest digits, an exponent below 1e-6 and from 1e21 on."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    text = repr(value)
    if text.endswith(".0"):
        return text[:-2]
    if "e" not in text:
        return text
    if value != 0.0 and not 1e-6 <= abs(value) < 1e21:
        return text.replace(".0e", "e")
    return f"{Decimal(text):f}"
