"""Operations on the broker: what was planned is what the queues have afterwards, message by
message, on the sandbox and on a real RabbitMQ. The queues are the test's own."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pika
import pytest

from mailtui.collectors.rabbitmq import BrokerConnectionsCollector
from mailtui.config.sources.rabbitmq import Settings
from mailtui.connections.errors import SourceError
from mailtui.connections.http import HttpClient
from mailtui.operations.base import NothingToDo, Refused
from mailtui.operations.rabbitmq_peek import look
from mailtui.operations.running import Progress
from tests.brokering import Queues, body, queues
from tests.contract.conftest import LAB
from tests.operating import Bench, bench

QUICK = {"watch": "0.5"}


@dataclass
class On:
    bench: Bench
    queues: Queues

    async def run(self, operation: str, *shorts: str, **parameters: str) -> Any:
        rows = [self.queues.row(short) for short in shorts]
        return await self.bench.carry_out(await self.bench.plan(operation, rows, **parameters))


@pytest.fixture
async def on(
    platform_name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[On]:
    lab = platform_name == "lab"
    config = Path(os.environ[LAB]) if lab else request.getfixturevalue("sandbox_config")
    async with bench(tmp_path, config) as found, queues(config, lab=lab) as made:
        if found.platform.context.source("rabbitmq", Settings) is None:
            pytest.skip("no RabbitMQ here")
        yield On(found, made)


async def test_requeue_sends_each_to_the_queue_it_died_in(on: On) -> None:
    q = on.queues
    await q.make("dead", "scan", "store")
    await q.fill("dead", range(40), "scan", message_id="m", headers={"f": "x"}, app_id="pipeline")
    await q.fill("dead", range(40, 60), "store")
    outcome = await on.run("rabbitmq.requeue", "dead", **QUICK)
    assert (outcome.state, outcome.done) == ("done", 60), outcome
    assert outcome.counts["in"] == outcome.counts["moved"] == 60
    assert outcome.counts["doubled_at_most"] == 0
    assert outcome.undo is None
    scan = await q.taken("scan")
    assert [number for number, _ in scan] == list(range(40))
    assert await q.numbers("store") == list(range(40, 60))
    assert await q.numbers("dead") == []
    for _, properties in scan:
        assert (properties.message_id, properties.app_id) == ("m", "pipeline")
        assert properties.delivery_mode == 2
        assert properties.headers["f"] == "x"
        assert properties.headers["x-first-death-queue"] == q.name("scan")
        assert properties.headers["x-mailtui"]["attempt"] == 1


async def test_what_has_no_origin_or_a_missing_one_stays(on: On) -> None:
    q = on.queues
    await q.make("dead", "scan")
    await q.fill("dead", range(5))
    await q.fill("dead", range(5, 10), "scan")
    await q.fill("dead", range(10, 13), "gone")
    outcome = await on.run("rabbitmq.requeue", "dead", watch="0")
    assert (outcome.state, outcome.done) == ("partly", 5), outcome
    counts = outcome.counts
    assert (counts["in"], counts["returned"], counts["kept"]) == (13, 8, 0)
    assert {left.id for left in outcome.left} == {"5 messages", "3 messages"}
    assert await q.numbers("scan") == list(range(5, 10))
    assert sorted(await q.numbers("dead")) == [*range(5), *range(10, 13)]
    with pytest.raises(NothingToDo):
        await on.bench.plan("rabbitmq.requeue", [q.row("dead")])


async def test_move_some_and_its_undo(on: On) -> None:
    q = on.queues
    await q.make("dead", "park")
    await q.fill("dead", range(30), "scan")
    await q.fill("park", range(100, 103))
    plan = await on.bench.plan(
        "rabbitmq.move", [q.row("dead")], to=q.name("park"), count="10", **QUICK
    )
    assert (plan.count, plan.danger, plan.blockers) == (10, "reversible", ())
    outcome = await on.bench.carry_out(plan)
    assert (outcome.state, outcome.done) == ("done", 10), outcome
    back = await on.bench.undo(outcome)
    assert back.done == 10, back
    assert sorted(await q.numbers("park")) == [100, 101, 102]
    assert await q.numbers("dead") == [*range(10, 30), *range(10)]


async def test_a_destination_is_never_made(on: On) -> None:
    q = on.queues
    await q.make("dead")
    await q.fill("dead", range(3), "scan")
    plan = await on.bench.plan("rabbitmq.move", [q.row("dead")], to=q.name("typo"))
    assert any("there is no queue" in one for one in plan.blockers)
    outcome = await on.bench.carry_out(plan)
    assert (outcome.state, outcome.done) == ("failed", 0)
    assert await q.numbers("dead") == [0, 1, 2]
    with pytest.raises(pika.exceptions.ChannelClosedByBroker):
        await q.do(lambda channel: channel.queue_declare(q.name("typo"), passive=True))


async def test_exact_properties_are_kept(on: On) -> None:
    """Floats, small integers, nested tables: pika alone would lose them."""
    q = on.queues
    await q.make("dead", "park")
    seen: list[tuple[bytes, bytes]] = []

    def publish(channel: Any) -> None:
        import struct

        table = b"\x05ratio" + b"d" + struct.pack(">d", 1.5) + b"\x05small" + b"b" + b"\xfe"
        table += b"\x02CC" + b"A" + struct.pack(">I", 9) + b"S" + struct.pack(">I", 4) + b"none"
        raw = (
            struct.pack(">H", 1 << 13 | 1 << 8)
            + struct.pack(">I", len(table))
            + table
            + b"\x0560000"
        )

        class Raw(pika.BasicProperties):
            def encode(self) -> list[bytes]:
                return [raw]

        channel.confirm_delivery()
        channel.basic_publish("", q.name("dead"), b"\x00\xff", Raw())

    await q.do(publish)
    outcome = await on.run("rabbitmq.move", "dead", to=q.name("park"), watch="0")
    assert outcome.state == "done", outcome
    assert any("expiration" in note for note in outcome.notes)
    settings = on.bench.platform.context.source("rabbitmq", Settings)
    assert settings is not None
    from mailtui.connections import amqp_table
    from mailtui.connections.amqp import Link

    link = await Link.open(settings, "mail", "test")
    channel = await link.channel()
    message = await channel.get(q.name("park"))
    assert message is not None
    seen.append((message.properties, message.body))
    channel.ack(message.tag)
    await channel.depth(q.name("park"))
    await link.close()
    fields = amqp_table.split(message.properties)
    headers = amqp_table.decoded(amqp_table.table_of(fields))
    assert message.body == b"\x00\xff"
    assert (headers[b"ratio"], headers[b"small"]) == (1.5, -2)
    assert b"CC" not in headers and "expiration" not in fields
    assert fields["delivery_mode"] == b"\x02"


async def test_it_stops_when_messages_come_back(on: On) -> None:
    """A worker that rejects everything: the canary is back within a moment."""
    q = on.queues
    await q.make("dead")
    await q.make("work", x_dead_letter_exchange="", x_dead_letter_routing_key=q.name("dead"))
    await q.fill("dead", range(50), "work")
    stop = asyncio.Event()

    def reject_everything(channel: Any) -> None:
        channel.basic_qos(prefetch_count=10)
        for method, _, _ in channel.consume(q.name("work"), inactivity_timeout=0.1):
            if method is not None:
                channel.basic_nack(method.delivery_tag, requeue=False)
            if stop.is_set():
                return

    worker = asyncio.create_task(q.do(reject_everything))
    try:
        outcome = await on.run("rabbitmq.requeue", "dead", watch="1.5")
    finally:
        stop.set()
        await worker
    assert outcome.state == "partly", outcome
    assert outcome.done == 1
    assert any("it came back" in note for note in outcome.notes), outcome
    assert sorted(await q.numbers("dead")) == list(range(50))


async def test_stopping_keeps_the_rest(on: On) -> None:
    q = on.queues
    await q.make("dead", "work")
    await q.fill("dead", range(60), "work")
    plan = await on.bench.plan("rabbitmq.requeue", [q.row("dead")], watch="0", rate="20")

    def watch(progress: Progress) -> None:
        if progress.done >= 5:
            run.stop()

    run = on.bench.run(plan, watch)
    outcome = await on.bench.carry_out(plan, run)
    assert outcome.state == "partly", outcome
    counts = outcome.counts
    assert 5 <= counts["moved"] < 60
    assert counts["in"] == counts["moved"] + counts["returned"] + counts["kept"]
    moved, kept = await q.numbers("work"), await q.numbers("dead")
    assert len(moved) == counts["moved"]
    assert sorted(moved + kept) == list(range(60))


async def test_peek_takes_nothing(on: On) -> None:
    q = on.queues
    await q.make("dead")
    await q.fill("dead", range(6), "scan", message_id="the-id")
    letters = await look(on.bench.desk, q.row("dead"), 4)
    assert [letter.position for letter in letters] == [1, 2, 3, 4]
    first = letters[0]
    assert (first.origin, first.reason) == (q.name("scan"), "rejected")
    assert first.body.startswith('{"number": 0')
    assert first.size == len(body(0))
    assert len({letter.fingerprint for letter in letters}) == 4
    again = await look(on.bench.desk, q.row("dead"), 10)
    assert [letter.fingerprint for letter in again[:4]] == [one.fingerprint for one in letters]
    assert len(again) == 6
    taken = await q.taken("dead")
    assert [number for number, _ in taken] == list(range(6))
    # not one delivery was counted
    assert {(p.headers or {}).get("x-delivery-count", 0) for _, p in taken} == {0}


async def test_peek_refuses_a_classic_queue(on: On) -> None:
    q = on.queues
    await q.make("old", kind="classic")
    await q.fill("old", range(2))
    with pytest.raises(Refused, match="classic"):
        await look(on.bench.desk, q.row("old"))
    assert await q.numbers("old") == [0, 1]


async def test_delete_the_chosen_and_undo(on: On) -> None:
    q = on.queues
    await q.make("dead", x_delivery_limit=10)
    await q.fill("dead", range(8), "scan")
    letters = await look(on.bench.desk, q.row("dead"), 8)
    plan = await on.bench.plan("rabbitmq.delete", [letters[2], letters[5]])
    assert (plan.count, plan.blockers) == (2, ())
    outcome = await on.bench.carry_out(plan)
    assert (outcome.state, outcome.done) == ("done", 2), outcome
    back = await on.bench.undo(outcome)
    assert (back.state, back.done) == ("done", 2), back
    assert await q.numbers("dead") == [0, 1, 3, 4, 6, 7, 2, 5]


async def test_delete_touches_nothing_that_looks_the_same_and_is_not(on: On) -> None:
    q = on.queues
    await q.make("dead", x_delivery_limit=10)

    def publish(channel: Any) -> None:
        channel.confirm_delivery()
        for number in range(3):
            pad = b'{"pad": "' + b"x" * 80 + b'", "number": %d}' % number
            alike = pika.BasicProperties(message_id="same")
            channel.basic_publish("", q.name("dead"), pad, alike)

    await q.do(publish)
    letters = await look(on.bench.desk, q.row("dead"), 1)
    outcome = await on.bench.carry_out(await on.bench.plan("rabbitmq.delete", letters))
    assert (outcome.state, outcome.done) == ("failed", 0), outcome
    assert "look the same" in outcome.left[0].why
    assert await q.numbers("dead") == [0, 1, 2]


async def test_purge_keeps_what_it_destroys(on: On) -> None:
    q = on.queues
    await q.make("dead")
    await q.fill("dead", range(70), "scan", message_id="kept")
    outcome = await on.run("rabbitmq.purge", "dead")
    assert (outcome.state, outcome.done) == ("done", 70), outcome
    assert await q.numbers("dead") == []
    back = await on.bench.undo(outcome)
    assert (back.state, back.done) == ("done", 70), back
    taken = await q.taken("dead")
    assert [number for number, _ in taken] == list(range(70))
    assert {properties.message_id for _, properties in taken} == {"kept"}


async def test_purge_without_evidence_says_so(on: On) -> None:
    q = on.queues
    await q.make("dead")
    await q.fill("dead", range(5))
    plan = await on.bench.plan("rabbitmq.purge", [q.row("dead")], evidence="no")
    assert any("nothing of them is kept" in one for one in plan.loses) and not plan.undo
    outcome = await on.bench.carry_out(plan)
    assert (outcome.state, outcome.done, outcome.undo) == ("done", 5, None), outcome
    assert await q.numbers("dead") == []


async def test_the_delivery_limit_drops_nothing(on: On) -> None:
    """Messages without an origin on a queue whose limit is reached: given back as new ones."""
    q = on.queues
    await q.make("dead", x_delivery_limit=2)
    await q.fill("dead", range(3))
    for _ in range(4):
        outcome = await on.run("rabbitmq.requeue", "dead", watch="0")
        assert outcome.counts["returned"] + outcome.counts["moved"] <= 3
    assert sorted(await q.numbers("dead")) == [0, 1, 2]


async def test_close_a_connection(on: On) -> None:
    q = on.queues
    await q.make("work")
    await q.fill("work", range(3))
    settings = on.bench.platform.context.source("rabbitmq", Settings)
    assert settings is not None
    mine = f"stuck {q.name('work')}"

    def hold() -> pika.BlockingConnection:
        given = pika.ConnectionParameters(
            q.parameters.host, q.parameters.port, q.parameters.virtual_host,
            q.parameters.credentials, client_properties={"connection_name": mine},
        )  # fmt: skip
        connection = pika.BlockingConnection(given)
        connection.channel().basic_get(q.name("work"))
        return connection

    connection = await asyncio.to_thread(hold)
    client = HttpClient("rabbitmq", settings.url, settings)
    try:
        row = None
        for _ in range(40):
            report = await BrokerConnectionsCollector(settings, client).read()
            row = next((one for one in report.connections if mine in one.client), None)
            if row is not None and row.connected_at is not None:
                break
            await asyncio.sleep(0.5)
        assert row is not None
        plan = await on.bench.plan("rabbitmq.close", [row], reason="it holds a message")

        def serve() -> None:
            with pytest.raises(pika.exceptions.AMQPError):
                while True:
                    connection.process_data_events(0.2)

        serving = asyncio.create_task(asyncio.to_thread(serve))
        outcome = await on.bench.carry_out(plan)
        await serving
    finally:
        await client.close()
    assert (outcome.state, outcome.done) == ("done", 1), outcome
    assert sorted(await q.numbers("work")) == [0, 1, 2]
    with pytest.raises(NothingToDo):
        await on.bench.plan("rabbitmq.close", [row])


async def test_a_wrong_virtual_host(on: On) -> None:
    settings = on.bench.platform.context.source("rabbitmq", Settings)
    assert settings is not None
    from mailtui.connections.amqp import Link

    with pytest.raises(SourceError) as caught:
        await Link.open(settings, "no-such-host", "test")
    assert caught.value.kind == "auth"
    assert "no-such-host" in str(caught.value)
