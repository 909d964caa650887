"""The sandbox's AMQP server, with pika as the client: consuming, publishing, moving."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pika
import pytest
from pika import exceptions

from tests.unit.broker import Broker, served, serving, until


@pytest.fixture
async def broker() -> AsyncIterator[Broker]:
    async with serving() as found:
        yield found


async def test_a_queue_says_what_it_holds(broker: Broker) -> None:
    def ask(connection: pika.BlockingConnection) -> Any:
        return connection.channel().queue_declare("dead", passive=True).method

    answer = await broker.run(ask)
    dead = broker.queue("dead")
    assert answer.message_count == len(dead.letters) == int(dead.ready) > 0
    assert answer.consumer_count == 0


async def test_what_does_not_exist_closes_only_the_channel(broker: Broker) -> None:
    def ask(connection: pika.BlockingConnection) -> list[tuple[int, str]]:
        found = []
        for what in ("queue", "exchange"):
            channel = connection.channel()
            with pytest.raises(exceptions.ChannelClosedByBroker) as caught:
                getattr(channel, f"{what}_declare")("nope", passive=True)
            found.append((caught.value.reply_code, caught.value.reply_text))
        assert connection.channel().queue_declare("scan", passive=True)
        return found

    assert await broker.run(ask) == [
        (404, "NOT_FOUND - no queue 'nope' in vhost 'mail'"),
        (404, "NOT_FOUND - no exchange 'nope' in vhost 'mail'"),
    ]


async def test_dead_letters_have_their_history(broker: Broker) -> None:
    def get(connection: pika.BlockingConnection) -> Any:
        channel = connection.channel()
        method, properties, body = channel.basic_get("dead")
        channel.basic_nack(method.delivery_tag, requeue=True)
        again = channel.basic_get("dead")
        return method, properties, body, again

    dead = broker.queue("dead")
    before = len(dead.letters)
    method, properties, body, (again, later, same) = await broker.run(get)
    assert (method.exchange, method.routing_key) == ("mail.dlx", "dead")
    assert (method.redelivered, method.message_count) == (False, before - 1)
    death = properties.headers["x-death"][0]
    assert {"count", "reason", "queue", "time", "exchange", "routing-keys"} == set(death)
    assert death["exchange"] == properties.headers["x-first-death-exchange"] == "mail"
    assert death["reason"] == properties.headers["x-first-death-reason"]
    assert death["queue"] == properties.headers["x-first-death-queue"]
    assert death["routing-keys"][0].startswith("mail.")
    assert properties.delivery_mode == 2
    assert (again.redelivered, same) == (True, body)
    assert later.headers["x-delivery-count"] == 1
    await until(lambda: len(dead.letters) == before)
    assert dead.unacked == 0


async def test_moving_a_queue_loses_nothing(broker: Broker) -> None:
    broker.fill("dead", 3000)

    def move(connection: pika.BlockingConnection) -> list[bytes]:
        channel = connection.channel()
        channel.confirm_delivery()
        channel.basic_qos(prefetch_count=200)
        bodies = []
        for method, properties, body in channel.consume("dead", inactivity_timeout=0.5):
            if method is None:
                break
            channel.basic_publish("", "store", body, properties, mandatory=True)
            channel.basic_ack(method.delivery_tag)
            bodies.append(body)
        channel.cancel()
        return bodies

    store = broker.queue("store")
    before = int(store.ready)
    bodies = await broker.run(move)
    assert bodies == [b"%d" % number for number in range(3000)]
    dead = broker.queue("dead")
    assert (dead.ready, len(dead.letters), dead.unacked, dead.consumers) == (0, 0, 0, 0)
    assert int(store.ready) == before + 3000
    assert [m.body for m in store.letters][-3000:] == bodies
    assert store.letters[-1].properties.fields == {"delivery_mode": 2, "message_id": "m2999"}


async def test_prefetch_limits_what_is_delivered(broker: Broker) -> None:
    broker.fill("dead", 50)

    def consume(connection: pika.BlockingConnection) -> Any:
        channel = connection.channel()
        channel.basic_qos(prefetch_count=7)
        got: list[bytes] = []
        channel.basic_consume("dead", lambda *m: got.append(m[3]), consumer_tag="t")
        served(connection, lambda: len(got) >= 7)
        first = len(got)
        dead = broker.queue("dead")
        held = (dead.unacked, dead.ready, dead.consumers)
        channel.basic_ack(5, multiple=True)
        served(connection, lambda: len(got) >= 12)
        return first, held, len(got)

    assert await broker.run(consume) == (7, (7, 43, 1), 12)
    dead = broker.queue("dead")
    await until(lambda: dead.unacked == 0)
    assert [int(m.body) for m in dead.letters] == list(range(5, 50))
    assert [m.redelivered for m in dead.letters][:8] == [True] * 7 + [False]
    assert dead.ready == 45


async def test_what_cannot_be_routed_comes_back_before_its_confirm(broker: Broker) -> None:
    def publish(connection: pika.BlockingConnection) -> Any:
        channel = connection.channel()
        channel.confirm_delivery()
        with pytest.raises(exceptions.UnroutableError) as caught:
            channel.basic_publish("", "nowhere", b"x", mandatory=True)
        channel.basic_publish("", "nowhere", b"x", mandatory=False)
        return caught.value.messages[0]

    returned = await broker.run(publish)
    assert (returned.method.reply_code, returned.method.reply_text) == (312, "NO_ROUTE")
    assert returned.body == b"x"


async def test_exchanges_route_by_their_bindings(broker: Broker) -> None:
    def publish(connection: pika.BlockingConnection) -> None:
        channel = connection.channel()
        channel.confirm_delivery()
        channel.basic_publish("mail", "audit.login", b"topic", mandatory=True)
        channel.basic_publish("mail.dlx", "dead", b"direct", mandatory=True)
        with pytest.raises(exceptions.UnroutableError):
            channel.basic_publish("mail", "login.audit", b"x", mandatory=True)
        with pytest.raises(exceptions.ChannelClosedByBroker, match="no exchange 'nope'"):
            channel.basic_publish("nope", "k", b"x", mandatory=True)

    await broker.run(publish)
    assert broker.queue("audit").letters[-1].body == b"topic"
    assert broker.queue("dead").letters[-1].body == b"direct"


async def test_rejected_messages_become_dead_letters(broker: Broker) -> None:
    broker.fill("scan", 1)
    dead = broker.queue("dead")
    before = len(dead.letters)

    def reject(connection: pika.BlockingConnection) -> None:
        channel = connection.channel()
        for _ in range(2):
            method, _, body = channel.basic_get("scan")
            channel.basic_reject(method.delivery_tag, requeue=False)
            channel.queue_declare("scan", passive=True)
            letter = dead.letters[-1]
            channel.basic_publish("", "scan", body, pika.BasicProperties(
                headers={**letter.properties.headers, "own": "kept"},
            ))  # fmt: skip

    await broker.run(reject)
    assert len(dead.letters) == before + 2
    headers = dead.letters[-1].properties.headers
    assert [(d["queue"], d["reason"], d["count"]) for d in headers["x-death"]] == [
        ("scan", "rejected", 2)
    ]
    assert headers["own"] == "kept"
    assert headers["x-first-death-queue"] == "scan"
    assert dead.ready == before + 2


async def test_a_quorum_queue_does_not_deliver_for_ever(broker: Broker) -> None:
    broker.fill("scan", 1)
    dead = broker.queue("dead")
    before = len(dead.letters)

    def return_it(connection: pika.BlockingConnection) -> int:
        channel = connection.channel()
        for times in range(40):
            method, _, _ = channel.basic_get("scan")
            if method is None:
                return times
            channel.basic_nack(method.delivery_tag, requeue=True)
        return -1

    # the limit counts what comes after the first delivery
    assert await broker.run(return_it) == broker.queue("scan").delivery_limit + 1
    assert len(dead.letters) == before + 1
    assert dead.letters[-1].reason == "delivery_limit"


async def test_messages_that_were_only_counted_can_be_read(broker: Broker) -> None:
    scan = broker.queue("scan")
    scan.ready = 4.5

    def read(connection: pika.BlockingConnection) -> list[bytes]:
        channel = connection.channel()
        bodies = []
        while (found := channel.basic_get("scan", auto_ack=True))[0] is not None:
            bodies.append(found[2])
        return bodies

    bodies = await broker.run(read)
    assert len(set(bodies)) == 4
    assert (scan.ready, scan.unacked - scan.held) == (0.5, scan.unacked)


async def test_queues_are_made_purged_and_deleted(broker: Broker) -> None:
    def use(connection: pika.BlockingConnection) -> Any:
        channel = connection.channel()
        arguments = {"x-queue-type": "quorum", "x-dead-letter-exchange": "mail.dlx"}
        channel.queue_declare("mine", durable=True, arguments=arguments)
        channel.confirm_delivery()
        for _ in range(3):
            channel.basic_publish("", "mine", b"", mandatory=True)
        purged = channel.queue_purge("mine").method.message_count
        with pytest.raises(exceptions.ChannelClosedByBroker, match="inequivalent arg 'durable'"):
            channel.queue_declare("mine", durable=False, arguments=arguments)
        channel = connection.channel()
        cancelled: list[Any] = []
        channel.add_on_cancel_callback(cancelled.append)
        channel.basic_consume("mine", lambda *_: None, consumer_tag="c")
        connection.channel().queue_delete("mine")
        served(connection, lambda: bool(cancelled))
        return purged, [c.method.consumer_tag for c in cancelled]

    assert await broker.run(use) == (3, ["c"])
    assert ("mail", "mine") not in broker.world.broker.queues


async def test_large_and_empty_bodies(broker: Broker) -> None:
    broker.fill("dead", 0)
    large = bytes(range(256)) * 4000

    def send(connection: pika.BlockingConnection) -> list[bytes]:
        channel = connection.channel()
        channel.confirm_delivery()
        for body in (large, b""):
            channel.basic_publish("", "dead", body, mandatory=True)
        return [channel.basic_get("dead", auto_ack=True)[2] for _ in range(2)]

    assert await broker.run(send, frame_max=8192) == [large, b""]


async def test_two_consumers_share_a_queue(broker: Broker) -> None:
    broker.fill("dead", 10)

    def share(connection: pika.BlockingConnection) -> tuple[int, int]:
        got: list[list[bytes]] = [[], []]
        for number in range(2):
            channel = connection.channel()
            channel.basic_qos(prefetch_count=5)
            mine = got[number]
            channel.basic_consume("dead", lambda *m, mine=mine: mine.append(m[3]))
        served(connection, lambda: len(got[0]) + len(got[1]) >= 10)
        return len(got[0]), len(got[1])

    assert await broker.run(share) == (5, 5)


async def test_what_a_worker_still_cannot_do_comes_back() -> None:
    async with serving("dlq-growth") as broker:
        world, dead, scan = broker.world, broker.queue("dead"), broker.queue("scan")
        world.frozen = False
        world.pipeline.messages.purge(dead)
        for _ in range(40):
            world.pipeline._die(dead, world.now)
        victims = {
            letter.body
            for letter in dead.letters
            if letter.deaths[0]["queue"] == "scan" and letter.reason == "rejected"
        }
        assert victims

        def requeue(connection: pika.BlockingConnection) -> None:
            channel = connection.channel()
            channel.confirm_delivery()
            for _ in range(40):
                method, properties, body = channel.basic_get("dead")
                properties.headers["x-mailtui-attempt"] = 1
                queue = properties.headers["x-first-death-queue"]
                channel.basic_publish("", queue, body, properties, mandatory=True)
                channel.basic_ack(method.delivery_tag)

        await broker.run(requeue)
        assert (len(dead.letters), dead.ready) == (0, 0)
        assert victims <= {m.body for m in scan.letters}
        world.advance(world.now + 3)
        back = [m for m in dead.letters if "x-mailtui-attempt" in m.properties.headers]
        assert victims <= {m.body for m in back}
        rejected = [m for m in back if m.body in victims]
        assert {m.deaths[0]["count"] for m in rejected} == {2}
        assert dead.ready == len(dead.letters)


async def test_several_connections_at_once(broker: Broker) -> None:
    broker.fill("dead", 0)

    def publish(connection: pika.BlockingConnection) -> None:
        channel = connection.channel()
        channel.confirm_delivery()
        for _ in range(100):
            channel.basic_publish("", "dead", b"x", mandatory=True)

    await asyncio.gather(*(broker.run(publish) for _ in range(3)))
    assert broker.queue("dead").ready == len(broker.queue("dead").letters) == 300
