"""Looking at messages and deleting chosen ones: what is left is left as it was, on the sandbox and
on a real RabbitMQ. The queues are the test's own."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pika
import pytest

from mailtui.config.sources.rabbitmq import Settings
from mailtui.model.letters import Letter
from mailtui.operations.base import Refused
from mailtui.operations.rabbitmq_get import EDGE
from tests.brokering import Queues, queues
from tests.contract.conftest import LAB
from tests.operating import Bench, bench


@dataclass
class On:
    bench: Bench
    queues: Queues

    async def peek(self, short: str, **parameters: str) -> list[Letter]:
        """What a whole run of peek finds."""
        rows = [self.queues.row(short)]
        plan = await self.bench.plan("rabbitmq.peek", rows, **parameters)
        run = self.bench.run(plan)
        outcome = await self.bench.carry_out(plan, run)
        assert outcome.state == "done", outcome
        return list(run.found)

    async def publish(self, short: str, *bodies: bytes, **properties: Any) -> None:
        """Messages with these bodies, confirmed."""

        def work(channel: Any) -> None:
            channel.confirm_delivery()
            for body in bodies:
                given = pika.BasicProperties(delivery_mode=2, **properties)
                channel.basic_publish("", self.queues.name(short), body, given)

        await self.queues.do(work)


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


def deliveries(taken: list[tuple[int, pika.BasicProperties]]) -> set[int]:
    """How often the broker says that they were given back."""
    return {(properties.headers or {}).get("x-delivery-count", 0) for _, properties in taken}


async def test_peek_shows_what_no_text_is(on: On) -> None:
    await on.queues.make("dead")
    sent = [b"\x00\xff\xfe", "Gr\u00fc\u00dfe \u2709".encode(), b"x" * 63 + "\u00fc".encode(), b""]
    await on.publish("dead", *sent, message_id="the-id", headers={"list": [1, "two"]})
    letters = await on.peek("dead")
    assert [letter.size for letter in letters] == [3, len(sent[1]), None, 0]
    assert letters[1].body == sent[1].decode()
    assert letters[2].body.startswith("x" * 63) and letters[2].cut
    for letter in letters:
        assert ("message_id", "the-id") in letter.properties
        assert "list" in dict(letter.headers)


async def test_both_ways_of_looking_find_the_same(on: On) -> None:
    await on.queues.make("dead")
    await on.queues.fill("dead", range(3), "scan", message_id="m", timestamp=1_700_000_000)
    await on.publish("dead", b"\x00\xff", b"x" * 200, headers={"n": 5, "yes": True})
    peeked, taken = await on.peek("dead"), await on.peek("dead", by="amqp")
    assert [one.fingerprint for one in peeked] == [one.fingerprint for one in taken]
    assert [one.size for one in taken[3:]] == [2, 200]
    # and the same again after they were given back
    assert [one.fingerprint for one in await on.peek("dead")] == [one.fingerprint for one in taken]


async def test_taking_without_a_delivery_limit_keeps_the_order(on: On) -> None:
    await on.queues.make("dead")
    await on.queues.fill("dead", range(6), "scan")
    found = await on.peek("dead", by="amqp", count="3")
    assert [letter.position for letter in found] == [1, 2, 3]
    taken = await on.queues.taken("dead")
    assert [number for number, _ in taken] == list(range(6))
    assert deliveries(taken) == {0, 1}


async def test_taking_from_a_classic_queue_keeps_the_order(on: On) -> None:
    await on.queues.make("old", kind="classic")
    await on.queues.fill("old", range(5))
    with pytest.raises(Refused, match="classic"):
        await on.peek("old")
    found = await on.peek("old", by="amqp", count="4")
    assert [letter.redelivered for letter in found] == [True] * 4
    assert await on.queues.numbers("old") == list(range(5))


async def test_the_edge_of_the_delivery_limit(on: On) -> None:
    await on.queues.make("edge", x_delivery_limit=EDGE + 1)
    await on.queues.fill("edge", range(3), "scan")
    first = await on.peek("edge", by="amqp")
    assert [letter.remaining for letter in first] == [EDGE] * 3
    # the broker counts as is said
    assert [letter.remaining for letter in await on.peek("edge")] == [EDGE] * 3
    for _ in range(EDGE + 2):
        with pytest.raises(Refused, match="times more"):
            await on.peek("edge", by="amqp", count="1")
    assert sorted(await on.queues.numbers("edge")) == [0, 1, 2]


async def test_delete_leaves_the_others_where_they_were(on: On) -> None:
    """Also without a delivery limit, where a message that is refused goes to the tail."""
    await on.queues.make("dead")
    await on.queues.fill("dead", range(8), "scan")
    letters = await on.peek("dead", count="6")
    plan = await on.bench.plan("rabbitmq.delete", [letters[1], letters[4]])
    outcome = await on.bench.carry_out(plan)
    assert (outcome.state, outcome.done) == ("done", 2), outcome
    back = await on.bench.undo(outcome)
    assert (back.state, back.done) == ("done", 2), back
    assert await on.queues.numbers("dead") == [0, 2, 3, 5, 6, 7, 1, 4]


async def test_delete_of_a_classic_queue(on: On) -> None:
    await on.queues.make("old", kind="classic")
    await on.queues.fill("old", range(4))
    letters = await on.peek("old", by="amqp")
    outcome = await on.bench.carry_out(await on.bench.plan("rabbitmq.delete", letters[1:2]))
    assert (outcome.state, outcome.done) == ("done", 1), outcome
    assert await on.queues.numbers("old") == [0, 2, 3]


async def test_delete_takes_the_very_message_of_those_that_look_the_same(on: On) -> None:
    await on.queues.make("dead")
    pads = [b'{"pad": "' + b"x" * 80 + b'", "number": %d}' % number for number in range(4)]
    await on.publish("dead", *pads)
    letters = await on.peek("dead", by="amqp")
    assert len({letter.fingerprint for letter in letters}) == 1
    outcome = await on.bench.carry_out(await on.bench.plan("rabbitmq.delete", letters[2:3]))
    assert (outcome.state, outcome.done) == ("done", 1), outcome
    assert await on.queues.numbers("dead") == [0, 1, 3]
