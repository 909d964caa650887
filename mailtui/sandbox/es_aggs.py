"""Aggregations over the rows that a query matched.

Answers in the shapes of "Aggregations" in the Elasticsearch guide. Rows come as parts: one
compilation context (segment) with its rows. Cardinalities are exact here, which the real server
promises only below its precision threshold.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable
from typing import Any

from mailtui.sandbox import es_dates
from mailtui.sandbox.es_compiled import Context
from mailtui.sandbox.es_errors import EsError, ShardError, illegal, parsing
from mailtui.sandbox.es_fields import NUMBERS, ip_text
from mailtui.sandbox.es_histogram import bucket_keys, fill_gaps
from mailtui.sandbox.es_metrics import Part, Request, TopHits, cardinality, metric, value_count
from mailtui.sandbox.es_query import compile_query
from mailtui.sandbox.es_text import lucene_regexp

MAX_BUCKETS = 65_536


_META = ("aggs", "aggregations", "meta")


def aggregate(specs: Any, parts: list[Part], top_hits: TopHits) -> dict[str, Any]:
    """The answers to a request's `aggs`, by name; EsError (400) for what is unknown."""
    if not isinstance(specs, dict):
        raise parsing("Expected [START_OBJECT] under [aggs]")
    answers = {}
    for name, spec in specs.items():
        if re.search(r"[\[\]>]", name):
            raise parsing(
                f"Invalid aggregation name [{name}]. Aggregation names can contain any character"
                " except '[', ']', and '>'"
            )
        kinds = [key for key in spec if key not in _META]
        if not kinds:
            raise parsing(f"Missing definition for aggregation [{name}]")
        if len(kinds) > 1:
            raise parsing(
                f"Found two aggregation type definitions in [{name}]: [{kinds[0]}] and [{kinds[1]}]"
            )
        handler = _KINDS.get(kinds[0])
        if handler is None:
            raise parsing(f"Unknown aggregation type [{kinds[0]}]", f"unknown field [{kinds[0]}]")
        below = spec.get("aggs") or spec.get("aggregations") or {}
        answer = handler(Request(name, spec[kinds[0]], below, parts, top_hits, aggregate))
        if "meta" in spec:
            answer["meta"] = spec["meta"]
        answers[name] = answer
    return answers


def earliest(specs: Any, context: Context) -> int | None:
    """Epoch milliseconds before which no aggregation looks: all are filters of time.

    None: some of them look at everything (or are not understood, which `aggregate` will say).
    """
    lows = []
    for spec in specs.values() if isinstance(specs, dict) else ():
        query = spec.get("filter") if isinstance(spec, dict) else None
        if query is None or any(key not in ("filter", *_META) for key in spec):
            return None
        compiled = compile_query(query, context)
        if compiled.low is None:
            return None
        lows.append(compiled.low)
    return min(lows, default=None)


def _too_many(count: int) -> EsError:
    return EsError(
        400,
        "too_many_buckets_exception",
        f"Trying to create too many buckets. Must be less than or equal to: [{MAX_BUCKETS}] but "
        f"was [{count}]. This limit can be set by changing the [search.max_buckets] cluster level "
        "setting.",
        max_buckets=MAX_BUCKETS,
    )


def _date_histogram(request: Request) -> dict[str, Any]:
    body = request.body
    request.only("field", "fixed_interval", "calendar_interval", "min_doc_count", "format",
                 "extended_bounds", "hard_bounds", "time_zone", "offset", "keyed", "missing",
                 "order")  # fmt: skip
    kind = request.kind()
    if kind not in (None, "date"):
        raise ShardError(
            400,
            "illegal_argument_exception",
            f"Field [{request.field()}] of type [{kind}] is not supported for aggregation"
            " [date_histogram]",
        )
    rounding = bucket_keys(body)
    missing = body.get("missing")
    if missing is not None:
        missing = es_dates.parse(missing, now=0, formats=body.get("format"))
    groups = request.grouped(rounding.key, missing)
    now = request.parts[0][0].now if request.parts else 0
    order = body.get("order", {"_key": "asc"})
    keys = fill_gaps(sorted(groups), rounding, body, now)
    if len(keys) > MAX_BUCKETS:
        raise _too_many(len(keys))
    buckets = [
        request.bucket(
            groups.get(key, []),
            key_as_string=es_dates.show(key, rounding.zone, body.get("format")),
            key=key,
        )
        for key in keys
    ]
    least = int(body.get("min_doc_count", 0))
    buckets = _sorted([bucket for bucket in buckets if bucket["doc_count"] >= least], order)
    if body.get("keyed"):
        return {"buckets": {bucket["key_as_string"]: bucket for bucket in buckets}}
    return {"buckets": buckets}


