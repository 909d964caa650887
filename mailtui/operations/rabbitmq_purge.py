"""Emptying queues: into the evidence message by message, or by queue.purge, which nobody undoes."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, ClassVar

from mailtui.access.evidence import EvidenceError
from mailtui.connections.errors import SourceError
from mailtui.model import clock
from mailtui.model.operation import Danger, Left, Outcome, Plan, Undo
from mailtui.operations import rabbitmq_broker as asked
from mailtui.operations.base import Desk, Operation, Parameter, Refused, Request
from mailtui.operations.rabbitmq_back import Owner
from mailtui.operations.rabbitmq_base import Facts, OnQueues, step_of
from mailtui.operations.rabbitmq_keep import GRAIN, Keeper, Kept, Taking, ranges
from mailtui.operations.rabbitmq_mover import PATIENCE, SETTLED
from mailtui.operations.rabbitmq_outcome import last_facts, read_back
from mailtui.operations.rabbitmq_report import window_of

if TYPE_CHECKING:
    from mailtui.operations.running import Run

NO_EVIDENCE = "the evidence store is not there, and nothing is destroyed that is not kept"
ELSEWHERE = "somebody else took them, or they expired"
LOST = "they were kept, and are gone or will come again with the lost connection"
UNDO = "rabbitmq.restore publishes them again, until the evidence expires"
LOSES = ("restored messages come to the tail, as new ones, without the redelivered flag",)


class Purge(OnQueues):
    """Every ready message goes."""

    id = "rabbitmq.purge"
    title = "Purge queues, their messages kept as evidence first"
    label = "purge"
    key = "P"
    danger: ClassVar[Danger] = "destructive"
    permission = "broker.purge"
    inverse = "rabbitmq.restore"
    parameters = (
        Parameter(
            "evidence", "no: drop them at once by queue.purge, which cannot be undone",
            default="yes", choices=("yes", "no"),
        ),
    )  # fmt: skip
    help = (
        "Takes the ready messages of a queue into the encrypted evidence store, each acknowledged "
        "only when it is on disk; so exactly what is kept is gone. Messages that consumers hold "
        "are not touched. `evidence=no` sends queue.purge instead, and nothing can be undone."
    )

    async def plan(self, desk: Desk, request: Request) -> Plan:
        """See Operation."""
        kept = _kept(request.parameters.get("evidence", ""))
        settings = asked.settings_of(desk)
        async with asked.broker(settings) as api:
            found, excluded = await self.facts(desk, request, api)
            version = await api.version()
        total = sum(facts.ready for facts in found)
        names = ", ".join(facts.queue.name for facts in found[:3])
        more = f" and {len(found) - 3:,} more queues" if len(found) > 3 else ""
        warnings = [warning for facts in found for warning in facts.warnings]
        blockers: tuple[str, ...] = ()
        if kept:
            size, unknown = _size(found)
            blockers = _blockers(desk, size)
            warnings += [f"{name}: its size is not known, the evidence may not hold it all: then "
                         "the rest stays" for name in unknown]  # fmt: skip
        elif version >= (4, 3):
            warnings += [
                f"{facts.queue.name}: queue.purge also drops its dead letters that wait for "
                "their confirmation (at-least-once)"
                for facts in found if facts.queue.dead_letter_exchange is not None
            ]  # fmt: skip
        return Plan(
            operation=self.id,
            context=desk.platform.name,
            operator=desk.operator,
            title=f"Purge {total:,} messages of {names}{more}"
            + ("" if kept else ", which cannot be undone"),
            danger=self.danger,
            made_at=clock.now(),
            selection=request.selection,
            steps=tuple(step_of(facts, _does(facts, kept), facts.ready) for facts in found),
            parameters=dict(request.parameters),
            samples=tuple(
                f"{facts.queue.name}: {facts.ready:,} ready, "
                f"{facts.queue.unacked or 0:,} held by consumers stay"
                for facts in found[:5]
            ),
            excluded=excluded,
            warnings=tuple(warnings),
            blockers=blockers,
            loses=LOSES if kept else ("the messages: nothing of them is kept",),
            undo="rabbitmq.restore publishes them again, until the evidence expires"
            if kept
            else "",
        )

    async def apply(self, desk: Desk, plan: Plan, run: Run) -> None:
        """See Operation."""
        found: dict[str, Kept] = desk.notes.setdefault(f"purged {run.id}", {})
        if not _kept(plan.parameters.get("evidence", "")):
            await self._drop(desk, plan, run, found)
            return
        if desk.evidence is None:
            raise Refused(NO_EVIDENCE)
        box = await asyncio.to_thread(desk.evidence.box, run.id)
        before = 0
        try:
            for step in plan.steps:
                if run.stopping:
                    break
                kept = found[step.key] = Kept(before)
                run.tell(step, step.targets)
                keeper = Keeper(run, step, box, kept)
                try:
                    await self._empty(desk, keeper, step.count)
                except EvidenceError as error:
                    kept.ended = f"what is not kept is not destroyed: {error}"
                    run.faults.append(str(error))
                    break
                except BaseException as error:
                    told = isinstance(error, SourceError | Refused)
                    kept.ended = str(error) if told else "the run ended before them"
                    raise
                finally:
                    before, kept.doubtful = kept.kept, keeper.doubtful
        finally:
            try:
                await asyncio.to_thread(box.close)
            except EvidenceError as error:
                # what was acknowledged was on disk before; the rest went back
                run.faults.append(str(error))

    async def _empty(self, desk: Desk, keeper: Keeper, count: int) -> None:
        """Over new connections if some are lost."""
        settings = asked.settings_of(desk)
        vhost, _, name = keeper.step.key.partition("\t")
        async with asked.broker(settings) as api:
            answer = await api.queue(vhost, name)
            if answer is None:
                raise Refused(f"there is no queue {name} in {vhost} any more")
            limit = asked.limit_of(answer[0], await api.version())
        owner = Owner(name, keeper.run.id, settings.username or "", limit)
        kept = keeper.kept
        lost_at = empty_at = 0.0
        while not keeper.run.stopping:
            gone = kept.destroyed
            try:
                async with asked.amqp(settings, vhost, desk.operator) as link:
                    depth = await link.depth(name)
                    left = min(count - kept.destroyed, depth.ready if depth is not None else 0)
                    empty_at = 0.0 if left > 0 else empty_at or time.monotonic()
                    if empty_at and lost_at and time.monotonic() - empty_at < SETTLED:
                        await asyncio.sleep(0.5)
                        continue
                    window = window_of(asked.size_of(answer[1]), 0, max(1, left))
                    taking = Taking(link, await link.channel(), owner, left, window)
                    await keeper.take(taking, vhost)
                    return
            except SourceError as error:
                if kept.destroyed > gone or not lost_at:
                    lost_at = time.monotonic()
                    keeper.run.faults.append(str(error))
                late = time.monotonic() - lost_at > PATIENCE
                if late or error.kind in ("refused", "config"):
                    raise
                keeper.run.report(kept.destroyed, f"{error}; again in 1 s")
                await asyncio.sleep(1)

    async def _drop(self, desk: Desk, plan: Plan, run: Run, found: dict[str, Kept]) -> None:
        settings = asked.settings_of(desk)
        for step in plan.steps:
            if run.stopping:
                break
            vhost, _, name = step.key.partition("\t")
            async with asked.amqp(settings, vhost, desk.operator) as link:
                await run.begin(step)
                run.tell(step, step.targets)
                count = await (await link.channel()).purge(name)
                found[step.key] = Kept(acked=[(0, count - 1)] if count else [])
                await run.end(step, destroyed=count)

    async def verify(self, desk: Desk, plan: Plan, run: Run) -> Outcome:
        """See Operation."""
        now = await read_back(desk, plan, lost=bool(run.faults))
        found: dict[str, Kept] = desk.notes.get(f"purged {run.id}", {})
        kept = _kept(plan.parameters.get("evidence", ""))
        if not found and run.begun:
            return await self._of_dead(plan, run, now, kept=kept)
        gone = sum(one.destroyed for one in found.values())
        left, notes = [], []
        stay = taken = later = 0
        for step in plan.steps:
            one = found.get(step.key, Kept(ended="it was not begun"))
            there = now[step.key]
            notes.append(f"{step.place} has {there:,} ready messages now")
            if one.doubtful:
                notes.append(
                    f"{one.doubtful:,} more are in the evidence, and may be gone or still in the "
                    "queue: undo leaves them"
                )
            later += max(0, one.destroyed - step.count)
            rest = max(0, step.count - one.destroyed)
            # a queue that was emptied has nothing of the plan's any more
            stays = min(rest, there) if one.ended else 0
            stay, taken = stay + stays, taken + rest - stays
            if stays:
                left.append(Left(step.place, f"{stays:,} messages", one.ended))
            if rest > stays:
                why = LOST if one.doubtful else ELSEWHERE
                left.append(Left(step.place, f"{rest - stays:,} messages", why))
            if there > stays:
                notes.append(f"{there - stays:,} of these came after the plan")
        items = ranges([part for one in found.values() for part in one.acked])
        done = gone >= plan.count
        return Outcome(
            "done" if done else "partly" if gone else "failed",
            f"purged {gone:,} of {plan.count:,}"
            + (", all of them kept as evidence" if kept and gone else "")
            + (f"; {left[0].id}: {left[0].why}" if left else ""),
            planned=plan.count,
            done=gone,
            left=tuple(left),
            counts={"in": plan.count + later, "purged": gone, "kept": stay, "taken": taken},
            notes=tuple(notes),
            undo=_undo(plan, run.id, items) if kept and gone else None,
        )

    async def _of_dead(self, plan: Plan, run: Run, now: dict[str, int], *, kept: bool) -> Outcome:
        """Of a run whose process died."""
        told = await asyncio.to_thread(last_facts, run, ("items", "destroyed", "window"))
        items = ",".join(filter(None, told["items"].values()))
        gone, window = sum(told["destroyed"].values()), sum(told["window"].values())
        return Outcome(
            "partly",
            f"purged at least {gone:,} of {plan.count:,} before the run ended; "
            f"{sum(now.values()):,} are there now",
            planned=plan.count,
            done=gone,
            counts={"purged": gone, "there": sum(now.values()), "uncertain": window},
            notes=(
                f"up to {window:,} more are in the evidence and may be gone or still there: undo "
                "does not restore these",
            ),
            undo=_undo(plan, run.id, items) if kept and items else None,
        )


def _undo(plan: Plan, run: str, items: str) -> Undo:
    targets = tuple(target for step in plan.steps for target in step.targets)
    return Undo(
        "rabbitmq.restore", targets, {"run": run, "items": items},
        "publishes them again, to the tail",
    )  # fmt: skip


def _kept(text: str) -> bool:
    if text not in ("", "yes", "no"):
        raise Refused(f"evidence: expected yes or no, not {text!r}")
    return text != "no"


def _does(facts: Facts, kept: bool) -> str:
    name = facts.queue.name
    if not kept:
        return f"queue.purge {name}"
    return f"basic.consume {name}, each kept as evidence, flushed to disk, then basic.ack"


def _size(found: list[Facts]) -> tuple[int, list[str]]:
    """(bytes of evidence, queues whose size is not known)."""
    size, unknown = 0, []
    for facts in found:
        average = asked.size_of(facts.answer)
        if average is None:
            unknown.append(facts.queue.name)
        size += int(facts.ready * ((average or 0) + GRAIN))
    return size, unknown


def _blockers(desk: Desk, size: int) -> tuple[str, ...]:
    if desk.evidence is None:
        return (NO_EVIDENCE,)
    why = desk.evidence.why_not(size)
    return (why,) if why else ()


OPERATIONS: tuple[Operation, ...] = (Purge(),)
