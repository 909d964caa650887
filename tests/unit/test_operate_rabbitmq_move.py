"""Moving messages: how fast, how far, side by side with others, and what strangers write into them.
On a sandbox in this process."""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pika
import pytest

from mailtui.config.sources.rabbitmq import Settings
from mailtui.connections import amqp_table as table
from mailtui.connections.amqp import Link
from mailtui.connections.errors import SourceError
from mailtui.headless.plan_text import frozen_lines
from mailtui.model.broker import BrokerQueue
from mailtui.model.operation import Outcome, Plan
from mailtui.operations import rabbitmq_report, registry
from mailtui.operations.rabbitmq_outcome import from_journal
from mailtui.operations.rabbitmq_session import Session
from mailtui.operations.running import Progress
from mailtui.sandbox.platform import Platform as Sandbox
from mailtui.sandbox.world import World
from tests.brokering import body, death
from tests.operating import bench
from tests.unit.moving import On, adds_up, opened, quicken


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    quicken(monkeypatch)


@pytest.fixture
async def on(tmp_path: Path) -> AsyncIterator[On]:
    async with opened(tmp_path) as found:
        yield found


async def there(on: On, short: str) -> bool:
    """Whether there is such a queue."""
    try:
        await on.queues.do(
            lambda channel: channel.queue_declare(on.queues.name(short), passive=True)
        )
    except pika.exceptions.ChannelClosedByBroker:
        return False
    return True


# --- what the plan says ---


@pytest.mark.parametrize(
    ("operation", "given"),
    [
        ("rabbitmq.requeue", {}),
        ("rabbitmq.purge", {"evidence": "no"}),
        ("rabbitmq.purge", {}),
    ],
)
async def test_what_cannot_be_undone_is_said_once(
    on: On, operation: str, given: dict[str, str]
) -> None:
    """Where a plan is shown, `loses` stands after words that say it already."""
    await on.queues.fill("dead", range(3), "work")
    plan = await on.plan(operation, **given)
    assert plan.loses and not any("cannot be undone" in one for one in plan.loses)
    assert all(line.count("undone") <= 1 for line in frozen_lines(plan))


async def test_a_missing_destination_is_a_blocker_and_never_made(on: On) -> None:
    await on.queues.fill("dead", range(3), "work")
    for operation in ("rabbitmq.requeue", "rabbitmq.move"):
        plan = await on.plan(operation, to=on.queues.name("typo"))
        assert any("there is no queue" in one for one in plan.blockers)
    assert not await there(on, "typo")
    assert await on.queues.numbers("dead") == [0, 1, 2]


# --- how fast, how far ---


async def test_no_faster_than_the_limit(on: On) -> None:
    await on.queues.fill("dead", range(60), "work")
    plan = await on.plan("rabbitmq.requeue", watch="0", rate="80")
    begun = time.monotonic()
    seen: list[tuple[float, int]] = []

    def watch(progress: Progress) -> None:
        seen.append((time.monotonic() - begun, progress.done))

    outcome = await on.bench.carry_out(plan, on.bench.run(plan, watch))
    assert outcome.done == 60
    # one at once, and what was not used of a tenth of a second; a slow machine is only slower
    assert all(done <= 1 + 80 * after + 8 for after, done in seen), seen
    await adds_up(on, outcome, 60)


async def test_stopped_between_two_batches(on: On, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rabbitmq_report, "WINDOW", 20)
    await on.queues.fill("dead", range(400), "work")
    plan = await on.plan("rabbitmq.requeue", watch="0")

    def watch(progress: Progress) -> None:
        if progress.done >= 40:
            run.stop()

    run = on.bench.run(plan, watch)
    outcome = await on.bench.carry_out(plan, run)
    counts = outcome.counts
    assert outcome.state == "partly" and 40 <= counts["moved"] < 400, outcome
    assert counts["doubled_at_most"] == 0
    assert any("stopped by the operator" in left.why for left in outcome.left)
    ended = [r.facts for _, r in on.bench.journal.records() if r.kind == "step-end"]
    assert ended[-1]["moved"] == counts["moved"]
    await adds_up(on, outcome, 400)


