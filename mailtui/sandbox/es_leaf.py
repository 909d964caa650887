"""Leaf conditions: one field against one value, as each field type compares.

Each is compiled once per segment; on `@timestamp` it becomes the range of the scan.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

from mailtui.sandbox import es_dates
from mailtui.sandbox.es_compiled import ALL, NEVER, Compiled, Context, Test, any_of, equals
from mailtui.sandbox.es_errors import EsError, ShardError, illegal
from mailtui.sandbox.es_fields import (
    INTEGERS,
    NUMBERS,
    TEXT,
    Get,
    ip_number,
    ip_span,
)
from mailtui.sandbox.es_text import analyze


def _number(kind: str, value: Any, name: str) -> float | int | None:
    """A number for comparison; None: no integer can equal it."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise ShardError(
            400,
            "query_shard_exception",
            f'failed to create query: For input string: "{value}"',
            caused_by={
                "type": "number_format_exception",
                "reason": f'For input string: "{value}"',
            },
        ) from None
    if kind in INTEGERS:
        return int(number) if number.is_integer() else None
    return number


def term(context: Context, name: str, value: Any, *, ignore_case: bool = False) -> Compiled:
    """`term`: the exact value; a CIDR block on an address; a whole day for a partial date."""
    kind = context.mapping.kind(name)
    if name == "_id":
        return Compiled(test=equals(context.segment.raw("_id"), str(value)))
    if name == "_index":
        from mailtui.sandbox.es_text import wildcard

        return ALL if wildcard(str(value)).fullmatch(context.index) else NEVER
    if kind is None or kind == "object":
        return NEVER
    if kind == "date":
        return date_range(context, name, {"gte": value, "lte": value})
    get = context.get(name)
    if kind == "ip":
        try:
            first, last = ip_span(str(value))
        except ValueError:
            raise ShardError(
                400,
                "query_shard_exception",
                f"failed to create query: '{value}' is not an IP string literal.",
                caused_by={
                    "type": "illegal_argument_exception",
                    "reason": f"'{value}' is not an IP string literal.",
                },
            ) from None
        if first == last:
            return Compiled(test=equals(get, first))
        return Compiled(test=any_of(get, lambda number: first <= number <= last))
    if kind in NUMBERS:
        number = _number(kind, value, name)
        return NEVER if number is None else Compiled(test=equals(get, number))
    if kind == "boolean":
        wanted = {"true": True, "false": False, "": False}.get(
            str(value).lower() if isinstance(value, bool) else str(value)
        )
        if wanted is None:
            raise ShardError(
                400,
                "query_shard_exception",
                f"failed to create query: Can't parse boolean value [{value}], expected [true] or"
                " [false]",
            )
        return Compiled(test=equals(get, wanted))
    text = ("true" if value else "false") if isinstance(value, bool) else str(value)
    if kind in TEXT:
        wanted_token = text.lower() if ignore_case else text
        return Compiled(test=any_of(get, lambda item: wanted_token in analyze(item)))
    if ignore_case:
        folded = text.casefold()
        return Compiled(test=any_of(get, lambda item: item.casefold() == folded))
    return Compiled(test=equals(get, text))


def terms(context: Context, name: str, values: list[Any]) -> Compiled:
    """`terms`: any of the values."""
    kind = context.mapping.kind(name)
    if kind in ("keyword", "constant_keyword", "wildcard") or name == "_id":
        wanted = frozenset(
            ("true" if v else "false") if isinstance(v, bool) else str(v) for v in values
        )
        get = context.segment.raw("_id") if name == "_id" else context.get(name)
        return Compiled(test=any_of(get, wanted.__contains__))
    tests = [c.as_test() for v in values if not (c := term(context, name, v)).never]
    if not tests:
        return NEVER
    return Compiled(test=lambda row: any(test(row) for test in tests))


def date_range(
    context: Context,
    name: str,
    bounds: dict[str, Any],
    *,
    formats: str | None = None,
    tz: dt.tzinfo = dt.UTC,
) -> Compiled:
    """A range of time; on `@timestamp` it becomes the bounds of the scan."""
    low: int | None = None
    high: int | None = None

    def read(value: Any, round_up: bool) -> int:
        try:
            return es_dates.parse(value, now=context.now, round_up=round_up, formats=formats, tz=tz)
        except EsError as error:
            raise ShardError(
                400, error.kind, error.reason, caused_by={
                    "type": "illegal_argument_exception",
                    "reason": error.reason.partition(": [")[0],
                },
            ) from None  # fmt: skip

    if bounds.get("gte") is not None:
        low = read(bounds["gte"], False)
    if bounds.get("gt") is not None:
        low = read(bounds["gt"], True) + 1
    if bounds.get("lte") is not None:
        high = read(bounds["lte"], True)
    if bounds.get("lt") is not None:
        high = read(bounds["lt"], False) - 1
    if low is not None and high is not None and low > high:
        return NEVER
    if name == "@timestamp":
        if low is None and high is None:
            low = -(2**61)
        return Compiled(low, high)
    return _between(context.get(name), low, high)


def _between(get: Get, low: Any, high: Any) -> Compiled:
    def one(value: Any) -> bool:
        return (low is None or low <= value) and (high is None or value <= high)

    return Compiled(test=any_of(get, one))


