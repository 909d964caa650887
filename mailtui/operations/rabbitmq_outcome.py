"""How a move ended: what was counted, what the queue has now, and what may exist twice."""

from __future__ import annotations

from collections.abc import Iterable

from mailtui.model.operation import Left, Plan, State
from mailtui.operations.rabbitmq_mover import Report
from mailtui.operations.running import Run


def counts_of(reports: Iterable[Report]) -> dict[str, int]:
    """In = moved + returned + kept, over all queues."""
    held = list(reports)
    there = sum(one.there for one in held)
    moved = sum(one.tally.moved for one in held)
    returned = sum(one.returned for one in held)
    return {
        "in": there,
        "moved": moved,
        "returned": returned,
        "kept": there - moved - returned,
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
        kept = report.there - report.tally.moved - report.returned
        if kept > 0:
            why = report.stopped or "the run ended before them"
            found.append(Left(step.place, f"{kept:,} messages", why))
        gone = step.count - report.there
        if gone > 0:
            found.append(
                Left(step.place, f"{gone:,} messages", "they were no longer there at the start")
            )
    return tuple(found)


def from_journal(run: Run, window: int) -> tuple[int, int]:
    """(moved at least, may be double at most) of a run whose process died, by its own records."""
    moved, double, begun, ended = 0, 0, {}, {}  # type: int, int, dict[str, int], dict[str, int]
    by_place: dict[str, int] = {}
    for _, record in run.journal.records():
        facts = record.facts
        if facts.get("run") != run.id or record.kind not in ("step", "step-end"):
            continue
        place = str(facts.get("place", ""))
        by_place[place] = max(by_place.get(place, 0), int(facts.get("moved") or 0))
        if record.kind == "step":
            begun[place] = int(facts.get("window") or window)
        else:
            ended[place] = int(facts.get("may_be_double") or 0)
    moved = sum(by_place.values())
    double = sum(begun.values()) + sum(ended.values())
    return moved, double
