"""Plans and outcomes for a reader and as JSON: the same facts in both."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mailtui.model.operation import Outcome, Plan
    from mailtui.operations.consent import Demands

SHOWN = 20
"""Lines of a long list that are printed; JSON has all that are known."""


def plan_object(plan: Plan) -> dict[str, Any]:
    """The documented object of a plan."""
    return {
        "operation": plan.operation,
        "context": plan.context,
        "operator": plan.operator,
        "title": plan.title,
        "danger": plan.danger,
        "made_at": plan.made_at,
        "selection": plan.selection,
        "parameters": plan.parameters,
        "digest": plan.digest,
        "count": plan.count,
        "steps": [
            {
                "key": step.key,
                "place": _place(step.place),
                "does": step.does,
                "count": step.count,
                "targets": [target.id for target in step.targets],
            }
            for step in plan.steps
        ],
        "samples": plan.samples,
        "excluded": plan.excluded,
        "warnings": plan.warnings,
        "blockers": plan.blockers,
        "loses": plan.loses,
        "undo": plan.undo or None,
    }


def demands_object(demands: Demands) -> dict[str, Any]:
    """What running the plan needs."""
    return {
        "confirm": demands.confirm,
        "word": demands.word or None,
        "code": demands.code,
        "approval": demands.approval,
        "refusal": demands.refusal or None,
    }


def outcome_object(outcome: Outcome, run: str) -> dict[str, Any]:
    """The documented object of an outcome."""
    undo = outcome.undo
    return {
        "run": run,
        "state": outcome.state,
        "sentence": outcome.sentence,
        "planned": outcome.planned,
        "done": None if outcome.state == "unknown" and not outcome.done else outcome.done,
        "counts": outcome.counts,
        "left": [
            {"place": _place(left.place), "id": left.id, "why": left.why} for left in outcome.left
        ],
        "left_more": outcome.left_more,
        "notes": outcome.notes,
        "undo": None
        if undo is None
        else {
            "operation": undo.operation,
            "count": len(undo.targets),
            "text": undo.text,
            "command": undo_command(run),
        },
    }


def undo_command(run: str) -> str:
    """How a run is taken back."""
    return f"mailtui undo {run}"


def plan_lines(plan: Plan, demands: Demands) -> Iterator[str]:
    """Everything that a reader must know before he lets it run."""
    yield from frozen_lines(plan)
    yield f"  needs: {needs(plan, demands)}"


def frozen_lines(plan: Plan) -> Iterator[str]:
    """What a plan says, whoever runs it."""
    yield f"{plan.title}  ({plan.operation}, {plan.danger})"
    if plan.selection:
        yield f"  chosen by  {plan.selection}"
    for name, value in plan.parameters.items():
        yield f"  {name:<10} {value}"
    yield ""
    for step in plan.steps:
        yield f"  {_place(step.place)}  {step.count:,}"
        for line in step.does.splitlines():
            yield f"    $ {line}"
    yield ""
    if plan.samples:
        yield "  for example"
        yield from (f"    {sample}" for sample in plan.samples)
    yield from _list("  not among them:", plan.excluded)
    yield from _list("  warning:", plan.warnings)
    yield from _list("  cannot be undone:", plan.loses)
    yield f"  undo: {plan.undo}" if plan.undo else "  undo: there is none"
    yield from _list("  blocked:", plan.blockers)


def needs(plan: Plan, demands: Demands) -> str:
    """What has to be given to run it, in words."""
    if demands.refusal and demands.refusal != "; ".join(plan.blockers):
        return f"it cannot be run by you: {demands.refusal}"
    if plan.blockers:
        return "it cannot be run now: see blocked"
    words = []
    if demands.confirm == "word":
        words.append(f"the typed word {demands.word!r}")
    elif demands.confirm == "dialog":
        words.append("a yes")
    if demands.code:
        words.append("a code of your second factor")
    if demands.approval:
        words.append("the approval of a second operator")
    return ", ".join(words) or "nothing"


def outcome_lines(outcome: Outcome, run: str) -> Iterator[str]:
    """How it ended, what was left, what to know, how to take it back."""
    yield f"{outcome.state}: {outcome.sentence}"
    if outcome.counts:
        yield "  " + ", ".join(f"{name} {count:,}" for name, count in outcome.counts.items())
    for left in outcome.left[:SHOWN]:
        yield f"  left  {_place(left.place)}  {left.id}  {left.why}"
    more = max(0, len(outcome.left) - SHOWN) + outcome.left_more
    if more:
        yield f"  left  {more:,} more (mailtui journal show {run})"
    for note in outcome.notes:
        yield f"  note  {note}"
    if outcome.undo is not None:
        words = f" ({outcome.undo.text})" if outcome.undo.text else ""
        yield f"  undo  {undo_command(run)}{words}"
    yield f"  run   {run}"


def _list(head: str, lines: tuple[str, ...]) -> Iterator[str]:
    yield from (f"{head} {line}" for line in lines[:SHOWN])
    if len(lines) > SHOWN:
        yield f"{head} {len(lines) - SHOWN:,} more"


def _place(place: str) -> str:
    """A broker's queue as `vhost queue`."""
    return place.replace("\t", " ")
