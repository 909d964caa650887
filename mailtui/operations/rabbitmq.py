"""Moving messages of broker queues: dead letters back to their origin, any messages elsewhere."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections import Counter
from typing import ClassVar

from mailtui.connections.clean import clean
from mailtui.model import clock
from mailtui.model.broker import BrokerQueue
from mailtui.model.operation import Danger, Outcome, Plan, Target, Undo
from mailtui.operations import rabbitmq_broker as asked
from mailtui.operations.base import Desk, Operation, Parameter, Refused, Request, Scope
from mailtui.operations.rabbitmq_base import Facts, OnQueues, step_of
from mailtui.operations.rabbitmq_mover import SUSPECT, Mover
from mailtui.operations.rabbitmq_outcome import (
    counts_of,
    from_journal,
    left_of,
    notes_of,
    read_back,
    state_of,
)  # fmt: skip
from mailtui.operations.rabbitmq_report import Job, Report, window_of
from mailtui.operations.rabbitmq_session import Order
from mailtui.operations.running import Run

WATCH = 3.0

_COUNT = Parameter("count", "how many, from the head of the queue", default="all", example="100")
_RATE = Parameter("rate", "messages a second at most; 0: no limit", example="50")
_WATCH = Parameter(
    "watch", "seconds in which the first message must not come back; 0: no first message alone",
    default="3", example="10",
)  # fmt: skip


class _Moving(OnQueues):
    """What requeue and move share."""

    @abstractmethod
    def destination(self, request: Request) -> str | None:
        """The queue for all messages; None: each goes to its origin. Raises Refused."""

    async def plan(self, desk: Desk, request: Request) -> Plan:
        """See Operation."""
        settings = asked.settings_of(desk)
        to = self.destination(request)
        parameters = dict(request.parameters)
        rate = asked.number(parameters, "rate", desk.settings.move_rate)
        watch = asked.number(parameters, "watch", WATCH)
        async with asked.broker(settings) as api:
            found, excluded = await self.facts(desk, request, api)
            blockers = list(await asked.alarms_block(api))
            origins: dict[str, list[str]] = {}
            if to is None:
                for facts in found:
                    origins[facts.queue.key] = await asked.origins_of(desk, api, facts.queue)
        steps, warnings = [], []
        danger = self.danger
        for facts in found:
            queue = facts.queue
            count = asked.count_of(parameters, facts.ready)
            goals = [to] if to is not None else origins[queue.key]
            if queue.name in goals:
                raise Refused(f"{queue.name}: a queue is not moved to itself")
            missing, busy = await self._look(desk, queue.vhost, goals)
            blockers += missing
            if to is not None and busy:
                danger = "irreversible"
                warnings.append(f"{to} has {busy:,} consumers: they take what arrives there")
            warnings += facts.warnings
            steps.append(step_of(facts, self._does(desk, facts, to, (count, rate, watch)), count))
        total = sum(step.count for step in steps)
        return Plan(
            operation=self.id,
            context=desk.platform.name,
            operator=desk.operator,
            title=self._title(total, found, to),
            danger=danger,
            made_at=clock.now(),
            selection=request.selection,
            steps=tuple(steps),
            parameters=parameters,
            samples=self._samples(found, origins),
            excluded=excluded,
            warnings=tuple(warnings),
            blockers=tuple(blockers),
            loses=self.loses(to),
            undo=self.undo_words(to) if danger == "reversible" else "",
        )

    def loses(self, to: str | None) -> tuple[str, ...]:
        """What is not as before, also when nothing fails."""
        return (
            "a message's place in the queue, its expiration, the header CC, and a user_id that is "
            "not ours; the rest of it stays byte for byte",
            "if the console or the broker dies in the middle, some may exist twice: how many at "
            "most is counted and said",
        )

    def undo_words(self, to: str | None) -> str:
        """How it is undone."""
        return ""

    async def apply(self, desk: Desk, plan: Plan, run: Run) -> None:
        """See Operation."""
        settings = asked.settings_of(desk)
        to = plan.parameters.get("to") or None
        rate = asked.number(plan.parameters, "rate", desk.settings.move_rate)
        watch = asked.number(plan.parameters, "watch", WATCH)
        reports: dict[str, Report] = desk.notes.setdefault(run.id, {})
        done = 0
        for step in plan.steps:
            if run.stopping:
                break
            vhost, _, name = step.key.partition("\t")
            async with asked.broker(settings) as api:
                answer = await api.queue(vhost, name)
                if answer is None:
                    raise Refused(f"there is no queue {name} in {vhost} any more")
                queue, told = answer
                if blocked := await asked.alarms_block(api):
                    raise Refused("; ".join(blocked))
                limit = asked.limit_of(queue, await api.version())
            run.tell(step, step.targets)
            order = Order(
                name, to, run.id, settings.username or "", limit, plan.parameters.get("run", "")
            )
            job = Job(
                settings, vhost, order, step.count,
                window_of(asked.size_of(told), rate, step.count), rate, watch, desk.operator,
            )  # fmt: skip
            mover = Mover(job, run, step, done)
            reports[step.key] = mover.report
            await mover.move()
            done += mover.report.tally.moved
        run.counts.update(counts_of(reports.values()))

    async def verify(self, desk: Desk, plan: Plan, run: Run) -> Outcome:
        """See Operation: by the broker's confirms, and by what the queues have now."""
        reports: dict[str, Report] = desk.notes.get(run.id, {})
        lost = bool(run.faults) or any(one.doubled_at_most for one in reports.values())
        now = await read_back(desk, plan, lost=lost)
        if not reports and run.begun:
            return await self._from_journal(plan, run, now)
        notes: list[str] = []
        moved_to: Counter[str] = Counter()
        for step in plan.steps:
            if (report := reports.get(step.key)) is None:
                continue
            name = step.key.partition("\t")[2]
            notes += notes_of(report, name)
            moved_to.update(report.tally.moved_to)
            expected = report.ready_before - report.tally.moved
            there = now[step.key]
            notes.append(f"{name} has {there:,} ready messages now")
            if there < expected:
                notes.append(
                    f"that is {expected - there:,} fewer than were left: others take from it"
                )
            elif there > expected:
                notes.append(f"{there - expected:,} of them arrived meanwhile")
                if there - expected >= max(SUSPECT, report.tally.moved / 2):
                    report.tally.came_back = max(report.tally.came_back, there - expected)
                    notes.append("that is as if they came back: look why they die")
        counts = counts_of(reports.values())
        if doubled := counts["doubled_at_most"]:
            notes.append(f"at most {doubled:,} messages may exist twice")
        run.counts.update(counts)
        left = left_of(plan, reports)
        return Outcome(
            state_of(counts, plan.count, run.faults),
            _sentence(self.did, plan.count, counts, moved_to, [one.why for one in left]),
            planned=plan.count,
            done=counts["moved"],
            left=left,
            counts=counts,
            notes=tuple(notes),
            undo=self._undo(plan, run, moved_to),
        )

    did: ClassVar[str] = "moved"

    def _undo(self, plan: Plan, run: Run, moved_to: Counter[str]) -> Undo | None:
        return None

    async def _from_journal(self, plan: Plan, run: Run, now: dict[str, int]) -> Outcome:
        """Of a run whose process died: its records bound what it did."""
        moved, double = await asyncio.to_thread(from_journal, run)
        left = sum(now.values())
        return Outcome(
            "partly",
            f"{self.did} at least {moved:,} of {plan.count:,} before the run ended; "
            f"{left:,} are there now",
            planned=plan.count,
            done=moved,
            counts={"moved": moved, "there": left, "doubled_at_most": double},
            notes=(
                f"at most {double:,} messages may exist twice; none is lost",
                "running it again moves the rest",
            ),
        )

    async def _look(self, desk: Desk, vhost: str, goals: list[str]) -> tuple[list[str], int]:
        """(blockers for destinations that are missing, consumers of the others); asked over AMQP,
        because a connection that cannot be made is a reason not to begin."""
        missing, consumers = [], 0
        async with asked.amqp(asked.settings_of(desk), vhost, desk.operator) as link:
            for name in goals:
                depth = await link.depth(name)
                if depth is None:
                    missing.append(
                        f"there is no queue {name} in the virtual host {vhost}; it is never made"
                    )
                else:
                    consumers += depth.consumers
        return missing, consumers

    def _does(
        self, desk: Desk, facts: Facts, to: str | None, figures: tuple[int, float, float]
    ) -> str:
        count, rate, watch = figures
        window = window_of(asked.size_of(facts.answer), rate, count)
        goal = to if to is not None else "the queue it died in (x-death)"
        first = f"1 first, watched for {watch:g} s; then " if watch and count > 1 else ""
        pace = f"{rate:,g}/s" if rate else "as fast as it confirms"
        return (
            f"{first}basic.consume {facts.queue.name} (prefetch {window:,}), each: basic.publish "
            f"to {goal} (mandatory, persistent, confirmed), then basic.ack; {pace}"
        )

    def _title(self, total: int, found: list[Facts], to: str | None) -> str:
        names = ", ".join(facts.queue.name for facts in found[:3])
        more = f" and {len(found) - 3:,} more queues" if len(found) > 3 else ""
        goal = to if to is not None else "their origin"
        noun = "message" if total == 1 else "messages"
        return f"{self.label.capitalize()} {total:,} {noun} of {names}{more} to {goal}"

    def _samples(self, found: list[Facts], origins: dict[str, list[str]]) -> tuple[str, ...]:
        samples = []
        for facts in found[:5]:
            queue = facts.queue
            words = f"{queue.name} ({queue.type}): {facts.ready:,} ready"
            if names := origins.get(queue.key):
                words += f", dead letters of {', '.join(names[:5])}"
            samples.append(words)
        return tuple(samples)


