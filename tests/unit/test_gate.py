"""The gate: nothing runs that was not allowed, confirmed and written down; nothing is assumed."""

from __future__ import annotations

import asyncio
import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mailtui.access.history import Entry
from mailtui.access.journal import Journal, JournalError, Verified
from mailtui.access.locks import Locks
from mailtui.model import clock
from mailtui.model.operation import Outcome, Plan
from mailtui.operations import registry
from mailtui.operations.base import NothingToDo, Refused, Request
from mailtui.operations.consent import Consent
from mailtui.operations.gate import Gate
from mailtui.operations.refusals import AtWork, NeedsApproval, NotPermitted
from mailtui.operations.running import Progress, Run
from tests.unit import acting
from tests.unit.acting import WALL, Person, bricks, gate, lost

YES = Consent(confirmed=True)


@pytest.fixture(autouse=True)
def the_wall(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(registry, "every", lambda: acting.OPERATIONS)
    WALL.__init__()  # type: ignore[misc]
    yield
    clock.set_clock(None)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal.jsonl")


def kinds(journal: Journal) -> list[str]:
    return [record.kind for _, record in journal.records()]


def facts(journal: Journal, kind: str) -> dict[str, Any]:
    return next(record.facts for _, record in journal.records() if record.kind == kind)


async def planned(house: Gate, operation: str = "test.paint", count: int = 4, **more: str) -> Plan:
    request = Request(operation, rows=bricks(count), selection="4 rows", parameters=more)
    return await house.plan(request)


async def done(house: Gate, plan: Plan, consent: Consent = YES, **more: Any) -> Outcome:
    return await house.run(house.new_run(plan, **more), consent)


async def last(house: Gate) -> Entry:
    return (await house.ledger.entries())[0]


# --- the way through ---


async def test_records_in_their_order_each_before_what_it_announces(journal: Journal) -> None:
    house = gate(journal)
    seen: list[list[str]] = []
    WALL.during = lambda step, run: seen.append(kinds(journal))
    heard: list[Progress] = []
    outcome = await done(house, await planned(house), watch=heard.append)
    assert (outcome.state, outcome.done, outcome.sentence) == ("done", 4, "painted 4 of 4")
    assert seen == [["intent", "step"], ["intent", "step", "step-end", "step"]]
    assert kinds(journal) == ["intent", "step", "step-end", "step", "step-end", "outcome"]
    assert journal.verify() == Verified(6)
    intent = facts(journal, "intent")
    assert intent["steps"] == [
        {"place": "mx1", "does": "brush mx1 -", "count": 2},
        {"place": "mx2", "does": "brush mx2 -", "count": 2},
    ]
    assert (intent["context"], intent["selection"], intent["machine"], intent["process"]) == (
        "lab", "4 rows", "jump", os.getpid(),
    )  # fmt: skip
    assert [p.done for p in heard][-1] == 4
    entry = await last(house)
    assert (entry.state, entry.count, entry.done, entry.undo) == ("done", 4, 4, "test.strip")
    assert await house.ledger.frozen(entry) == await planned(house)
    assert not house.runs


async def test_a_dry_run_is_in_the_journal_and_changes_nothing(journal: Journal) -> None:
    house = gate(journal)
    plan = await planned(house, colour="blue")
    await house.rehearse(plan)
    assert kinds(journal) == ["plan"]
    assert not WALL.commands
    entry = await last(house)
    assert (entry.state, entry.digest) == ("planned", plan.digest)
    assert (await house.ledger.frozen(entry)).parameters == {"colour": "blue"}


async def test_planning_writes_nothing(journal: Journal) -> None:
    await planned(gate(journal))
    assert kinds(journal) == []


# --- what is refused, and written down ---


async def test_a_read_only_context_refuses(journal: Journal) -> None:
    house = gate(journal, read_only=True)
    with pytest.raises(NotPermitted, match="read-only"):
        await planned(house)
    assert (kinds(journal), WALL.commands) == (["refused"], [])
    assert facts(journal, "refused")["count"] == 4
    # what changes nothing is allowed
    assert (await planned(house, "test.look", 1)).danger == "safe"


async def test_a_plan_from_before_the_context_became_read_only(journal: Journal) -> None:
    plan = await planned(gate(journal))
    with pytest.raises(NotPermitted, match="read-only"):
        await done(gate(journal, read_only=True), plan)
    assert (kinds(journal), WALL.commands) == (["refused"], [])


async def test_who_may_not_is_told_why(journal: Journal) -> None:
    viewer = Person(name="vic", refusal="wall.paint needs the role operator; you are viewer")
    house = gate(journal, viewer)
    with pytest.raises(NotPermitted, match="needs the role operator"):
        await planned(house)
    assert (kinds(journal), facts(journal, "refused")["why"]) == (["refused"], viewer.refusal)
    plan = await planned(gate(journal, Person(name="vic")))
    with pytest.raises(NotPermitted, match="needs the role operator"):
        await done(house, plan)
    assert not WALL.commands


async def test_a_tenant_limits_the_plan(journal: Journal) -> None:
    house = gate(journal, Person(limited=frozenset({"a"})))
    plan = await planned(house)
    assert [t.id for step in plan.steps for t in step.targets] == ["b0", "b2"]
    assert plan.excluded == ("2 of other tenants",)
    with pytest.raises(NothingToDo):
        await planned(gate(journal, Person(limited=frozenset({"c"}))))


async def test_a_frozen_plan_is_not_run_by_one_who_lost_a_tenant(journal: Journal) -> None:
    ann = Person(limited=frozenset({"a", "b"}))
    house = gate(journal, ann)
    plan = await planned(house)
    ann.limited = frozenset({"b"})
    with pytest.raises(NotPermitted, match="no longer act for tenant a: plan it again"):
        await done(house, plan)
    ann.limited = None
    free = await planned(house)
    ann.limited = frozenset({"a", "b"})
    with pytest.raises(NotPermitted, match="planned for all tenants"):
        await done(house, free)
    assert not WALL.commands
    assert (await done(house, plan)).state == "done"


async def test_nothing_selected_never_means_everything(journal: Journal) -> None:
    with pytest.raises(Refused, match="never everything"):
        await planned(gate(journal), count=0)
    with pytest.raises(Refused, match="exactly one row, and 3 are selected"):
        await planned(gate(journal), "test.look", 3)
    with pytest.raises(Refused, match="no parameter depth"):
        await planned(gate(journal), depth="3")
    with pytest.raises(Refused, match=r"did you mean test\.paint"):
        await planned(gate(journal), "test.pain")


async def test_a_blocker_is_shown_and_refused(journal: Journal) -> None:
    house = gate(journal)
    plan = await house.plan(Request("test.paint", rows=(acting.Brick("mx1", "rain"),)))
    assert house.demands(registry.find("test.paint"), plan).refusal == "it rains"
    with pytest.raises(NotPermitted, match="it rains"):
        await done(house, plan)
    assert (kinds(journal), WALL.commands) == (["refused"], [])


async def test_what_was_not_confirmed_is_not_run(journal: Journal) -> None:
    house = gate(journal)
    with pytest.raises(NotPermitted, match="not confirmed"):
        await done(house, await planned(house), Consent())
    with pytest.raises(NotPermitted, match="the plan is ann's"):
        await done(house, await planned(gate(journal, Person(name="ann"))))
    with pytest.raises(NotPermitted, match="for other, and this is lab"):
        await done(house, await planned(gate(journal, name="other")))
    assert (kinds(journal), WALL.commands) == (["refused"] * 3, [])


async def test_what_destroys_needs_its_word(journal: Journal) -> None:
    house = gate(journal)
    plan = await planned(house, "test.burn")
    assert house.demands(registry.find("test.burn"), plan).word == "burn 4"
    for word in ("", "burn", "burn 5", "BURN 4"):
        with pytest.raises(NotPermitted, match="the word to type was 'burn 4'"):
            await done(house, plan, Consent(confirmed=True, word=word))
    assert not WALL.commands
    outcome = await done(house, plan, Consent(confirmed=True, word=" burn 4 "))
    assert outcome.state == "done"


async def test_what_destroys_needs_a_code_that_is_never_written(journal: Journal) -> None:
    person = Person(needs_code=True, enrolled=True, good={"123456"})
    house = gate(journal, person)
    plan = await planned(house, "test.burn")
    assert house.demands(registry.find("test.burn"), plan).code
    for code in ("", "654321"):
        with pytest.raises(NotPermitted, match="wrong or was used"):
            await done(house, plan, Consent(True, "burn 4", code))
    assert not WALL.commands
    assert (await done(house, plan, Consent(True, "burn 4", "123456"))).state == "done"
    assert facts(journal, "intent")["armed"] is True
    # it is armed now; when that has passed, the same code is not taken again
    assert not house.demands(registry.find("test.burn"), plan).code
    person.armed = False
    with pytest.raises(NotPermitted):
        await done(house, plan, Consent(True, "burn 4", "123456"))
    text = journal.path.read_text()
    assert "123456" not in text
    assert "654321" not in text
    assert "123456" not in repr(Consent(True, "burn 4", "123456"))


async def test_who_has_no_second_factor_is_told_how(journal: Journal) -> None:
    house = gate(journal, Person(needs_code=True))
    plan = await planned(house, "test.burn")
    with pytest.raises(NotPermitted, match="mailtui operator enroll"):
        await done(house, plan, Consent(True, "burn 4", "123456"))
    assert (await done(house, await planned(house))).state == "done"  # reversible: none needed


# --- two persons ---

TWO = {"operations": {"two_person": ("test.*",), "approval": 60.0}}


async def asked(journal: Journal) -> tuple[Gate, Gate, Plan, Entry]:
    mine, hers = gate(journal, **TWO), gate(journal, Person(name="ann"), **TWO)
    plan = await planned(mine)
    assert mine.demands(registry.find("test.paint"), plan).approval
    number = await mine.approvals.ask(plan)
    (entry,) = await hers.approvals.pending()
    assert (entry.seq, entry.id, entry.who) == (number, f"#{number}", "ops")
    return mine, hers, plan, entry


async def test_a_plan_runs_once_after_another_has_approved_it(journal: Journal) -> None:
    mine, hers, plan, entry = await asked(journal)
    with pytest.raises(NeedsApproval, match=f"request #{entry.seq} is waiting"):
        await done(mine, plan)
    assert await hers.ledger.frozen(entry) == plan
    await hers.approvals.approve(entry, Consent(confirmed=True), why="I saw it")
    assert (await last(mine)).state == "approved"
    with pytest.raises(Refused, match="is approved"):
        await hers.approvals.approve(await last(hers), Consent(confirmed=True))
    assert (await done(mine, plan)).state == "done"
    assert facts(journal, "intent")["approved_by"] == "ann"
    with pytest.raises(NeedsApproval, match="is done"):
        await done(mine, plan)
    assert WALL.commands == ["brush mx1 -", "brush mx2 -"]


async def test_an_approval_is_for_one_plan_alone(journal: Journal) -> None:
    mine, hers, plan, entry = await asked(journal)
    await hers.approvals.approve(entry, Consent(confirmed=True))
    other = await planned(mine, colour="blue")
    with pytest.raises(NeedsApproval, match="a second operator must approve this plan"):
        await done(mine, other)
    with pytest.raises(NotPermitted, match="the plan is ops's"):
        await done(hers, plan)  # she has approved it; it is not hers to run
    stolen = msgspec.structs.replace(plan, operator="ann")
    with pytest.raises(NeedsApproval):
        await done(hers, stolen)
    assert not WALL.commands


async def test_nobody_approves_his_own_plan(journal: Journal) -> None:
    mine, _, plan, entry = await asked(journal)
    with pytest.raises(NotPermitted, match="somebody else"):
        await mine.approvals.approve(entry, Consent(confirmed=True))
    with pytest.raises(NeedsApproval):
        await done(mine, plan)
    assert kinds(journal)[:2] == ["request", "refused"]
    assert not WALL.commands


async def test_who_may_not_run_it_may_not_approve_it(journal: Journal) -> None:
    _, _, _, entry = await asked(journal)
    viewer = gate(journal, Person(name="vic", refusal="vic is viewer"), **TWO)
    with pytest.raises(NotPermitted, match="vic is viewer"):
        await viewer.approvals.approve(entry, Consent(confirmed=True))
    with pytest.raises(NotPermitted, match="vic is viewer"):
        await viewer.approvals.decline(entry)
    other = gate(journal, Person(name="ann"), name="staging", **TWO)
    with pytest.raises(NotPermitted, match="for lab, and this is staging"):
        await other.approvals.approve(entry, Consent(confirmed=True))
    assert [one.id for one in await viewer.approvals.pending()] == [entry.id]


async def test_approving_needs_a_code_where_destroying_does(journal: Journal) -> None:
    _, _, _, entry = await asked(journal)
    ann = gate(journal, Person(name="ann", needs_code=True, enrolled=True, good={"1"}), **TWO)
    with pytest.raises(NotPermitted, match="wrong"):
        await ann.approvals.approve(entry, Consent(confirmed=True, code="2"))
    await ann.approvals.approve(entry, Consent(confirmed=True, code="1"))


async def test_a_declined_or_late_approval_is_none(journal: Journal) -> None:
    mine, hers, plan, entry = await asked(journal)
    await hers.approvals.decline(entry, "not now")
    with pytest.raises(NeedsApproval, match="is declined"):
        await done(mine, plan)
    # asked for again, approved, and then too late
    await mine.approvals.ask(plan)
    (again,) = await hers.approvals.pending()
    await hers.approvals.approve(again, Consent(confirmed=True))
    late = clock.now() + 61
    clock.set_clock(lambda: late)
    with pytest.raises(NeedsApproval, match="is expired"):
        await done(mine, plan)
    await mine.approvals.ask(plan)
    (third,) = await hers.approvals.pending()
    clock.set_clock(lambda: late + 61)
    with pytest.raises(Refused, match="expired"):
        await hers.approvals.approve(third, YES)  # her screen still says that it waits
    assert not WALL.commands


async def test_a_screen_that_is_behind_cannot_approve_twice(journal: Journal) -> None:
    """Declined by one, then approved by another who has not read the journal again."""
    mine, hers, plan, entry = await asked(journal)
    await hers.approvals.decline(entry, "no")
    third = gate(journal, Person(name="bob"), **TWO)
    with pytest.raises(Refused, match="is declined"):
        await third.approvals.approve(entry, YES)
    with pytest.raises(NeedsApproval):
        await done(mine, plan)


async def test_a_frozen_plan_that_was_changed_is_not_used(journal: Journal, tmp_path: Path) -> None:
    _, hers, plan, entry = await asked(journal)
    import gzip

    (file,) = (tmp_path / "plans").glob("*.plan.gz")
    changed = msgspec.structs.replace(plan, title="Paint 1 brick")
    file.write_bytes(gzip.compress(changed.encoded()))
    with pytest.raises(JournalError, match="was changed after it was frozen"):
        await hers.approvals.approve(entry, YES)


async def test_two_runs_at_once_use_one_approval_once(journal: Journal) -> None:
    mine, hers, plan, entry = await asked(journal)
    await hers.approvals.approve(entry, YES)
    twin = gate(journal, **TWO)
    results = await asyncio.gather(done(mine, plan), done(twin, plan), return_exceptions=True)
    assert sum(isinstance(one, Outcome) for one in results) == 1
    assert kinds(journal).count("intent") == 1


# --- two at work ---

HOLDS = """
import sys
from pathlib import Path
from mailtui.access.locks import Locks
held = Locks(Path(sys.argv[1])).take(["lab test mx2"], "ann runs 'Burn 9 bricks' there")
print("held", flush=True)
sys.stdin.read()
"""


async def test_a_place_where_another_process_works_is_left_alone(journal: Journal) -> None:
    house = gate(journal)
    other = subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(journal.path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert other.stdout is not None
    other.stdout.readline()
    with pytest.raises(AtWork, match="ann runs 'Burn 9 bricks' there; wait"):
        await done(house, await planned(house))
    assert ("intent" in kinds(journal), WALL.commands) == (False, [])
    other.kill()
    other.communicate()
    assert (await done(house, await planned(house))).state == "done"


async def test_another_place_and_another_platform_are_free(journal: Journal) -> None:
    held = Locks(journal.path).take(["lab test mx9", "other test mx1"], "ann")
    house = gate(journal)
    assert (await done(house, await planned(house))).state == "done"
    held.release()


# --- the disk ---


async def test_nothing_runs_when_the_journal_cannot_be_written(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = gate(journal)
    plan = await planned(house)

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(JournalError, match="make room there"):
            await done(house, plan)
        with pytest.raises(JournalError):
            await house.rehearse(plan)
    assert not WALL.commands
    assert not journal.path.exists() or not kinds(journal)
    assert (await done(house, plan)).state == "done"  # nothing stays locked


async def test_the_disk_becomes_full_in_the_middle(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = gate(journal)

    def fills(step: Any, run: Run) -> None:
        def full(descriptor: int) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)

    WALL.during = fills
    outcome = await done(house, await planned(house))
    assert outcome.state == "partly"
    assert outcome.done == 2
    assert "the outcome is not in the journal" in outcome.notes[0]
    assert WALL.commands == ["brush mx1 -"]
    monkeypatch.undo()
    monkeypatch.setattr(registry, "every", lambda: acting.OPERATIONS)
    entry = await last(house)
    assert (entry.state, entry.steps[0].ended_at) == ("interrupted", None)
    settled = await house.settle(entry)
    assert (settled.state, settled.done) == ("partly", 2)


# --- faults ---


async def test_a_lost_connection_is_verified_all_the_same(journal: Journal) -> None:
    house = gate(journal)
    WALL.during = lost
    outcome = await done(house, await planned(house))
    assert (outcome.state, outcome.done) == ("partly", 2)
    assert "wall: the connection was lost; try again" in outcome.notes
    assert {one.why for one in outcome.left} == {"it was not reached"}


async def test_what_cannot_be_read_back_is_unknown(journal: Journal) -> None:
    house = gate(journal)
    WALL.reading = lost
    outcome = await done(house, await planned(house))
    assert outcome.state == "unknown"
    assert "could not be read back: wall: the connection was lost" in outcome.sentence
    assert outcome.undo is None
    assert (await last(house)).state == "unknown"


def defect(*_: Any) -> None:
    raise ZeroDivisionError("boom")


async def test_a_defect_hides_nothing(journal: Journal) -> None:
    house = gate(journal)
    WALL.during = defect
    outcome = await done(house, await planned(house))
    assert (outcome.state, outcome.done) == ("partly", 2)
    assert outcome.notes[0] == "mailtui broke: ZeroDivisionError"
    WALL.reading = defect
    outcome = await done(house, await planned(house))
    assert (outcome.state, outcome.done) == ("unknown", 0)
    assert kinds(journal).count("outcome") == 2
    assert (await last(house)).done is None  # not known is not 0


async def test_stopped_between_two_steps(journal: Journal) -> None:
    house = gate(journal)
    WALL.during = lambda step, run: run.stop()
    outcome = await done(house, await planned(house))
    assert (outcome.state, outcome.done) == ("partly", 2)
    assert {one.why for one in outcome.left} == {"stopped by the operator"}
    assert WALL.commands == ["brush mx1 -"]


async def test_cancelled_in_the_middle_it_is_read_back_and_written(journal: Journal) -> None:
    house = gate(journal)
    reached = asyncio.Event()

    async def hangs(step: Any, run: Run) -> None:
        reached.set()
        await asyncio.sleep(600)

    WALL.during = hangs
    task = asyncio.create_task(done(house, await planned(house)))
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    entry = await last(house)
    assert (entry.state, entry.done) == ("partly", 2)
    assert "the program was ended in the middle" in facts(journal, "outcome")["notes"]
    assert not house.runs
    WALL.during = lambda step, run: None
    assert (await done(house, await planned(house))).state == "done"  # its lock is given back


async def test_a_killed_run_is_interrupted_and_can_be_settled(journal: Journal) -> None:
    house = gate(journal)
    plan = await planned(house)
    run = house.new_run(plan)
    digest = house.ledger.plans.keep(plan)
    await run.record("intent", digest=digest, context="lab", title=plan.title, count=4)
    await run.begin(plan.steps[0])
    WALL.colours["mx1", "b0"] = "red"
    entry = await last(house)
    assert entry.state == "interrupted"
    assert "not known whether this ran: mx1: brush mx1 -" in entry.sentence
    with pytest.raises(Refused, match="ran on lab, and this is staging"):
        await gate(journal, name="staging").settle(entry)
    outcome = await house.settle(entry)
    assert (outcome.state, outcome.done) == ("partly", 1)
    whys = {(one.id, one.why) for one in outcome.left}
    assert ("b1", "the run ended before this") in whys
    assert ("b2", "it was not reached") in whys
    assert not WALL.commands  # settling changes nothing
    entry = await last(house)
    assert (entry.id, entry.state, entry.undo) == (run.id, "partly", "test.strip")
    with pytest.raises(Refused, match="is partly"):
        await house.settle(entry)


async def test_a_run_that_goes_on_cannot_be_settled(journal: Journal) -> None:
    house = gate(journal)
    found: list[Entry] = []

    async def look(step: Any, run: Run) -> None:
        found.append(await last(house))
        with pytest.raises(AtWork, match="ops runs 'Paint 4 bricks' there"):
            await house.settle(found[0])

    WALL.during = look
    assert (await done(house, await planned(house))).state == "done"
    assert found[0].state == "running"
    with pytest.raises(Refused, match="is done"):
        await house.settle(found[0])  # by a screen that is behind
    assert kinds(journal).count("outcome") == 1


# --- undo ---


async def test_undo_takes_back_what_was_changed_and_only_once(journal: Journal) -> None:
    house = gate(journal)
    WALL.during = lambda step, run: run.stop()
    await done(house, await planned(house))
    WALL.during = lambda step, run: None
    entry = await last(house)
    request = await house.undo(entry)
    assert request.operation == "test.strip"
    assert [t.id for t in request.targets] == ["b0", "b2"]
    plan = await house.plan(request)
    assert plan.selection == f"undo of run {entry.id}: Paint 4 bricks"
    outcome = await done(house, plan, undoes=request.undoes)
    assert (outcome.state, WALL.colours["mx1", "b0"]) == ("done", "none")
    back, first = await house.ledger.entries()
    assert (first.undone_by, back.undoes) == (back.id, first.id)
    with pytest.raises(Refused, match=f"taken back already by {back.id}"):
        await house.undo(first)
    # and the undo can be taken back itself
    assert (await house.undo(back)).operation == "test.paint"


async def test_two_undos_at_once_run_once(journal: Journal) -> None:
    house, twin = gate(journal), gate(journal)
    await done(house, await planned(house))
    request = await house.undo(await last(house))
    first, second = await house.plan(request), await twin.plan(request)
    assert (await done(house, first, undoes=request.undoes)).state == "done"
    with pytest.raises(Refused, match="taken back already"):
        await done(twin, second, undoes=request.undoes)
    assert kinds(journal).count("intent") == 2


async def test_what_has_no_inverse_or_ran_elsewhere_is_not_undone(
    journal: Journal, tmp_path: Path
) -> None:
    house = gate(journal)
    await done(house, await planned(house, "test.burn"), Consent(True, "burn 4"))
    with pytest.raises(Refused, match="has no inverse"):
        await house.undo(await last(house))
    await done(house, await planned(house))
    entry = await last(house)
    with pytest.raises(Refused, match="ran on lab, and this is staging"):
        await gate(journal, name="staging").undo(entry)
    (file,) = (tmp_path / "plans").glob(f"{entry.id}.outcome.gz")
    import gzip

    data = gzip.decompress(file.read_bytes())
    file.write_bytes(gzip.compress(data.replace(b'"b0"', b'"b9"')))
    with pytest.raises(JournalError, match="was changed after the run"):
        await house.undo(entry)
