"""The search request: query, count, sort, page, hits, aggregations.

A sort that begins with `@timestamp` walks the rows in time order and stops early, so that the
newest events, and what came since the last look, cost what they are and not the whole index.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from mailtui.sandbox import es_sort
from mailtui.sandbox.es_aggs import aggregate, earliest
from mailtui.sandbox.es_compiled import Compiled, Context
from mailtui.sandbox.es_errors import EsError, ShardError, illegal, parsing, unsupported
from mailtui.sandbox.es_histogram import duration
from mailtui.sandbox.es_metrics import Part
from mailtui.sandbox.es_query import compile_query, conjunction
from mailtui.sandbox.es_segments import Segment, Shard
from mailtui.sandbox.es_sort import SortKey
from mailtui.sandbox.es_source import field_values, source_filter

WINDOW = 10_000
_WINDOW_MILLIS = 600_000
"""The first stretch of time that a search for the newest looks at."""
_KEYS = {
    "query", "size", "from", "sort", "aggs", "aggregations", "_source", "fields",
    "docvalue_fields", "track_total_hits", "track_scores", "pit", "search_after", "timeout",
    "version", "seq_no_primary_term", "post_filter", "explain", "profile", "stored_fields",
}  # fmt: skip
_REAL = {
    "highlight", "suggest", "rescore", "collapse", "knn", "script_fields", "runtime_mappings",
    "min_score", "terminate_after", "slice", "indices_boost", "ext", "stats", "rank", "retriever",
}  # fmt: skip


class _Hit:
    """A candidate: a row, where it is, and what it sorts by."""

    __slots__ = ("at", "context", "row", "rows", "shard", "values")

    def __init__(self, shard: int, context: Context, rows: Sequence[Any], at: int) -> None:
        self.shard = shard
        self.context = context
        self.rows = rows
        self.at = at
        self.row = rows[at]
        self.values: list[Any] = []

    def shard_doc(self) -> int:
        """What `_shard_doc` sorts by."""
        first = bisect_left(self.rows, self.row.millis, key=_millis)
        ordinal = self.context.segment.ordinal(self.row, self.at - first)
        return self.shard << es_sort.SHARD_BITS | ordinal


def _millis(row: Any) -> int:
    return int(row.millis)


class _Scope:
    """A compiled query over one segment."""

    def __init__(self, number: int, context: Context, compiled: Compiled) -> None:
        self.number = number
        self.context = context
        self.compiled = compiled
        self._matched: Sequence[Any] | None = None
        self.counted: tuple[Sequence[Any], list[int]] | None = None
        """Rows and the places of those that match, once all were counted."""

    def rows(self, low: int | None = None, high: int | None = None) -> Sequence[Any]:
        """Rows of the query's time range, narrowed further; not yet tested."""
        narrowed = conjunction([self.compiled, Compiled(low, high)])
        if narrowed.never:
            return ()
        return self.context.segment.rows(narrowed.low, narrowed.high)

    def newest(self, low: int | None, high: int | None) -> Iterator[Sequence[Any]]:
        """The rows in windows, the newest first, each larger than the one before."""
        span = self.context.segment.span()
        if span is None:
            yield self.rows(low, high)
            return
        bottom = span[0] if low is None else max(low, span[0])
        top = span[1] if high is None else min(high, span[1])
        size = _WINDOW_MILLIS
        while top >= bottom:
            start = max(bottom, top - size + 1)
            yield self.rows(start, top)
            top, size = start - 1, size * 4

    def count(self, limit: int | None) -> int:
        """How many rows match; stops above the limit."""
        if self._matched is not None:
            return len(self._matched)
        rows, test = self.rows(), self.compiled.test
        if test is None:
            return len(rows)
        found: list[int] = []
        for at, row in enumerate(rows):
            if test(row):
                found.append(at)
                if limit is not None and len(found) > limit:
                    return len(found)
        self.counted = (rows, found)
        return len(found)

    def since(self, low: int) -> Sequence[Any]:
        """The rows from epoch millisecond `low` on that match."""
        rows, test = self.rows(low), self.compiled.test
        return rows if test is None else [row for row in rows if test(row)]

    def matching(self) -> Sequence[Any]:
        """Every row that matches; kept, so that counting need not look again."""
        if self._matched is None:
            rows, test = self.rows(), self.compiled.test
            self._matched = rows if test is None else [row for row in rows if test(row)]
        return self._matched


