"""What the Journal does with an entry: approve, decline, run what was approved, read back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailtui.access.history import Entry
from mailtui.model import clock
from mailtui.operations import registry
from mailtui.operations.base import Refused
from mailtui.operations.consent import Consent, Demands
from mailtui.operations.gate import Gate
from mailtui.screens.jobs import Job
from mailtui.screens.plan_dialog import PlanDialog

if TYPE_CHECKING:
    from mailtui.screens.acting import Acting


def approve(acting: Acting, entry: Entry) -> str:
    """Show the frozen plan of a request, for a yes or a no; why not, or an empty string."""
    gate = acting.gate
    why = acting.busy()
    if gate is None or why:
        return why
    if entry.state != "waiting":
        return _no_request(entry)
    acting.spawn(_approve(acting, gate, entry), f"request {entry.id}")
    return ""


def decline(acting: Acting, entry: Entry) -> str:
    """Decline a request, or take back one's own."""
    gate = acting.gate
    why = acting.busy()
    if gate is None or why:
        return why
    if entry.state != "waiting":
        return _no_request(entry)

    async def work() -> None:
        await gate.approvals.decline(entry)
        acting.tell(f"request {entry.id} is declined: {entry.title}")
        acting.read_journal()

    acting.spawn(work(), f"request {entry.id}")
    return ""


def run(acting: Acting, entry: Entry) -> str:
    """Run what a second person approved, exactly as it was frozen."""
    gate = acting.gate
    why = acting.busy()
    if gate is None or why:
        return why
    if entry.state != "approved":
        return f"{entry.id} is {entry.state}; only an approved request is run from here"

    async def work() -> None:
        plan = await gate.ledger.frozen(entry)
        undoes = str(entry.facts.get("undoes") or "")
        await acting.confirm(registry.find(plan.operation), plan, undoes, approved=True)

    acting.spawn(work(), f"request {entry.id}")
    return ""


def settle(acting: Acting, entry: Entry) -> str:
    """Read back what an interrupted run made true."""
    gate = acting.gate
    why = acting.busy()
    if gate is None or why:
        return why
    if entry.state != "interrupted":
        return f"run {entry.id} is {entry.state}; only an interrupted run is read back from here"

    async def work() -> None:
        plan = await gate.ledger.frozen(entry)
        operation = registry.find(plan.operation)
        acting.jobs.planning = f"reading back {entry.title}"
        acting.changed()
        try:
            outcome = await gate.settle(entry)
        finally:
            acting.jobs.planning = ""
            acting.read_again(operation)
        acting.jobs.every.append(
            Job(operation, plan, run_id=entry.id, outcome=outcome, ended_at=clock.now())
        )

    acting.spawn(work(), f"reading back {entry.id}")
    return ""


async def _approve(acting: Acting, gate: Gate, entry: Entry) -> None:
    plan, said = await gate.ledger.frozen(entry), ""
    operation = registry.find(plan.operation)
    refusal = ""
    if gate.person.name == entry.who:
        refusal = "a plan is approved by somebody else than the one who asks"
    elif plan.context != gate.context:
        refusal = f"the plan is for {plan.context}, and this is {gate.context}"
    refusal = refusal or gate.person.may("plan.approve", gate.context)
    refusal = refusal or gate.person.may(operation.permission, gate.context)
    while True:
        code = gate.person.needs_code and not gate.person.armed
        demands = Demands("dialog", code=code, refusal=refusal)
        answer = await PlanDialog(
            plan, demands, "Approve", acting.app.glyphs, said=said, approving=entry.who
        ).answer(acting.app)
        if answer is None:
            return
        try:
            if isinstance(answer, Consent):
                await gate.approvals.approve(entry, answer)
            else:
                await gate.approvals.decline(entry)
        except Refused as error:
            said = str(error)
            continue
        word = "approved" if isinstance(answer, Consent) else "declined"
        acting.tell(f"request {entry.id} is {word}: {entry.title}")
        acting.read_journal()
        return


def _no_request(entry: Entry) -> str:
    return f"{entry.id} is {entry.state}; only a request that waits is approved or declined"