class Requeue(_Moving):
    """Dead letters go back to where they came from."""

    id: ClassVar[str] = "rabbitmq.requeue"
    title: ClassVar[str] = "Requeue dead letters to their origin"
    label: ClassVar[str] = "requeue"
    key: ClassVar[str] = "R"
    # not reversible: the workers take them at once, and mail goes out
    danger: ClassVar[Danger] = "irreversible"
    permission: ClassVar[str] = "broker.requeue"
    did: ClassVar[str] = "requeued"
    parameters: ClassVar[tuple[Parameter, ...]] = (
        Parameter(
            "to", "one queue for all of them, instead of each one's origin", example="mail.store"
        ),
        _COUNT,
        _RATE,
        _WATCH,
    )
    help: ClassVar[str] = (
        "Takes the messages that are in a dead-letter queue now and publishes each to the queue "
        "that it died in (the header x-death), persistent and mandatory; it is acknowledged only "
        "after the broker confirmed the copy and returned nothing, so none is lost. One message "
        "goes first and is watched; the run stops when messages come back. Destinations are never "
        "declared. It cannot be undone: the workers take the messages."
    )

    def why_not_row(self, row: BrokerQueue) -> str:
        """See Operation."""
        return super().why_not_row(row)

    def destination(self, request: Request) -> str | None:
        """See _Moving."""
        return request.parameters.get("to", "").strip() or None

    def loses(self, to: str | None) -> tuple[str, ...]:
        """See _Moving."""
        return ("the workers take the messages, and their mail goes out", *super().loses(to))


