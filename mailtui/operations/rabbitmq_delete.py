"""Deleting chosen messages of a queue, by what they look like: AMQP has no number for one."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from mailtui.access.evidence import EvidenceError
from mailtui.connections.errors import SourceError
from mailtui.model import clock
from mailtui.model.letters import Letter
from mailtui.model.operation import (
    KEPT_LEFT,
    Danger,
    Left,
    Outcome,
    Plan,
    State,
    Step,
    Target,
    Undo,
)  # fmt: skip
from mailtui.operations import rabbitmq_broker as asked
from mailtui.operations.base import Desk, Operation, Refused, Request, capped
from mailtui.operations.rabbitmq_back import Owner
from mailtui.operations.rabbitmq_base import Facts, place_of, warnings_of
from mailtui.operations.rabbitmq_keep import GRAIN, Taking, keep
from mailtui.operations.rabbitmq_letters import SHOWN
from mailtui.operations.rabbitmq_match import matched, position_of, target_of, told_apart
from mailtui.operations.rabbitmq_outcome import last_facts, read_back
from mailtui.operations.rabbitmq_purge import NO_EVIDENCE, UNDO

if TYPE_CHECKING:
    from mailtui.connections.amqp import Message
    from mailtui.operations.running import Run

REACH = 500
"""How far from the head of the queue a message can be: all before it are taken and given back."""
SLACK = 20
"""Messages that may have come before it since it was looked at."""
EDGE = 1
"""Returns left from which on a message is not taken to get at those behind it."""


@dataclass
class Gone:
    """What a deletion has done."""

    targets: list[Target] = field(default_factory=list)
    """Those that were kept and acknowledged, in the order of the evidence."""
    doubtful: list[Target] = field(default_factory=list)
    """Kept and acknowledged, and the broker has not said that it took that."""
    returned: int = 0
    renewed: int = 0


class Delete(Operation):
    """Chosen messages go into the evidence."""

    id = "rabbitmq.delete"
    title = "Delete messages of a queue, kept as evidence first"
    label = "delete"
    key = "D"
    resource = "letters"
    danger: ClassVar[Danger] = "destructive"
    permission = "broker.delete"
    inverse = "rabbitmq.restore"
    sources = ("rabbitmq",)
    help = (
        "Takes messages from the head of the queue up to the chosen ones, compares each with what "
        "was seen, keeps the chosen ones in the encrypted evidence store, acknowledges them, and "
        "gives the others back to where they were, which counts as a delivery. Messages that "
        "cannot be told apart are left. Refused where giving back would drop a message (delivery "
        "limit)."
    )

    def why_not(self, desk: Desk) -> str:
        """See Operation."""
        return asked.why_not(desk)

    def why_not_row(self, row: Letter) -> str:
        """See Operation."""
        if row.position > REACH:
            return f"it is further than {REACH:,} from the head of its queue"
        if not told_apart(row):
            return (
                f"no ID, no time, and only the first {SHOWN} bytes of its body: others like it "
                "could be taken for it; look again with by=amqp"
            )
        return ""

    async def plan(self, desk: Desk, request: Request) -> Plan:
        """See Operation."""
        chosen: dict[tuple[str, str], list[Letter]] = defaultdict(list)
        excluded: list[str] = []
        for row in request.rows:
            asked.check_tenant(desk, row.vhost, row.queue)
            if why := self.why_not_row(row):
                excluded.append(f"message {row.position} of {row.queue}: {why}")
            else:
                chosen[(row.vhost, row.queue)].append(row)
        if not chosen:
            raise Refused("; ".join(excluded[:3]) or "no message is selected")
        steps, warnings, blockers, size = [], [], [], 0
        async with asked.broker(asked.settings_of(desk)) as api:
            version = await api.version()
            for (vhost, name), letters in chosen.items():
                answer = await api.queue(vhost, name)
                if answer is None:
                    raise Refused(f"there is no queue {name} in the virtual host {vhost} any more")
                facts = Facts(*answer, asked.limit_of(answer[0], version))
                if answer[0].type == "stream":
                    raise Refused(f"{name} is a stream: its messages stay where they are")
                warnings += [*warnings_of(facts), *_on_the_way(facts, letters)]
                blockers += _edge(facts, letters)
                average = asked.size_of(facts.answer) or 0
                size += sum(int(one.size or average) + GRAIN for one in letters)
                steps.append(_step(vhost, name, letters))
        if desk.evidence is None:
            blockers.append(NO_EVIDENCE)
        elif why := desk.evidence.why_not(size):
            blockers.append(why)
        count = sum(step.count for step in steps)
        return Plan(
            operation=self.id,
            context=desk.platform.name,
            operator=desk.operator,
            title=f"Delete {count:,} {'message' if count == 1 else 'messages'} of "
            + ", ".join(name for _, name in list(chosen)[:3]),
            danger=self.danger,
            made_at=clock.now(),
            selection=request.selection,
            steps=tuple(steps),
            samples=tuple(
                f"{one.queue} {one.position}: {one.body[:80]}"
                for letters in chosen.values()
                for one in letters[:3]
            )[:5],
            excluded=tuple(excluded),
            warnings=tuple(warnings),
            blockers=tuple(blockers),
            loses=(
                "restored messages come to the tail, as new ones, without the redelivered flag",
            ),
            undo=UNDO,
        )

    async def apply(self, desk: Desk, plan: Plan, run: Run) -> None:
        """See Operation."""
        if desk.evidence is None:
            raise Refused(NO_EVIDENCE)
        found: dict[str, Gone] = desk.notes.setdefault(f"deleted {run.id}", {})
        for step in plan.steps:
            if run.stopping:
                run.leave(step.targets, "stopped by the operator")
            elif run.faults:
                # the numbers of the evidence are those of what is gone: nothing after a fault
                run.leave(step.targets, "not begun, because an earlier part failed")
            else:
                found[step.key] = Gone()
                await self._delete(desk, run, step, found[step.key])

    async def _delete(self, desk: Desk, run: Run, step: Step, gone: Gone) -> None:
        settings = asked.settings_of(desk)
        vhost, _, name = step.key.partition("\t")
        async with asked.broker(settings) as api:
            answer = await api.queue(vhost, name)
            if answer is None:
                raise Refused(f"there is no queue {name} in {vhost} any more")
            limit = asked.limit_of(answer[0], await api.version())
        reach = max(position_of(target) for target in step.targets) + SLACK
        owner = Owner(name, run.id, settings.username or "", limit)
        async with asked.amqp(settings, vhost, desk.operator) as link:
            depth = await link.depth(name)
            target = min(reach, depth.ready if depth is not None else 0)
            if not target:
                run.leave(step.targets, "the queue is empty")
                return
            await run.begin(step, window=target)
            taking = Taking(link, await link.channel(), owner, target, target)
            await taking.begin()
            messages: list[Message] = []
            while len(messages) < target and (more := await taking.some(target)):
                messages += more
            chosen, why = matched(messages, step.targets, vhost, name)
            for target_left, words in why:
                run.leave([target_left], words)
            try:
                await self._keep(desk, run, (vhost, name), list(chosen))
                run.tell(step, chosen.values())
                gone.doubtful = list(chosen.values())
                taking.ack(list(chosen))
                await taking.fence()
                gone.targets, gone.doubtful = gone.doubtful, []
            except EvidenceError as error:
                run.faults.append(str(error))
                run.leave(chosen.values(), "not kept as evidence, so not deleted")
                chosen = {}
            rest = [message for message in messages if message not in chosen]
            gone.returned = len(rest)
            gone.renewed = await taking.release(rest)
            await run.end(step, destroyed=len(chosen), returned=len(rest), evidence=run.id)

    async def _keep(
        self, desk: Desk, run: Run, place: tuple[str, str], messages: Sequence[Message]
    ) -> None:
        assert desk.evidence is not None
        box = await asyncio.to_thread(desk.evidence.box, run.id)
        try:
            await keep(box, messages, *place)
        finally:
            await asyncio.to_thread(box.close)

    async def verify(self, desk: Desk, plan: Plan, run: Run) -> Outcome:
        """See Operation. Deleted is what is in the evidence and was acknowledged."""
        found: dict[str, Gone] = desk.notes.get(f"deleted {run.id}", {})
        if not found and run.begun:
            return await self._of_dead(plan, run)
        targets = [one for gone in found.values() for one in gone.targets]
        notes = []
        if returned := sum(gone.returned for gone in found.values()):
            notes.append(f"{returned:,} others were taken and given back")
        if renewed := sum(gone.renewed for gone in found.values()):
            notes.append(f"{renewed:,} of these are at the tail as new messages (delivery limit)")
        doubtful = [one for gone in found.values() for one in gone.doubtful]
        if doubtful:
            notes.append(
                f"{len(doubtful):,} are in the evidence, and may be gone or still in the queue: "
                "the connection was lost when they were acknowledged; look again, undo leaves them"
            )
        notes += await _there_now(desk, plan, run)
        told = [*targets, *doubtful]
        known = Counter((one.place, one.id) for one in [*told, *_ends(run.left)])
        for step in plan.steps:
            rest = [one for one in step.targets if not _took(known, one)]
            run.leave(rest, run.faults[-1] if run.faults else "the run ended before it")
        left, more = capped(run.left, KEPT_LEFT)
        whole = len(targets) == plan.count
        why = Counter(one.why for one in run.left).most_common(2)
        failed: State = "unknown" if doubtful else "failed"
        return Outcome(
            "done" if whole else "partly" if targets else failed,
            f"deleted {len(targets):,} of {plan.count:,}, kept as evidence"
            + (f"; {len(doubtful):,} may be gone" if doubtful else "")
            + "".join(f"; {count:,}: {words}" for words, count in why),
            planned=plan.count,
            done=len(targets),
            left=left,
            left_more=more,
            counts={"deleted": len(targets), "returned": returned},
            notes=tuple(notes),
            undo=_undo(plan, run.id, len(targets)) if targets else None,
        )

    async def _of_dead(self, plan: Plan, run: Run) -> Outcome:
        told = await asyncio.to_thread(last_facts, run, ("destroyed",))
        gone = sum(told["destroyed"].values())
        return Outcome(
            "partly" if gone else "unknown",
            f"deleted at least {gone:,} of {plan.count:,} before the run ended; look again",
            planned=plan.count,
            done=gone,
            notes=(
                "what was kept and not yet acknowledged went back to its queue; up to "
                f"{plan.count - gone:,} more are in the evidence and may be gone: undo leaves them",
            ),
            undo=_undo(plan, run.id, gone) if gone else None,
        )


def _step(vhost: str, name: str, letters: Sequence[Letter]) -> Step:
    key = f"{vhost}\t{name}"
    targets = tuple(target_of(one) for one in letters)
    reach = max(one.position for one in letters)
    does = (
        f"basic.consume {name} up to message {reach + SLACK:,}; basic.ack of those that are the "
        "chosen ones, once they are kept; the others go back by closing the channel"
    )
    return Step(key, place_of(vhost, name), does, len(targets), targets)


def _undo(plan: Plan, run: str, count: int) -> Undo:
    queues = tuple(Target(step.key, step.key.partition("\t")[2]) for step in plan.steps)
    items = {"run": run, "items": f"0-{count - 1}"}
    return Undo(Delete.inverse, queues, items, "publishes them again, to the tail")


def _on_the_way(facts: Facts, letters: Sequence[Letter]) -> list[str]:
    reach = max(one.position for one in letters)
    found = []
    if reach > len(letters):
        found.append(
            f"up to {reach + SLACK - len(letters):,} other messages of {facts.queue.name} are "
            "taken and given back to where they were, marked as redelivered"
        )
    return found


def _edge(facts: Facts, letters: Sequence[Letter]) -> list[str]:
    """A blocker, if one of those that were looked at has hardly any return left."""
    least = min((one.remaining for one in letters if one.remaining is not None), default=None)
    if least is None or least > EDGE:
        return []
    return [
        f"{facts.queue.name} drops a message after {facts.limit:,} deliveries, and one of the "
        f"chosen has {least:,} left: those before it may have as few; move the messages instead"
    ]


def _ends(left: Sequence[Left]) -> list[Target]:
    return [Target(one.place, one.id) for one in left]


def _took(known: Counter[tuple[str, str]], target: Target) -> bool:
    """Takes one that is accounted for off the count of those."""
    key = (target.place, target.id)
    known[key] -= 1
    return known[key] >= 0


async def _there_now(desk: Desk, plan: Plan, run: Run) -> list[str]:
    """What each queue has now, in words."""
    try:
        now = await read_back(desk, plan, lost=bool(run.faults))
    except SourceError as error:
        return [f"what the queue has now is not known: {error}"]
    return [f"{step.place} has {now[step.key]:,} ready messages now" for step in plan.steps]


OPERATIONS: tuple[Operation, ...] = (Delete(),)
