"""Searches of the audit trail on request: for the screen and for `mailtui get audit`.

`AuditSearch.of(platform)` gives it, or None where no Elasticsearch is configured.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from mailtui.collectors import audit_fields
from mailtui.connections.elastic import ElasticClient, ElasticError
from mailtui.connections.errors import SourceError
from mailtui.model.audit import AuditEvent, AuditPage, Bucket, Histogram

if TYPE_CHECKING:
    from mailtui.collectors.platform import Platform
    from mailtui.config.sources.elasticsearch import Settings

PAGE = 1000
"""Events of one request."""
KEEP_ALIVE = "1m"
_INTERVALS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200)
_POSITION = re.compile(r"at line (\d+), column (\d+)")


class QueryError(SourceError):
    """A query that the server cannot understand."""

    def __init__(self, message: str, position: int | None) -> None:
        super().__init__("config", message)
        self.position = position
        """Index in the query of the character at fault; None if the server does not say."""


class AuditSearch:
    """Searches by `query_string` (Lucene's language: `user.name:bob AND event.outcome:failure`).

    Words without AND or OR must all be there.
    """

    def __init__(self, client: ElasticClient, settings: Settings) -> None:
        self._client = client
        self._settings = settings
        self._fields = settings.audit.fields
        self._reader = audit_fields.EventReader(settings.audit.fields)

    @staticmethod
    def of(platform: Platform) -> AuditSearch | None:
        """The search of a platform's audit trail."""
        from mailtui.collectors.audit_tail import AuditTailCollector

        tail = platform.find(AuditTailCollector)
        return None if tail is None else tail.search

    async def search(
        self,
        query: str = "",
        start: float | None = None,
        end: float | None = None,
        limit: int = 500,
        *,
        newest_first: bool = True,
    ) -> AuditPage:
        """Events of start ≤ time < end (epoch seconds) that match; an empty query matches all.

        Raises QueryError, SourceError.
        """
        order = "desc" if newest_first else "asc"
        body = {"query": self._query(query, start, end)}
        if limit <= PAGE:
            answer = await self._ask(
                query,
                index=self._settings.audit.index,
                ignore_unavailable=True,
                size=limit,
                sort=audit_fields.by_time(self._fields, order),
                filter_path=audit_fields.HIT_PATHS,
                **body,
            )
            return self._page(answer, self._events(answer))
        return await self._pages(query, body, limit, order)

    async def histogram(self, query: str, start: float, end: float, buckets: int = 60) -> Histogram:
        """Events and failures over time, at the first round interval that gives ≤ `buckets`.

        Raises QueryError, SourceError.
        """
        interval = interval_of(start, end, buckets)
        millis = interval * 1000
        bounds = {"min": int(start * 1000), "max": max(int(start * 1000), int(end * 1000) - 1)}
        answer = await self._ask(
            query,
            index=self._settings.audit.index,
            ignore_unavailable=True,
            size=0,
            track_total_hits=True,
            query=self._query(query, start, end),
            aggs={
                "over_time": {
                    "date_histogram": {
                        "field": self._fields.time,
                        "fixed_interval": f"{interval}s",
                        "min_doc_count": 0,
                        "extended_bounds": bounds,
                    },
                    "aggs": {"failures": {"filter": audit_fields.failures(self._fields)}},
                }
            },
            filter_path=[
                "timed_out",
                "_shards.total",
                "_shards.failed",
                "hits.total",
                "aggregations",
            ],
        )
        found = ((answer.get("aggregations") or {}).get("over_time") or {}).get("buckets") or []
        if not found:  # no index matches: the time is known all the same
            first = int(start * 1000) // millis * millis
            found = [{"key": at, "doc_count": 0} for at in range(first, bounds["max"] + 1, millis)]
        count, more = audit_fields.total(answer)
        return Histogram(
            interval=float(interval),
            buckets=tuple(
                Bucket(
                    one["key"] / 1000.0,
                    one["doc_count"],
                    (one.get("failures") or {}).get("doc_count", 0),
                )
                for one in found
            ),
            total=count,
            total_is_lower_bound=more,
            notes=audit_fields.notes(answer),
        )

    def _query(self, query: str, start: float | None, end: float | None) -> dict[str, Any]:
        parts: list[dict[str, Any]] = [audit_fields.within(self._fields, start, end)]
        if query.strip():
            parts.append(
                {
                    "query_string": {
                        "query": query,
                        "default_operator": "AND",
                        # a word may be an address in one field and none in another
                        "lenient": True,
                        # it reads every term of the index
                        "allow_leading_wildcard": False,
                    }
                }
            )
        return {"bool": {"filter": parts}}

    async def _pages(self, query: str, body: dict[str, Any], limit: int, order: str) -> AuditPage:
        """More than one request: a point in time, and `search_after` within it."""
        events: list[AuditEvent] = []
        first: Any = None
        async with PointInTime(self._client, self._settings.audit.index) as pit:
            after: list[Any] | None = None
            while len(events) < limit:
                size = min(PAGE, limit - len(events))
                answer = await self._ask(
                    query,
                    pit=pit.body(),
                    size=size,
                    sort=audit_fields.by_time(self._fields, order, tie_break=True),
                    search_after=after,
                    track_total_hits=first is None or None,
                    filter_path=audit_fields.HIT_PATHS,
                    **body,
                )
                pit.answered(answer)
                first = first or answer
                hits = (answer.get("hits") or {}).get("hits") or []
                events += self._events(answer)
                if len(hits) < size:
                    break
                after = hits[-1]["sort"]
        return self._page(first, tuple(events))

    def _events(self, answer: Any) -> tuple[AuditEvent, ...]:
        hits = (answer.get("hits") or {}).get("hits") or ()
        return tuple(self._reader.event(hit) for hit in hits)

    def _page(self, answer: Any, events: tuple[AuditEvent, ...]) -> AuditPage:
        count, more = audit_fields.total(answer)
        return AuditPage(events, max(count, len(events)), more, audit_fields.notes(answer))

    async def _ask(self, text: str, **request: Any) -> Any:
        try:
            return await self._client.call(lambda es: es.search(**request))
        except ElasticError as error:
            raise understood(text, error) from None


class PointInTime:
    """A point in time for the length of a `with`; it keeps the id that the server last gave."""

    def __init__(self, client: ElasticClient, index: str) -> None:
        self._client = client
        self._index = index
        self._id = ""

    async def __aenter__(self) -> PointInTime:
        answer = await self._client.call(
            lambda es: es.open_point_in_time(
                index=self._index, keep_alive=KEEP_ALIVE, ignore_unavailable=True
            )
        )
        self._id = str(answer.get("id", ""))
        return self

    async def __aexit__(self, *_: object) -> None:
        pit = self._id
        try:
            await self._client.call(lambda es: es.close_point_in_time(id=pit))
        except SourceError:
            return  # it ends by itself

    def body(self) -> dict[str, str]:
        """The `pit` of a search."""
        return {"id": self._id, "keep_alive": KEEP_ALIVE}

    def answered(self, answer: Any) -> None:
        """Take over the id of an answer: it may change from request to request."""
        self._id = str(answer.get("pit_id") or self._id)


def interval_of(start: float, end: float, buckets: int) -> int:
    """Seconds of a bucket: the first round number that divides the span into ≤ `buckets`."""
    least = max(1.0, (end - start) / max(1, buckets))
    for interval in _INTERVALS:
        if interval >= least:
            return interval
    return int(-(-least // 86400)) * 86400


def understood(query: str, error: ElasticError) -> SourceError:
    """A syntax error as a QueryError with its place; anything else as it was."""
    if error.status != 400:
        return error
    texts = [reason for _, reason in error.reasons if reason]
    parse = next((text for text in reversed(texts) if "annot parse" in text), "")
    found = _POSITION.search(" ".join(texts))
    position: int | None = None
    if found is not None:
        lines = query.splitlines(keepends=True) or [""]
        line = min(int(found[1]), len(lines)) - 1
        position = min(len(query), sum(map(len, lines[:line])) + int(found[2]))
    if not parse and not any("query" in text.lower() for text in texts):
        return error
    words = next((text for text in reversed(texts) if text), str(error))
    words = words.split(". Was expecting")[0].split("Was expecting")[0].strip()
    return QueryError(f"the query is not understood: {words[:200]}", position)
