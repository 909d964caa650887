"""PromQL's binary operators: arithmetic, comparison, sets, vector matching."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from mailtui.sandbox.promql_values import (
    QueryError,
    Row,
    Scalar,
    Values,
    Vector,
    merged,
    nameless,
    present,
    write_labels,
)
from mailtui.sandbox.tsdb import Labels


@dataclass(slots=True, frozen=True)
class Matching:
    """How series of both sides find each other."""

    card: str = "one-to-one"
    """one-to-one, many-to-one (group_left), one-to-many (group_right), many-to-many."""
    on: bool = False
    names: tuple[str, ...] = ()
    """The labels of `on`, or those of `ignoring`."""
    include: tuple[str, ...] = ()
    """The labels of group_left or group_right."""
    return_bool: bool = False

    def signature(self, labels: Labels) -> tuple[tuple[str, str], ...]:
        """The labels that must be equal."""
        if self.on:
            return tuple((n, labels.get(n, "")) for n in sorted(self.names))
        return tuple((k, v) for k, v in labels.items() if k not in self.names and k != "__name__")


def divide(a: float, b: float) -> float:
    """As IEEE 754 has it: infinity or NaN for a divisor of zero."""
    if b == 0.0:
        if a == 0.0 or math.isnan(a) or math.isnan(b):
            return math.nan
        return math.copysign(math.inf, a) * math.copysign(1.0, b)
    return a / b


def _modulo(a: float, b: float) -> float:
    if b == 0.0 or math.isinf(a):
        return math.nan
    return math.fmod(a, b)


def _power(a: float, b: float) -> float:
    try:
        return math.pow(a, b)
    except OverflowError:
        return -math.inf if a < 0 and b % 2 == 1 else math.inf
    except ValueError:
        if a == 0.0:
            return math.inf
        return math.nan


ARITHMETIC: dict[str, Callable[[float, float], float]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": divide,
    "%": _modulo,
    "^": _power,
    "atan2": math.atan2,
}
COMPARISON: dict[str, Callable[[float, float], bool]] = {
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    ">": lambda a, b: a > b,
    "<": lambda a, b: a < b,
    ">=": lambda a, b: a >= b,
    "<=": lambda a, b: a <= b,
}
SETS = ("and", "or", "unless")
DROPS_NAME = frozenset(ARITHMETIC) - {"atan2"}
"""Prometheus 2.42 forgets atan2 here, so its result keeps the metric's name."""


def scalars(op: str, left: Scalar, right: Scalar) -> Scalar:
    """Scalar with scalar; comparisons give 0 or 1."""
    pairs = zip(left.values, right.values, strict=True)
    if op in ARITHMETIC:
        compute = ARITHMETIC[op]
        return Scalar([compute(a, b) for a, b in pairs])
    holds = COMPARISON[op]
    return Scalar([float(holds(a, b)) for a, b in pairs])


def vector_scalar(
    op: str, rows: Vector, scalar: Scalar, return_bool: bool, swapped: bool
) -> Vector:
    """Vector with scalar; `swapped`: the scalar is the left operand."""
    result = []
    for row in rows:
        values: Values = []
        for v, s in zip(row.values, scalar.values, strict=True):
            if v is None:
                values.append(None)
                continue
            a, b = (s, v) if swapped else (v, s)
            if op in ARITHMETIC:
                values.append(ARITHMETIC[op](a, b))
            elif return_bool:
                values.append(float(COMPARISON[op](a, b)))
            else:
                values.append(v if COMPARISON[op](a, b) else None)
        keeps = op not in DROPS_NAME and not return_bool
        result.append(Row(row.labels if keeps else nameless(row.labels), values))
    return present(result) if op in COMPARISON and not return_bool else merged(result)