class Search:
    """One search over the shards of some indices."""

    def __init__(self, shards: list[Shard], body: dict[str, Any], now: int, node: str) -> None:
        """`now`: epoch milliseconds; `node`: id of the node that answers."""
        for key in body:
            if key in _REAL:
                raise unsupported(f"[{key}]")
            if key not in _KEYS:
                raise parsing(f"Unknown key for a VALUE_STRING in [{key}].")
        self.shards = shards
        self.body = body
        self.now = now
        self.node = node
        self.in_point = "pit" in body
        self.size = _count(body, "size", 10)
        self.offset = _count(body, "from", 0)
        if body.get("timeout"):
            duration(body["timeout"])
        if self.offset + self.size > WINDOW:
            raise self._failed(_window(self.offset, self.size))

    def _failed(self, error: ShardError, index: str = "") -> ShardError:
        error.index = error.index or index or (self.shards[0].name if self.shards else "")
        error.node = self.node
        return error

    def _compile(self, query: Any) -> list[_Scope]:
        scopes = []
        for number, shard in enumerate(self.shards):
            # A query is checked against the mapping even where there is nothing to search.
            segments: list[Segment | None] = [*shard.segments] or [None]
            for segment in segments:
                context = Context(shard.mapping, segment or _EMPTY, self.now, shard.name)
                try:
                    compiled = compile_query(query, context)
                except ShardError as error:
                    raise self._failed(error, shard.name) from None
                scopes.append(_Scope(number, context, compiled))
        return scopes

    def run(self) -> dict[str, Any]:
        """The answer, without `took`."""
        keys = es_sort.parse_sort(self.body.get("sort"))
        if self.in_point and keys and keys[-1].field != "_shard_doc":
            keys.append(SortKey("_shard_doc"))
        if not self.in_point and any(key.field == "_shard_doc" for key in keys):
            raise illegal("[_shard_doc] sort field cannot be used without [point in time]")
        scopes = self._compile(self.body.get("query"))
        answer: dict[str, Any] = {"timed_out": False, "_shards": shard_counts(self.shards)}
        try:
            es_sort.bind(keys, [scope.context for scope in scopes])
            aggs = self.body.get("aggs", self.body.get("aggregations"))
            parts = _aggregated(aggs, scopes) if aggs else []
            hits: dict[str, Any] = {}
            total = self._total(scopes)
            if total is not None:
                hits["total"] = total
            found = self._page(scopes, keys)
            scored = not keys or any(key.field == "_score" for key in keys)
            hits["max_score"] = 1.0 if found and scored else None
            hits["hits"] = [self._shown(hit, keys, self.body, scored) for hit in found]
            answer["hits"] = hits
            if aggs:
                answer["aggregations"] = aggregate(aggs, parts, self._top_hits)
        except ShardError as error:
            raise self._failed(error) from None
        return answer

    def _total(self, scopes: list[_Scope]) -> dict[str, Any] | None:
        track = self.body.get("track_total_hits", 10_000)
        if track is False:
            return None
        if track is not True and (not isinstance(track, int) or track < 0):
            raise illegal(f"[track_total_hits] parameter must be positive or equals to -1, "
                          f"got {track}")  # fmt: skip
        limit = None if track is True else int(track)
        filtered = self._filtered(scopes)
        total = 0
        for scope in filtered:
            total += scope.count(None if limit is None else limit - total)
            if limit is not None and total > limit:
                return {"value": limit, "relation": "gte"}
        return {"value": total, "relation": "eq"}

    def _filtered(self, scopes: list[_Scope]) -> list[_Scope]:
        """The query with `post_filter`, which narrows hits but not aggregations."""
        post = self.body.get("post_filter")
        if post is None:
            return scopes
        return [
            _Scope(s.number, s.context, conjunction([s.compiled, compile_query(post, s.context)]))
            for s in scopes
        ]

    def _page(self, scopes: list[_Scope], keys: list[SortKey]) -> list[_Hit]:
        after = None
        if (values := self.body.get("search_after")) is not None:
            after = es_sort.read_after(keys, values)
            if self.offset > 0:
                raise EsError(
                    400,
                    "action_request_validation_exception",
                    "Validation Failed: 1: `from` parameter must be set to 0 when `search_after`"
                    " is used;",
                )
        if self.size == 0:
            return []
        wanted = self.offset + self.size
        scopes = self._filtered(scopes)
        by_time = bool(keys) and keys[0].field == "@timestamp" and keys[0].kind == "date"
        by_time = by_time and keys[0].missing == "_last"
        found: list[_Hit] = []
        for scope in scopes:
            found += self._candidates(scope, keys, after, wanted, by_time=by_time)
            if not keys and len(found) >= wanted:
                break
        for position in range(len(keys) - 1, -1, -1):
            found.sort(key=_ranker(keys[position], position), reverse=keys[position].descending)
        return found[self.offset : wanted]

    def _candidates(
        self,
        scope: _Scope,
        keys: list[SortKey],
        after: list[Any] | None,
        wanted: int,
        *,
        by_time: bool,
    ) -> Iterator[_Hit]:
        """The rows of a segment that may be on the page, with their sort values."""
        low = high = None
        # What has no time is not where the order of time would have it.
        by_time = by_time and not scope.context.segment.undated()
        if by_time and after is not None and after[0] is not None:
            low, high = (None, after[0]) if keys[0].descending else (after[0], None)
        backwards = by_time and keys[0].descending
        test = None if scope.counted is not None else scope.compiled.test
        chunks: Iterable[tuple[Sequence[Any], Sequence[int]]]
        if scope.counted is not None:
            chunks = [scope.counted]
        elif backwards:
            chunks = ((rows, range(len(rows))) for rows in scope.newest(low, high))
        else:
            rows = scope.rows(low, high)
            chunks = [(rows, range(len(rows)))]
        count = 0
        last: int | None = None
        needs_place = any(key.kind in ("_shard_doc", "_doc") for key in keys)
        ordered = (
            (rows, at)
            for rows, places in chunks
            for at in (reversed(places) if backwards else places)
        )
        for rows, at in ordered:
            row = rows[at]
            # Rows of one millisecond stay together: the keys after the first order them.
            if count >= wanted and (not keys or (by_time and row.millis != last)):
                return
            if test is not None and not test(row):
                continue
            hit = _Hit(scope.number, scope.context, rows, at)
            place = hit.shard_doc() if needs_place else 0
            hit.values = [es_sort.value_of(key, scope.context, row, place) for key in keys]
            if after is not None and not es_sort.is_after(keys, hit.values, after):
                continue
            last = row.millis
            count += 1
            yield hit

    def _shown(
        self, hit: _Hit, keys: list[SortKey], body: dict[str, Any], scored: bool
    ) -> dict[str, Any]:
        shown: dict[str, Any] = {
            "_index": hit.context.index,
            "_id": hit.row.id,
            "_score": 1.0 if scored else None,
        }
        if body.get("version"):
            shown["_version"] = getattr(hit.row, "version", 1)
        if body.get("seq_no_primary_term"):
            shown |= {"_seq_no": getattr(hit.row, "seq", hit.shard_doc()), "_primary_term": 1}
        stored = body.get("stored_fields")
        keep = source_filter(body.get("_source", stored is None))
        if keep is not None:
            shown["_source"] = keep(hit.context.segment.source(hit.row))
        fields: dict[str, Any] = {}
        for name in ("fields", "docvalue_fields"):
            if body.get(name):
                fields |= field_values(
                    body[name], hit.context, hit.row, doc_values=name != "fields"
                )
        if fields:
            shown["fields"] = fields
        if keys:
            shown["sort"] = [
                es_sort.shown(key, value) for key, value in zip(keys, hit.values, strict=True)
            ]
        return shown

    def _top_hits(self, body: dict[str, Any], parts: list[Part]) -> dict[str, Any]:
        keys = es_sort.parse_sort(body.get("sort"))
        es_sort.bind(keys, [context for context, _ in parts])
        found = []
        for number, (context, rows) in enumerate(parts):
            for at in range(len(rows)):
                hit = _Hit(number, context, rows, at)
                place = hit.shard_doc() if any(k.kind == "_doc" for k in keys) else 0
                hit.values = [es_sort.value_of(key, context, hit.row, place) for key in keys]
                found.append(hit)
        for position in range(len(keys) - 1, -1, -1):
            found.sort(key=_ranker(keys[position], position), reverse=keys[position].descending)
        start = _count(body, "from", 0)
        page = found[start : start + _count(body, "size", 3)]
        return {
            "total": {"value": len(found), "relation": "eq"},
            "max_score": 1.0 if page and not keys else None,
            "hits": [self._shown(hit, keys, body, not keys) for hit in page],
        }


