"""What the syntax tree of the `promql-parser` package says, in the sandbox's own terms."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import Any

import promql_parser as ast

from mailtui.sandbox.promql_binary import Matching
from mailtui.sandbox.promql_values import ParseError, QueryError
from mailtui.sandbox.tsdb import Labels, Matcher

_NOT_KEPT = ("ALERTS", "ALERTS_FOR_STATE")
"""Series that a real server writes for its rules."""

_OPERATORS = {"Equal": "=", "NotEqual": "!=", "Re": "=~", "NotRe": "!~"}
_CARDS = {
    "OneToOne": "one-to-one",
    "ManyToOne": "many-to-one",
    "OneToMany": "one-to-many",
    "ManyToMany": "many-to-many",
}


# known to Prometheus 2.42, not to the parser: an error of the evaluation, not of the syntax
with suppress(ValueError):
    ast.register_extra_functions(
        [
            ast.Function(
                "holt_winters",
                [ast.ValueType.Matrix, ast.ValueType.Scalar, ast.ValueType.Scalar],
                ast.ValueType.Vector,
            )
        ]
    )


def parse(text: str) -> Any:
    """The expression's syntax tree; ParseError with the parser's message."""
    try:
        return ast.parse(text)
    except ValueError as error:
        raise ParseError(str(error)) from error


def matchers_of(selector: Any) -> list[Matcher]:
    """The matchers of a vector selector, with its name."""
    if selector.matchers.or_matchers:
        raise QueryError("`or` between matchers is not supported by the sandbox")
    if selector.name in _NOT_KEPT:
        raise QueryError(f"the sandbox keeps no series {selector.name}; ask /api/v1/alerts")
    matchers = []
    if selector.name:
        matchers.append(Matcher("__name__", "=", selector.name))
    for matcher in selector.matchers.matchers:
        op = _OPERATORS[str(matcher.op).rpartition(".")[2]]
        try:
            matchers.append(Matcher.make(matcher.name, op, matcher.value))
        except ValueError as error:
            raise ParseError(str(error)) from error
    return matchers


def unwrapped(node: Any) -> Any:
    """Without its parentheses."""
    while isinstance(node, ast.ParenExpr):
        node = node.expr
    return node


def millis(duration: timedelta | None) -> int:
    """Milliseconds; 0 for None."""
    return 0 if duration is None else round(duration.total_seconds() * 1000)


def absent_labels(node: Any) -> Labels:
    """The labels of absent()'s result: those of equality matchers that are there once."""
    node = unwrapped(node)
    if isinstance(node, ast.MatrixSelector):
        node = node.vector_selector
    if not isinstance(node, ast.VectorSelector):
        return {}
    labels: Labels = {}
    dropped: set[str] = set()
    for matcher in matchers_of(node):
        if matcher.name == "__name__":
            continue
        if matcher.op == "=" and matcher.name not in labels:
            labels[matcher.name] = matcher.value
        else:
            dropped.add(matcher.name)
    return {k: v for k, v in sorted(labels.items()) if k not in dropped and v}


def matching_of(modifier: Any) -> Matching:
    """How a binary operator's sides are matched."""
    if modifier is None:
        return Matching()
    fill = modifier.fill_values
    if fill is not None and (fill.lhs is not None or fill.rhs is not None):
        raise QueryError("fill values are not supported by the sandbox")
    card = _CARDS[str(modifier.card).rpartition(".")[2]]
    matching = modifier.matching
    on = matching is not None and matching.type == ast.LabelModifierType.Include
    names = tuple(matching.labels) if matching is not None else ()
    return Matching(card, on, names, tuple(modifier.group_labels or ()), modifier.return_bool)
