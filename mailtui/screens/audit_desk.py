"""What the audit screen asks for and what it knows: no widgets here.

Without a query and up to now, the rows are the live tail's, and one search fills in what is older
than the tail. With a query, or over a time that has ended, they are a search's, which follows on
each read of the tail. There is never more than one request of this desk under way.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, NamedTuple

from mailtui.collectors.audit_follow import FollowedSearch, Search
from mailtui.model.window import Window
from mailtui.screens.audit_findings import AuditFindings

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


class AuditDesk(AuditFindings):
    """Asks for a query over a window, and goes on asking."""

    def __init__(self, window: Window) -> None:
        super().__init__(window)
        self.wanted_query = ""
        self.wanted_window = window
        """Those that were asked for last."""
        self.buckets = 60
        self.paused = False
        self.working = False
        self.grown = False
        """True after older rows were read, until somebody has shown them."""
        self.trouble = ""
        """A sentence to be said once."""
        self._search: Search | None = None
        self._wished_at: float | None = None
        self._trying = False
        self._request: asyncio.Task[None] | None = None
        self._superseded = False
        self._refusal: Refusal | None = None
        self._accepted = False
        self._tail_seq = -1
        self._follow = False
        self._paused_at = 0
        self._older = False

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

    def want_older(self, loaded: int) -> None:
        """Read further back, if there is more than the `loaded` rows and room for it."""
        current, tail = self._current, self._tail
        if (
            self.paused
            or current is None
            or current.at_start
            or self._settings is None
            or not current.begun
        ):
            return
        whole = tail is None or not (tail.dropped or tail.gaps)
        self._older = whole and loaded < self._settings.limit

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
        return current is not None and (
            self._older or self._step_due(current) or current.count_due()
        )

    def _step_due(self, current: FollowedSearch) -> bool:
        return current.step_due() and (self._follow or not current.begun)

    async def work(self, show: Callable[[], None]) -> None:
        """Ask until nothing is due; `show` is called after each change."""
        if self.working:
            return
        self.working, stepped = True, False
        try:
            while self.work_due():
                if self._wished_at is not None:
                    await self._fulfil(show)
                    show()
                    continue
                current = self._current
                assert current is not None
                if self._older:
                    await self._one(self._read_older(current))
                    self._older, self.grown = False, True
                elif self._step_due(current) and not (stepped and current.count_due()):
                    self._follow, stepped = False, True
                    await self._one(self._step(current))
                else:  # a slow search must not keep the count waiting for ever
                    stepped = False
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
        self._follow = self.paused = self._older = False

    async def _read_older(self, current: FollowedSearch) -> None:
        from mailtui.connections.errors import SourceError

        try:
            await current.older()
        except SourceError as error:
            self.trouble = f"older events could not be read: {error}"

    async def _step(self, current: FollowedSearch) -> None:
        from mailtui.connections.errors import SourceError

        try:
            await current.step()
        except SourceError:
            return  # it is in the search's fault
