"""PromQL over a `tsdb.Store`: the operators and functions that consoles and dashboards use.

Parsed by the `promql-parser` package; evaluated with the semantics of Prometheus 2.42 (closed
ranges, five minutes of lookback), for all steps of a query at once. What is not supported is an
error that names it, never a wrong answer.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from typing import Any

import promql_parser as ast

from mailtui.sandbox import promql_binary as binary
from mailtui.sandbox import promql_functions as functions
from mailtui.sandbox.promql_aggregate import aggregate
from mailtui.sandbox.promql_range import KEEPS_NAME, RANGE_FUNCTIONS, Window
from mailtui.sandbox.promql_syntax import (
    absent_labels,
    matchers_of,
    matching_of,
    millis,
    parse,
    unwrapped,
)
from mailtui.sandbox.promql_values import (
    QueryError,
    Row,
    Scalar,
    Text,
    Value,
    Values,
    Vector,
    merged,
    nameless,
)
from mailtui.sandbox.tsdb import Labels, Series, Store

LOOKBACK = 300_000
"""Milliseconds for which a sample stands for its series."""
DEFAULT_SUBQUERY_STEP = 15_000
"""Milliseconds: the evaluation interval of the configuration."""


_SUPPORTED = frozenset(functions.MATHS) | frozenset(functions.DATES) | {
    "absent", "clamp", "clamp_max", "clamp_min", "histogram_quantile", "label_join",
    "label_replace", "round", "scalar", "sort", "sort_desc", "vector",
}  # fmt: skip
"""Functions whose arguments are evaluated as they stand."""


@dataclass(slots=True)
class Source:
    """Samples of one series (or of one row of a subquery), without gaps."""

    labels: Labels
    times: array[int]
    values: array[float] | list[float]


@dataclass(slots=True)
class Samples:
    """The value of a range selector on its own: what an instant query answers as a matrix."""

    sources: list[Source]


@dataclass(slots=True)
class Query:
    """One evaluation: times in epoch milliseconds."""

    store: Store
    steps: list[int]
    windows: dict[tuple[int, int, int, int], list[tuple[int, int]]] = field(default_factory=dict)
    """(identity of an array of times, first and last moment, range) → (low, high) by step."""
    kept: list[array[int]] = field(default_factory=list)
    """Keeps those arrays alive, so that an identity is not used twice."""
    bounds: tuple[int, int] | None = None
    """Start and end of the whole query, for `@ start()`; None: first and last step."""

    def run(self, text: str) -> Value | Samples:
        """The value of an expression."""
        tree = unwrapped(parse(text))
        if isinstance(tree, ast.MatrixSelector):
            return self._raw(tree)
        if isinstance(tree, ast.SubqueryExpr):
            return self._raw_subquery(tree)
        return self.evaluate(tree)

    # nodes ----------------------------------------------------------------------------------

    def evaluate(self, node: Any) -> Value:
        """The value of a node at all steps."""
        if isinstance(node, ast.ParenExpr):
            return self.evaluate(node.expr)
        if isinstance(node, ast.NumberLiteral):
            return Scalar([node.val] * len(self.steps))
        if isinstance(node, ast.StringLiteral):
            return Text(node.val)
        if isinstance(node, ast.VectorSelector):
            return self._instant(node)
        if isinstance(node, ast.UnaryExpr):
            value = self.evaluate(node.expr)
            if isinstance(value, Scalar):
                return Scalar([-v for v in value.values])
            return functions.each(_vector(value), lambda v: -v)
        if isinstance(node, ast.AggregateExpr):
            return self._aggregate(node)
        if isinstance(node, ast.BinaryExpr):
            return self._binary(node)
        if isinstance(node, ast.Call):
            return self._call(node)
        raise QueryError(f"expression of type {type(node).__name__} is not supported here")

    def _aggregate(self, node: Any) -> Vector:
        modifier = node.modifier
        without = modifier is not None and modifier.type == ast.AggModifierType.Without
        names = frozenset(modifier.labels if modifier is not None else ())
        parameter = None if node.param is None else self.evaluate(node.param)
        if isinstance(parameter, list):
            raise QueryError("the parameter of an aggregation is a scalar or a string")
        if isinstance(parameter, Text):
            functions.check_label(parameter.value)
        rows = _vector(self.evaluate(node.expr))
        return aggregate(str(node.op), rows, (without, names), parameter, len(self.steps))

    def _binary(self, node: Any) -> Value:
        op = str(node.op)
        left, right = self.evaluate(node.lhs), self.evaluate(node.rhs)
        modifier = node.modifier
        return_bool = modifier is not None and modifier.return_bool
        if isinstance(left, Scalar) and isinstance(right, Scalar):
            return binary.scalars(op, left, right)
        if isinstance(right, Scalar):
            return binary.vector_scalar(op, _vector(left), right, return_bool, swapped=False)
        if isinstance(left, Scalar):
            return binary.vector_scalar(op, _vector(right), left, return_bool, swapped=True)
        matching = matching_of(modifier)
        steps = len(self.steps)
        if op in binary.SETS:
            return binary.sets(op, _vector(left), _vector(right), matching, steps)
        return binary.vectors(op, _vector(left), _vector(right), matching, steps)

    def _call(self, node: Any) -> Value:
        name, arguments = node.func.name, node.args
        steps = len(self.steps)
        if name in RANGE_FUNCTIONS:
            return self._range_call(name, arguments)
        if name == "absent_over_time":
            rows = self._range_call("present_over_time", arguments)
            return functions.absent(rows, absent_labels(arguments[0]), steps)
        if name == "time":
            return Scalar([t / 1000.0 for t in self.steps])
        if name == "pi":
            return Scalar([math.pi] * steps)
        if name == "timestamp":
            return self._timestamp(arguments[0])
        if name in functions.DATES and not arguments:
            return functions.each(
                [Row({}, [t / 1000.0 for t in self.steps])], functions.DATES[name]
            )
        if name not in _SUPPORTED:
            raise QueryError(f"function {name!r} is not supported by the sandbox")
        values = [self.evaluate(a) for a in arguments]
        if name in functions.MATHS:
            return functions.each(_vector(values[0]), functions.MATHS[name])
        if name in functions.DATES:
            return functions.each(_vector(values[0]), functions.DATES[name])
        if name == "absent":
            return functions.absent(_vector(values[0]), absent_labels(arguments[0]), steps)
        if name == "scalar":
            return functions.scalar_of(_vector(values[0]), steps)
        if name == "vector":
            return [Row({}, list(_scalar(values[0]).values))]
        if name in ("sort", "sort_desc"):
            return functions.ordered(_vector(values[0]), name == "sort_desc")
        if name in ("clamp", "clamp_min", "clamp_max"):
            low = [-math.inf] * steps if name == "clamp_max" else _scalar(values[1]).values
            high = [math.inf] * steps if name == "clamp_min" else _scalar(values[-1]).values
            return functions.clamped(_vector(values[0]), low, high)
        if name == "round":
            to = _scalar(values[1]).values if len(values) > 1 else [1.0] * steps
            return functions.rounded(_vector(values[0]), to)
        if name == "label_replace":
            return functions.label_replace(_vector(values[0]), *(_text(v) for v in values[1:5]))
        if name == "label_join":
            target, separator, *origins = (_text(v) for v in values[1:])
            return functions.label_join(_vector(values[0]), target, separator, origins)
        quantiles = _scalar(values[0]).values
        return functions.histogram_quantile(quantiles, _vector(values[1]), steps)

    # samples --------------------------------------------------------------------------------

    def _times(self, selector: Any) -> list[int]:
        """The step times after `@` and `offset`."""
        steps = self.steps
        if selector.at is not None:
            kind = selector.at.type
            first, last = self.bounds or (self.steps[0], self.steps[-1])
            if kind == ast.AtModifierType.Start:
                at = first
            elif kind == ast.AtModifierType.End:
                at = last
            else:
                at = round(selector.at.at.timestamp() * 1000)
            steps = [at] * len(steps)
        shift = millis(selector.offset)
        return [t - shift for t in steps] if shift else steps

    def _lookups(self, times: array[int], at: list[int], back: int) -> list[tuple[int, int]]:
        """For each moment, which of `times` lie in the closed range of `back` before it."""
        key = (id(times), at[0], at[-1], back)
        known = self.windows.get(key)
        if known is None:
            known = [(bisect_left(times, t - back), bisect_right(times, t)) for t in at]
            self.windows[key] = known
            self.kept.append(times)
        return known

    def _instant(self, selector: Any, timestamps: bool = False) -> Vector:
        at = self._times(selector)
        rows = []
        for series in self.store.select(matchers_of(selector)):
            values = series.values
            times = series.timeline.times
            row: Values = []
            for low, high in self._lookups(times, at, LOOKBACK):
                value = values[high - 1] if high > low else math.nan
                missing = math.isnan(value)
                row.append(None if missing else times[high - 1] / 1000.0 if timestamps else value)
            if any(v is not None for v in row):
                rows.append(Row(series.labels, row))
        return rows

    def _timestamp(self, node: Any) -> Vector:
        node = unwrapped(node)
        if isinstance(node, ast.VectorSelector):
            rows = self._instant(node, timestamps=True)
            return merged([Row(nameless(r.labels), r.values) for r in rows])
        rows = _vector(self.evaluate(node))
        return merged(
            [
                Row(
                    nameless(r.labels),
                    [
                        None if v is None else t / 1000.0
                        for v, t in zip(r.values, self.steps, strict=True)
                    ],
                )
                for r in rows
            ]
        )

    def _range_call(self, name: str, arguments: list[Any]) -> Vector:
        compute = RANGE_FUNCTIONS[name]
        position = next(
            i
            for i, a in enumerate(arguments)
            if isinstance(unwrapped(a), ast.MatrixSelector | ast.SubqueryExpr)
        )
        others = [
            _scalar(self.evaluate(a)).values for i, a in enumerate(arguments) if i != position
        ]
        node = unwrapped(arguments[position])
        back = millis(node.range)
        if isinstance(node, ast.SubqueryExpr):
            at = self._times(node)
            sources = self._subquery(node, at)
        else:
            at = self._times(node.vector_selector)
            sources = [_source(s) for s in self.store.select(matchers_of(node.vector_selector))]
        rows = []
        for source in sources:
            values: Values = []
            windows = self._lookups(source.times, at, back)
            for i, (low, high) in enumerate(windows):
                if high <= low:
                    values.append(None)
                    continue
                window = Window(
                    source.times, source.values, low, high, self.steps[i], at[i] - back, at[i]
                )
                values.append(compute(window, [o[i] for o in others]))
            if any(v is not None for v in values):
                labels = source.labels if name in KEEPS_NAME else nameless(source.labels)
                rows.append(Row(labels, values))
        return merged(rows)

    def _subquery(self, node: Any, at: list[int]) -> list[Source]:
        step = millis(node.step) if node.step is not None else DEFAULT_SUBQUERY_STEP
        back = millis(node.range)
        first = -((back - min(at)) // step) * step
        inner = Query(
            self.store,
            list(range(first, max(at) + 1, step)),
            bounds=self.bounds or (self.steps[0], self.steps[-1]),
        )
        if not inner.steps:
            return []
        value = inner.evaluate(node.expr)
        if isinstance(value, Scalar):
            value = [Row({}, list(value.values))]
        sources = []
        for row in _vector(value):
            there = [(t, v) for t, v in zip(inner.steps, row.values, strict=True) if v is not None]
            times = array("q", [t for t, _ in there])
            sources.append(Source(row.labels, times, [v for _, v in there]))
        return sources

    def _raw(self, node: Any) -> Samples:
        """The samples of a range selector, as an instant query answers it."""
        at = self._times(node.vector_selector)
        sources = [_source(s) for s in self.store.select(matchers_of(node.vector_selector))]
        return self._cut(sources, at, millis(node.range))

    def _raw_subquery(self, node: Any) -> Samples:
        at = self._times(node)
        return self._cut(self._subquery(node, at), at, millis(node.range))

    def _cut(self, sources: list[Source], at: list[int], back: int) -> Samples:
        cut: list[Source] = []
        for source in sources:
            low, high = self._lookups(source.times, at, back)[0]
            if high > low:
                cut.append(Source(source.labels, source.times[low:high], source.values[low:high]))
        return Samples(cut)


def _source(series: Series) -> Source:
    times, values = series.points()
    return Source(series.labels, times, values)


def _vector(value: Value) -> Vector:
    if isinstance(value, list):
        return value
    raise QueryError("expected an instant vector")


def _scalar(value: Value) -> Scalar:
    if isinstance(value, Scalar):
        return value
    raise QueryError("expected a scalar")


def _text(value: Value) -> str:
    if isinstance(value, Text):
        return value.value
    raise QueryError("expected a string")
