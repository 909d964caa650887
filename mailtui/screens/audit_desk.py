"""What the audit screen asks for and what it knows: no widgets here.

Without a query and up to now, the rows are the live tail's, and one search fills in what is older
than the tail. With a query, or over a time that has ended, they are a search's, which follows on
each read of the tail. There is never more than one request of this desk under way.
"""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_left
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from mailtui.collectors.audit_follow import FollowedSearch, Search
from mailtui.model import clock
from mailtui.model import format as fmt
from mailtui.model.audit import AuditEvent, AuditTail, Histogram
from mailtui.model.reading import AnyReading
from mailtui.model.window import Window

if TYPE_CHECKING:
    from mailtui.collectors.platform import Platform
    from mailtui.config.sources.elasticsearch import Audit, Fields

DEBOUNCE = 0.25
"""Seconds without another wish after which a search begins."""
TOGETHER = 0.4
"""Seconds that new rows wait for their histogram."""


class Refusal(NamedTuple):
    """A query that the server does not understand."""

    query: str
    message: str
    position: int | None


class AuditDesk:
    """Query, window, and what was found."""

    def __init__(self, window: Window) -> None:
        self.query = ""
        self.window = window
        """Query and window of what is shown."""
        self.wanted_query = ""
        self.wanted_window = window
        """Those that were asked for last."""
        self.buckets = 60
        self.paused = False
        self.working = False
        self._platform: Platform | None = None
        self._search: Search | None = None
        self._settings: Audit | None = None
        self._current: FollowedSearch | None = None
        self._wished_at: float | None = None
        self._trying = False
        self._request: asyncio.Task[None] | None = None
        self._superseded = False
        self._refusal: Refusal | None = None
        self._accepted = False
        self._tail_seq = -1
        self._follow = False
        self._paused_at = 0

    def connect(self, platform: Platform) -> None:
        """Work with this platform from now on."""
        if platform is self._platform:
            return
        from mailtui.collectors.audit_search import AuditSearch
        from mailtui.config.sources.elasticsearch import Settings

        settings = platform.context.source("elasticsearch", Settings)
        self.serve(platform, AuditSearch.of(platform), settings.audit if settings else None)

    def serve(self, platform: Platform, search: Search | None, settings: Audit | None) -> None:
        """Search with `search`."""
        self._platform, self._search, self._settings = platform, search, settings
        if search is not None and self._current is None and self._wished_at is None:
            self._wished_at = float("-inf")

    @property
    def connected(self) -> bool:
        """True once there is a platform."""
        return self._platform is not None

    @property
    def without_search(self) -> str:
        """Why there is no audit trail; empty if there is one."""
        none = self.connected and self._search is None
        return "there is no audit trail: this context has no elasticsearch" if none else ""

    @property
    def fields(self) -> Fields | None:
        """Names of the fields in the documents."""
        return self._settings.fields if self._settings is not None else None

    # --- wishes ---

    def ask(self, query: str | None = None, window: Window | None = None) -> None:
        """Search for something else; what was under way is given up."""
        if query is not None:
            self.wanted_query = query
        if window is not None:
            self.wanted_window = window
        self._wished_at = time.monotonic()
        self._refusal, self._accepted = None, False
        self._give_up_request()

    def give_up(self) -> None:
        """Stay with what is shown."""
        if self.searching and self._current is not None:
            self._wished_at = None
            self.wanted_query, self.wanted_window = self.query, self.window
            self._give_up_request()

    def refresh(self) -> None:
        """Read everything anew."""
        if self._current is not None and not self.searching:
            self._current.refresh()

    def _give_up_request(self) -> None:
        if self._request is not None:
            self._superseded = True
            self._request.cancel()

    @property
    def searching(self) -> bool:
        """True while something else was asked for than what is shown."""
        return self._search is not None and (self._wished_at is not None or self._trying)

    def take_refusal(self) -> Refusal | None:
        """The query that was not understood, once."""
        refusal, self._refusal = self._refusal, None
        return refusal

    def take_acceptance(self) -> bool:
        """True once after a search was accepted."""
        accepted, self._accepted = self._accepted, False
        return accepted

    def pause(self, paused: bool) -> None:
        """Count what comes, from now on."""
        self.paused = paused
        self._paused_at = self._seen

    @property
    def came_meanwhile(self) -> int:
        """Events that came since the pause began."""
        return max(0, self._seen - self._paused_at) if self.paused else 0

    @property
    def _seen(self) -> int:
        tail = self._tail
        if tail is not None:
            return tail.total_seen + tail.skipped
        return self._current.seen if self._current is not None else 0

    # --- work ---

    def tail_read(self) -> bool:
        """The state changed: if the tail was read, a search follows it. False if it was not."""
        seq = self._platform.state.get("audit").seq if self._platform is not None else -1
        if seq == self._tail_seq:
            return False
        self._tail_seq = seq
        self._follow = self._follows
        return True

    @property
    def _follows(self) -> bool:
        """True if the rows are a search's and go on."""
        return self.window.live and self.query != ""

    def work_due(self) -> bool:
        """True if there is something to ask the server."""
        if self._search is None:
            return False
        if self._wished_at is not None:
            return True
        current = self._current
        return current is not None and (self._step_due(current) or current.count_due())

    def _step_due(self, current: FollowedSearch) -> bool:
        return current.step_due() and (self._follow or not current.begun)

    async def work(self, show: Callable[[], None]) -> None:
        """Ask until nothing is due; `show` is called after each change."""
        if self.working:
            return
        self.working = True
        try:
            while self.work_due():
                if self._wished_at is not None:
                    await self._fulfil(show)
                    show()
                    continue
                current = self._current
                assert current is not None
                if self._step_due(current):
                    self._follow = False
                    await self._one(self._step(current))
                else:
                    await self._one(current.count(self.buckets))
                show()
        finally:
            self.working = False

    async def _fulfil(self, show: Callable[[], None]) -> None:
        assert self._wished_at is not None
        wait = self._wished_at + DEBOUNCE - time.monotonic()
        if wait > 0:
            await asyncio.sleep(wait)
            return
        self._wished_at, self._trying = None, True
        try:
            await self._one(self._try(self.wanted_query, self.wanted_window))
        finally:
            self._trying = False
        current = self._current
        if current is not None and current.begun and current.count_due():
            count = asyncio.ensure_future(self._one(current.count(self.buckets)))
            try:
                await asyncio.wait({count}, timeout=TOGETHER)
                if not count.done():
                    show()
                await count
            finally:
                count.cancel()

    async def _one(self, request: Coroutine[Any, Any, None]) -> None:
        """One request, which another wish may end."""
        self._superseded = False
        self._request = asyncio.ensure_future(request)
        try:
            await self._request
        except asyncio.CancelledError:
            if not self._superseded:
                raise
        finally:
            self._request = None

    async def _try(self, query: str, window: Window) -> None:
        """Search; what is shown changes only once the server has understood the query."""
        from mailtui.collectors.audit_search import QueryError
        from mailtui.connections.errors import SourceError

        assert self._search is not None and self._settings is not None
        audit = self._settings
        found = FollowedSearch(
            self._search, query, window.at, keep=audit.limit, overlap=audit.overlap
        )
        try:
            await found.step()
        except QueryError as error:
            self._refusal = Refusal(query, error.message, error.position)
            self.wanted_query, self.wanted_window = self.query, self.window
            return
        except SourceError:
            pass  # it is in the search's fault, and tried again
        self._current, self._accepted = found, True
        self.query, self.window = query, window
        self._follow = self.paused = False

    async def _step(self, current: FollowedSearch) -> None:
        from mailtui.connections.errors import SourceError

        try:
            await current.step()
        except SourceError:
            return  # it is in the search's fault

    # --- what is known ---

    @property
    def _tail(self) -> AuditTail | None:
        """The live tail, if the rows are its events."""
        if self._platform is None or self.query or not self.window.live:
            return None
        return self._platform.state.value("audit", AuditTail)

    def rows(self) -> list[AuditEvent] | None:
        """Newest first; None if nothing was read yet."""
        current, tail = self._current, self._tail
        found = current.events if current is not None else ()
        if tail is None or not tail.events:
            known = tail is not None or (current is not None and current.begun)
            return list(found) if known else None
        start, _ = self.window.at(clock.now())
        events = tail.events
        first = bisect_left(events, start, key=lambda event: event.time)
        rows = list(events[first:] if first else events)
        rows.reverse()
        # the tail began with the newest: what is older is the search's
        if first == 0 and not tail.dropped and not tail.gaps:
            oldest = events[0].time
            older = [event for event in found if start <= event.time <= oldest]
            if older:
                held = {event.id for event in rows}
                rows += [event for event in older if event.id not in held]
        return rows

    def readings(self) -> list[AnyReading]:
        """How old the rows are, and what went wrong."""
        if self._platform is None:
            return []
        current = self._current
        tail = self._platform.state.of("audit")
        if not self.query and self.window.live:
            return tail
        interval = max((reading.interval for reading in tail), default=0.0)
        return [current.reading(interval)] if current is not None else tail

    @property
    def failing(self) -> bool:
        """True if the last read failed."""
        return any(reading.fault is not None for reading in self.readings())

    @property
    def histogram(self) -> Histogram | None:
        """Events over the window."""
        return self._current.histogram if self._current is not None else None

    def histogram_note(self) -> str:
        """What is wrong with the histogram."""
        current = self._current
        if current is None or current.count_fault is None:
            return ""
        why = current.count_fault.message
        if not current.counted_at:
            return f"never counted: {why}"
        return f"stale {fmt.age(clock.now() - current.counted_at)}: {why}"

    @property
    def more(self) -> bool:
        """True if there are more events than rows, and nobody knows how many."""
        current = self._current
        return current is not None and current.total is not None and self._unknown(current)

    def _unknown(self, current: FollowedSearch) -> bool:
        return current.histogram is None and current.total_is_lower_bound

    def counts_text(self, loaded: int) -> str:
        """`12,431 in range, 310 failed, loaded`: the number of rows, `loaded`, follows it."""
        current = self._current
        if current is None or current.total is None or self._unknown(current):
            return ""
        histogram = current.histogram
        total = max(current.total, loaded)
        more = "more than " if current.total_is_lower_bound else ""
        failed = ""
        if histogram is not None:
            failures = sum(bucket.failures for bucket in histogram.buckets)
            failed = f", {fmt.count(failures)} failed"
        return f"{more}{fmt.count(total)} in range{failed}, loaded"

    def notes(self) -> Sequence[str]:
        """Why events may be missing, the worst first."""
        found: list[str] = []
        if (tail := self._tail) is not None:
            if (skipped := sum(gap.count for gap in tail.gaps)) and self._settings is not None:
                gap = tail.gaps[-1]
                found.append(
                    f"{fmt.count(skipped)} events were skipped, the last at "
                    f"{fmt.clock_time(gap.end)}: more than {fmt.count(self._settings.limit)} "
                    "came at once; a search finds them"
                )
            found += tail.notes
        if (current := self._current) is not None:
            found += current.notes
            if current.histogram is not None:
                found += current.histogram.notes
        return list(dict.fromkeys(found))