class Move(_Moving):
    """Messages go to another queue."""

    id: ClassVar[str] = "rabbitmq.move"
    title: ClassVar[str] = "Move messages to another queue"
    label: ClassVar[str] = "move"
    key: ClassVar[str] = "m"
    scope: ClassVar[Scope] = "one"
    danger: ClassVar[Danger] = "reversible"
    permission: ClassVar[str] = "broker.move"
    inverse: ClassVar[str] = "rabbitmq.move"
    parameters: ClassVar[tuple[Parameter, ...]] = (
        Parameter(
            "to",
            "the queue that they go to, in the same virtual host",
            required=True,
            example="mail.parked",
        ),
        _COUNT,
        _RATE,
        _WATCH,
        Parameter("run", "only messages that this run moved (undo)"),
    )
    help: ClassVar[str] = (
        "Moves messages from the head of a queue to another one of the same virtual host, without "
        "loss, as requeue does. Where the other queue has consumers they take what arrives, and "
        "it cannot be undone; else undo moves back those that are still there."
    )

    def destination(self, request: Request) -> str | None:
        """See _Moving."""
        to = request.parameters.get("to", "").strip()
        if not to:
            raise Refused("to: expected the name of a queue")
        return to

    def undo_words(self, to: str | None) -> str:
        """See _Moving."""
        return f"those that are still in {to} are moved back, to the tail"

    def _undo(self, plan: Plan, run: Run, moved_to: Counter[str]) -> Undo | None:
        to = plan.parameters["to"]
        if plan.danger != "reversible" or not moved_to[to]:
            return None
        vhost, _, source = plan.steps[0].key.partition("\t")
        return Undo(
            self.id,
            (Target(f"{vhost}\t{to}", to),),
            {"to": source, "run": run.id, "watch": "0"},
            f"moves back what is still in {to}; each goes to the tail of {source}",
        )


def _sentence(
    did: str, planned: int, counts: dict[str, int], moved_to: Counter[str], why: list[str]
) -> str:
    places = [f"{count:,} to {clean(name)}" for name, count in moved_to.most_common(3) if count > 0]
    more = len([count for count in moved_to.values() if count > 0]) - len(places)
    where = f" ({', '.join(places)}{f' and {more:,} more queues' if more > 0 else ''})"
    words = f"{did} {counts['moved']:,} of {planned:,}{where if places else ''}"
    rest = [f"{counts[name]:,} {name}" for name in ("returned", "kept", "taken") if counts[name]]
    if rest:
        words += f", {' and '.join(rest)}"
    return f"{words}: {'; '.join(why[:3])}" if why else words


OPERATIONS: tuple[Operation, ...] = (Requeue(), Move())
