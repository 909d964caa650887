"""Moves, purges and deletions where something goes wrong: on a sandbox in this process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mailtui.connections.errors import SourceError
from mailtui.operations import rabbitmq_back, rabbitmq_mover, registry
from mailtui.operations.base import NothingToDo, Refused
from mailtui.operations.rabbitmq_peek import look
from mailtui.operations.running import Progress, Run
from tests.unit.moving import On, adds_up, opened, quicken


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    quicken(monkeypatch)


@pytest.fixture
async def on(tmp_path: Path) -> AsyncIterator[On]:
    async with opened(tmp_path) as found:
        yield found


@pytest.mark.parametrize("after", [1, 7, 300, 1100])
async def test_a_broker_that_goes_down_in_the_middle(on: On, after: int) -> None:
    await on.queues.fill("dead", range(700), "work")
    plan = await on.plan("rabbitmq.requeue", watch="0")
    on.faults.drop_after = after
    outcome = await on.bench.carry_out(plan)
    assert (outcome.state, outcome.counts["kept"]) == ("done", 0), outcome
    assert any("may exist twice" in note for note in outcome.notes) == bool(
        outcome.counts["doubled_at_most"]
    )
    await adds_up(on, outcome, 700)


async def test_a_broker_that_stays_away(on: On, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rabbitmq_mover, "PATIENCE", 0.5)
    await on.queues.fill("dead", range(300), "work")
    plan = await on.plan("rabbitmq.requeue", watch="0", rate="400")
    server = on.bench.sandbox.faults

    def watch(progress: Progress) -> None:
        if progress.done > 20 and server.get("amqp") is None:
            server.set("amqp", "down")
            on.faults.drop_after = 1

    run = on.bench.run(plan, watch)
    on.bench.desk.notes.clear()
    operation = registry.find(plan.operation)
    with pytest.raises(SourceError) as caught:
        await operation.apply(on.bench.desk, plan, run)
    run.faults.append(str(caught.value))
    server.clear("amqp")
    outcome = await operation.verify(on.bench.desk, plan, run)
    assert outcome.state == "partly", outcome
    await adds_up(on, outcome, 300)


@pytest.mark.parametrize("fault", ["nack", "no_route"])
async def test_what_the_broker_refuses_stays(on: On, fault: str) -> None:
    await on.queues.fill("dead", range(50), "work")
    plan = await on.plan("rabbitmq.requeue", watch="0")
    setattr(on.faults, fault, 3)
    outcome = await on.bench.carry_out(plan)
    counts = outcome.counts
    assert (counts["moved"], counts["returned"], outcome.state) == (47, 3, "partly"), outcome
    assert outcome.left[0].id == "3 messages"
    await adds_up(on, outcome, 50)


async def test_an_alarm_is_a_blocker_and_nothing_begins(on: On) -> None:
    await on.queues.fill("dead", range(5), "work")
    before = await on.plan("rabbitmq.requeue", watch="0")
    on.node.memory_used = on.node.memory_limit + 1
    plan = await on.plan("rabbitmq.requeue", watch="0")
    assert any("blocks publishers" in one for one in plan.blockers)
    # and one that was planned before it
    run = on.bench.run(before)
    with pytest.raises(Refused, match="blocks publishers"):
        await registry.find(before.operation).apply(on.bench.desk, before, run)
    assert on.bench.steps() == []
    assert await on.queues.numbers("dead") == list(range(5))


async def test_late_confirms_keep_the_window(on: On) -> None:
    """Nothing is acknowledged before it is confirmed, and no more than the window is in hand."""
    await on.queues.fill("dead", range(60), "work")
    plan = await on.plan("rabbitmq.requeue", watch="0")
    on.faults.confirm_delay = 0.4
    most = 0
    task = asyncio.create_task(on.bench.carry_out(plan))
    while not task.done():
        waiting = on.bench.world.broker.queue(on.queues.name("dead"))
        most = max(most, int(waiting.unacked))
        await asyncio.sleep(0.05)
    outcome = await task
    assert outcome.done == 60 and most == 60
    await adds_up(on, outcome, 60)


async def test_a_broker_that_confirms_nothing(on: On, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (rabbitmq_mover, rabbitmq_back):
        monkeypatch.setattr(module, "CONFIRM_TIMEOUT", 0.3)
    monkeypatch.setattr(rabbitmq_mover, "PATIENCE", 0.0)
    await on.queues.fill("dead", range(5), "work")
    plan = await on.plan("rabbitmq.requeue", watch="0")
    on.faults.confirm_delay = 30.0
    outcome = await on.bench.carry_out(plan)
    assert outcome.state == "failed" and outcome.done == 0
    assert outcome.counts["doubled_at_most"] == 5
    assert any("nothing was confirmed" in note for note in outcome.notes)
    on.faults.confirm_delay = 0.0


async def test_only_what_was_there_at_the_start(on: On) -> None:
    await on.queues.fill("dead", range(100), "work")
    plan = await on.plan("rabbitmq.requeue", watch="0")
    await on.queues.fill("dead", range(100, 130), "work")
    outcome = await on.bench.carry_out(plan)
    assert outcome.done == 100
    assert await on.queues.numbers("dead") == list(range(100, 130))
    assert await on.queues.numbers("work") == list(range(100))


async def test_others_take_them_meanwhile(on: On) -> None:
    await on.queues.fill("dead", range(20), "work")
    plan = await on.plan("rabbitmq.requeue", watch="0")
    assert len(await on.queues.numbers("dead")) == 20
    outcome = await on.bench.carry_out(plan)
    assert (outcome.state, outcome.done) == ("failed", 0), outcome
    assert "no longer there" in outcome.left[0].why


async def test_batches_are_in_the_journal_before_they_are_sent(on: On) -> None:
    await on.queues.fill("dead", range(30), "work")
    plan = await on.plan("rabbitmq.requeue", watch="0.1")
    outcome = await on.bench.carry_out(plan)
    assert outcome.done == 30
    records = [r for _, r in on.bench.journal.records()]
    begun = [r.facts for r in records if r.kind == "step"]
    # one goes first, alone
    assert (begun[0]["size"], begun[0]["window"]) == (1, 1)
    assert sum(facts["size"] for facts in begun) == 30
    assert [r.facts["moved"] for r in records if r.kind == "step-end"][-1] == 30
    assert not on.bench.journal.verify().broken


async def test_a_run_whose_process_died_is_settled(on: On) -> None:
    await on.queues.fill("dead", range(30), "work")
    plan = await on.plan("rabbitmq.requeue", watch="0", count="12")
    await on.bench.carry_out(plan)
    records = [r.facts["run"] for _, r in on.bench.journal.records()]
    old = Run(plan, on.bench.journal, "tester", id=str(records[0]))
    old.begun.add(plan.steps[0].key)
    on.bench.desk.notes.clear()
    outcome = await registry.find(plan.operation).verify(on.bench.desk, plan, old)
    assert outcome.state == "partly"
    assert (outcome.counts["moved"], outcome.counts["there"]) == (12, 18)
    assert outcome.counts["doubled_at_most"] == 12


async def test_refusals(on: On) -> None:
    with pytest.raises(NothingToDo):
        await on.plan("rabbitmq.requeue")
    await on.queues.fill("dead", range(3), "work")
    with pytest.raises(Refused, match="itself"):
        await on.plan("rabbitmq.move", to=on.queues.name("dead"))
    with pytest.raises(Refused, match="watch"):
        await on.plan("rabbitmq.requeue", watch="soon")
    on.bench.desk = replace(on.bench.desk, tenants=frozenset({"acme"}))
    for operation in ("rabbitmq.requeue", "rabbitmq.purge", "rabbitmq.peek"):
        with pytest.raises(Refused, match="virtual host"):
            await on.plan(operation)
    with pytest.raises(Refused, match="virtual host"):
        await look(on.bench.desk, on.queues.row("dead"))


async def test_where_the_destination_has_consumers_it_cannot_be_taken_back(on: On) -> None:
    await on.queues.fill("dead", range(3), "work")
    plan = await on.plan("rabbitmq.move", to="store")
    assert plan.danger == "irreversible" and not plan.undo
    assert any("consumers" in warning for warning in plan.warnings)


async def test_a_worker_that_rejects_what_comes(on: On, monkeypatch: pytest.MonkeyPatch) -> None:
    """No canary: the run itself sees that as many come back as are worked on."""
    monkeypatch.setattr(rabbitmq_mover, "LOOK", 0.2)
    q = on.queues
    await q.make("loop", x_dead_letter_exchange="", x_dead_letter_routing_key=q.name("dead"))
    await q.fill("dead", range(400), "loop")
    done = asyncio.Event()

    def reject(channel: Any) -> None:
        for method, _, _ in channel.consume(q.name("loop"), inactivity_timeout=0.05):
            if method is not None:
                channel.basic_nack(method.delivery_tag, requeue=False)
            if done.is_set():
                return

    worker = asyncio.create_task(q.do(reject))
    try:
        outcome = await on.run("rabbitmq.requeue", watch="0", rate="100")
    finally:
        done.set()
        await worker
    assert outcome.state == "partly", outcome
    assert outcome.counts["came_back"] >= rabbitmq_mover.SUSPECT
    assert outcome.counts["moved"] < 400
    assert any("messages come back" in note for note in outcome.notes)
    assert sorted(await q.numbers("dead")) == list(range(400))


# --- evidence ---


async def test_what_the_evidence_does_not_take_stays(on: On) -> None:
    await on.queues.fill("dead", range(1200), "work")
    plan = await on.plan("rabbitmq.purge")
    assert on.bench.desk.evidence is not None
    on.bench.desk.evidence.limit = 300_000
    outcome = await on.bench.carry_out(plan)
    assert outcome.state == "partly", outcome
    left = await on.queues.numbers("dead")
    assert outcome.done == 1200 - len(left) > 0
    on.bench.desk.evidence.limit = 1 << 30
    back = await on.bench.undo(outcome)
    assert back.done == outcome.done
    assert sorted([*left, *await on.queues.numbers("dead")]) == list(range(1200))


async def test_no_room_for_the_evidence_is_a_blocker(on: On) -> None:
    await on.queues.fill("dead", range(100))
    assert on.bench.desk.evidence is not None
    on.bench.desk.evidence.limit = 1000
    plan = await on.plan("rabbitmq.purge")
    assert any("evidence.limit" in one for one in plan.blockers)
    on.bench.desk.evidence = None
    plan = await on.plan("rabbitmq.purge")
    assert any("not kept" in one for one in plan.blockers)
    # without evidence it is another operation, which says so
    assert (await on.plan("rabbitmq.purge", evidence="no")).blockers == ()


@pytest.mark.parametrize("after", [3, 400, 899])
async def test_a_purge_over_a_lost_connection(on: On, after: int) -> None:
    await on.queues.fill("dead", range(900), "work")
    plan = await on.plan("rabbitmq.purge")
    on.faults.drop_after = after
    outcome = await on.bench.carry_out(plan)
    assert (outcome.state, outcome.done) == ("done", 900), outcome
    assert await on.queues.numbers("dead") == []
    back = await on.bench.undo(outcome)
    assert back.state == "done", back
    # each once: what came again with the second connection was kept once
    assert sorted(await on.queues.numbers("dead")) == list(range(900))


async def test_deleting_what_is_gone_or_too_far(on: On) -> None:
    await on.queues.fill("dead", range(4), "work")
    letters = await look(on.bench.desk, on.queues.row("dead"), 4)
    assert await on.queues.numbers("dead") == [0, 1, 2, 3]
    await on.queues.fill("dead", range(4, 6), "work")
    outcome = await on.bench.carry_out(await on.bench.plan("rabbitmq.delete", letters[1:2]))
    assert (outcome.state, outcome.done) == ("failed", 0)
    assert outcome.left[0].why == "it is not there any more"
    assert await on.queues.numbers("dead") == [4, 5]
    far = msgspec.structs.replace(letters[0], position=9000)
    with pytest.raises(Refused, match="further"):
        await on.bench.plan("rabbitmq.delete", [far])


async def test_the_edge_of_the_delivery_limit_is_a_blocker(on: On) -> None:
    await on.queues.make("edge", x_delivery_limit=3)
    await on.queues.fill("edge", range(3), "work")
    letters = await look(on.bench.desk, on.queues.row("edge"), 3)
    worn = msgspec.structs.replace(letters[0], deliveries=3)
    plan = await on.bench.plan("rabbitmq.delete", [worn])
    assert any("drops a message" in one for one in plan.blockers)
