"""Moving the messages that are in a queue now: a canary, batches in the journal, a watch on what
comes back, and connections that may be lost."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING

from mailtui.connections.errors import SourceError
from mailtui.operations.rabbitmq_back import CONFIRM_TIMEOUT, silent
from mailtui.operations.rabbitmq_report import Job, Report
from mailtui.operations.rabbitmq_session import Session

if TYPE_CHECKING:
    from mailtui.connections.amqp import Link
    from mailtui.model.operation import Step
    from mailtui.operations.running import Run

PATIENCE = 60.0
"""Seconds without a connection after which a move ends."""
SETTLED = 10.0
"""Seconds after a lost connection in which an empty queue is not believed: a quorum queue without a
leader is declared with 0 messages."""
LOOK = 1.0
"""Seconds between two looks for messages that come back."""
SUSPECT = 10
"""Arrivals from which on they can be a stream of messages that come back."""
TAKEN = "the others were taken by somebody else"
TRIAL = 20
"""Messages of the second canary, where dead letters arrive anyway."""


class Mover:
    """One move of one queue."""

    def __init__(self, job: Job, run: Run, step: Step, already: int = 0) -> None:
        self.job, self.run, self.step = job, run, step
        self.report = Report()
        self._already = already
        """What the run moved of other queues."""
        self._known: dict[str, bool] = {}
        self._links: list[Link] = []
        self._batch = 0
        self._open: list[tuple[int, int]] = []
        """Batches that were begun and not ended: number, and the count at which they end."""
        self._begun = time.monotonic()
        self._background = 0.0
        """Messages a second that arrive in the source by themselves."""

    async def move(self) -> Report:
        """Do it. Raises SourceError, JournalError; the report holds what was done until then."""
        job, report = self.job, self.report
        try:
            await self._connect()
            report.ready_before = await self._ready()
            report.there = min(job.count, report.ready_before)
            if job.order.to is not None:
                await self._ask({job.order.to})
                if not self._known[job.order.to]:
                    report.stopped = f"there is no queue {job.order.to}; it is never made"
            if not report.stopped and report.there:
                await self._canary()
            if not report.stopped and (left := report.there - report.tally.moved):
                await self._some(left, job.window)
            if report.doubled_at_most and not report.stopped:
                await self._again()
        finally:
            with suppress(TimeoutError):
                async with asyncio.timeout(5):
                    await self._disconnect()
            await self._end_batches()
        if report.stopped == TAKEN:
            report.taken = max(0, report.there - report.tally.moved - report.returned)
        return report

    async def _again(self) -> None:
        """What was acknowledged in vain when a connection was lost is in the queue once more, and
        as many others were not reached."""
        report, lost_at, surplus = self.report, time.monotonic(), 0
        asked_at = 0.0
        while not report.stopped:
            try:
                if not self._links or any(link.fault is not None for link in self._links):
                    await self._connect()
                surplus = await self._ready() - (report.ready_before - report.tally.moved)
                asked_at = asked_at or time.monotonic()
                if surplus > 0 or time.monotonic() - asked_at > SETTLED / 2:
                    break
                await self._sleep(0.5)
            except SourceError as error:
                await self._may_go_on(error, lost_at)
        if (count := min(surplus, report.doubled_at_most)) > 0:
            moved = report.tally.moved
            await self._some(count, min(self.job.window, count))
            report.notes.append(
                f"{report.tally.moved - moved:,} more were moved: as many had gone back to "
                f"{self.job.order.source} when a connection was lost"
            )
            report.tally.moved = moved

    # --- the canary ---

    async def _canary(self) -> None:
        """One message first, and a look whether it comes back. Sets `stopped` if it does."""
        job, report = self.job, self.report
        if not job.watch or report.there == 1:
            return
        grew = await self._trial(1)
        if report.stopped or grew == 0:
            return
        alone = 0
        if grew is not None:
            # something arrived: does it so by itself, too?
            alone = await self._growth()
            self._background = max(0, alone) / job.watch
            if alone <= 0:
                report.tally.came_back = 1
                self._stop(
                    f"{grew:,} arrived in {job.order.source} within {job.watch:g} s of the first "
                    "message's move, and none afterwards: it came back"
                )
                return
        more = await self._trial(min(TRIAL, report.there - report.tally.moved))
        if more is not None and more - alone >= TRIAL / 2:
            report.tally.came_back = min(TRIAL, more - alone)
            self._stop(
                f"{more:,} arrived in {job.order.source} within {job.watch:g} s after "
                f"{TRIAL} were moved, and {alone:,} in the same time before: they come back"
            )

    async def _trial(self, count: int) -> int | None:
        """Move `count` and watch; by how many the source grew (0: it shrank), None if nothing was
        moved, so that nothing was learnt."""
        before = await self._ready()
        moved = self.report.tally.moved
        await self._some(count, count)
        moved = self.report.tally.moved - moved
        if self.report.stopped or not moved:
            return None
        return await self._growth(before - moved)

    async def _growth(self, before: int | None = None) -> int:
        """By how many messages the source grows within `watch`; `before`: what it had."""
        before = await self._ready() if before is None else before
        self.run.report(self._done, f"watching {self.job.order.source} for what comes back")
        await self._sleep(self.job.watch)
        return max(0, await self._ready() - before)

    # --- sessions ---

    async def _some(self, target: int, window: int) -> None:
        """Move `target` messages; over new connections if some are lost."""
        goal = self.report.tally.moved + target
        lost_at = empty_at = 0.0
        while (left := goal - self.report.tally.moved) > 0 and not self.report.stopped:
            session: Session | None = None
            begun = self.report.tally.moved
            try:
                if any(link.fault is not None for link in self._links) or not self._links:
                    await self._connect()
                ready = await self._ready()
                empty_at = 0.0 if ready else empty_at or time.monotonic()
                if empty_at:
                    if lost_at and time.monotonic() - empty_at < SETTLED:
                        await self._sleep(0.5)
                        continue
                    self._stop(TAKEN)
                    return
                session = await self._session(min(left, ready), window)
                await self._drive(session, ready)
                back = await session.settle()
                self._settled(session, back)
                await self._end_batches()
                return
            except SourceError as error:
                if session is not None:
                    self._lost(session, error)
                    await self._end_batches(lost=session.may_be_double > 0)
                if self.report.tally.moved > begun or not lost_at:
                    lost_at = time.monotonic()
                await self._may_go_on(error, lost_at)

    async def _may_go_on(self, error: SourceError, lost_at: float) -> None:
        """Wait before the next connection; raises `error` if there is to be none."""
        # a broker that starts again refuses users and protocols for a while
        late = time.monotonic() - lost_at > PATIENCE
        if late or error.kind in ("refused", "config") or not await self._wait(error, lost_at):
            raise error

    async def _session(self, target: int, window: int) -> Session:
        taker, giver = await asyncio.gather(*(link.channel() for link in self._links))
        session = Session(
            (taker, giver), self.job.order, target, window,
            tally=self.report.tally, known=self._known,
        )  # fmt: skip
        session.tokens = 1.0 if self.job.rate else None
        await self._announce(session)
        await session.begin()
        return session

    async def _drive(self, session: Session, ready_first: int) -> None:
        """Until the session is complete. Raises SourceError."""
        job = self.job
        paced = looked = time.monotonic()
        asked = 0.0
        while not session.complete:
            session.wake.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(0.02 if job.rate else 0.2):
                    await session.wake.wait()
            if session.fault is not None:
                raise session.fault
            now = time.monotonic()
            if session.tokens is not None:
                gained = (now - paced) * job.rate
                session.tokens = min(session.tokens + gained, max(1.0, job.rate / 10))
                paced = now
            if session.unknown:
                await self._ask(session.unknown)
                session.unknown.clear()
            await self._announce(session)
            session.pump()
            if session.delivered >= session.target:
                await session.stop_taking()
            if self.run.stopping:
                session.stopping = session.stopping or "stopped by the operator"
            self._tell(session)
            idle = now - session.progress
            if session.unconfirmed and idle > CONFIRM_TIMEOUT and not self._blocked:
                raise silent()
            if idle > LOOK and not session.unconfirmed and now - asked > LOOK:
                asked = now
                if not await self._ready() and session.delivered < session.target:
                    session.stopping = session.stopping or TAKEN
            if now - looked >= LOOK and not session.stopping:
                looked = now
                await self._look(session, ready_first, now)

    async def _look(self, session: Session, ready_first: int, now: float) -> None:
        """Stop if messages come back: as many arrive as were worked on."""
        source = self.job.order.source
        # what is under way to us is in neither number: arrivals are rather too few than too many
        arrived = await self._ready() + session.delivered - ready_first
        arrived -= int(self._background * (now - self._begun))
        if arrived < SUSPECT:
            return
        handled, others = 0, False
        for queue, count in self.report.tally.moved_to.most_common(10):
            depth = await self._links[1].depth(queue)
            waiting = 0 if depth is None else depth.ready - self.report.before.get(queue, 0)
            handled += max(0, count - max(0, waiting))
            others = others or (depth is not None and depth.consumers > 0)
        # where what others publish hides what was taken, all that was moved may be back
        suspects = handled or (self.report.tally.moved if others else 0)
        if suspects and arrived * 2 >= suspects:
            self.report.tally.came_back = max(self.report.tally.came_back, arrived)
            session.stopping = session.stopping or (
                f"messages come back: {arrived:,} arrived in {source} while {suspects:,} were "
                "taken from where they were moved to"
            )

    # --- what is told ---

    @property
    def _done(self) -> int:
        return self._already + self.report.tally.moved

    @property
    def _blocked(self) -> bool:
        return any(link.blocked for link in self._links)

    def _tell(self, session: Session) -> None:
        text = f"{self.job.order.source}: {session.in_hand:,} in hand"
        if self._blocked:
            text = "the broker blocks publishers: an alarm is in effect"
        elif session.stuck:
            text += f", {len(session.stuck):,} will be given back"
        self.run.report(self._done, text)

    async def _announce(self, session: Session) -> None:
        """Begin the next batch in the journal before anything of it is published; end those that
        are done."""
        await self._end_batches(session)
        announced = session.published + session.budget
        if session.budget >= session.window or announced >= session.target:
            return
        elapsed = time.monotonic() - self._begun
        pace = int(self._done / elapsed) if elapsed > 1 else 0
        size = min(max(session.window, pace), session.target - announced)
        self._batch += 1
        await self.run.begin(
            self.step, batch=self._batch, size=size, window=session.window,
            moved=self.report.tally.moved,
        )  # fmt: skip
        self._open.append((self._batch, announced + size))
        session.budget += size

    async def _end_batches(self, session: Session | None = None, *, lost: bool = False) -> None:
        """Those whose messages are all moved or put aside; without a session, all of them.

        `lost`: also if none is open, because what may be double has to be in the journal before the
        next batch, whose window alone would bound it else.
        """
        report = self.report
        done = 0 if session is None else session.acked + len(session.stuck)
        ended = [one for one in self._open if session is None or done >= one[1]]
        if ended or lost:
            self._open = [one for one in self._open if one not in ended]
            await self.run.end(
                self.step, batch=ended[-1][0] if ended else self._batch, moved=report.tally.moved,
                returned=report.returned, may_be_double=report.doubled_at_most,
            )  # fmt: skip

    def _settled(self, session: Session, back: int) -> None:
        # what one session gave back is at the head: the next one has it again
        self.report.returned = back - session.renewed
        self.report.reasons = Counter(why for why, _ in session.stuck.values())
        if session.stopping:
            self._stop(session.stopping)
        elif len(session.stuck) >= session.window and session.target > session.window:
            self._stop(
                f"{len(session.stuck):,} cannot be moved, and no more are taken while these "
                "are held"
            )

    def _lost(self, session: Session, error: SourceError) -> None:
        """A connection ended in the middle."""
        report = self.report
        if session.may_be_double:
            report.doubled_at_most += session.may_be_double
            report.notes.append(
                f"{error}: {session.unconfirmed:,} were published and not confirmed then, and up "
                f"to {session.may_be_double:,} went back to {self.job.order.source} although "
                "they were published: they are published again"
            )

    def _stop(self, why: str) -> None:
        self.report.stopped = self.report.stopped or why

    # --- connections ---

    async def _connect(self) -> None:
        from mailtui.connections.amqp import Link, connection_name

        await self._disconnect()
        job = self.job
        name = connection_name(job.operator)
        opened = await asyncio.gather(
            *(Link.open(job.settings, job.vhost, name) for _ in range(2)), return_exceptions=True
        )
        self._links = [link for link in opened if isinstance(link, Link)]
        for failed in opened:
            if isinstance(failed, BaseException):
                await self._disconnect()
                raise failed

    async def _disconnect(self) -> None:
        links, self._links = self._links, []
        await asyncio.gather(*(link.close() for link in links))

    async def _wait(self, error: SourceError, since: float) -> bool:
        """Wait before the next connection; False if the operator stops it."""
        waited = time.monotonic() - since
        delay = min(5.0, max(0.5, waited / 2))
        self.run.report(self._done, f"{error}; again in {delay:.1f} s")
        await self._sleep(delay)
        return not self.report.stopped

    async def _sleep(self, seconds: float) -> None:
        """Until then, or until the operator stops the run."""
        for _ in range(max(1, round(seconds / 0.1))):
            if self.run.stopping:
                self._stop("stopped by the operator")
                return
            await asyncio.sleep(min(seconds, 0.1))

    async def _ready(self) -> int:
        """Ready messages of the source."""
        depth = await self._links[1].depth(self.job.order.source)
        if depth is None:
            raise SourceError("refused", f"rabbitmq: {self.job.order.source} is no longer there")
        return depth.ready

    async def _ask(self, queues: set[str]) -> None:
        """Which of these destinations there are; they are never declared."""
        for queue in tuple(queues):
            depth = await self._links[1].depth(queue)
            self._known[queue] = depth is not None
            if depth is not None:
                self.report.before.setdefault(queue, depth.ready)
