"""The audit trail for scripts: one search, or every event as it comes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from mailtui.collectors.audit_search import AuditSearch, QueryError
from mailtui.connections.errors import SourceError
from mailtui.headless import exits
from mailtui.headless.errors import Refused
from mailtui.model import clock
from mailtui.model.audit import AuditEvent, AuditPage
from mailtui.model.reading import AnyReading, Fault, Reading

if TYPE_CHECKING:
    from mailtui.collectors.platform import Platform

SINCE = "15m"
"""How far back `get audit` looks if it is not told."""
LIMIT = 1000
"""Events that `get audit` reads if it is not told."""
FILTERED = 10_000
"""Events read if `--where` is still to choose among them."""
FIRST = 10
"""Events with which a tail begins, as in tail(1)."""
BATCH = 5000
"""Events that one search of a tail reads at most."""


def seconds(text: str) -> float:
    """Seconds of `15m`, `1h30m`. Raises Refused."""
    from mailtui.config.base import parse_duration

    try:
        return parse_duration(text)
    except ValueError as error:
        raise Refused(f"--since {text}: {error}") from None


def search_of(platform: Platform) -> AuditSearch:
    """The search of this platform. Raises Refused: it has no audit trail."""
    search = AuditSearch.of(platform)
    if search is None:
        raise Refused(
            "there is no audit trail: this context has no elasticsearch", exits.UNAVAILABLE
        )
    return search


async def read(
    platform: Platform, query: str, since: str, limit: int
) -> tuple[list[AuditEvent], int | None, list[AnyReading], tuple[str, ...]]:
    """Events of the last `since` that match, newest first; how many more the server has (None:
    it stopped counting); how the read went; why events may be missing.

    Raises Refused: no audit trail, or a query that is not understood.
    """
    search = search_of(platform)
    asked = clock.now()
    try:
        page = await search.search(query, asked - seconds(since), None, limit)
    except QueryError as error:
        raise not_understood(query, error) from None
    except SourceError as error:
        fault = Fault(error.kind, error.message, error.hint, since=asked)
        return [], 0, [Reading("audit", fault=fault)], ()
    more = None if page.total_is_lower_bound else page.total - len(page.events)
    return list(page.events), more, [Reading("audit", value=page, read_at=asked)], page.notes


def not_understood(query: str, error: QueryError) -> Refused:
    """The server's words, with a mark under the place."""
    mark = "" if error.position is None else f"\n  {query}\n  {' ' * error.position}^"
    return Refused(f"--query: {error.message}{mark}")


class Follower:
    """Every event of a query once, in the order of time within each read.

    Events become visible late and share time stamps: each read begins `overlap` seconds before
    the newest event that was seen, and what was given out already is left out.
    """

    def __init__(self, search: AuditSearch, query: str, overlap: float) -> None:
        self._search = search
        self._query = query
        self._overlap = overlap
        self._seen: dict[str, float] = {}
        self._newest: float | None = None
        """Time up to which everything was read."""

    async def begin(self, since: float | None) -> tuple[AuditEvent, ...]:
        """The first events: those of the last `since` seconds, or the last ten."""
        now = clock.now()
        if since is not None:
            self._newest = now - since
            return ()
        page = await self._search.search(self._query, None, None, FIRST)
        events = tuple(reversed(page.events))
        for event in events:
            self._seen[event.id] = event.time
        # nothing in the overlap before these was meant to be given out
        self._newest = min(now, events[-1].time) if events else now
        if events:
            await self._know_the_overlap()
        return events

    async def _know_the_overlap(self) -> None:
        """Take what is older than the first events, but within the overlap, for seen."""
        assert self._newest is not None
        limit = BATCH
        while True:
            page = await self._search.search(
                self._query, self._newest - self._overlap, self._newest, limit
            )
            if len(page.events) < limit:
                break
            limit *= 2
        for event in page.events:
            self._seen.setdefault(event.id, event.time)

    async def follow(self) -> AsyncIterator[AuditEvent]:
        """What came since. Raises SourceError; what was given out is not given again."""
        assert self._newest is not None
        size = BATCH
        while True:
            start = self._newest - self._overlap
            page: AuditPage = await self._search.search(
                self._query, start, None, size, newest_first=False
            )
            fresh = [event for event in page.events if event.id not in self._seen]
            for event in fresh:
                self._seen[event.id] = event.time
                yield event
            whole = len(page.events) < size
            if page.events:
                # an event from a clock that is ahead must not hide those before its time
                reached = min(page.events[-1].time, clock.now())
                if not whole and reached - self._overlap <= start:
                    size *= 2  # a full page that ends within the overlap: look further
                self._newest = max(self._newest, reached)
            keep = self._newest - self._overlap
            self._seen = {one: at for one, at in self._seen.items() if at >= keep}
            if whole:
                return
