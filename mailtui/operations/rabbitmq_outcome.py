"""How a move ended: what was counted, what the queue has now, and what may exist twice."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from mailtui.connections.errors import SourceError
from mailtui.model.operation import Left, Plan, State
from mailtui.operations import rabbitmq_broker as asked
from mailtui.operations.base import Desk
from mailtui.operations.rabbitmq_report import Report
from mailtui.operations.running import Run


def counts_of(reports: Iterable[Report]) -> dict[str, int]:
    """In = moved + returned + kept, over all queues; what others took never came in."""
    held = list(reports)
    taken = sum(one.taken for one in held)
    there = sum(one.there for one in held) - taken
    moved = sum(one.tally.moved for one in held)
    returned = sum(one.returned for one in held)
    return {
        "in": there,
        "moved": moved,
        "returned": returned,
        "kept": there - moved - returned,
        "taken": taken,
        "came_back": sum(one.tally.came_back for one in held),
        "doubled_at_most": sum(one.doubled_at_most for one in held),
    }


def state_of(counts: dict[str, int], planned: int, faults: list[str]) -> State:
    """Done only if everything planned was moved and nothing is doubtful."""
    if counts["moved"] == 0:
        return "failed"
    whole = counts["moved"] >= planned and not counts["came_back"]
    return "done" if whole and not faults else "partly"


def notes_of(report: Report, source: str) -> list[str]:
    """What else the operator must know of one queue's move."""
    tally, notes = report.tally, list(report.notes)
    if report.stopped:
        notes.append(f"{source}: it ended early: {report.stopped}")
    if tally.again:
        notes.append(f"{tally.again:,} of them had been moved by mailtui before (x-mailtui)")
    for name, count in sorted(tally.dropped.items()):
        notes.append(f"{count:,} lost their {name}: {_WHY[name]}")
    if tally.renewed:
        notes.append(
            f"{tally.renewed:,} could not be given back without being dropped (delivery limit): "
            f"they are at the tail of {source} as new messages"
        )
    return notes


_WHY = {
    "expiration": "they would expire again",
    "user_id": "the broker takes only the publisher's own",
    "CC": "the broker would route copies by it",
    "BCC": "the broker would route copies by it",
}


def left_of(plan: Plan, reports: dict[str, Report]) -> tuple[Left, ...]:
    """What was not moved, and why, queue by queue."""
    found: list[Left] = []
    for step in plan.steps:
        report = reports.get(step.key)
        if report is None:
            found.append(Left(step.place, f"{step.count:,} messages", "it was not begun"))
            continue
        for why, count in report.reasons.most_common():
            found.append(Left(step.place, f"{count:,} messages", why))
        if report.taken:
            found.append(Left(step.place, f"{report.taken:,} messages", "somebody else took them"))
        kept = report.there - report.taken - report.tally.moved - report.returned
        if kept > 0:
            why = report.stopped or "the run ended before them"
            found.append(Left(step.place, f"{kept:,} messages", why))
        gone = step.count - report.there
        if gone > 0:
            found.append(
                Left(step.place, f"{gone:,} messages", "they were no longer there at the start")
            )
    return tuple(found)


def from_journal(run: Run) -> tuple[int, int]:
    """(moved at least, may be double at most) of a run whose process died, by its own records."""
    told = last_facts(run, ("moved", "window", "may_be_double"))
    double = sum(told["window"].values()) + sum(told["may_be_double"].values())
    return sum(told["moved"].values()), double


def last_facts(run: Run, names: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """Of a run's own records: the last value of each fact, by step."""
    found: dict[str, dict[str, Any]] = {name: {} for name in names}
    for _, record in run.journal.records():
        facts = record.facts
        if facts.get("run") == run.id and "step" in facts:
            for name in names:
                if name in facts:
                    found[name][str(facts["step"])] = facts[name]
    return found


READ_BACK = 20.0
"""Seconds in which the broker must answer again before what is true is called unknown."""


BELIEVED = 5.0
"""Seconds after which a queue is believed to be empty, where a connection was lost: a quorum queue
without a leader is declared with 0 messages."""


async def read_back(desk: Desk, plan: Plan, *, lost: bool = False) -> dict[str, int]:
    """Ready messages of each step's queue now, by its key. Raises SourceError.

    `lost`: a connection was lost, so that the broker may be starting.
    """
    settings = asked.settings_of(desk)
    found: dict[str, int] = {}
    loop = asyncio.get_running_loop()
    deadline = loop.time() + READ_BACK
    believed = loop.time() + (BELIEVED if lost else 0.0)
    for step in plan.steps:
        vhost, _, name = step.key.partition("\t")
        while step.key not in found:
            try:
                async with asked.amqp(settings, vhost, desk.operator) as link:
                    depth = await link.depth(name)
                ready = depth.ready if depth is not None else 0
                if ready or loop.time() >= believed:
                    found[step.key] = ready
                else:
                    await asyncio.sleep(0.5)
            except SourceError:
                if loop.time() > deadline:
                    raise
                await asyncio.sleep(1)
    return found
