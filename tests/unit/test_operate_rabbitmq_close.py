"""Closing connections: what the plan says of them, who may, and which are never closed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
import pika
import pytest

from mailtui.connections.errors import SourceError
from mailtui.model.broker import BrokerConnection, BrokerReport
from mailtui.model.where import compile_where
from mailtui.operations import rabbitmq_close, rabbitmq_holding, registry
from mailtui.operations.base import NothingToDo, Refused
from mailtui.problems import rabbitmq as problems
from mailtui.resources import broker_connections
from tests.brokering import Queues, queues
from tests.operating import NOW, Bench, sandbox_bench


class On:
    def __init__(self, bench: Bench, queues: Queues) -> None:
        self.bench, self.queues = bench, queues
        self.account = bench.sandbox.servers["rabbitmq"].account

    async def rows(self) -> list[BrokerConnection]:
        await self.bench.platform.read_all(["rabbitmq", "broker_connections"])
        return broker_connections.rows(self.bench.platform.state)

    async def workers(self, queue: str = "scan") -> list[BrokerConnection]:
        return [row for row in await self.rows() if row.consumes == (queue,)]


@pytest.fixture
async def on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[On]:
    monkeypatch.setattr(rabbitmq_close, "PATIENCE", 2.0)
    async with (
        sandbox_bench(tmp_path) as found,
        queues(tmp_path / "sandbox" / "config.yaml") as made,
    ):
        yield On(found, made)


async def test_the_plan_says_what_they_consume_and_hold(on: On) -> None:
    scan = on.bench.world.broker.queue("scan")
    scan.unacked = 47.0
    (row, *others) = await on.workers()
    plan = await on.bench.plan("rabbitmq.close", [row], reason="stuck since 14:02")
    assert (plan.danger, plan.count, plan.blockers) == ("irreversible", 1, ())
    assert plan.steps[0].does == "DELETE /api/connections/" + quote(row.name, safe="")
    (sample,) = plan.samples
    for words in (row.user, row.peer, row.client, "running", "consumes scan"):
        assert words in sample, sample
    share = -(-47 // (1 + len(others)))
    assert f"{share} unacknowledged go back" in sample
    assert any(one.startswith(f"{share} messages that they hold") for one in plan.loses)
    # all of them hold all of it
    plan = await on.bench.plan("rabbitmq.close", [row, *others])
    assert any(one.startswith("47 messages") for one in plan.loses)
    assert plan.steps[0].does == "DELETE /api/connections/NAME"


async def test_what_is_not_known_is_not_nothing(on: On, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = await on.workers()
    monkeypatch.setattr(rabbitmq_holding, "ASKED", 1)
    plan = await on.bench.plan("rabbitmq.close", rows)
    assert "? unacknowledged" in plan.samples[1]
    assert any(one.startswith("at least ") for one in plan.loses)


async def test_a_limit_of_deliveries_is_said(on: On) -> None:
    await on.queues.make("work", x_delivery_limit=5)
    name = on.queues.name("work")

    def hold() -> pika.BlockingConnection:
        connection = pika.BlockingConnection(on.queues.parameters)
        connection.channel().basic_consume(name, lambda *_: None)
        return connection

    connection = await asyncio.to_thread(hold)
    try:
        (row,) = await on.workers(name)
        plan = await on.bench.plan("rabbitmq.close", [row])
    finally:
        await asyncio.to_thread(connection.close)
    assert any(f"{name} drops or dead-letters" in one and "5" in one for one in plan.warnings)


async def test_closed_and_back_under_another_name(on: On) -> None:
    (row, *_) = await on.workers()
    plan = await on.bench.plan("rabbitmq.close", [row])
    world = on.bench.world
    run = on.bench.run(plan)
    close = registry.find(plan.operation)
    on.bench.desk.notes.clear()
    await close.apply(on.bench.desk, plan, run)
    assert row.name not in world.broker.connections
    # its worker reconnects
    on.bench.desk.notes[f"closed {run.id}"] = NOW
    world.frozen = False
    world.advance(NOW + 60)
    world.frozen = True
    outcome = await close.verify(on.bench.desk, plan, run)
    assert (outcome.state, outcome.done) == ("done", 1), outcome
    assert outcome.counts["back"] >= 1
    assert any("is back from there as" in note and row.client in note for note in outcome.notes)
    begun = [does for kind, does in on.bench.steps() if kind == "step"]
    assert begun == ["DELETE /api/connections/" + quote(row.name, safe="")]
    with pytest.raises(NothingToDo, match="gone already"):
        await on.bench.plan("rabbitmq.close", [row])


async def test_the_reason_reaches_the_client_and_is_one_line(on: On) -> None:
    await on.queues.make("work")
    name = on.queues.name("work")

    def hold() -> pika.BlockingConnection:
        connection = pika.BlockingConnection(on.queues.parameters)
        connection.channel().basic_consume(name, lambda *_: None)
        return connection

    connection = await asyncio.to_thread(hold)
    (row,) = await on.workers(name)
    plan = await on.bench.plan("rabbitmq.close", [row], reason="it's stuck\r\nX-Evil: 1 ü")
    said: list[BaseException] = []

    def serve() -> None:
        try:
            while True:
                connection.process_data_events(0.1)
        except pika.exceptions.AMQPError as error:
            said.append(error)

    serving = asyncio.create_task(asyncio.to_thread(serve))
    outcome = await on.bench.carry_out(plan)
    await serving
    assert outcome.state == "done", outcome
    assert "closed by tester with mailtui: it's stuck??X-Evil: 1 ?" in str(said[0])


async def test_the_consoles_own_connections_are_not_closed(on: On) -> None:
    (row, *_) = await on.workers()
    own = msgspec.structs.replace(row, client="mailtui ops@jump (mailtui)")
    with pytest.raises(NothingToDo, match="console's own"):
        await on.bench.plan("rabbitmq.close", [own])
    assert row.name in on.bench.world.broker.connections


async def test_another_connection_of_the_same_name_is_left(on: On) -> None:
    (row, *_) = await on.workers()
    plan = await on.bench.plan("rabbitmq.close", [row])
    link = on.bench.world.broker.connections[row.name]
    link.connected_at += 30
    outcome = await on.bench.carry_out(plan)
    assert (outcome.state, outcome.done) == ("failed", 0)
    assert outcome.left[0].why == rabbitmq_close.OTHER
    assert row.name in on.bench.world.broker.connections
    assert on.bench.steps() == []


async def test_who_is_no_administrator_is_told_which_tag_is_missing(on: On) -> None:
    (row, *_) = await on.workers()
    plan = await on.bench.plan("rabbitmq.close", [row])
    on.account.tags = ["monitoring"]
    with pytest.raises(Refused, match=r"lacks the tag `administrator`.*set_user_tags"):
        await on.bench.plan("rabbitmq.close", [row])
    # and of a plan that was made before
    with pytest.raises(SourceError) as caught:
        await registry.find(plan.operation).apply(on.bench.desk, plan, on.bench.run(plan))
    assert caught.value.kind == "auth" and "administrator" in str(caught.value)
    assert row.name in on.bench.world.broker.connections


async def test_a_tenant_is_kept_to_its_virtual_hosts(on: On) -> None:
    (row, *_) = await on.workers()
    on.bench.desk = replace(on.bench.desk, tenants=frozenset({"acme"}))
    with pytest.raises(Refused, match="virtual host"):
        await on.bench.plan("rabbitmq.close", [row])


async def test_the_problem_of_a_stuck_consumer_leads_to_its_connections(on: On) -> None:
    rows = await on.rows()
    state, context = on.bench.platform.state, on.bench.platform.context
    reading = state.get("rabbitmq")
    report: Any = reading.value
    assert isinstance(report, BrokerReport)
    stuck = [
        msgspec.structs.replace(queue, unacked=47, consumers=2, stuck_since=reading.read_at - 900)
        if queue.name == "scan"
        else queue
        for queue in report.queues
    ]

    def where(nodes: tuple[Any, ...]) -> str:
        told = msgspec.structs.replace(report, queues=tuple(stuck), nodes=nodes)
        state.put(msgspec.structs.replace(reading, value=told))
        found = problems.find(state, context, reading.read_at)
        return next(one.where for one in found if one.key.startswith("rabbitmq/stuck/"))

    name, _, expression = where(report.nodes).partition(" ")
    assert name == "broker_connections"
    filtered = compile_where(expression, broker_connections.RESOURCE.columns).filter(rows)
    assert filtered and {row.consumes for row in filtered} == {("scan",)}
    # without the tag monitoring the broker does not say who consumes what
    assert where(()).startswith("queue:=scan")
