"""Purging where something goes wrong, and the way of a purge through the gate and back."""

from __future__ import annotations

import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from mailtui.access import evidence as evidence_module
from mailtui.access.evidence import Evidence
from mailtui.connections.errors import SourceError
from mailtui.model.operation import Outcome, Plan
from mailtui.operations import rabbitmq_keep, rabbitmq_purge, registry
from mailtui.operations.base import Refused, Request
from mailtui.operations.consent import Consent
from mailtui.operations.gate import Gate
from mailtui.operations.refusals import NotPermitted
from mailtui.operations.running import Progress, Run
from tests.brokering import body
from tests.unit.acting import Person
from tests.unit.moving import On, opened, quicken


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    quicken(monkeypatch)


@pytest.fixture
async def on(tmp_path: Path) -> AsyncIterator[On]:
    async with opened(tmp_path) as found:
        yield found


def store(on: On) -> Evidence:
    assert on.bench.desk.evidence is not None
    return on.bench.desk.evidence


def house(on: On, person: Person | None = None) -> Gate:
    bench = on.bench
    return Gate(bench.platform, person or Person(evidence=store(on)), bench.journal)


def sums(outcome: Outcome) -> bool:
    counts = outcome.counts
    return counts["in"] == counts["purged"] + counts["kept"] + counts["taken"]


# --- the plan ---


async def test_the_plan_says_what_stays(on: On) -> None:
    await on.queues.fill("dead", range(9))
    queue = on.bench.world.broker.queue(on.queues.name("dead"))
    queue.consumers, queue.unacked = 2, 47.0
    plan = await on.plan("rabbitmq.purge")
    assert (plan.danger, plan.count, plan.blockers) == ("destructive", 9, ())
    assert plan.word == "purge 9"
    assert "47 held by consumers stay" in plan.samples[0]
    assert any("2 consumers take from it" in one for one in plan.warnings)
    assert "rabbitmq.restore" in plan.undo
    with pytest.raises(Refused, match="yes or no"):
        await on.plan("rabbitmq.purge", evidence="maybe")


@pytest.mark.parametrize(("version", "said"), [("4.2.9", False), ("4.3.0", True)])
async def test_pending_dead_letters_go_too_since_4_3(on: On, version: str, said: bool) -> None:
    await on.queues.make("origin", x_dead_letter_exchange="dlx")
    await on.queues.fill("origin", range(3))
    on.bench.world.broker.version = version
    dropped = await on.plan("rabbitmq.purge", "origin", evidence="no")
    assert any("at-least-once" in one for one in dropped.warnings) is said
    # taken one by one, they are not touched
    taken = await on.plan("rabbitmq.purge", "origin")
    assert not any("at-least-once" in one for one in taken.warnings)


# --- what is kept, and what adds up ---


async def test_the_evidence_has_each_message_whole_and_in_order(on: On) -> None:
    await on.queues.fill("dead", range(40), "work", message_id="m", headers={"f": "x"})
    outcome = await on.run("rabbitmq.purge")
    assert outcome.undo is not None
    items = list(store(on).items(outcome.undo.parameters["run"]))
    assert [item.body for item in items] == [body(number) for number in range(40)]
    meta = items[0].meta
    assert (meta["vhost"], meta["queue"]) == ("mail", on.queues.name("dead"))
    assert (meta["exchange"], meta["routing_key"]) == ("", on.queues.name("dead"))
    assert meta["redelivered"] is False
    assert bytes.fromhex(meta["properties"])
    # nothing of a message can be read from the file
    raw = store(on).path(outcome.undo.parameters["run"]).read_bytes()
    assert b"user1@example.org" not in raw and b"work" not in raw
    assert sums(outcome) and outcome.counts["in"] == 40


async def test_what_comes_later_is_not_purged(on: On) -> None:
    await on.queues.fill("dead", range(30))
    plan = await on.plan("rabbitmq.purge")
    await on.queues.fill("dead", range(30, 37))
    outcome = await on.bench.carry_out(plan)
    assert (outcome.state, outcome.done) == ("done", 30), outcome
    assert sums(outcome) and outcome.counts["kept"] == 0
    assert any(note.startswith("7 of these came after") for note in outcome.notes)
    assert await on.queues.numbers("dead") == list(range(30, 37))


async def test_what_others_took_is_not_called_kept(on: On) -> None:
    await on.queues.fill("dead", range(30))
    plan = await on.plan("rabbitmq.purge")
    assert len(await on.queues.numbers("dead")) == 30
    await on.queues.fill("dead", range(100, 110))
    outcome = await on.bench.carry_out(plan)
    assert (outcome.state, outcome.done) == ("partly", 10), outcome
    assert outcome.counts == {"in": 30, "purged": 10, "kept": 0, "taken": 20}
    assert outcome.left[0].why == rabbitmq_purge.ELSEWHERE
    assert "20 messages: somebody else took them" in outcome.sentence


