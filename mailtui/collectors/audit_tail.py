"""The live tail of the audit trail: every event once, in order, in bounded memory.

Each read asks for what is newer than the newest event less `audit.overlap`, because events become
visible late and share time stamps; ids already seen are left out. One request does it, unless there
is more than a page: then a point in time is paged through. If more came than the tail may hold
(after an outage, after a pause), the newest are read and the others are counted as a gap.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar

from mailtui.collectors import audit_fields
from mailtui.collectors.audit_search import PAGE, AuditSearch, PointInTime
from mailtui.connections.elastic import ElasticClient, ElasticError
from mailtui.connections.errors import SourceError
from mailtui.model import clock
from mailtui.model.audit import AuditEvent, AuditTail, Gap

if TYPE_CHECKING:
    from mailtui.config.sources.elasticsearch import Settings

FIRST = 500
"""Events with which the tail begins."""
SKEW_INTERVAL = 600.0
"""Seconds between looks at the server's clock."""

Hit = dict[str, Any]


class AuditTailCollector:
    """Reads an AuditTail."""

    source: ClassVar[str] = "audit"
    overview: ClassVar[bool] = False
    """The overview's figures are in the SearchReport; the tail catches up when it is resumed."""
    target = ""

    def __init__(self, settings: Settings, client: ElasticClient, search: AuditSearch) -> None:
        self.interval = settings.audit.interval
        self.timeout = settings.timeout
        self.search = search
        """Searches on request, over the same client."""
        self._client = client
        self._audit = settings.audit
        self._reader = audit_fields.EventReader(settings.audit.fields)
        self._events: deque[AuditEvent] = deque()
        self._seen: dict[str, int] = {}
        """Id → epoch milliseconds, of the events in the overlap."""
        self._cursor: int | None = None
        """Epoch milliseconds up to which the tail has read."""
        self._total_seen = self._dropped = self._skipped = 0
        self._gaps: list[Gap] = []
        self._ahead = 0.0
        """Seconds by which the server's clock is ahead of ours."""
        self._skew_at = float("-inf")
        self._value = AuditTail()

    async def read(self) -> AuditTail:
        """One read. Raises SourceError; what was read before that is kept."""
        await self._read_skew()
        before = self._total_seen
        notes = await (self._begin() if self._cursor is None else self._follow())
        if self._total_seen != before or notes != self._value.notes:
            oldest = self._events[0].time if self._events else 0.0
            self._gaps = [gap for gap in self._gaps if gap.end >= oldest]
            self._value = AuditTail(
                events=tuple(self._events),
                total_seen=self._total_seen,
                dropped=self._dropped,
                skipped=self._skipped,
                gaps=tuple(self._gaps),
                notes=notes,
            )
        return self._value

    async def close(self) -> None:
        """Close the client, which the other collectors of this source share."""
        await self._client.close()

    async def _begin(self) -> tuple[str, ...]:
        size = min(FIRST, self._audit.limit)
        answer = await self._search(None, size, "desc")
        self._absorb(reversed(_hits(answer)))
        return audit_fields.notes(answer)

    async def _follow(self) -> tuple[str, ...]:
        answer = await self._search(self._start(), PAGE, "asc")
        hits = _hits(answer)
        if len(hits) < PAGE:
            self._absorb(hits)
            return audit_fields.notes(answer)
        try:
            return await self._catch_up()
        except ElasticError as error:
            if error.status != 404:
                raise
            # the point in time expired: what was read is kept, the rest is read anew
            return await self._catch_up()

    def _start(self) -> int:
        """Epoch milliseconds from which on a read asks."""
        return (self._cursor or 0) - int(self._audit.overlap * 1000)

    async def _search(self, start: int | None, size: int, order: str) -> Any:
        limits = None if start is None else start / 1000.0
        return await self._client.call(
            lambda es: es.search(
                index=self._audit.index,
                ignore_unavailable=True,
                size=size,
                query=audit_fields.within(self._audit.fields, limits, None),
                sort=audit_fields.by_time(self._audit.fields, order),
                track_total_hits=False,
                filter_path=audit_fields.HIT_PATHS,
            )
        )

    async def _catch_up(self) -> tuple[str, ...]:
        start, reached = self._start(), self._cursor or 0
        async with PointInTime(self._client, self._audit.index) as pit:
            answer = await self._page(pit, start, "asc", None)
            notes = audit_fields.notes(answer)
            count, _ = audit_fields.total(answer)
            known = sum(1 for at in self._seen.values() if at >= start)
            if count - known > self._audit.limit:
                await self._skip(pit, start, reached, count)
                return notes
            while len(hits := _hits(answer)) == PAGE:
                self._absorb(hits)
                answer = await self._page(pit, start, "asc", hits[-1]["sort"])
            self._absorb(hits)
        return notes

    async def _skip(self, pit: PointInTime, start: int, reached: int, count: int) -> None:
        """Read the newest events only, and count those in between."""
        newest: list[Hit] = []
        after: list[Any] | None = None
        while len(newest) < self._audit.limit:
            hits = _hits(await self._page(pit, start, "desc", after))
            newest += hits
            if len(hits) < PAGE:
                break
            after = hits[-1]["sort"]
        newest = newest[: self._audit.limit]
        newest.reverse()
        loaded = {audit_fields.identity(hit) for hit in newest}
        known = sum(1 for one, at in self._seen.items() if at >= start and one not in loaded)
        missing = count - len(newest) - known
        if missing > 0:
            first = newest[0]
            self._gaps.append(
                Gap(
                    before=audit_fields.identity(first),
                    start=reached / 1000.0,
                    end=first["sort"][0] / 1000.0,
                    count=missing,
                )
            )
            self._skipped += missing
        self._absorb(newest)

    async def _page(self, pit: PointInTime, start: int, order: str, after: list[Any] | None) -> Any:
        answer = await self._client.call(
            lambda es: es.search(
                pit=pit.body(),
                size=PAGE,
                query=audit_fields.within(self._audit.fields, start / 1000.0, None),
                sort=audit_fields.by_time(self._audit.fields, order, tie_break=True),
                search_after=after,
                track_total_hits=after is None,
                filter_path=audit_fields.HIT_PATHS,
            )
        )
        pit.answered(answer)
        return answer

    def _absorb(self, hits: Iterable[Hit]) -> None:
        """Take in events, oldest first, that are not there yet."""
        fresh: list[AuditEvent] = []
        latest = self._cursor
        for hit in hits:
            one, at = audit_fields.identity(hit), int(hit["sort"][0])
            if latest is None or at > latest:
                latest = at
            if one not in self._seen:
                self._seen[one] = at
                fresh.append(self._reader.event(hit))
        if latest is None:
            return
        # an event from a clock that is ahead must not hide those that come before its time
        here = int((clock.now() + self._ahead) * 1000)
        self._cursor = max(self._cursor or 0, min(latest, here))
        start = self._start()
        if any(at < start for at in self._seen.values()):
            self._seen = {one: at for one, at in self._seen.items() if at >= start}
        if not fresh:
            return
        late = bool(self._events) and fresh[0].time < self._events[-1].time
        self._events.extend(fresh)
        if late:
            self._events = deque(sorted(self._events, key=lambda event: event.time))
        self._total_seen += len(fresh)
        while len(self._events) > self._audit.limit:
            self._events.popleft()
            self._dropped += 1

    async def _read_skew(self) -> None:
        if time.monotonic() - self._skew_at < SKEW_INTERVAL:
            return
        self._skew_at = time.monotonic()
        try:
            answer = await self._client.call(lambda es: es.cat.health(format="json", h="epoch"))
            ahead = float(answer[0]["epoch"]) - clock.now()
        except (SourceError, LookupError, TypeError, ValueError):
            return  # not allowed: our own clock has to do
        # it counts whole seconds
        self._ahead = ahead + 1.0 if abs(ahead) > 2.0 else 0.0


def _hits(answer: Any) -> list[Hit]:
    return list((answer.get("hits") or {}).get("hits") or ())
