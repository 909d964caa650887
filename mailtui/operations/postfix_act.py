"""How targets are changed host by host, batch by batch, and never another message."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mailtui.connections.errors import SourceError
from mailtui.connections.runner import Command
from mailtui.model.mail import Message
from mailtui.model.operation import Step, Target
from mailtui.operations.postfix_queue import (
    OTHER,
    Queue,
    changed,
    is_short,
    super_command,
)

if TYPE_CHECKING:
    from mailtui.operations.base import Desk
    from mailtui.operations.running import Run

STOPPED = "stopped by the operator"
MayAct = Callable[[Message], str]
"""Why this message must not be touched as it is now, or an empty string."""


@dataclass
class Act:
    """One host's part of a run."""

    desk: Desk
    run: Run
    step: Step
    done: int = 0
    """Targets of the hosts before this one."""
    queue: Queue = field(init=False)
    pending: list[Target] = field(default_factory=list)
    """What is still to be done."""
    placed: set[str] = field(default_factory=set)
    """IDs that `seize` put on hold."""

    def __post_init__(self) -> None:
        self.queue = Queue(self.desk, self.step.place)

    async def look(self, may_act: MayAct) -> None:
        """List the queue; what is no longer as planned is left alone."""
        found = await self.queue.listing({one.id for one in self.step.targets})
        for one in self.step.targets:
            message = found.get(one.id)
            why = changed(one, message) or (may_act(message) if message else "")
            if why:
                self.leave([one], why)
            else:
                self.pending.append(one)

    async def batches(self, asked: Command, size: int) -> AsyncIterator[list[Target]]:
        """Batches of what is pending, each begun in the journal before it is given out."""
        waiting, self.pending = self.pending, []
        of = -(-len(waiting) // size)
        for number, start in enumerate(range(0, len(waiting), size), 1):
            if self.run.stopping:
                self.pending = waiting[start:]
                return
            batch = waiting[start : start + size]
            words = self.queue.line(asked)
            await self.run.begin(self.step, words, batch=number, of=of, messages=len(batch))
            yield batch
            self.run.report(self.done + start + len(batch), f"{self.step.place}: {words}")

    async def told(
        self, flag: str, size: int, queues: Sequence[str] = (), *, counts: bool = True
    ) -> set[str]:
        """Tell postsuper of everything pending; the IDs of which it said that it did it.

        `counts`: these are what the run is about, not a preparation. If it was stopped, the rest
        is pending.
        """
        said: set[str] = set()
        confirmed = self.confirmed() if counts else said
        async for batch in self.batches(super_command(flag, queues), size):
            if counts:
                self.run.tell(self.step, batch)
            new = await self.queue.tell(flag, [one.id for one in batch], queues)
            said |= new
            confirmed |= new
            await self.run.end(self.step, messages=len(new))
        return said

    async def give_back(self, flag: str, said: set[str], targets: Sequence[Target]) -> list[Target]:
        """Undo at once by `flag` what met another message than planned; the others.

        Only short queue IDs can do that: between a listing and postsuper the message may have
        gone, and its ID may have been given to a new one.
        """
        risky = {one.id for one in targets if is_short(one.id) and one.id in said}
        if not risky:
            return list(targets)
        found = await self.queue.listing(risky)
        wrong = [one for one in targets if one.id in risky and one.id in found
                 and changed(one, found[one.id]) == OTHER]  # fmt: skip
        if wrong:
            await self.undo(flag, [one.id for one in wrong])
            self.run.counts["given back"] = self.run.counts.get("given back", 0) + len(wrong)
        ids = {one.id for one in wrong}
        return [one for one in targets if one.id not in ids]

    async def undo(self, flag: str, ids: Sequence[str]) -> None:
        """Take back a preparation, in the journal as any other step."""
        words = self.queue.line(super_command(flag))
        await self.run.begin(self.step, words, taking_back=len(ids))
        taken = await self.queue.tell(flag, ids)
        await self.run.end(self.step, taken_back=len(taken))

    async def seize(self, size: int) -> None:
        """Put what is pending on hold, and keep pending what then is what was planned.

        From the hold queue nothing is delivered and no ID is given again: what is done to it there
        meets no other message. What was put there and is not dealt with is released by
        `each_host`.
        """
        targets = list(self.pending)
        self.placed = await self.told("h", size, counts=False)
        if self.pending:  # stopped: nothing was done yet
            self.pending = targets
            return
        found = await self.queue.listing({one.id for one in targets})
        for one in targets:
            message = found.get(one.id)
            why = changed(one, message)
            if not why and message is not None and message.queue_name != "hold":
                why = f"in the {message.queue_name} queue, not on hold"
            if why:
                self.leave([one], why)
            else:
                self.pending.append(one)
        wrong = self.placed - {one.id for one in self.pending}
        if wrong:
            await self.undo("H", sorted(wrong))
            self.placed -= wrong

    async def release_rest(self) -> None:
        """Release what was put on hold as a preparation, and of which nothing came."""
        rest = self.placed - {one.id for one in self.run.sent.get(self.step.key, ())}
        self.placed = set()
        if not rest:
            return
        try:
            await self.undo("H", sorted(rest))
        except SourceError:
            self.run.faults.append(
                f"{len(rest):,} messages stay on hold at {self.step.place}: release them"
            )

    def leave(self, targets: Sequence[Target], why: str) -> None:
        """These are not touched."""
        self.run.leave(targets, why)

    def confirmed(self) -> set[str]:
        """IDs at this host of which the daemon said that it was done, for `verify`."""
        found: set[str] = self.desk.notes.setdefault("postfix", {}).setdefault(
            self.step.place, set()
        )
        return found


async def each_host(desk: Desk, run: Run, work: Callable[[Act], Awaitable[None]]) -> None:
    """Do `work` host by host; one that fails does not keep the others from being done.

    A JournalError ends it: without a journal nothing more is done.
    """
    done = 0
    for step in run.plan.steps:
        if run.stopping:
            run.leave(step.targets, STOPPED)
            continue
        act = Act(desk, run, step, done)
        try:
            await work(act)
            act.leave(act.pending, STOPPED)
        except SourceError as error:
            run.faults.append(str(error))
            _leave_rest(run, step, f"{step.place}: {error.message}")
        finally:
            await act.release_rest()
        done += step.count
        run.report(done)


def _leave_rest(run: Run, step: Step, why: str) -> None:
    """What a host that failed was not told of."""
    dealt = {one.id for one in run.sent.get(step.key, ())}
    dealt |= {left.id for left in run.left if left.place == step.place}
    run.leave([one for one in step.targets if one.id not in dealt], why)


async def tell_safely(act: Act, flag: str, size: int) -> set[str]:
    """`postsuper -FLAG -`, from the hold queue where IDs are short; what it said it did."""
    if not any(is_short(one.id) for one in act.pending):
        return await act.told(flag, size)
    await act.seize(act.desk.settings.batch)
    return await act.told(flag, size, ("hold",))
