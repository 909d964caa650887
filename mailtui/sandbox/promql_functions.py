"""PromQL functions over instant vectors and scalars (promql/functions.go of Prometheus 2.42)."""

from __future__ import annotations

import calendar
import math
import re
import time
from bisect import bisect_left
from collections.abc import Callable

from mailtui.sandbox.promql_binary import divide
from mailtui.sandbox.promql_values import (
    ParseError,
    QueryError,
    Row,
    Scalar,
    Values,
    Vector,
    merged,
    nameless,
)
from mailtui.sandbox.tsdb import Labels


def _guarded(compute: Callable[[float], float]) -> Callable[[float], float]:
    """NaN where the function is not defined, infinity where it overflows."""

    def apply(value: float) -> float:
        try:
            return compute(value)
        except ValueError:
            return math.nan
        except OverflowError:
            return math.inf

    return apply


def _log(base: Callable[[float], float]) -> Callable[[float], float]:
    return _guarded(lambda v: -math.inf if v == 0 else base(v))


def _whole(compute: Callable[[float], int]) -> Callable[[float], float]:
    return lambda v: float(compute(v)) if math.isfinite(v) else v


def _date(part: Callable[[time.struct_time], int]) -> Callable[[float], float]:
    return _guarded(lambda v: float(part(time.gmtime(math.floor(v)))))


MATHS: dict[str, Callable[[float], float]] = {
    "abs": abs,
    "ceil": _whole(math.ceil),
    "floor": _whole(math.floor),
    "exp": _guarded(math.exp),
    "sqrt": _guarded(math.sqrt),
    "ln": _log(math.log),
    "log2": _log(math.log2),
    "log10": _log(math.log10),
    "sgn": lambda v: v if math.isnan(v) else float((v > 0) - (v < 0)),
    "sin": _guarded(math.sin),
    "cos": _guarded(math.cos),
    "tan": _guarded(math.tan),
    "asin": _guarded(math.asin),
    "acos": _guarded(math.acos),
    "atan": _guarded(math.atan),
    "rad": math.radians,
    "deg": math.degrees,
}
DATES: dict[str, Callable[[float], float]] = {
    "minute": _date(lambda t: t.tm_min),
    "hour": _date(lambda t: t.tm_hour),
    "day_of_week": _date(lambda t: (t.tm_wday + 1) % 7),
    "day_of_month": _date(lambda t: t.tm_mday),
    "day_of_year": _date(lambda t: t.tm_yday),
    "days_in_month": _date(lambda t: calendar.monthrange(t.tm_year, t.tm_mon)[1]),
    "month": _date(lambda t: t.tm_mon),
    "year": _date(lambda t: t.tm_year),
}


def each(rows: Vector, compute: Callable[[float], float]) -> Vector:
    """A function of one value, applied to every sample; the name goes."""
    return merged(
        [
            Row(nameless(row.labels), [None if v is None else compute(v) for v in row.values])
            for row in rows
        ]
    )


def clamped(rows: Vector, low: list[float], high: list[float]) -> Vector:
    """clamp, clamp_min, clamp_max; nothing where low > high."""
    result = []
    for row in rows:
        values: Values = []
        for v, a, b in zip(row.values, low, high, strict=True):
            if v is None or a > b:
                values.append(None)
            elif math.isnan(a) or math.isnan(b) or math.isnan(v):
                values.append(math.nan)
            else:
                values.append(max(a, min(b, v)))
        result.append(Row(nameless(row.labels), values))
    return merged(result)


def rounded(rows: Vector, to: list[float]) -> Vector:
    """round(v, to): the nearest multiple of `to`, ties up."""
    result = []
    for row in rows:
        values: Values = []
        for v, unit in zip(row.values, to, strict=True):
            if v is None:
                values.append(None)
            elif unit == 0 or not math.isfinite(v):
                values.append(math.nan if unit == 0 else v)
            else:
                inverse = 1.0 / unit
                values.append(math.floor(v * inverse + 0.5) / inverse)
        result.append(Row(nameless(row.labels), values))
    return merged(result)


def absent(rows: Vector, labels: Labels, steps: int) -> Vector:
    """1 where no series has a sample."""
    values: Values = [None] * steps
    for i in range(steps):
        if all(row.values[i] is None for row in rows):
            values[i] = 1.0
    return [Row(labels, values)]


def scalar_of(rows: Vector, steps: int) -> Scalar:
    """The only sample's value, else NaN."""
    values = []
    for i in range(steps):
        there = [v for row in rows if (v := row.values[i]) is not None]
        values.append(there[0] if len(there) == 1 else math.nan)
    return Scalar(values)