async def test_the_destination_is_deleted_in_the_middle(on: On) -> None:
    await on.queues.fill("dead", range(80), "work")
    plan = await on.plan("rabbitmq.requeue", watch="0", rate="100")
    gone: list[asyncio.Task[Any]] = []

    def watch(progress: Progress) -> None:
        if progress.done >= 20 and not gone:
            gone.append(asyncio.create_task(take_away()))

    async def take_away() -> list[int]:
        held: list[int] = await on.queues.numbers("work")
        await on.queues.do(lambda channel: channel.queue_delete(on.queues.name("work")))
        return held

    outcome = await on.bench.carry_out(plan, on.bench.run(plan, watch))
    held = await gone[0]
    counts = outcome.counts
    assert outcome.state == "partly" and counts["returned"] > 0, outcome
    assert counts["in"] == counts["moved"] + counts["kept"] + counts["returned"] == 80
    assert not await there(on, "work")
    # what was confirmed before the deletion went with the queue, all others stay
    left = await on.queues.numbers("dead")
    assert len(left) == counts["kept"] + counts["returned"]
    assert not set(left) & set(held) and set(held) == set(range(len(held)))


# --- side by side ---


async def test_two_movers_on_one_queue(on: On, monkeypatch: pytest.MonkeyPatch) -> None:
    """From two machines; on one, the gate lets only one in."""
    monkeypatch.setattr(rabbitmq_report, "WINDOW", 20)
    await on.queues.fill("dead", range(600), "work")
    plans = [await on.plan("rabbitmq.requeue", watch="0", rate="800") for _ in range(2)]

    async def carry_out(plan: Plan) -> Outcome:
        operation, run = registry.find(plan.operation), on.bench.run(plan)
        desk = replace(on.bench.desk, notes={})
        await operation.apply(desk, plan, run)
        return await operation.verify(desk, plan, run)

    outcomes = await asyncio.gather(*(carry_out(plan) for plan in plans))
    assert sum(one.done for one in outcomes) == 600, outcomes
    for outcome in outcomes:
        counts = outcome.counts
        assert 0 < outcome.done < 600
        assert counts["in"] == counts["moved"] + counts["kept"] + counts["returned"]
        assert (counts["doubled_at_most"], counts["came_back"]) == (0, 0)
        # what the other one took is not said to be kept
        assert (counts["kept"], counts["moved"], counts["taken"]) == (
            0,
            counts["in"],
            600 - counts["in"],
        )
        assert any("somebody else took" in left.why for left in outcome.left)
    assert sorted(await on.queues.numbers("work")) == list(range(600))


async def test_the_workers_are_still_broken(tmp_path: Path) -> None:
    """Dead letters arrive by themselves all the time; the canaries come back all the same."""
    sandbox = Sandbox(World(7, "dlq-growth"), tmp_path / "sandbox")
    config = await sandbox.start()
    try:
        async with bench(tmp_path, config, sandbox) as found:
            dead = found.world.broker.queue("dead")
            before = int(dead.ready)
            plan = await found.plan(
                "rabbitmq.requeue", [BrokerQueue("mail", "dead", "quorum")], watch="1"
            )
            outcome = await found.carry_out(plan)
            counts = outcome.counts
            assert before > 1000 and outcome.state == "partly", outcome
            assert counts["moved"] <= 21 and counts["came_back"] > 0
            assert any("come back" in note or "came back" in note for note in outcome.notes)
            assert counts["in"] == counts["moved"] + counts["kept"] + counts["returned"]
            assert int(dead.ready) >= counts["kept"]
    finally:
        await sandbox.stop()


# --- lost connections ---