def value_range(context: Context, name: str, bounds: dict[str, Any]) -> Compiled:
    """A range of numbers, addresses or strings."""
    kind = context.mapping.kind(name)
    if kind is None or kind == "object":
        return NEVER
    if kind == "boolean":
        raise ShardError(
            400,
            "query_shard_exception",
            f"Field [{name}] of type [boolean] does not support range queries",
        )
    get = context.get(name)

    def read(value: Any) -> Any:
        if kind in NUMBERS:
            try:
                return float(value)
            except (TypeError, ValueError):
                _number(kind, value, name)
        if kind == "ip":
            number = ip_number(str(value))
            if number is None:
                raise ShardError(
                    400,
                    "query_shard_exception",
                    f"failed to create query: '{value}' is not an IP string literal.",
                )
            return number
        return str(value)

    limit = {key: read(value) for key, value in bounds.items() if value is not None}

    def one(value: Any) -> bool:
        return (
            ("gte" not in limit or value >= limit["gte"])
            and ("gt" not in limit or value > limit["gt"])
            and ("lte" not in limit or value <= limit["lte"])
            and ("lt" not in limit or value < limit["lt"])
        )

    if kind in TEXT:
        return Compiled(test=any_of(get, lambda text: any(one(token) for token in analyze(text))))
    return Compiled(test=any_of(get, one))


def exists(context: Context, name: str) -> Compiled:
    """`exists`: the field, or a field below it, has a value."""
    names = context.mapping.matching(name)
    if context.mapping.kind(name) == "object":
        names = [f for f in context.mapping.fields if f.startswith(name + ".")]
    if names == ["@timestamp"]:
        return Compiled(low=-(2**61))
    if name in ("_id", "_index", "_source"):
        return ALL
    getters = [context.get(n) for n in names if context.mapping.kind(n) is not None]
    if not getters:
        return NEVER
    return Compiled(test=lambda row: any(get(row) not in (None, []) for get in getters))


def pattern(context: Context, name: str, what: str, compiled: re.Pattern[str]) -> Compiled:
    """`prefix`, `wildcard`, `regexp` (named in `what`): a whole keyword, or a token of a text."""
    kind = context.mapping.kind(name)
    if kind is None or kind == "object":
        return NEVER
    match = compiled.fullmatch
    if kind in TEXT:
        return Compiled(
            test=any_of(
                context.get(name),
                lambda text: any(match(token) is not None for token in analyze(text)),
            )
        )
    if kind not in ("keyword", "wildcard", "constant_keyword"):
        raise ShardError(
            400,
            "query_shard_exception",
            f"failed to create query: Can only use {what} queries on keyword, text and wildcard"
            f" fields - not on [{name}] which is of type [{kind}]",
            caused_by={
                "type": "query_shard_exception",
                "reason": f"Can only use {what} queries on keyword, text and wildcard fields - "
                f"not on [{name}] which is of type [{kind}]",
            },
        )
    return Compiled(test=any_of(context.get(name), lambda text: match(text) is not None))


def minimum(spec: Any, clauses: int) -> int:
    """`minimum_should_match`: a number or a percentage, negative ones from the end."""
    text = str(spec).strip()
    match = re.fullmatch(r"(-?\d+)(%?)", text)
    if match is None:
        if "<" in text:
            raise illegal(f"minimum_should_match [{text}] is not supported by this server")
        raise EsError(400, "number_format_exception", f'For input string: "{text}"')
    count = int(match[1])
    if match[2]:
        part = int(clauses * abs(count) / 100)
        return clauses - part if count < 0 else part
    return max(0, clauses + count if count < 0 else count)


def tokens_test(
    get: Get, tokens: tuple[str, ...], needed: int, *, phrase: bool = False, prefix: bool = False
) -> Test:
    """Tokens in a text: at least `needed` of them, or all in a row (the last as a prefix)."""
    longest = max(tokens, key=len)
    wanted = frozenset(tokens)
    size = len(tokens)

    def bag(text: str) -> bool:
        found = analyze(text)
        return len(wanted.intersection(found)) >= needed

    def row(text: str) -> bool:
        if longest not in text.lower():
            return False
        found = analyze(text)
        for start in range(len(found) - size + 1):
            part = found[start : start + size]
            if part == tokens or (
                prefix and part[:-1] == tokens[:-1] and part[-1].startswith(tokens[-1])
            ):
                return True
        return False

    return any_of(get, row if phrase else bag)


def match_text(
    context: Context,
    name: str,
    value: Any,
    *,
    operator: str = "or",
    minimum_should_match: Any = None,
    phrase: bool = False,
    prefix: bool = False,
    lenient: bool = False,
) -> Compiled:
    """`match`, `match_phrase`, `match_phrase_prefix` on one field."""
    kind = context.mapping.kind(name)
    if kind not in TEXT:
        try:
            if prefix and kind in ("keyword", "wildcard"):
                return pattern(context, name, "prefix", re.compile(re.escape(str(value)) + ".*"))
            return term(context, name, value)
        except EsError:
            if lenient:
                return NEVER
            raise
    tokens = analyze(str(value))
    if not tokens:
        return NEVER
    needed = len(set(tokens)) if operator.lower() == "and" else 1
    if minimum_should_match is not None and operator.lower() != "and":
        needed = max(1, minimum(minimum_should_match, len(set(tokens))))
    return Compiled(
        test=tokens_test(context.get(name), tokens, needed, phrase=phrase, prefix=prefix)
    )