def _aggregated(aggs: Any, scopes: list[_Scope]) -> list[Part]:
    """The rows to aggregate: all, or from where the earliest of the aggregations looks."""
    parts: list[Part] = []
    for scope in scopes:
        low = earliest(aggs, scope.context)
        parts.append((scope.context, scope.matching() if low is None else scope.since(low)))
    return parts


def _ranker(key: SortKey, position: int) -> Any:
    return lambda hit: es_sort.rank(key, hit.values[position])


class _Empty:
    """A segment without rows."""

    def rows(self, low: int | None, high: int | None) -> Sequence[Any]:
        return ()

    def raw(self, path: str) -> Any:
        return lambda row: None

    def source(self, row: Any) -> Any:
        return {}

    def text(self, row: Any) -> str:
        return ""

    def ordinal(self, row: Any, nth: int) -> int:
        return 0

    def undated(self) -> bool:
        return False

    def span(self) -> None:
        return None


_EMPTY = _Empty()


def _count(body: dict[str, Any], name: str, default: int) -> int:
    value = body.get(name)
    if value is None:
        return default
    try:
        number = int(value)
    except (TypeError, ValueError):
        raise EsError(400, "number_format_exception", f'For input string: "{value}"') from None
    if number < 0:
        raise illegal(f"[{name}] parameter cannot be negative, found [{number}]")
    return number


def _window(start: int, size: int) -> ShardError:
    return ShardError(
        400,
        "illegal_argument_exception",
        "Result window is too large, from + size must be less than or equal to: "
        f"[{WINDOW}] but was [{start + size}]. See the scroll api for a more efficient way to "
        "request large data sets. This limit can be set by changing the "
        "[index.max_result_window] index level setting.",
    )


def shard_counts(shards: list[Shard]) -> dict[str, int]:
    """`_shards` of an answer: shards that no node holds have failed."""
    total = sum(shard.primaries for shard in shards)
    lost = sum(shard.lost for shard in shards)
    return {"total": total, "successful": total - lost, "skipped": 0, "failed": lost}