def ordered(rows: Vector, descending: bool) -> Vector:
    """sort, sort_desc; they order instant queries only."""
    if not rows or len(rows[0].values) != 1:
        return rows
    sign = -1.0 if descending else 1.0

    def key(row: Row) -> tuple[bool, float]:
        value = row.values[0]
        number = math.nan if value is None else value
        return math.isnan(number), sign * number

    return sorted(rows, key=key)


_REFERENCE = re.compile(r"\$(?:(\$)|(\w+)|\{(\w+)\})")
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


def label_replace(
    rows: Vector, target: str, replacement: str, origin: str, expression: str
) -> Vector:
    """label_replace(v, target, replacement, origin, expression)."""
    try:
        pattern = re.compile(expression)
    except re.error as error:
        raise QueryError(f"invalid regular expression in label_replace(): {expression}") from error
    if not _LABEL.fullmatch(target):
        raise QueryError(f"invalid destination label name in label_replace(): {target}")
    result = []
    for row in rows:
        match = pattern.fullmatch(row.labels.get(origin, ""))
        if match is None:
            result.append(row)
            continue
        text = _REFERENCE.sub(_expander(match), replacement)
        result.append(Row(_with_label(row.labels, target, text), row.values))
    return merged(result)


def _expander(match: re.Match[str]) -> Callable[[re.Match[str]], str]:
    def expand(reference: re.Match[str]) -> str:
        if reference[1]:
            return "$"
        name = reference[2] or reference[3]
        try:
            return match[int(name) if name.isdigit() else name] or ""
        except IndexError:
            return ""

    return expand


def label_join(rows: Vector, target: str, separator: str, origins: list[str]) -> Vector:
    """label_join(v, target, separator, origin…)."""
    for name in (target, *origins):
        if not _LABEL.fullmatch(name):
            raise QueryError(f"invalid label name in label_join(): {name}")
    return merged(
        [
            Row(
                _with_label(
                    row.labels, target, separator.join(row.labels.get(o, "") for o in origins)
                ),
                row.values,
            )
            for row in rows
        ]
    )


def _with_label(labels: Labels, name: str, value: str) -> Labels:
    changed = {k: v for k, v in labels.items() if k != name}
    if value:
        changed[name] = value
    return dict(sorted(changed.items()))


def histogram_quantile(quantiles: list[float], rows: Vector, steps: int) -> Vector:
    """The quantile of classic histograms, by their `le` buckets."""
    groups: dict[tuple[tuple[str, str], ...], tuple[Labels, list[tuple[float, Row]]]] = {}
    for row in rows:
        try:
            bound = float(row.labels["le"])
        except (KeyError, ValueError):
            continue
        labels = {k: v for k, v in row.labels.items() if k not in ("le", "__name__")}
        groups.setdefault(tuple(labels.items()), (labels, []))[1].append((bound, row))
    result = []
    for labels, buckets in groups.values():
        buckets.sort(key=lambda b: b[0])
        values: Values = []
        for step in range(steps):
            there = [(b, v) for b, row in buckets if (v := row.values[step]) is not None]
            values.append(_bucket_quantile(quantiles[step], there) if there else None)
        result.append(Row(labels, values))
    return result


def _bucket_quantile(q: float, buckets: list[tuple[float, float]]) -> float:
    if math.isnan(q):
        return math.nan
    if q < 0:
        return -math.inf
    if q > 1:
        return math.inf
    merged_buckets: dict[float, float] = {}
    for bound, count in buckets:
        merged_buckets[bound] = merged_buckets.get(bound, 0.0) + count
    bounds = list(merged_buckets)
    counts = list(merged_buckets.values())
    for i in range(1, len(counts)):
        counts[i] = max(counts[i], counts[i - 1])
    if not math.isinf(bounds[-1]) or len(bounds) < 2 or counts[-1] == 0 or math.isnan(counts[-1]):
        return math.nan
    rank = q * counts[-1]
    b = bisect_left(counts, rank, 0, len(counts) - 1)
    if b == len(counts) - 1:
        return bounds[-2]
    if b == 0 and bounds[0] <= 0:
        return bounds[0]
    start, count = 0.0, counts[b]
    if b > 0:
        start, count, rank = bounds[b - 1], counts[b] - counts[b - 1], rank - counts[b - 1]
    return start + (bounds[b] - start) * divide(rank, count)


def check_label(name: str) -> str:
    """The name, if it is a label's; ParseError otherwise."""
    if not _LABEL.fullmatch(name):
        raise ParseError(f"invalid label name {name!r}")
    return name