async def test_what_may_be_double_is_in_the_journal_before_more_is_moved(
    on: On, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection is lost when everything was acknowledged and nothing of it was taken."""
    await on.queues.fill("dead", range(50), "work")
    plan = await on.plan("rabbitmq.requeue", watch="0")
    real, lost = Session.settle, []

    async def settle(self: Session) -> int:
        if not lost:
            lost.append(True)
            raise SourceError("unreachable", "rabbitmq: the connection was cut")
        return await real(self)

    monkeypatch.setattr(Session, "settle", settle)
    run = on.bench.run(plan)
    outcome = await on.bench.carry_out(plan, run)
    assert outcome.counts["doubled_at_most"] == 50
    ends = [r.facts for _, r in on.bench.journal.records() if r.kind == "step-end"]
    assert ends[-1]["may_be_double"] == 50
    moved, bound = await asyncio.to_thread(from_journal, run)
    assert (moved, outcome.done) == (50, 50) and bound >= 50
    await adds_up(on, outcome, 50)


# --- what strangers write ---

LONG = "q" * 300
FORGED = {"run": "0123456789ab", "attempt": 2**63 - 1, "n": -1}
STRANGE: list[dict[str, Any]] = [
    death(LONG),
    death(""),
    death("amq.rabbitmq.reply-to.g1h2"),
    death("\x1b]52;c;aGk=\x07[red]"),
    {"x-death": [{"queue": 7, "reason": ["x"]}]},
    {"x-death": {"queue": "work"}},
    {"x-death": "work", "x-first-death-queue": 3},
    {"x-death": [None, "x", []]},
]


async def test_hostile_headers_stop_nothing(on: On) -> None:
    q = on.queues
    await q.fill("dead", range(10), "work")
    for number, headers in enumerate(STRANGE, 100):
        await q.fill("dead", [number], headers=headers)
    # the origin of these is known, and the rest of their headers is a stranger's
    await q.fill("dead", [10], "work", headers={"x-mailtui": FORGED})
    await q.fill("dead", [11], "work", headers={"x-mailtui": "text", "x-delivery-count": "many"})
    await q.fill("dead", [12], "work", headers={"CC": [LONG, "work"], "n" * 200: {"a": [[[]]]}})
    outcome = await on.run("rabbitmq.requeue", watch="0")
    counts = outcome.counts
    assert (counts["moved"], counts["returned"]) == (13, len(STRANGE)), outcome
    assert counts["in"] == counts["moved"] + counts["kept"] + counts["returned"]
    assert sorted(await q.numbers("work")) == list(range(13))
    assert sorted(await q.numbers("dead")) == list(range(100, 100 + len(STRANGE)))
    words = [outcome.sentence, *outcome.notes, *(left.why for left in outcome.left)]
    assert "\x1b" not in "".join(words)


async def test_byte_for_byte(on: On) -> None:
    """Every header as it came, and ours behind them; the other properties as they came."""
    q = on.queues
    headers = b"\x05ratiod" + struct.pack(">d", 1.5) + b"\x05smallb\xfe"
    headers += b"\x04whenT" + struct.pack(">Q", 2**63) + b"\x02\xff\xfeV"
    headers += b"\x05bytesx" + struct.pack(">I", 3) + b"\x00\xff\x1b"
    headers += b"\x07x-deathA" + struct.pack(">I", 0)
    fields = {
        "content_type": b"\x0atext/plain", "priority": b"\x03", "message_id": b"\x03\xff\x00a",
        "timestamp": struct.pack(">Q", 2**64 - 1), "type": b"\x00", "app_id": b"\x02ap",
    }  # fmt: skip
    raw = table.joined(table.with_table(dict(fields), headers))

    class Raw(pika.BasicProperties):
        def encode(self) -> list[bytes]:
            return [raw]

    content = bytes(range(256)) * 700

    def publish(channel: Any) -> None:
        channel.confirm_delivery()
        channel.basic_publish("", q.name("dead"), content, Raw())
        channel.basic_publish("", q.name("dead"), b"", Raw())

    await q.do(publish)
    outcome = await on.run("rabbitmq.move", to=q.name("work"), watch="0")
    assert (outcome.state, outcome.done) == ("done", 2), outcome
    settings = on.bench.platform.context.source("rabbitmq", Settings)
    assert settings is not None
    link = await Link.open(settings, "mail", "test")
    try:
        channel = await link.channel()
        for expected in (content, b""):
            message = await channel.get(q.name("work"))
            assert message is not None and message.body == expected
            found = table.split(message.properties)
            own = table.table_of(found)
            assert own.startswith(headers)
            assert [name for name, _, _ in table.entries(own)][-1] == b"x-mailtui"
            assert found.pop("delivery_mode") == b"\x02"
            found.pop("headers")
            assert found == fields
            channel.ack(message.tag)
        await channel.depth(q.name("work"))
    finally:
        await link.close()


def test_a_body_has_its_number() -> None:
    """What these tests count by."""
    assert body(3) != body(4)
