"""Delete messages, kept as evidence first, and give them back; return them to their senders."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from mailtui.access.evidence import Box, Evidence, EvidenceError
from mailtui.connections.errors import SourceError
from mailtui.connections.runner import Command, command
from mailtui.model.mail import Message
from mailtui.model.operation import Danger, Outcome, Plan, Target, Undo
from mailtui.operations.base import Desk
from mailtui.operations.postfix_act import Act, each_host
from mailtui.operations.postfix_base import OnMessages, unreachable
from mailtui.operations.postfix_facts import Facts
from mailtui.operations.postfix_file import is_whole
from mailtui.operations.postfix_flush import EACH
from mailtui.operations.postfix_outcome import Tally, confirmed, told
from mailtui.operations.postfix_pick import Picked
from mailtui.operations.postfix_queue import (
    GONE,
    Queue,
    changed,
    is_short,
    read_back,
    super_command,
)

if TYPE_CHECKING:
    from mailtui.operations.running import Run

_READERS = 4
"""postcat at the same time on one host; sshd allows 10 channels a connection."""
_SPARE = 16 * 1024 * 1024
"""Bytes by which what postcat prints may exceed twice the message: many recipients."""
_ENVELOPE = 2048
"""Bytes of evidence that a message takes beyond its size, about."""
_HELD = "still on hold"
_NO_EVIDENCE = "the evidence store is not there, and nothing is deleted that is not kept"


class Delete(OnMessages):
    """Hold, compare, keep, then `postsuper -d - hold`: no other message can be meant there."""

    id = "postfix.delete"
    title = "Delete messages, kept as evidence first"
    label = "delete"
    key = "D"
    danger: ClassVar[Danger] = "destructive"
    permission = "mail.delete"
    inverse = "postfix.restore"
    verb, did = "Delete", "deleted"
    loses = (
        "neither recipients nor senders are told",
        "undo submits a new message: queue ID, arrival time, a Received line and the delivery "
        "notifications that were asked for are not as before; milters and content_filter run again",
    )
    undo = "postfix.restore sends again what was kept, as new messages, until the evidence expires"
    help = (
        "Puts messages on hold, lists them again and releases what is not as planned, keeps each "
        "whole queue file (`postcat -q`) in the encrypted evidence store, then deletes from the "
        "hold queue only (`postsuper -d - hold`). What cannot be kept is not deleted."
    )

    def why_not_row(self, row: Message) -> str:
        """See Operation."""
        return unreachable(row)

    def does(self, queue: Queue, picked: Picked, host: str) -> str:
        """See OnMessages."""
        commands = (super_command("h"), _cat("QUEUE_ID"), super_command("d", ("hold",)))
        return "; ".join(map(queue.line, commands))

    def blockers(self, desk: Desk, picked: Picked, facts: dict[str, Facts]) -> tuple[str, ...]:
        """Evidence that cannot be kept."""
        if desk.evidence is None:
            return (_NO_EVIDENCE,)
        size = sum(m.message_size + _ENVELOPE for m in picked.messages)
        why = desk.evidence.why_not(size)
        return (why,) if why else ()

    async def apply(self, desk: Desk, plan: Plan, run: Run) -> None:
        """See Operation."""
        if desk.evidence is None:
            run.faults.append(_NO_EVIDENCE)
            for step in plan.steps:
                run.leave(step.targets, "not kept")
            return
        store, failed = desk.evidence, ""

        async def work(act: Act) -> None:
            nonlocal failed
            if failed:
                act.leave(act.step.targets, failed)
                return
            await act.look(self.why_not_row)
            await act.seize(desk.settings.batch)
            try:
                await self._destroy(act, store)
            except EvidenceError as error:
                failed = "not kept as evidence, so not deleted"
                run.faults.append(str(error))
                sent = {one.id for one in run.sent.get(act.step.key, ())}
                sent |= {left.id for left in run.left if left.place == act.step.place}
                act.pending = []
                act.leave([one for one in act.step.targets if one.id not in sent], failed)

        await each_host(desk, run, work)

    async def _destroy(self, act: Act, store: Evidence) -> None:
        """Keep and delete what is pending and on hold, batch by batch. Raises EvidenceError."""
        if not act.pending or act.run.stopping:
            return
        run, size = act.run, act.desk.settings.batch
        remove = super_command("d", ("hold",))
        waiting, act.pending = act.pending, []
        box = await asyncio.to_thread(store.box, run.id)
        try:
            for number, start in enumerate(range(0, len(waiting), size), 1):
                if run.stopping:
                    act.pending = waiting[start:]
                    return
                batch = waiting[start : start + size]
                words = act.queue.line(_cat("QUEUE_ID"))
                await run.begin(act.step, words, batch=number, messages=len(batch))
                kept = await self._keep(act, box, batch)
                await asyncio.to_thread(box.flush)
                await run.end(act.step, kept=len(kept), evidence=run.id)
                _kept(act.desk).update((one.place, one.id) for one in kept)
                if not kept:
                    continue
                await run.begin(act.step, act.queue.line(remove), batch=number, messages=len(kept))
                run.tell(act.step, kept)
                said = await act.queue.tell("d", [one.id for one in kept], ("hold",))
                act.confirmed().update(said)
                await run.end(act.step, messages=len(said))
                run.report(act.done + start + len(batch), f"{act.step.place}: {act.step.does}")
        finally:
            await asyncio.to_thread(box.close)

    async def _keep(self, act: Act, box: Box, batch: Sequence[Target]) -> list[Target]:
        """Put whole queue files into the evidence; those that are kept."""
        at_once, writing = asyncio.Semaphore(_READERS), asyncio.Lock()
        kept: list[Target] = []

        async def one(target: Target) -> None:
            async with at_once:
                size = int(target.mark.split(" ", 2)[1])
                try:
                    raw = await act.queue.raw(_cat(target.id), 2 * size + _SPARE)
                except SourceError as error:
                    if error.kind != "server":
                        raise
                    act.leave([target], "its queue file cannot be read")
                    return
                if not is_whole(raw, target.id):
                    act.leave([target], "its queue file is not whole")
                    return
                meta = {"host": target.place, "id": target.id, "mark": target.mark}
                async with writing:
                    await asyncio.to_thread(box.put, meta, raw)
                kept.append(target)

        await _all([one(target) for target in batch])
        return kept

    async def verify(self, desk: Desk, plan: Plan, run: Run) -> Outcome:
        """See Operation. Deleted is what has gone and is in the evidence."""
        tally = Tally(run)
        kept = await asyncio.to_thread(self._in_evidence, desk, run)
        for one, message in tally.sent(await read_back(desk, told(run))):
            why = changed(one, message)
            if why == GONE and (one.place, one.id) in kept:
                tally.done.append(one)
            elif why:
                tally.leave(one, why)
            elif message is not None:
                held = message.queue_name == "hold"
                tally.leave(one, _HELD if held else f"still in the {message.queue_name} queue")
        if any(left.why == _HELD for left in tally.left):
            tally.notes.append("what is still on hold stays there until it is released or deleted")
        undo = Undo(self.inverse, tuple(tally.done), {"run": run.id}, "sends them as new messages")
        return tally.outcome(self.did, undo=undo)

    def _in_evidence(self, desk: Desk, run: Run) -> set[tuple[str, str]]:
        """(host, ID) of what was kept in this run; of one that was interrupted, as it is found."""
        if "postfix kept" in desk.notes or desk.evidence is None:
            return _kept(desk)
        try:
            items = desk.evidence.items(run.id)
            return {(str(i.meta.get("host")), str(i.meta.get("id"))) for i in items}
        except EvidenceError:
            return set()


class Bounce(OnMessages):
    """`postsuper -f -`, and a delivery attempt that then returns the message."""

    id = "postfix.bounce"
    title = "Return messages to their senders as undeliverable"
    label = "return"
    key = "X"
    danger: ClassVar[Danger] = "destructive"
    permission = "mail.bounce"
    verb, did = "Return", "returned"
    loses = ("the recipients never get it; each sender is told that it could not be delivered",)
    help = (
        "Marks messages as expired by `postsuper -f` (Postfix 3.5 or later), which also releases "
        "them from hold, and has them tried, so that Postfix returns them to their senders."
    )

    def why_not_row(self, row: Message) -> str:
        """See Operation."""
        if not row.sender:
            return "no sender to return to (MAILER-DAEMON): it would be dropped"
        if row.forced_expire:
            return "to be returned already"
        return unreachable(row)

    def does(self, queue: Queue, picked: Picked, host: str) -> str:
        """See OnMessages."""
        flagged = [super_command("f")]
        if host in picked.short:
            flagged = [super_command("h"), super_command("f", ("hold",))]
        return "; ".join(map(queue.line, [*flagged, EACH]))

    def warnings(self, desk: Desk, picked: Picked, facts: dict[str, Facts]) -> list[str]:
        """A version that is not known may not have it."""
        return [
            f"the Postfix version of {host} is not known: before 3.5 it has no postsuper -f"
            for host, known in facts.items()
            if known.expires is None
        ]

    def blockers(self, desk: Desk, picked: Picked, facts: dict[str, Facts]) -> tuple[str, ...]:
        """Before 3.5 there is no forced expiry."""
        return tuple(
            f"{host} has Postfix {known.version}: returning mail needs 3.5 (postsuper -f)"
            for host, known in facts.items()
            if known.expires is False
        )

    async def apply(self, desk: Desk, plan: Plan, run: Run) -> None:
        """See Operation. Short IDs are held first, so that no other message is returned."""

        async def work(act: Act) -> None:
            await act.look(self.why_not_row)
            queues: tuple[str, ...] = ()
            if any(is_short(one.id) for one in act.pending):
                await act.seize(desk.settings.batch)
                queues = ("hold",)
            async for batch in act.batches(super_command("f", queues), desk.settings.batch):
                run.tell(act.step, batch)
                said = await act.queue.tell("f", [one.id for one in batch], queues)
                act.confirmed().update(said)
                await run.end(act.step, messages=len(said))
                if said:
                    await run.begin(act.step, act.queue.line(EACH), messages=len(said))
                    await act.queue.run(EACH, "".join(f"{one}\n" for one in said).encode())
                    await run.end(act.step)

        await each_host(desk, run, work)

    async def verify(self, desk: Desk, plan: Plan, run: Run) -> Outcome:
        """See Operation."""
        tally, waiting = Tally(run), 0
        for one, message in tally.sent(await read_back(desk, told(run))):
            why = changed(one, message)
            if why == GONE and one.id in confirmed(desk, one.place):
                tally.done.append(one)
            elif why:
                tally.leave(one, why)
            elif message is not None and message.forced_expire:
                tally.done.append(one)
                waiting += 1
            elif message is not None:
                tally.leave(one, f"still in the {message.queue_name} queue")
        if waiting:
            tally.notes.append(
                f"{waiting:,} {'is' if waiting == 1 else 'are'} still in the queue and will be "
                "returned at the next attempt"
            )
        return tally.outcome(self.did)


def _cat(queue_id: str) -> Command:
    return command("postcat", "-q", queue_id, root=True)


def _kept(desk: Desk) -> set[tuple[str, str]]:
    found: set[tuple[str, str]] = desk.notes.setdefault("postfix kept", set())
    return found


async def _all(work: list[Coroutine[Any, Any, None]]) -> None:
    """Do all of it; the first failure ends the others, and is raised as it is."""
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


OPERATIONS = (Delete(), Bounce())
