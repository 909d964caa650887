"""Purging and closing where consumers hold messages, on the sandbox and on a real RabbitMQ. The
queues and the connections are the test's own."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pika
import pytest

from mailtui.config.sources.rabbitmq import Settings
from mailtui.model.broker import BrokerConnection
from mailtui.operations import registry
from mailtui.operations.base import Request
from mailtui.operations.consent import Consent
from mailtui.operations.gate import Gate
from mailtui.resources import broker_connections
from tests.brokering import Queues, body, queues
from tests.contract.conftest import LAB
from tests.operating import Bench, bench
from tests.unit.acting import Person


@dataclass
class On:
    bench: Bench
    queues: Queues

    async def told(self, name: str) -> BrokerConnection:
        """A connection, once the broker says what it consumes: its statistics are late."""
        for _ in range(60):
            await self.bench.platform.read_all(["broker_connections"])
            for row in broker_connections.rows(self.bench.platform.state):
                if name in row.client and row.consumes:
                    return row
            await asyncio.sleep(0.5)
        raise AssertionError(f"the broker does not list {name}")


class Holder:
    """A client that consumes a queue and acknowledges nothing."""

    def __init__(self, parameters: pika.ConnectionParameters, name: str) -> None:
        self.name = name
        self.ended = ""
        self._parameters = parameters
        self._stop = False

    def hold(self, queue: str, count: int, ready: asyncio.Event, loop: Any) -> None:
        """Blocking."""
        login = self._parameters
        connection = pika.BlockingConnection(
            pika.ConnectionParameters(
                login.host, login.port, login.virtual_host, login.credentials,
                client_properties={"connection_name": self.name}, heartbeat=0,
            )
        )  # fmt: skip
        channel = connection.channel()
        channel.basic_qos(prefetch_count=count)
        held: list[int] = []
        channel.basic_consume(queue, lambda _, method, *__: held.append(method.delivery_tag))
        try:
            while not self._stop:
                connection.process_data_events(0.1)
                if len(held) == count:
                    loop.call_soon_threadsafe(ready.set)
            connection.close()
        except pika.exceptions.AMQPError as error:
            self.ended = str(error)

    def stop(self) -> None:
        self._stop = True


@asynccontextmanager
async def holding(on: On, short: str, count: int) -> AsyncIterator[Holder]:
    holder = Holder(on.queues.parameters, f"stuck {on.queues.name(short)}")
    ready = asyncio.Event()
    loop = asyncio.get_running_loop()
    task = asyncio.create_task(
        asyncio.to_thread(holder.hold, on.queues.name(short), count, ready, loop)
    )
    try:
        async with asyncio.timeout(20):
            await ready.wait()
        yield holder
    finally:
        holder.stop()
        await task


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


@pytest.mark.parametrize("kind", ["quorum", "classic"])
async def test_what_a_consumer_holds_is_not_purged(on: On, kind: str) -> None:
    await on.queues.make("dead", kind=kind)
    await on.queues.fill("dead", range(50), "scan")
    async with holding(on, "dead", 7):
        plan = await on.bench.plan("rabbitmq.purge", [on.queues.row("dead")])
        assert plan.count == 43
        assert any("1 consumers take from it" in one for one in plan.warnings)
        outcome = await on.bench.carry_out(plan)
        assert (outcome.state, outcome.done) == ("done", 43), outcome
        assert outcome.counts == {"in": 43, "purged": 43, "kept": 0, "taken": 0}
    # it has gone, and what it held is back
    async with asyncio.timeout(20):
        while not (there := await on.queues.numbers("dead")):
            await asyncio.sleep(0.2)
    assert there == list(range(7))
    assert outcome.undo is not None and on.bench.desk.evidence is not None
    items = list(on.bench.desk.evidence.items(outcome.undo.parameters["run"]))
    assert [item.body for item in items] == [body(number) for number in range(7, 50)]


async def test_through_the_gate_and_back(on: On) -> None:
    await on.queues.make("dead")
    await on.queues.fill("dead", range(30), "scan", message_id="m", headers={"f": "x"})
    person: Any = Person(evidence=on.bench.desk.evidence)
    gate = Gate(on.bench.platform, person, on.bench.journal)
    plan = await gate.plan(Request("rabbitmq.purge", (on.queues.row("dead"),), selection="1 row"))
    assert gate.demands(registry.find(plan.operation), plan).word == "purge 30"
    outcome = await gate.run(gate.new_run(plan), Consent(confirmed=True, word="purge 30"))
    assert (outcome.state, outcome.done) == ("done", 30), outcome
    assert await on.queues.numbers("dead") == []
    (entry, *_) = await gate.ledger.entries()
    request = await gate.undo(entry)
    back = await gate.plan(request)
    restored = await gate.run(gate.new_run(back, undoes=request.undoes), Consent(confirmed=True))
    assert (restored.state, restored.done) == ("done", 30), restored
    taken = await on.queues.taken("dead")
    assert [number for number, _ in taken] == list(range(30))
    for _, properties in taken:
        assert (properties.message_id, properties.delivery_mode) == ("m", 2)
        assert properties.headers["f"] == "x"
        assert properties.headers["x-first-death-queue"] == on.queues.name("scan")
    assert not on.bench.journal.verify().broken


async def test_a_stuck_consumer_is_found_by_its_queue_and_closed(on: On) -> None:
    await on.queues.make("work", x_delivery_limit=10)
    await on.queues.fill("work", range(20))
    name = on.queues.name("work")
    async with holding(on, "work", 5) as holder:
        row = await on.told(holder.name)
        assert row.consumes == (name,)
        # the channels' statistics are some seconds later
        for _ in range(40):
            plan = await on.bench.plan("rabbitmq.close", [row], reason="it's stuck, 100 %")
            if "5 unacknowledged go back" in plan.samples[0]:
                break
            await asyncio.sleep(0.5)
        assert f"1 channel, consumes {name}, 5 unacknowledged go back" in plan.samples[0]
        assert any(one.startswith("5 messages that they hold") for one in plan.loses)
        assert any(f"{name} drops or dead-letters" in one for one in plan.warnings)
        outcome = await on.bench.carry_out(plan)
        assert (outcome.state, outcome.done) == ("done", 1), outcome
    assert "closed by tester with mailtui: it's stuck, 100 %" in holder.ended
    assert sorted(await on.queues.numbers("work")) == list(range(20))
