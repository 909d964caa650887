"""A search of the audit trail that goes on: first its newest events, then what comes after them.

Each step asks for what is newer than the newest event less an overlap, because events become
visible late and share time stamps; ids already there are left out. If more came than one step may
read, the newest replace what was there: the list never has a hole in it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from mailtui.connections.errors import SourceError
from mailtui.model import clock
from mailtui.model.audit import AuditEvent, AuditPage, Histogram
from mailtui.model.reading import Fault, Reading

FIRST = 500
"""Events of the first step."""
PAGE = 1000
"""Events of one request."""
BACKOFF_CAP = 60.0
COUNT_LEAST, COUNT_MOST = 5.0, 60.0
"""Seconds between counts over the range: a third of a bar's width within these limits."""

Window = Callable[[float], tuple[float, float | None]]
"""Now → (start, end) in epoch seconds; an end of None is now, and goes on."""


class Search(Protocol):
    """What finds events: `AuditSearch`."""

    async def search(
        self, query: str, start: float | None, end: float | None, limit: int
    ) -> AuditPage:
        """The newest `limit` events, newest first."""

    async def histogram(self, query: str, start: float, end: float, buckets: int) -> Histogram:
        """Counts over time."""


class FollowedSearch:
    """One query over one window of time. One request at a time: the caller awaits each step."""

    def __init__(
        self, search: Search, query: str, window: Window, *, keep: int, overlap: float
    ) -> None:
        self.query = query
        self.window = window
        self.events: tuple[AuditEvent, ...] = ()
        """Newest first; at most `keep`."""
        self.total: int | None = None
        """Events that match, as last counted; None before."""
        self.total_is_lower_bound = False
        self.seen = 0
        """Events that came in after the first step."""
        self.histogram: Histogram | None = None
        self.notes: tuple[str, ...] = ()
        self.fault: Fault | None = None
        """Why the last step failed."""
        self.count_fault: Fault | None = None
        """Why the last count failed."""
        self.begun = False
        self.counted_at = 0.0
        """Epoch seconds of the last count; 0 if never."""
        self.at_start = False
        """True once there is nothing older in the window than `events`."""
        self._search = search
        self._keep = keep
        self._overlap = overlap
        self._read_at = 0.0
        self._not_before = self._count_not_before = float("-inf")
        self._count_due_at = float("-inf")

    @property
    def live(self) -> bool:
        """True if the window goes on with the time."""
        return self.window(clock.now())[1] is None

    @property
    def start(self) -> float:
        """Where the window begins now, epoch seconds."""
        return self.window(clock.now())[0]

    def reading(self, interval: float) -> Reading[tuple[AuditEvent, ...]]:
        """What was found, as the screens show the state of a source."""
        value = self.events if self.begun else None
        every = interval if self.live else 0.0
        return Reading("search", "", value, self._read_at, fault=self.fault, interval=every)

    def step_due(self) -> bool:
        """True unless there is nothing more to read, or a failure was just now."""
        return (not self.begun or self.live) and time.monotonic() >= self._not_before

    def count_due(self) -> bool:
        """True if the histogram is old enough to be counted again."""
        return time.monotonic() >= max(self._count_due_at, self._count_not_before)

    def refresh(self) -> None:
        """Read everything anew at the next step."""
        self.begun = False
        self._not_before = self._count_not_before = self._count_due_at = float("-inf")

    async def step(self) -> None:
        """Read what is new. A failure is kept in `fault`."""
        now = clock.now()
        try:
            await (self._follow(now) if self.begun else self._begin(now))
        except SourceError as error:
            self.fault, self._not_before = _failed(self.fault, error, now)
            if not self.begun:
                raise
        else:
            self.fault, self._not_before = None, float("-inf")
            self._read_at = now

    async def older(self) -> None:
        """Read what is before the oldest event, up to `keep` in all. Raises SourceError."""
        room = min(PAGE, self._keep - len(self.events))
        if not self.events or room <= 0:
            return
        start, _ = self.window(clock.now())
        # the server's times are whole milliseconds: others of the oldest one may be missing
        end = self.events[-1].time + 0.001
        page = await self._search.search(self.query, start, end, room)
        known = {event.id for event in self.events}
        fresh = tuple(event for event in page.events if event.id not in known)
        self.events += fresh
        self.at_start = not fresh or page.total <= len(page.events)

    async def count(self, buckets: int) -> None:
        """Count over the window. A failure is kept in `count_fault`."""
        now = clock.now()
        start, end = self.window(now)
        try:
            histogram = await self._search.histogram(
                self.query, start, now if end is None else end, buckets
            )
        except SourceError as error:
            self.count_fault, self._count_not_before = _failed(self.count_fault, error, now)
            return
        self.histogram = histogram
        self.total, self.total_is_lower_bound = histogram.total, histogram.total_is_lower_bound
        self.count_fault, self.counted_at = None, now
        wait = min(max(COUNT_LEAST, histogram.interval / 3), COUNT_MOST)
        self._count_due_at = time.monotonic() + wait if end is None else float("inf")

    async def _begin(self, now: float) -> None:
        start, end = self.window(now)
        page = await self._search.search(self.query, start, end, min(FIRST, self._keep))
        self.events = page.events
        if self.histogram is None:
            self.total, self.total_is_lower_bound = page.total, page.total_is_lower_bound
        self.notes = page.notes
        self.begun, self.at_start = True, page.total <= len(page.events)

    async def _follow(self, now: float) -> None:
        start, _ = self.window(now)
        since = start
        if self.events:
            # an event from a clock that is ahead must not hide those that come before its time
            newest = min(self.events[0].time, self._read_at)
            since = max(start, newest - self._overlap)
        page = await self._search.search(self.query, since, None, min(PAGE, self._keep))
        if page.total > len(page.events) and self._keep > PAGE:
            page = await self._search.search(self.query, since, None, self._keep)
        self.notes = page.notes
        known = {event.id for event in self.events}
        fresh = [event for event in page.events if event.id not in known]
        self.seen += len(fresh)
        if page.total > len(page.events):
            self.events, self.at_start = page.events, False
            return
        old = self.events
        if fresh:
            merged = [*fresh, *old]
            if old and fresh[-1].time < old[0].time:
                merged.sort(key=lambda event: event.time, reverse=True)
            old = tuple(merged[: self._keep])
        if old and old[-1].time < start:
            old = tuple(event for event in old if event.time >= start)
        self.events = old


def _failed(before: Fault | None, error: SourceError, now: float) -> tuple[Fault, float]:
    """The fault, and the monotonic time before which nothing is tried again."""
    attempts = before.attempts + 1 if before is not None else 1
    since = before.since if before is not None else now
    wait = min(2.0 ** min(attempts, 10), BACKOFF_CAP)
    fault = Fault(error.kind, error.message, error.hint, since, attempts)
    return fault, time.monotonic() + wait
