"""Hold, release, requeue and flush, from plan to outcome, on a sandbox whose time stands still."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mailtui.access.journal import Journal
from mailtui.model.mail import Message
from mailtui.operations.base import NothingToDo, Refused
from mailtui.operations.refusals import NotPermitted
from tests.operating import NOW, Bench, sandbox_bench


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with sandbox_bench(tmp_path) as found:
        yield found


async def to_gmail(bench: Bench) -> list[Message]:
    return [m for m in await bench.read()
            if m.destination == "gmail.com" and m.queue_name == "deferred"]  # fmt: skip


def queues(bench: Bench, messages: list[Message]) -> list[str]:
    """Where these messages are in the world now."""
    return [
        found.queue_name if (found := bench.spool(m.host).messages.get(m.queue_id)) else "gone"
        for m in messages
    ]


async def test_hold_and_release_of_a_group(bench: Bench) -> None:
    rows = await to_gmail(bench)
    plan = await bench.plan("postfix.hold", rows)
    assert plan.title == f"Hold {len(rows):,} messages to gmail.com"
    assert plan.count == len(rows) > 100
    assert plan.blockers == ()
    assert {step.does for step in plan.steps} == {
        "sudo -n -- postsuper -h - (queue IDs on standard input)"
    }
    assert len(plan.samples) == 5
    outcome = await bench.carry_out(plan)
    assert outcome.state == "done", outcome
    assert outcome.sentence == f"held {len(rows):,} messages"
    assert set(queues(bench, rows)) == {"hold"}
    kinds = [kind for kind, _ in bench.steps()]
    batches = sum(-(-step.count // bench.desk.settings.batch) for step in plan.steps)
    assert kinds == ["step", "step-end"] * batches

    back = await bench.undo(outcome)
    assert back.state == "done", back
    assert set(queues(bench, rows)) == {"deferred"}
    assert back.undo is not None and back.undo.operation == "postfix.hold"


async def test_the_same_plan_twice_holds_nothing_twice(bench: Bench) -> None:
    plan = await bench.plan("postfix.hold", (await to_gmail(bench))[:3])
    assert (await bench.carry_out(plan)).done == 3
    again = await bench.carry_out(plan)
    assert (again.state, again.done) == ("failed", 0)
    assert again.sentence == "held 0 of 3: 3 are on hold already"
    assert again.undo is None


async def test_what_was_delivered_meanwhile_is_said(bench: Bench) -> None:
    rows = (await to_gmail(bench))[:10]
    plan = await bench.plan("postfix.hold", rows)
    bench.spool(rows[0].host).delete([rows[0].queue_id])
    outcome = await bench.carry_out(plan)
    assert outcome.state == "partly"
    assert outcome.sentence == "held 9 of 10: 1 was delivered or removed meanwhile"
    assert [left.id for left in outcome.left] == [rows[0].queue_id]
    assert outcome.undo is not None and len(outcome.undo.targets) == 9


async def test_a_message_that_goes_between_the_listing_and_postsuper(bench: Bench) -> None:
    rows = (await to_gmail(bench))[:4]
    gone = rows[1]
    bench.sandbox.faults.before(
        f"ssh:{gone.host}", "postsuper", lambda: bench.spool(gone.host).delete([gone.queue_id])
    )
    outcome = await bench.carry_out(await bench.plan("postfix.hold", rows))
    assert outcome.sentence == "held 3 of 4: 1 was delivered or removed meanwhile"


def reuse(bench: Bench, message: Message) -> None:
    """The message is delivered, and a new one gets its queue ID."""
    spool = bench.spool(message.host)
    old = spool.messages.pop(message.queue_id)
    new = next(iter(spool.messages.values()))
    other = type(new)(
        queue_id=old.queue_id, queue_name="deferred", arrival_time=NOW - 3, size=4711,
        sender="somebody@else.example", recipients=new.recipients, tenant="", subject="",
    )  # fmt: skip
    spool.messages[old.queue_id] = other


def shorten(bench: Bench, host: str) -> None:
    """A host whose messages have short queue IDs."""
    spool = bench.spool(host)
    spool.long_ids = False
    for number, message in enumerate(list(spool.messages.values())):
        del spool.messages[message.queue_id]
        message.queue_id = f"{number:05X}A{number:X}"
        spool.messages[message.queue_id] = message


@pytest.mark.parametrize("operation", ["postfix.hold", "postfix.requeue", "postfix.flush"])
async def test_an_id_that_is_another_messages_now_is_left(bench: Bench, operation: str) -> None:
    rows = (await to_gmail(bench))[:5]
    plan = await bench.plan(operation, rows)
    reuse(bench, rows[2])
    outcome = await bench.carry_out(plan)
    assert outcome.done == 4
    assert "1 left (the queue ID is another message's now)" in outcome.sentence
    other = bench.spool(rows[2].host).messages[rows[2].queue_id]
    assert (other.queue_name, other.next_retry) == ("deferred", 0.0)


@pytest.mark.parametrize("operation", ["postfix.hold", "postfix.requeue"])
async def test_an_id_given_again_in_the_last_moment(bench: Bench, operation: str) -> None:
    shorten(bench, "mx1")
    rows = [m for m in await to_gmail(bench) if m.host == "mx1"][:5]
    plan = await bench.plan(operation, rows)
    assert any("mx1 uses short queue IDs" in text for text in plan.warnings)
    bench.sandbox.faults.before("ssh:mx1", "postsuper -h", lambda: reuse(bench, rows[2]))
    outcome = await bench.carry_out(plan)
    assert outcome.done == 4, outcome
    other = bench.spool("mx1").messages[rows[2].queue_id]
    assert other.sender == "somebody@else.example"
    assert other.queue_name == "deferred", "it was put back at once"
    assert rows[2].queue_id in {left.id for left in outcome.left}


async def test_requeued_messages_have_new_ids_and_are_found(bench: Bench) -> None:
    rows = (await to_gmail(bench))[:6]
    before = {(m.arrival_time, m.sender) for m in rows}
    plan = await bench.plan("postfix.requeue", rows)
    assert plan.danger == "irreversible"
    assert plan.undo == ""
    assert any("milters are skipped" in text for text in plan.loses)
    bench.sandbox.faults.before("ssh:mx1", "postqueue -j", lambda: None)
    outcome = await bench.carry_out(plan)
    assert (outcome.state, outcome.done) == ("done", 6)
    assert outcome.notes == ("6 wait in the maildrop for pickup(8)",)
    bench.world.advance(bench.world.now + 1)
    after = await bench.read()
    assert not {m.queue_id for m in rows} & {m.queue_id for m in after}
    assert before <= {(m.arrival_time, m.sender) for m in after}


async def test_requeued_messages_are_counted_after_pickup(bench: Bench) -> None:
    rows = [m for m in await to_gmail(bench) if m.host == "mx1"][:6]
    run = bench.run(await bench.plan("postfix.requeue", rows))
    from mailtui.operations import registry

    operation = registry.find("postfix.requeue")
    await operation.apply(bench.desk, run.plan, run)
    bench.spool("mx1").pickup(NOW)
    outcome = await operation.verify(bench.desk, run.plan, run)
    assert outcome.done == 6
    assert outcome.notes[0].startswith("6 are in the queue under new IDs: ")


async def test_flush_of_messages_tells_what_moved(bench: Bench) -> None:
    rows = (await to_gmail(bench))[:4]
    outcome = await bench.carry_out(await bench.plan("postfix.flush", rows))
    assert outcome.sentence == "flushed 4 messages"
    assert outcome.counts == {"delivered": 0, "in delivery": 0, "deferred": 4}
    assert all(bench.spool(m.host).messages[m.queue_id].next_retry == bench.world.now for m in rows)


async def test_flush_of_a_destination_needs_the_flush_service(bench: Bench) -> None:
    rows = (await to_gmail(bench))[:2]
    plan = await bench.plan("postfix.flush", rows, scope="destination", destination="gmail.com")
    assert "fast_flush_domains" in plan.blockers[0]
    plan = await bench.plan(
        "postfix.flush", rows, scope="destination", destination="partner.example.net"
    )
    assert plan.blockers == ()
    assert {step.does for step in plan.steps} == {"postqueue -s partner.example.net"}
    assert (await bench.carry_out(plan)).state == "done"
    with pytest.raises(Refused):
        await bench.plan("postfix.flush", rows, scope="destination", destination="-f")


async def test_flush_of_whole_queues_warns(bench: Bench) -> None:
    rows = [m for m in await to_gmail(bench) if m.host == "mx1"][:2]
    plan = await bench.plan("postfix.flush", rows, scope="all")
    assert [step.does for step in plan.steps] == ["postqueue -f"]
    assert "slows" in plan.warnings[0]
    outcome = await bench.carry_out(plan)
    assert outcome.state == "done"
    assert all(m.next_retry == bench.world.now for m in bench.spool("mx1").queue("deferred"))


async def test_old_held_mail_is_warned_of(bench: Bench) -> None:
    row = next(m for m in await bench.read() if m.queue_name == "hold")
    bench.spool(row.host).messages[row.queue_id].arrival_time = NOW - 6 * 86400
    row = next(m for m in await bench.read() if m.queue_id == row.queue_id)
    from mailtui.model import clock

    clock.set_clock(lambda: NOW)
    try:
        plan = await bench.plan("postfix.release", [row])
    finally:
        clock.set_clock(None)
    assert "older than maximal_queue_lifetime (5 d 00 h)" in plan.warnings[0]
    assert "postfix.requeue" in plan.warnings[0]


async def test_nothing_to_do_is_refused_with_the_reason(bench: Bench) -> None:
    held = [m for m in await bench.read() if m.queue_name == "hold"]
    with pytest.raises(NothingToDo, match="on hold already"):
        await bench.plan("postfix.hold", held)
    with pytest.raises(Refused, match="empty selection"):
        await bench.plan("postfix.hold", [])


async def test_another_tenants_messages_are_left_out(bench: Bench) -> None:
    rows = await to_gmail(bench)
    domain = next(m.sender for m in rows if m.sender).rpartition("@")[2]
    bench.desk.tenants = frozenset({domain})
    plan = await bench.plan("postfix.hold", rows)
    mine = [m for m in rows if m.sender.endswith(f"@{domain}")]
    assert plan.count == len(mine) < len(rows)
    assert plan.excluded == (f"{len(rows) - len(mine):,}: another tenant's",)
    bench.desk.tenants = frozenset({"nobody.example"})
    with pytest.raises(NotPermitted, match=f"all {len(rows):,} are another tenant's"):
        await bench.plan("postfix.hold", rows)


async def test_batches_can_be_stopped_between(bench: Bench) -> None:
    bench.desk.settings = bench.desk.settings.model_copy(update={"batch": 5})
    rows = [m for m in await to_gmail(bench) if m.host == "mx1"][:23]
    plan = await bench.plan("postfix.hold", rows)
    run = bench.run(plan)
    run.watch = lambda progress: run.stop() if progress.done >= 10 else None
    outcome = await bench.carry_out(plan, run)
    assert outcome.done == 10
    assert outcome.sentence == "held 10 of 23: 13 left (stopped by the operator)"
    assert len([s for s in bench.steps() if s[0] == "step"]) == 2
    assert queues(bench, rows).count("hold") == 10


async def test_a_connection_that_breaks_in_postsuper(bench: Bench) -> None:
    every = await to_gmail(bench)
    rows, host = [*every[:20], *every[-20:]], every[0].host
    assert every[-1].host != host
    plan = await bench.plan("postfix.hold", rows)
    bench.sandbox.faults.set(f"ssh:{host}", "down", path="postsuper", times=1)
    outcome = await bench.carry_out(plan)
    # what the host was told of is read back over a new connection
    there = [m for m in rows if m.host == host]
    assert outcome.done == len(rows) - len(there)
    assert outcome.state == "partly"
    assert f"{len(there)} are still in the deferred queue" in outcome.sentence
    assert (await bench.carry_out(plan)).done == len(there)


async def test_a_host_that_stays_away_is_unknown(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailtui.operations.postfix_queue.PATIENCE", 0.5)
    monkeypatch.setattr("mailtui.operations.postfix_queue.PAUSE", 0.1)
    rows = (await to_gmail(bench))[:40]
    host = rows[0].host
    plan = await bench.plan("postfix.hold", rows)
    bench.sandbox.faults.before(
        f"ssh:{host}", "postsuper", lambda: bench.sandbox.faults.set(f"ssh:{host}", "down")
    )
    outcome = await bench.carry_out(plan)
    assert outcome.state == "unknown"
    assert f"at {host} not known" in outcome.sentence


async def test_a_journal_that_cannot_be_written_changes_nothing(bench: Bench) -> None:
    from mailtui.access.journal import JournalError

    rows = (await to_gmail(bench))[:4]
    plan = await bench.plan("postfix.hold", rows)
    bench.journal = Journal(Path("/dev/full/journal"))
    with pytest.raises(JournalError):
        await bench.carry_out(plan)
    assert set(queues(bench, rows)) == {"deferred"}
