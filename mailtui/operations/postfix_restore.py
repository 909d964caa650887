"""Send again what a delete kept: the undo of `postfix.delete`, as new messages."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from mailtui.access.evidence import Evidence, EvidenceError, Item
from mailtui.connections.errors import SourceError
from mailtui.model.mail import Message
from mailtui.model.operation import Danger, Outcome, Plan
from mailtui.operations.base import Desk, Parameter, Refused, Request
from mailtui.operations.postfix_act import STOPPED
from mailtui.operations.postfix_base import OnMessages
from mailtui.operations.postfix_facts import Facts
from mailtui.operations.postfix_file import Unusable, parsed, submissions
from mailtui.operations.postfix_outcome import Tally
from mailtui.operations.postfix_pick import Picked
from mailtui.operations.postfix_queue import Queue

if TYPE_CHECKING:
    from mailtui.operations.running import Run

_DOES = "sendmail -i -f SENDER -- RECIPIENT… (the message on standard input)"


class Restore(OnMessages):
    """`sendmail -i -f SENDER -- RECIPIENT…` with the message from the evidence."""

    id = "postfix.restore"
    title = "Send deleted messages again from the evidence"
    label = "restore"
    hidden = True
    danger: ClassVar[Danger] = "irreversible"
    permission = "mail.delete"
    parameters = (Parameter("run", "the run that deleted them", required=True),)
    verb, did = "Restore", "restored"
    loses = (
        "each is a new message: a new queue ID, arrival time and Received line",
        "milters for local mail and content_filter run again; delivery notifications that the "
        "sender asked for are lost",
    )
    undo = "deleting the new messages again, while they are in the queue"
    help = (
        "Submits what postfix.delete kept by sendmail(1): to those recipients who had not got it, "
        "with the old envelope sender and the content byte for byte."
    )

    def does(self, queue: Queue, picked: Picked, host: str) -> str:
        """See OnMessages."""
        return _DOES

    def picked(self, desk: Desk, request: Request) -> Picked:
        """Only what a run deleted."""
        if not request.targets:
            raise Refused("this takes a delete back: undo it in the Journal")
        return super().picked(desk, request)

    def blockers(self, desk: Desk, picked: Picked, facts: dict[str, Facts]) -> tuple[str, ...]:
        """Nothing without the evidence."""
        return () if desk.evidence is not None else ("the evidence store cannot be opened",)

    async def plan(self, desk: Desk, request: Request) -> Plan:
        """See Operation. Raises Refused if the evidence has expired."""
        run = request.parameters.get("run", "")
        if desk.evidence is not None and not desk.evidence.path(run).exists():
            raise Refused(f"the evidence of run {run} has expired, or was never kept")
        return await super().plan(desk, request)

    async def apply(self, desk: Desk, plan: Plan, run: Run) -> None:
        """See Operation. One message after the other, each in the journal: none is sent twice."""
        if desk.evidence is None:
            raise Refused("the evidence store cannot be opened")
        wanted = {(s.place, t.id, t.mark): (s, t) for s in plan.steps for t in s.targets}
        done = 0
        queues = {step.place: Queue(desk, step.place) for step in plan.steps}
        items = _items(desk.evidence, plan.parameters.get("run", ""))
        while (item := await asyncio.to_thread(_next, items)) is not None:
            key = (item.meta.get("host"), item.meta.get("id"), item.meta.get("mark"))
            step, one = wanted.pop(key, (None, None))  # type: ignore[arg-type]
            if step is None or one is None:
                continue
            if run.stopping:
                run.leave([one], STOPPED)
                continue
            try:
                commands = submissions(parsed(item.body))
            except Unusable as error:
                run.leave([one], str(error))
                continue
            for number, asked in enumerate(commands, 1):
                await run.begin(step, _DOES, message=one.id, part=number, of=len(commands))
                try:
                    await queues[step.place].run(asked, asked.stdin)
                except SourceError as error:
                    run.faults.append(str(error))
                    if number == 1 and error.kind in ("server", "missing-tool", "auth"):
                        run.leave([one], f"not accepted: {error.message}")
                    else:
                        run.tell(step, [one])  # it, or a part of it, may have been taken
                    await run.end(step, error=error.message)
                    break
                await run.end(step, message=one.id)
            else:
                run.tell(step, [one])
                _accepted(desk).add((one.place, one.id))
            done += 1
            run.report(done, f"{step.place}: {_DOES}")
        run.leave([one for _, one in wanted.values()], "not in the evidence")

    async def verify(self, desk: Desk, plan: Plan, run: Run) -> Outcome:
        """See Operation. sendmail(1) ends with 0 once the message is safe in the maildrop."""
        tally = Tally(run)
        for targets in run.sent.values():
            for one in targets:
                if (one.place, one.id) in _accepted(desk):
                    tally.done.append(one)
                else:
                    tally.unknown.append(one)
        if tally.unknown:
            tally.notes.append(
                f"{len(tally.unknown):,} may have been sent: look for their Message-ID before "
                "they are sent once more"
            )
        return tally.outcome(self.did)

    def why_not_row(self, row: Message) -> str:
        """See Operation."""
        return "it is reached by undo only"


def _items(store: Evidence, run: str) -> Iterator[Item]:
    """The items of a run. Raises SourceError."""
    try:
        yield from store.items(run)
    except EvidenceError as error:
        raise SourceError("refused", error.message, error.hint) from None


def _next(items: Iterator[Item]) -> Item | None:
    return next(items, None)


def _accepted(desk: Desk) -> set[tuple[str, str]]:
    found: set[tuple[str, str]] = desk.notes.setdefault("postfix accepted", set())
    return found


OPERATIONS = (Restore(),)