def _histogram(request: Request) -> dict[str, Any]:
    request.only("field", "interval", "min_doc_count", "missing", "keyed", "order", "offset")
    kind = request.kind()
    if kind is not None and kind not in NUMBERS:
        raise ShardError(
            400,
            "illegal_argument_exception",
            f"Field [{request.field()}] of type [{kind}] is not supported for aggregation"
            " [histogram]",
        )
    interval = float(request.body.get("interval") or 0)
    offset = float(request.body.get("offset", 0))
    if interval <= 0:
        raise illegal("[interval] must be >0 for histogram aggregation")
    groups = request.grouped(
        lambda value: math.floor((value - offset) / interval), request.body.get("missing")
    )
    least = int(request.body.get("min_doc_count", 0))
    steps: Iterable[int] = sorted(groups)
    if least == 0 and groups:
        if max(groups) - min(groups) > MAX_BUCKETS:
            raise _too_many(max(groups) - min(groups))
        steps = range(min(groups), max(groups) + 1)
    buckets = [request.bucket(groups.get(s, []), key=s * interval + offset) for s in steps]
    buckets = [bucket for bucket in buckets if bucket["doc_count"] >= least]
    return {"buckets": _sorted(buckets, request.body.get("order", {"_key": "asc"}))}


def _sorted(buckets: list[dict[str, Any]], order: Any) -> list[dict[str, Any]]:
    """Buckets by `_key`, `_count` or a metric below, the first rule of a list weighing most."""
    for rule in reversed(order if isinstance(order, list) else [order]):
        path, direction = next(iter(rule.items()))
        if path == "_key":
            key: Callable[[dict[str, Any]], Any] = _bucket_key
        elif path == "_count":
            key = _bucket_count
        else:
            name, _, metric = path.partition(".")
            if buckets and name not in buckets[0]:
                raise illegal(
                    f"Invalid aggregation order path [{path}]. The provided aggregation [{name}] "
                    "either does not exist, or is a pipeline aggregation and cannot be used to "
                    "sort the buckets."
                )
            key = _by_metric(name, metric)
        buckets = sorted(buckets, key=key, reverse=str(direction).lower() == "desc")
    return buckets


def _bucket_key(bucket: dict[str, Any]) -> Any:
    return bucket["key"]


def _bucket_count(bucket: dict[str, Any]) -> int:
    return int(bucket["doc_count"])


def _by_metric(name: str, metric: str) -> Callable[[dict[str, Any]], float]:
    def key(bucket: dict[str, Any]) -> float:
        answer = bucket[name]
        value = answer.get(metric or ("value" if "value" in answer else "doc_count"))
        return -math.inf if value is None else float(value)

    return key


def _terms(request: Request) -> dict[str, Any]:
    request.only("field", "size", "shard_size", "order", "missing", "min_doc_count", "include",
                 "exclude", "show_term_doc_count_error", "execution_hint", "collect_mode",
                 "format", "value_type", "shard_min_doc_count")  # fmt: skip
    body = request.body
    size = int(body.get("size", 10))
    if size <= 0:
        raise illegal("[size] must be greater than 0. Found [0] in [terms]")
    kind = request.kind()
    groups = request.grouped(lambda value: value, body.get("missing"))
    wanted, unwanted = _selector(body.get("include")), _selector(body.get("exclude"))
    counts = {
        key: sum(len(rows) for _, rows in parts)
        for key, parts in groups.items()
        if (wanted is None or wanted(_key_text(kind, key)))
        and (unwanted is None or not unwanted(_key_text(kind, key)))
    }
    least = int(body.get("min_doc_count", 1))
    order = body.get("order", {"_count": "desc"})
    rules = order if isinstance(order, list) else [order]
    plain = all(next(iter(rule)) in ("_key", "_count") for rule in rules)
    chosen = [{"key": key, "doc_count": n} for key, n in counts.items() if n >= least]
    rules = [*rules, {"_key": "asc"}]
    if plain:
        # Buckets below are only built for the terms that are shown.
        chosen = _sorted(chosen, rules)[:size]
    buckets = [request.bucket(groups[b["key"]], **_key(kind, b["key"])) for b in chosen]
    if not plain:
        buckets = _sorted(buckets, rules)[:size]
    shown = sum(bucket["doc_count"] for bucket in buckets)
    total = sum(n for n in counts.values() if n >= least)
    return {
        "doc_count_error_upper_bound": 0,
        "sum_other_doc_count": total - shown,
        "buckets": buckets,
    }


