"""PromQL's aggregation operators (by, without)."""

from __future__ import annotations

import math
from collections.abc import Callable

from mailtui.sandbox.promql_range import greatest, least, quantile, total, variance
from mailtui.sandbox.promql_values import (
    QueryError,
    Row,
    Scalar,
    Text,
    Values,
    Vector,
    write_float,
)
from mailtui.sandbox.tsdb import Labels

Grouping = tuple[bool, frozenset[str]]
"""(without, label names)."""

_SIMPLE: dict[str, Callable[[list[float]], float]] = {
    "sum": total,
    "avg": lambda v: total(v) / len(v),
    "min": least,
    "max": greatest,
    "count": lambda v: float(len(v)),
    "group": lambda v: 1.0,
    "stddev": lambda v: math.sqrt(variance(v)),
    "stdvar": variance,
}


def _group_labels(labels: Labels, grouping: Grouping) -> Labels:
    without, names = grouping
    if without:
        return {k: v for k, v in labels.items() if k not in names and k != "__name__"}
    return {k: v for k, v in labels.items() if k in names}


def _groups(rows: Vector, grouping: Grouping) -> list[tuple[Labels, Vector]]:
    groups: dict[tuple[tuple[str, str], ...], tuple[Labels, Vector]] = {}
    for row in rows:
        labels = _group_labels(row.labels, grouping)
        groups.setdefault(tuple(labels.items()), (labels, []))[1].append(row)
    return list(groups.values())


def aggregate(
    op: str, rows: Vector, grouping: Grouping, parameter: Scalar | Text | None, steps: int
) -> Vector:
    """The operator's result; QueryError for one that is not supported."""
    groups = _groups(rows, grouping)
    simple = _SIMPLE.get(op)
    if simple is not None:
        return [
            Row(labels, [_reduced(simple, column) for column in _columns(group, steps)])
            for labels, group in groups
        ]
    if op == "quantile" and isinstance(parameter, Scalar):
        return [
            Row(
                labels,
                [
                    quantile(q, present) if present else None
                    for q, present in zip(parameter.values, _present(group, steps), strict=True)
                ],
            )
            for labels, group in groups
        ]
    if op in ("topk", "bottomk") and isinstance(parameter, Scalar):
        return _ranked(groups, parameter, steps, descending=op == "topk")
    if op == "count_values" and isinstance(parameter, Text):
        return _count_values(groups, parameter.value, steps)
    raise QueryError(f"aggregation operator {op!r} is not supported by the sandbox")


def _columns(group: Vector, steps: int) -> list[list[float | None]]:
    if len(group) == 1:
        return [[v] for v in group[0].values]
    return [list(column) for column in zip(*(row.values for row in group), strict=True)]


def _present(group: Vector, steps: int) -> list[list[float]]:
    return [[v for v in column if v is not None] for column in _columns(group, steps)]


def _reduced(reduce: Callable[[list[float]], float], column: list[float | None]) -> float | None:
    values = [v for v in column if v is not None]
    return reduce(values) if values else None


def _ranked(
    groups: list[tuple[Labels, Vector]], parameter: Scalar, steps: int, descending: bool
) -> Vector:
    result: Vector = []
    for _, group in groups:
        kept: list[Values] = [[None] * steps for _ in group]
        for step in range(steps):
            limit = parameter.values[step]
            k = 0 if math.isnan(limit) or limit < 1 else int(min(limit, len(group)))
            there = [(v, i) for i, row in enumerate(group) if (v := row.values[step]) is not None]
            sign = -1.0 if descending else 1.0
            # NaN ranks last in both directions
            there.sort(key=lambda p: (math.isnan(p[0]), sign * p[0]))
            for value, i in there[:k]:
                kept[i][step] = value
        chosen = [
            Row(row.labels, values)
            for row, values in zip(group, kept, strict=True)
            if any(v is not None for v in values)
        ]
        if steps == 1:
            sign = -1.0 if descending else 1.0
            chosen.sort(key=lambda r: _rank(r.values[0], sign))
        result += chosen
    return result


def _rank(value: float | None, sign: float) -> tuple[bool, float]:
    number = math.nan if value is None else value
    return (math.isnan(number), sign * number)


def _count_values(groups: list[tuple[Labels, Vector]], label: str, steps: int) -> Vector:
    result: Vector = []
    for labels, group in groups:
        rows: dict[str, Values] = {}
        for step, values in enumerate(_present(group, steps)):
            for value in values:
                row = rows.setdefault(write_float(value), [None] * steps)
                row[step] = (row[step] or 0.0) + 1.0
        result += [
            Row(dict(sorted({**labels, label: text}.items())), values)
            for text, values in rows.items()
        ]
    return result
