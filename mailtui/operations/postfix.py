"""Hold and release messages, requeue them, have them tried now; postsuper(1), postqueue(1)."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, ClassVar

from mailtui.model import clock
from mailtui.model import format as fmt
from mailtui.model.mail import Message
from mailtui.model.operation import Danger, Outcome, Plan, Target, Undo
from mailtui.operations.base import Desk
from mailtui.operations.postfix_act import Act, each_host, tell_safely
from mailtui.operations.postfix_base import OnMessages, unreachable
from mailtui.operations.postfix_facts import Facts
from mailtui.operations.postfix_outcome import Tally, confirmed, told
from mailtui.operations.postfix_pick import Picked
from mailtui.operations.postfix_queue import (
    GONE,
    Queue,
    arrival,
    changed,
    read_back,
    super_command,
)

if TYPE_CHECKING:
    from mailtui.operations.running import Run


class Hold(OnMessages):
    """`postsuper -h -`."""

    id = "postfix.hold"
    title = "Hold messages: no delivery until they are released"
    label = "hold"
    key = "h"
    danger: ClassVar[Danger] = "reversible"
    permission = "mail.hold"
    inverse = "postfix.release"
    verb, did = "Hold", "held"
    undo = "postfix.release gives them back to the deferred queue"
    help = (
        "Moves messages to the hold queue by `postsuper -h`. Nothing there is delivered, returned "
        "or expired until it is released."
    )

    def why_not_row(self, row: Message) -> str:
        """See Operation."""
        if row.queue_name == "hold":
            return "on hold already"
        return unreachable(row)

    def does(self, queue: Queue, picked: Picked, host: str) -> str:
        """See OnMessages."""
        return queue.line(super_command("h"))

    async def apply(self, desk: Desk, plan: Plan, run: Run) -> None:
        """See Operation."""

        async def work(act: Act) -> None:
            await act.look(self.why_not_row)
            pending = list(act.pending)
            said = await act.told("h", desk.settings.batch)
            await act.give_back("H", said, pending)

        await each_host(desk, run, work)

    async def verify(self, desk: Desk, plan: Plan, run: Run) -> Outcome:
        """See Operation."""
        tally = Tally(run)
        for one, message in tally.sent(await read_back(desk, told(run))):
            if why := changed(one, message):
                tally.leave(one, why)
            elif message is not None and message.queue_name != "hold":
                tally.leave(one, f"still in the {message.queue_name} queue")
            else:
                tally.done.append(one)
        return tally.outcome(
            self.did, undo=Undo(self.inverse, tuple(tally.done), text="releases them")
        )


class Release(OnMessages):
    """`postsuper -H -`."""

    id = "postfix.release"
    title = "Release messages from hold: they are delivered again"
    label = "release"
    key = "H"
    danger: ClassVar[Danger] = "reversible"
    permission = "mail.release"
    inverse = "postfix.hold"
    verb, did = "Release", "released"
    loses = ("what is delivered after its release cannot be taken back",)
    undo = "postfix.hold holds those again that are still in the queue"
    help = (
        "Moves messages from hold to the deferred queue by `postsuper -H`. Mail that is older than "
        "maximal_queue_lifetime may be returned to its sender at once: postfix.requeue gives it a "
        "new lifetime."
    )

    def why_not_row(self, row: Message) -> str:
        """See Operation."""
        return "" if row.queue_name == "hold" else "not on hold"

    def does(self, queue: Queue, picked: Picked, host: str) -> str:
        """See OnMessages."""
        return queue.line(super_command("H"))

    def warnings(self, desk: Desk, picked: Picked, facts: dict[str, Facts]) -> list[str]:
        """Old mail expires as soon as it is released (postsuper(1), -H)."""
        said: list[str] = []
        now = clock.now()
        by_host = Counter(
            m.host
            for m in picked.messages
            if (limit := facts[m.host].lifetime) is not None and now - m.arrival_time > limit
        )
        for host, count in by_host.items():
            said.append(
                f"{count:,} at {host} {'is' if count == 1 else 'are'} older than "
                f"maximal_queue_lifetime ({fmt.age(facts[host].lifetime)}): released, they may be "
                "returned to their senders at once; postfix.requeue gives them a new lifetime"
            )
        return said

    async def apply(self, desk: Desk, plan: Plan, run: Run) -> None:
        """See Operation."""

        async def work(act: Act) -> None:
            await act.look(self.why_not_row)
            pending = list(act.pending)
            said = await act.told("H", desk.settings.batch)
            await act.give_back("h", said, pending)

        await each_host(desk, run, work)

    async def verify(self, desk: Desk, plan: Plan, run: Run) -> Outcome:
        """See Operation. What was released and has gone was released all the same."""
        tally, present = Tally(run), list[Target]()
        gone = 0
        for one, message in tally.sent(await read_back(desk, told(run))):
            why = changed(one, message)
            if why == GONE and one.id in confirmed(desk, one.place):
                tally.done.append(one)
                gone += 1
            elif why:
                tally.leave(one, why)
            elif message is not None and message.queue_name == "hold":
                tally.leave(one, "still on hold")
            else:
                tally.done.append(one)
                present.append(one)
        if gone:
            tally.notes.append(f"{gone:,} of them have left the queue since")
        return tally.outcome(
            self.did,
            undo=Undo(self.inverse, tuple(present), text="holds those again that are still there"),
        )


class Requeue(OnMessages):
    """`postsuper -r -`, in small batches, because pickup(8) takes them one by one."""

    id = "postfix.requeue"
    title = "Requeue messages: new queue files, addresses and content filter anew"
    label = "requeue"
    key = "R"
    # nothing takes it back: the queue ID, the delay reasons and the age are lost, and rewriting
    # and the content filter have run a second time
    danger: ClassVar[Danger] = "irreversible"
    permission = "mail.requeue"
    verb, did = "Requeue", "requeued"
    loses = (
        "the queue ID and the reasons for the delay: each becomes a new queue file with a new ID",
        "address rewriting and content_filter run again; milters are skipped",
    )
    help = (
        "Moves messages to the maildrop by `postsuper -r`, from where pickup(8) makes new queue "
        "files with new IDs. Milters are skipped; address rewriting and content_filter run again. "
        "It cannot be undone."
    )

    def why_not_row(self, row: Message) -> str:
        """See Operation."""
        if row.queue_name == "maildrop":
            return "in the maildrop already"
        return unreachable(row)

    def does(self, queue: Queue, picked: Picked, host: str) -> str:
        """See OnMessages."""
        if host not in picked.short:
            return queue.line(super_command("r"))
        return f"{queue.line(super_command('h'))}; {queue.line(super_command('r', ('hold',)))}"

    def warnings(self, desk: Desk, picked: Picked, facts: dict[str, Facts]) -> list[str]:
        """Held mail is on its way again, and pickup is slow."""
        said = []
        held = sum(1 for m in picked.messages if m.queue_name == "hold")
        if held:
            said.append(f"{held:,} of them are on hold: requeued, they are delivered again")
        if picked.count > desk.settings.requeue_batch:
            said.append(
                f"pickup(8) takes them one by one: {desk.settings.requeue_batch:,} at a time"
            )
        return said

    async def apply(self, desk: Desk, plan: Plan, run: Run) -> None:
        """See Operation. Short IDs are held first, so that no other message is requeued."""

        async def work(act: Act) -> None:
            await act.look(self.why_not_row)
            await tell_safely(act, "r", desk.settings.requeue_batch)

        await each_host(desk, run, work)

    async def verify(self, desk: Desk, plan: Plan, run: Run) -> Outcome:
        """See Operation. A new ID is found by sender and arrival time, which stay."""
        sent = {key: targets for key, targets in run.sent.items() if targets}
        ids = {(one.place, one.id) for targets in sent.values() for one in targets}
        keys = {(one.place, *arrival(one)) for targets in sent.values() for one in targets}

        def concerned(m: Message) -> bool:
            return (m.host, m.queue_id) in ids or (m.host, m.arrival_time, m.sender) in keys

        answers = await read_back(desk, dict.fromkeys(told(run)), concerned)
        fresh: dict[tuple[str, int, str], list[str]] = {}
        for answer in answers.values():
            for m in answer.values() if isinstance(answer, dict) else ():
                if (m.host, m.queue_id) not in ids:
                    fresh.setdefault((m.host, m.arrival_time, m.sender), []).append(m.queue_id)
        tally, new, waiting = Tally(run), list[str](), 0
        for one, message in tally.sent(answers):
            why = changed(one, message)
            again = fresh.get((one.place, *arrival(one)))
            if not why and message is not None and message.queue_name != "maildrop":
                tally.leave(one, f"still in the {message.queue_name} queue")
                continue
            if again:
                new.append(again.pop())
            elif not why:
                waiting += 1
            elif one.id not in confirmed(desk, one.place):
                tally.leave(one, why)
                continue
            tally.done.append(one)
        if new:
            shown = ", ".join(new[:5]) + (f" and {len(new) - 5:,} more" if len(new) > 5 else "")
            tally.notes.append(f"{len(new):,} are in the queue under new IDs: {shown}")
        if waiting:
            tally.notes.append(f"{waiting:,} wait in the maildrop for pickup(8)")
        rest = len(tally.done) - len(new) - waiting
        if rest:
            tally.notes.append(f"{rest:,} have left the queue since")
        return tally.outcome(self.did)


OPERATIONS = (Hold(), Release(), Requeue())