async def test_queue_purge_counts_what_came_after_the_plan(on: On) -> None:
    await on.queues.fill("dead", range(5))
    plan = await on.plan("rabbitmq.purge", evidence="no")
    await on.queues.fill("dead", range(5, 8))
    outcome = await on.bench.carry_out(plan)
    assert (outcome.state, outcome.done, outcome.undo) == ("done", 8, None), outcome
    assert sums(outcome) and outcome.counts["in"] == 8


async def test_stopping_between_batches_keeps_the_rest(
    on: On, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rabbitmq_keep, "BATCH", 50)
    monkeypatch.setattr(rabbitmq_purge, "window_of", lambda *_: 100)
    await on.queues.fill("dead", range(600))
    plan = await on.plan("rabbitmq.purge")

    def watch(progress: Progress) -> None:
        if progress.done >= 100:
            run.stop()

    run = on.bench.run(plan, watch)
    outcome = await on.bench.carry_out(plan, run)
    assert outcome.state == "partly" and 100 <= outcome.done < 600, outcome
    assert outcome.left[0].why == "stopped by the operator"
    assert sums(outcome) and outcome.counts["taken"] == 0
    left = await on.queues.numbers("dead")
    assert left == list(range(outcome.done, 600)), "in their order, none lost"
    assert len(left) == outcome.counts["kept"]
    back = await on.bench.undo(outcome)
    assert back.done == outcome.done
    assert await on.queues.numbers("dead") == list(range(outcome.done))


async def test_each_batch_is_on_disk_and_in_the_journal_before_it_is_acknowledged(
    on: On, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rabbitmq_keep, "BATCH", 20)
    monkeypatch.setattr(rabbitmq_purge, "window_of", lambda *_: 40)
    await on.queues.fill("dead", range(100))
    plan = await on.plan("rabbitmq.purge")
    run = on.bench.run(plan)
    seen: list[tuple[int, int]] = []
    acknowledge = rabbitmq_keep.Taking.ack

    def ack(self: Any, messages: Any) -> None:
        on_disk = sum(1 for _ in store(on).items(run.id))
        seen.append((on_disk, self.acked + len(messages)))
        acknowledge(self, messages)

    monkeypatch.setattr(rabbitmq_keep.Taking, "ack", ack)
    outcome = await on.bench.carry_out(plan, run)
    assert outcome.done == 100
    assert seen and all(on_disk >= acked for on_disk, acked in seen)
    records = [record for _, record in on.bench.journal.records()]
    begun = [r.facts for r in records if r.kind == "step"]
    assert sum(facts["size"] for facts in begun) == 100
    assert [facts["batch"] for facts in begun] == list(range(1, len(begun) + 1))
    ended = [r.facts for r in records if r.kind == "step-end"]
    assert ended[-1]["destroyed"] == 100 and ended[-1]["evidence"] == run.id