def sets(op: str, left: Vector, right: Vector, matching: Matching, steps: int) -> Vector:
    """`and`, `or`, `unless`, step by step."""

    def presence(rows: Vector) -> dict[tuple[tuple[str, str], ...], list[bool]]:
        there: dict[tuple[tuple[str, str], ...], list[bool]] = {}
        for row in rows:
            flags = there.setdefault(matching.signature(row.labels), [False] * steps)
            for i, value in enumerate(row.values):
                if value is not None:
                    flags[i] = True
        return there

    nowhere = [False] * steps
    if op == "or":
        there = presence(left)
        added = [
            Row(
                row.labels,
                [
                    None if covered else v
                    for v, covered in zip(
                        row.values, there.get(matching.signature(row.labels), nowhere), strict=True
                    )
                ],
            )
            for row in right
        ]
        return present(merged(left + added))
    there = presence(right)
    keep = op == "and"
    kept = [
        Row(
            row.labels,
            [
                v if covered == keep else None
                for v, covered in zip(
                    row.values, there.get(matching.signature(row.labels), nowhere), strict=True
                )
            ],
        )
        for row in left
    ]
    return present(kept)


def vectors(op: str, left: Vector, right: Vector, matching: Matching, steps: int) -> Vector:
    """Vector with vector."""
    swapped = matching.card == "one-to-many"
    many, one = (right, left) if swapped else (left, right)
    side = "left" if swapped else "right"
    partners: dict[tuple[tuple[str, str], ...], list[Row]] = {}
    for row in one:
        partners.setdefault(matching.signature(row.labels), []).append(row)
    for signature, group in partners.items():
        if len(group) > 1:
            _check_unique(signature, group, side, steps)
    one_to_one = matching.card == "one-to-one"
    result: Vector = []
    taken: dict[tuple[tuple[str, str], ...], list[bool]] = {}
    for row in many:
        signature = matching.signature(row.labels)
        for partner in partners.get(signature, ()):
            values = _computed(op, row, partner, matching.return_bool, swapped)
            if all(v is None for v in values):
                continue
            if one_to_one:
                _claim(taken.setdefault(signature, [False] * steps), values)
            labels = _result_labels(op, row.labels, partner.labels, matching)
            result.append(Row(labels, values))
    try:
        return merged(result)
    except QueryError as error:
        if one_to_one:
            raise
        raise QueryError(
            "multiple matches for labels: grouping labels must ensure unique matches"
        ) from error


def _claim(taken: list[bool], values: Values) -> None:
    for i, value in enumerate(values):
        if value is not None:
            if taken[i]:
                raise QueryError(
                    "multiple matches for labels: many-to-one matching must be explicit "
                    "(group_left/group_right)"
                )
            taken[i] = True


def _check_unique(
    signature: tuple[tuple[str, str], ...], group: list[Row], side: str, steps: int
) -> None:
    for step in range(steps):
        there = [row for row in group if row.values[step] is not None]
        if len(there) > 1:
            labels = {k: v for k, v in signature if v}
            raise QueryError(
                f"found duplicate series for the match group {write_labels(labels)} on the {side} "
                f"hand-side of the operation: [{write_labels(there[1].labels)}, "
                f"{write_labels(there[0].labels)}];many-to-many matching not allowed: matching "
                "labels must be unique on one side"
            )


def _computed(op: str, row: Row, partner: Row, return_bool: bool, swapped: bool) -> Values:
    values: Values = []
    for m, o in zip(row.values, partner.values, strict=True):
        if m is None or o is None:
            values.append(None)
            continue
        a, b = (o, m) if swapped else (m, o)
        if op in ARITHMETIC:
            values.append(ARITHMETIC[op](a, b))
        else:
            holds = COMPARISON[op](a, b)
            values.append(float(holds) if return_bool else (a if holds else None))
    return values


def _result_labels(op: str, many: Labels, one: Labels, matching: Matching) -> Labels:
    labels = dict(many)
    if op in DROPS_NAME or matching.return_bool:
        labels.pop("__name__", None)
    if matching.card == "one-to-one":
        if matching.on:
            labels = {k: v for k, v in labels.items() if k in matching.names}
        else:
            labels = {k: v for k, v in labels.items() if k not in matching.names}
    for name in matching.include:
        if one.get(name):
            labels[name] = one[name]
        else:
            labels.pop(name, None)
    return dict(sorted(labels.items()))