def _selector(spec: Any) -> Callable[[str], bool] | None:
    if spec is None:
        return None
    if isinstance(spec, list):
        return frozenset(str(item) for item in spec).__contains__
    if isinstance(spec, dict):
        raise parsing("[terms] partitions are not supported by this server")
    match = lucene_regexp(str(spec)).fullmatch
    return lambda text: match(text) is not None


def _key_text(kind: str | None, key: Any) -> str:
    return str(_key(kind, key).get("key_as_string", _key(kind, key)["key"]))


def _key(kind: str | None, key: Any) -> dict[str, Any]:
    if kind == "ip":
        return {"key": ip_text(key) if isinstance(key, int) else key}
    if kind == "boolean":
        return {"key": int(key), "key_as_string": "true" if key else "false"}
    if kind == "date":
        return {"key": key, "key_as_string": es_dates.show(key)}
    return {"key": key}


def _selected(request: Request, query: Any) -> list[Part]:
    selected: list[Part] = []
    for context, rows in request.parts:
        compiled = compile_query(query, context)
        if not compiled.never:
            test = compiled.test
            # Rows are in order of time wherever they come from.
            first, last = 0, len(rows)
            if compiled.low is not None:
                first = bisect_left(rows, compiled.low, key=_millis)
            if compiled.high is not None:
                last = bisect_right(rows, compiled.high, key=_millis)
            within = rows[first:last]
            kept = within if test is None else [row for row in within if test(row)]
            selected.append((context, kept))
    return selected


def _millis(row: Any) -> int:
    return int(row.millis)


def _filter(request: Request) -> dict[str, Any]:
    return request.bucket(_selected(request, request.body))


def _filters(request: Request) -> dict[str, Any]:
    request.only("filters", "other_bucket", "other_bucket_key", "keyed")
    filters = request.body.get("filters")
    if not filters:
        raise illegal("[filters] cannot be empty.")
    named = filters if isinstance(filters, dict) else dict(enumerate(filters))
    chosen = {name: _selected(request, query) for name, query in named.items()}
    other = request.body.get("other_bucket_key")
    if other or request.body.get("other_bucket"):
        queries = list(named.values())
        rest = _selected(request, {"bool": {"must_not": queries}})
        chosen[other or ("_other_" if isinstance(filters, dict) else len(chosen))] = rest
    buckets = {name: request.bucket(parts) for name, parts in chosen.items()}
    keyed = isinstance(filters, dict) and request.body.get("keyed", True)
    return {"buckets": buckets if keyed else list(buckets.values())}


def _missing(request: Request) -> dict[str, Any]:
    return request.bucket(
        _selected(request, {"bool": {"must_not": {"exists": {"field": request.field()}}}})
    )


def _top_hits(request: Request) -> dict[str, Any]:
    request.only("from", "size", "sort", "_source", "fields", "docvalue_fields", "version")
    if request.below:
        raise EsError(
            400,
            "aggregation_initialization_exception",
            f"Aggregator [{request.name}] of type [top_hits] cannot accept sub-aggregations",
        )
    return {"hits": request.top_hits({"size": 3, **request.body}, request.parts)}


_KINDS: dict[str, Callable[[Request], dict[str, Any]]] = {
    "date_histogram": _date_histogram,
    "histogram": _histogram,
    "terms": _terms,
    "filter": _filter,
    "filters": _filters,
    "missing": _missing,
    "cardinality": cardinality,
    "value_count": value_count,
    "min": metric("min"),
    "max": metric("max"),
    "avg": metric("avg"),
    "sum": metric("sum"),
    "stats": metric("stats"),
    "top_hits": _top_hits,
}