# --- what goes wrong ---


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    if os.geteuid() != 0:
        pytest.skip("needs root: a small file system")
    folder = tmp_path / "disk"
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    if subprocess.run(["mount", *options], check=False, capture_output=True).returncode:
        pytest.skip("cannot mount here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


async def test_a_full_disk_under_the_evidence(
    on: On, tiny_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evidence_module, "SPARE", -(1 << 30))
    monkeypatch.setattr(rabbitmq_keep, "BATCH", 100)
    monkeypatch.setattr(rabbitmq_purge, "window_of", lambda *_: 200)
    store(on).folder = tiny_disk / "evidence"
    await on.queues.fill("dead", range(1500))
    outcome = await on.bench.carry_out(await on.plan("rabbitmq.purge"))
    assert outcome.state == "partly" and 0 < outcome.done < 1500, outcome
    assert "nothing is destroyed that is not kept" in outcome.left[0].why
    assert sums(outcome) and outcome.counts["taken"] == 0
    left = await on.queues.numbers("dead")
    assert len(left) == 1500 - outcome.done == outcome.counts["kept"]
    back = await on.bench.undo(outcome)
    assert back.done == outcome.done
    assert sorted([*left, *await on.queues.numbers("dead")]) == list(range(1500))


@pytest.mark.parametrize("after", [2, 150, 449, 451])
async def test_a_broker_that_stays_away(
    on: On, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the middle, for good: each message is in the queue or in the evidence."""
    monkeypatch.setattr(rabbitmq_purge, "PATIENCE", 0.5)
    monkeypatch.setattr(rabbitmq_keep, "BATCH", 50)
    monkeypatch.setattr(rabbitmq_purge, "window_of", lambda *_: 100)
    await on.queues.fill("dead", range(450))
    plan = await on.plan("rabbitmq.purge")
    faults = on.bench.sandbox.faults
    run = on.bench.run(plan)
    begin = Run.begin

    async def then_away(self: Run, *args: Any, **facts: Any) -> None:
        await begin(self, *args, **facts)
        if self is run and facts.get("batch") == 1:
            faults.set("amqp", "down")

    monkeypatch.setattr(Run, "begin", then_away)
    on.faults.drop_after = after
    operation = registry.find(plan.operation)
    try:
        await operation.apply(on.bench.desk, plan, run)
        away = False
    except SourceError as error:
        run.faults.append(str(error))
        away = True
    on.faults.drop_after = None
    faults.clear("amqp")
    outcome = await operation.verify(on.bench.desk, plan, run)
    assert sums(outcome), outcome
    there = await on.queues.numbers("dead")
    kept = [item.body for item in store(on).items(run.id)] if run.begun else []
    assert {body(number) for number in there} | set(kept) == {body(n) for n in range(450)}
    # what is called purged is purged
    gone = outcome.done
    assert gone <= 450 - len(there)
    if away:
        assert outcome.state in ("partly", "failed")
        assert not any(one.why == rabbitmq_purge.ELSEWHERE for one in outcome.left), outcome
        doubtful = sum("undo leaves them" in note for note in outcome.notes)
        assert (450 - len(there) == gone) or doubtful
    if outcome.undo is not None:
        await on.queues.fill("dead", there)
        back = await on.bench.undo(outcome)
        assert back.done == gone
        found = await on.queues.numbers("dead")
        assert len(found) == len(set(found)), "undo doubles nothing"


async def test_a_restored_queue_is_never_made(on: On) -> None:
    await on.queues.make("gone")
    await on.queues.fill("gone", range(4))
    outcome = await on.run("rabbitmq.purge", "gone")
    name = on.queues.name("gone")
    await on.queues.do(lambda channel: channel.queue_delete(name))
    assert outcome.undo is not None
    plan = await on.bench.plan(
        "rabbitmq.restore", targets=outcome.undo.targets, given=outcome.undo.parameters
    )
    assert any(f"there is no queue {name}" in one for one in plan.blockers)
    back = await on.bench.carry_out(plan)
    assert (back.state, back.done) == ("failed", 0), back
    assert not any(queue.name == name for queue in on.bench.world.broker.queues.values())


async def test_a_restore_that_died_says_what_may_be_double(on: On) -> None:
    await on.queues.fill("dead", range(20))
    purged = await on.run("rabbitmq.purge")
    assert purged.undo is not None
    plan = await on.bench.plan(
        "rabbitmq.restore", targets=purged.undo.targets, given=purged.undo.parameters
    )
    await on.bench.carry_out(plan)
    last = [r.facts["run"] for _, r in on.bench.journal.records()][-1]
    dead = Run(plan, on.bench.journal, "tester", id=str(last))
    dead.begun.add(plan.steps[0].key)
    on.bench.desk.notes.clear()
    outcome = await registry.find(plan.operation).verify(on.bench.desk, plan, dead)
    assert outcome.state == "partly"
    assert any("restoring again doubles them" in note for note in outcome.notes)


# --- through the gate ---


async def planned(gate: Gate, on: On, **parameters: str) -> Plan:
    row = on.queues.row("dead")
    return await gate.plan(
        Request("rabbitmq.purge", (row,), selection="1 row", parameters=parameters)
    )


async def test_through_the_gate_and_back(on: On) -> None:
    await on.queues.fill("dead", range(25), "work")
    person = Person(evidence=store(on), needs_code=True, enrolled=True, good={"123456"})
    gate = house(on, person)
    plan = await planned(gate, on)
    demands = gate.demands(registry.find(plan.operation), plan)
    assert (demands.confirm, demands.word, demands.code) == ("word", "purge 25", True)
    for consent in (
        Consent(confirmed=True),
        Consent(confirmed=True, word="purge 24", code="123456"),
        Consent(confirmed=True, word="purge 25", code="000000"),
    ):
        with pytest.raises(NotPermitted):
            await gate.run(gate.new_run(plan), consent)
    outcome = await gate.run(
        gate.new_run(plan), Consent(confirmed=True, word="purge 25", code="123456")
    )
    assert (outcome.state, outcome.done) == ("done", 25), outcome
    kinds = [record.kind for _, record in on.bench.journal.records()]
    assert kinds[:4] == ["refused"] * 3 + ["intent"] and kinds[-1] == "outcome"
    assert not on.bench.journal.verify().broken
    (entry, *_) = await gate.ledger.entries()
    assert (entry.operation, entry.state, entry.done, entry.can_undo) == (
        "rabbitmq.purge", "done", 25, True,
    )  # fmt: skip
    assert await on.queues.numbers("dead") == []
    # and back, which destroys nothing: a yes is enough
    request = await gate.undo(entry)
    back = await gate.plan(request)
    assert gate.demands(registry.find(back.operation), back).confirm == "dialog"
    restored = await gate.run(gate.new_run(back, undoes=request.undoes), Consent(confirmed=True))
    assert (restored.state, restored.done) == ("done", 25), restored
    assert await on.queues.numbers("dead") == list(range(25))
    with pytest.raises(Refused, match="taken back already"):
        await gate.undo(entry)


async def test_the_gate_runs_no_purge_whose_evidence_has_no_room(on: On) -> None:
    await on.queues.fill("dead", range(25))
    store(on).limit = 1000
    gate = house(on)
    plan = await planned(gate, on)
    with pytest.raises(NotPermitted, match=r"evidence\.limit"):
        await gate.run(gate.new_run(plan), Consent(confirmed=True, word=plan.word))
    assert await on.queues.numbers("dead") == list(range(25))
