"""The query DSL: a request's `query` compiled for one segment of an index.

Clauses and their defaults as in "Query DSL" of the Elasticsearch guide. What this server does not
know is a 400 as the real one answers for an unknown clause, never a guess. Scores are constant.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from mailtui.sandbox import es_dates, es_leaf
from mailtui.sandbox.es_compiled import ALL, NEVER, Compiled, Context
from mailtui.sandbox.es_errors import EsError, illegal, parsing, unknown_query, unsupported
from mailtui.sandbox.es_text import lucene_regexp, wildcard

_COMMON = {"boost", "_name"}


def compile_query(query: Any, context: Context) -> Compiled:
    """Compile a query clause; EsError (400) for what is malformed or unknown."""
    if query is None:
        return ALL
    if not isinstance(query, dict):
        raise parsing("[_na] query malformed, must start with start_object")
    if not query:
        raise illegal("query malformed, empty clause found")
    if len(query) > 1:
        first = next(iter(query))
        raise parsing(f"[{first}] malformed query, expected [END_OBJECT] but found [FIELD_NAME]")
    name, body = next(iter(query.items()))
    handler = _CLAUSES.get(name)
    if handler is None:
        raise unknown_query(name)
    if not isinstance(body, dict):
        raise parsing(f"[{name}] query malformed, no start_object after query name")
    return handler(body, context)


def conjunction(parts: list[Compiled]) -> Compiled:
    """All of them: time ranges meet, tests follow one another."""
    low: int | None = None
    high: int | None = None
    tests = []
    for part in parts:
        if part.never:
            return NEVER
        if part.low is not None:
            low = part.low if low is None else max(low, part.low)
        if part.high is not None:
            high = part.high if high is None else min(high, part.high)
        if part.test is not None:
            tests.append(part.test)
    if low is not None and high is not None and low > high:
        return NEVER
    if not tests:
        return Compiled(low, high)
    if len(tests) == 1:
        return Compiled(low, high, tests[0])
    if len(tests) == 2:
        first, second = tests
        return Compiled(low, high, lambda row: first(row) and second(row))
    return Compiled(low, high, lambda row: all(test(row) for test in tests))


def disjunction(parts: list[Compiled], needed: int = 1) -> Compiled:
    """At least `needed` of them."""
    if needed <= 0:
        return ALL
    parts = [part for part in parts if not part.never]
    if len(parts) < needed:
        return NEVER
    if len(parts) == needed:
        return conjunction(parts)
    tests = [part.as_test() for part in parts]
    if needed == 1:
        return Compiled(test=lambda row: any(test(row) for test in tests))
    return Compiled(test=lambda row: sum(test(row) for test in tests) >= needed)


def negation(part: Compiled) -> Compiled:
    """None of it."""
    if part.never:
        return ALL
    test = part.as_test()
    return Compiled(test=lambda row: not test(row))


def boolean(
    must: list[Compiled], should: list[Compiled], must_not: list[Compiled], needed: Any = None
) -> Compiled:
    """`bool`; without a positive clause everything that is not excluded matches."""
    count = (0 if must else 1) if needed is None else es_leaf.minimum(needed, len(should))
    parts = list(must)
    if should:
        parts.append(disjunction(should, count))
    elif needed is not None and count > 0:
        return NEVER
    return conjunction(parts + [negation(part) for part in must_not])


def _allowed(name: str, body: dict[str, Any], keys: set[str]) -> None:
    for key in body:
        if key not in keys and key not in _COMMON:
            raise parsing(f"[{name}] query does not support [{key}]")


def _single(name: str, body: dict[str, Any], value_key: str) -> tuple[str, dict[str, Any]]:
    """The field of a `{field: value}` or `{field: {value_key: value, …}}` clause."""
    fields = [key for key in body if key not in _COMMON]
    if len(fields) > 1:
        raise parsing(
            f"[{name}] query doesn't support multiple fields, found [{fields[0]}] and [{fields[1]}]"
        )
    if not fields:
        raise illegal("field name is null or empty")
    value = body[fields[0]]
    if isinstance(value, list):
        raise parsing(f"[{name}] query does not support array of values")
    options = value if isinstance(value, dict) else {value_key: value}
    if options.get(value_key) is None:
        raise illegal("value cannot be null")
    return fields[0], options


def _match_all(body: dict[str, Any], context: Context) -> Compiled:
    _allowed("match_all", body, set())
    return ALL


def _match_none(body: dict[str, Any], context: Context) -> Compiled:
    _allowed("match_none", body, set())
    return NEVER


def _term(body: dict[str, Any], context: Context) -> Compiled:
    field, options = _single("term", body, "value")
    _allowed("term", options, {"value", "case_insensitive"})
    folded = bool(options.get("case_insensitive"))
    return es_leaf.term(context, field, options["value"], ignore_case=folded)


def _terms(body: dict[str, Any], context: Context) -> Compiled:
    fields = [key for key in body if key not in _COMMON]
    if len(fields) != 1:
        raise parsing("[terms] query does not support multiple fields")
    values = body[fields[0]]
    if isinstance(values, dict):
        raise unsupported("[terms] lookup")
    if not isinstance(values, list):
        raise parsing("[terms] query does not support [" + fields[0] + "]")
    return es_leaf.terms(context, fields[0], values)


def _range(body: dict[str, Any], context: Context) -> Compiled:
    fields = [key for key in body if key not in _COMMON]
    if len(fields) != 1 or not isinstance(body[fields[0]], dict):
        raise parsing("[range] query malformed, no start_object after field name")
    field, options = fields[0], dict(body[fields[0]])
    known = {"gt", "gte", "lt", "lte", "format", "time_zone", "relation", "from", "to",
             "include_lower", "include_upper"}  # fmt: skip
    _allowed("range", options, known)
    for old, inclusive, exclusive, flag in (
        ("from", "gte", "gt", "include_lower"),
        ("to", "lte", "lt", "include_upper"),
    ):
        value = options.pop(old, None)
        if value is not None:
            options[inclusive if options.get(flag, True) else exclusive] = value
    kind = context.mapping.kind(field)
    if kind is None:
        return NEVER
    bounds = {key: options.get(key) for key in ("gt", "gte", "lt", "lte")}
    if kind == "date":
        return es_leaf.date_range(
            context,
            field,
            bounds,
            formats=options.get("format"),
            tz=es_dates.zone(options.get("time_zone")),
        )
    return es_leaf.value_range(context, field, bounds)


def _clauses(body: dict[str, Any], key: str, context: Context) -> list[Compiled]:
    value = body.get(key) or []
    items = value if isinstance(value, list) else [value]
    return [compile_query(item, context) for item in items]


def _bool(body: dict[str, Any], context: Context) -> Compiled:
    keys = {"must", "filter", "should", "must_not", "minimum_should_match", "adjust_pure_negative"}
    for key in body:
        if key not in keys and key not in _COMMON:
            raise parsing(f"[bool] unknown token [START_OBJECT] after [{key}]")
    return boolean(
        _clauses(body, "must", context) + _clauses(body, "filter", context),
        _clauses(body, "should", context),
        _clauses(body, "must_not", context),
        body.get("minimum_should_match"),
    )


def _exists(body: dict[str, Any], context: Context) -> Compiled:
    _allowed("exists", body, {"field"})
    if not body.get("field"):
        raise parsing("[exists] must be provided with a [field]")
    return es_leaf.exists(context, body["field"])


def _prefix(body: dict[str, Any], context: Context) -> Compiled:
    field, options = _single("prefix", body, "value")
    _allowed("prefix", options, {"value", "case_insensitive", "rewrite"})
    flags = re.DOTALL | (re.IGNORECASE if options.get("case_insensitive") else 0)
    compiled = re.compile(re.escape(str(options["value"])) + ".*", flags)
    return es_leaf.pattern(context, field, "prefix", compiled)


def _wildcard(body: dict[str, Any], context: Context) -> Compiled:
    fields = [key for key in body if key not in _COMMON]
    options = body[fields[0]] if fields and isinstance(body[fields[0]], dict) else {}
    key = "wildcard" if "wildcard" in options else "value"
    field, options = _single("wildcard", body, key)
    _allowed("wildcard", options, {"value", "wildcard", "case_insensitive", "rewrite"})
    folded = bool(options.get("case_insensitive"))
    compiled = wildcard(str(options[key]), ignore_case=folded)
    return es_leaf.pattern(context, field, "wildcard", compiled)


def _regexp(body: dict[str, Any], context: Context) -> Compiled:
    field, options = _single("regexp", body, "value")
    known = {"value", "flags", "flags_value", "case_insensitive", "rewrite",
             "max_determinized_states"}  # fmt: skip
    _allowed("regexp", options, known)
    folded = bool(options.get("case_insensitive"))
    compiled = lucene_regexp(str(options["value"]), ignore_case=folded)
    return es_leaf.pattern(context, field, "regexp", compiled)


def _match(body: dict[str, Any], context: Context) -> Compiled:
    field, options = _single("match", body, "query")
    known = {"query", "operator", "minimum_should_match", "lenient", "zero_terms_query",
             "fuzziness", "analyzer", "auto_generate_synonyms_phrase_query"}  # fmt: skip
    _allowed("match", options, known)
    if options.get("fuzziness") not in (None, 0, "0"):
        raise unsupported("[match] with [fuzziness]")
    return es_leaf.match_text(
        context,
        field,
        options["query"],
        operator=str(options.get("operator", "or")),
        minimum_should_match=options.get("minimum_should_match"),
        lenient=bool(options.get("lenient")),
    )


def _match_phrase(body: dict[str, Any], context: Context) -> Compiled:
    return _phrase("match_phrase", body, context, prefix=False)


def _match_phrase_prefix(body: dict[str, Any], context: Context) -> Compiled:
    return _phrase("match_phrase_prefix", body, context, prefix=True)


def _phrase(name: str, body: dict[str, Any], context: Context, *, prefix: bool) -> Compiled:
    field, options = _single(name, body, "query")
    _allowed(name, options, {"query", "slop", "analyzer", "zero_terms_query", "max_expansions"})
    if options.get("slop"):
        raise unsupported(f"[{name}] with [slop]")
    return es_leaf.match_text(context, field, options["query"], phrase=True, prefix=prefix)


def _multi_match(body: dict[str, Any], context: Context) -> Compiled:
    known = {"query", "fields", "type", "operator", "minimum_should_match", "lenient",
             "tie_breaker", "zero_terms_query", "analyzer"}  # fmt: skip
    _allowed("multi_match", body, known)
    if body.get("query") is None:
        raise parsing("No text specified for multi_match query")
    kind = body.get("type", "best_fields")
    if kind not in ("best_fields", "most_fields", "phrase", "phrase_prefix"):
        raise unsupported(f"[multi_match] of type [{kind}]")
    names = expand_fields(body.get("fields"), context)
    parts = [
        es_leaf.match_text(
            context,
            name,
            body["query"],
            operator=str(body.get("operator", "or")),
            minimum_should_match=body.get("minimum_should_match"),
            phrase=kind.startswith("phrase"),
            prefix=kind == "phrase_prefix",
            lenient=bool(body.get("lenient")) or not body.get("fields"),
        )
        for name in names
    ]
    return disjunction(parts)


def expand_fields(fields: Any, context: Context) -> list[str]:
    """Field names of a `fields` list: wildcards expanded, boosts (`^2`) dropped."""
    if fields is None:
        fields = ["*"]
    if isinstance(fields, str):
        fields = [fields]
    names: dict[str, None] = {}
    for item in fields:
        bare, mark, boost = str(item).partition("^")
        if mark:
            try:
                float(boost)
            except ValueError:
                raise EsError(
                    400, "number_format_exception", f'For input string: "{boost}"'
                ) from None
        names.update(dict.fromkeys(context.mapping.matching(bare)))
    return list(names)


def _ids(body: dict[str, Any], context: Context) -> Compiled:
    _allowed("ids", body, {"values", "type"})
    values = body.get("values", [])
    return es_leaf.terms(context, "_id", values if isinstance(values, list) else [values])


def _constant_score(body: dict[str, Any], context: Context) -> Compiled:
    _allowed("constant_score", body, {"filter"})
    if "filter" not in body:
        raise parsing("[constant_score] requires a 'filter' element")
    return compile_query(body["filter"], context)


def _dis_max(body: dict[str, Any], context: Context) -> Compiled:
    _allowed("dis_max", body, {"queries", "tie_breaker"})
    return disjunction(_clauses(body, "queries", context))


def _query_string(body: dict[str, Any], context: Context) -> Compiled:
    from mailtui.sandbox import es_querystring

    return es_querystring.compile_clause(body, context)


def _simple_query_string(body: dict[str, Any], context: Context) -> Compiled:
    from mailtui.sandbox import es_simplequery

    return es_simplequery.compile_clause(body, context)


_CLAUSES: dict[str, Callable[[dict[str, Any], Context], Compiled]] = {
    "match_all": _match_all,
    "match_none": _match_none,
    "term": _term,
    "terms": _terms,
    "range": _range,
    "bool": _bool,
    "exists": _exists,
    "prefix": _prefix,
    "wildcard": _wildcard,
    "regexp": _regexp,
    "match": _match,
    "match_phrase": _match_phrase,
    "match_phrase_prefix": _match_phrase_prefix,
    "multi_match": _multi_match,
    "ids": _ids,
    "constant_score": _constant_score,
    "dis_max": _dis_max,
    "query_string": _query_string,
    "simple_query_string": _simple_query_string,
}
