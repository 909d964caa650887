"""The sandbox's AMQP server where something is refused, cut, late or blocked."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pika
import pytest
import yarl
from pika import exceptions
from pika.adapters.asyncio_connection import AsyncioConnection
from pika.adapters.utils.connection_workflow import AMQPConnectorStackTimeout

from mailtui.sandbox.rabbitmq import Server as Management
from tests.unit.broker import Broker, serving, until


@pytest.fixture
async def broker() -> AsyncIterator[Broker]:
    async with serving() as found:
        yield found


def nothing(connection: pika.BlockingConnection) -> None:
    """Connect and no more."""


async def test_credentials_and_virtual_hosts(broker: Broker) -> None:
    wrong = pika.PlainCredentials("mailtui", "guess")
    with pytest.raises(exceptions.ProbableAuthenticationError, match="ACCESS_REFUSED - Login was"):
        await broker.run(nothing, credentials=wrong)
    with pytest.raises(exceptions.AMQPConnectionError, match="vhost nope not found"):
        await broker.run(nothing, virtual_host="nope")
    await broker.run(nothing, virtual_host="/")
    assert not broker.server.connections


async def test_a_user_without_permissions(broker: Broker) -> None:
    broker.account.forbid_writing()
    before = broker.queue("dead").ready

    def refused(connection: pika.BlockingConnection) -> list[tuple[int, str]]:
        def publish(channel: Any) -> None:
            channel.confirm_delivery()
            channel.basic_publish("", "dead", b"x")

        found = []
        for act in (
            lambda c: c.basic_get("dead"),
            lambda c: c.basic_consume("dead", print),
            lambda c: c.queue_purge("dead"),
            lambda c: c.queue_delete("dead"),
            publish,
        ):
            with pytest.raises(exceptions.ChannelClosedByBroker) as caught:
                act(connection.channel())
            found.append((caught.value.reply_code, caught.value.reply_text))
        return found

    *queues, exchange = await broker.run(refused)
    refusal = "ACCESS_REFUSED - access to {} in vhost 'mail' refused for user 'mailtui'"
    assert queues == [(403, refusal.format("queue 'dead'"))] * 4
    assert exchange == (403, refusal.format("exchange 'amq.default'"))
    assert broker.queue("dead").ready == before


async def test_methods_that_it_does_not_know_are_refused(broker: Broker) -> None:
    def transaction(connection: pika.BlockingConnection) -> None:
        connection.channel().tx_select()

    with pytest.raises(exceptions.ConnectionClosedByBroker) as caught:
        await broker.run(transaction)
    assert caught.value.reply_code == 540


async def test_what_is_not_amqp_gets_the_protocol_header(broker: Broker) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", broker.port)
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    assert await reader.read() == b"AMQP\0\0\x09\x01"
    writer.close()


async def test_frames_that_are_none_end_the_connection(broker: Broker) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", broker.port)
    writer.write(b"AMQP\0\0\x09\x01")
    await reader.readuntil(b"en_US\xce")
    writer.write(struct.pack(">BHI", 1, 0, 4) + b"abcd!")
    answer = await reader.readuntil(b"\xce")
    assert struct.unpack(">HHH", answer[7:13]) == (10, 50, 501)
    writer.close()


async def test_an_unknown_delivery_tag(broker: Broker) -> None:
    def acknowledge(connection: pika.BlockingConnection) -> None:
        channel = connection.channel()
        channel.basic_ack(77)
        channel.queue_declare("dead", passive=True)

    with pytest.raises(exceptions.ChannelClosedByBroker, match="unknown delivery tag 77"):
        await broker.run(acknowledge)


async def test_a_message_of_another_user_cannot_be_published(broker: Broker) -> None:
    def publish(connection: pika.BlockingConnection) -> None:
        channel = connection.channel()
        channel.confirm_delivery()
        channel.basic_publish("", "dead", b"x", pika.BasicProperties(user_id="pipeline"))

    with pytest.raises(exceptions.ChannelClosedByBroker, match="user_id property set to 'pipeline"):
        await broker.run(publish)


async def test_refused_publishes_and_missing_routes(broker: Broker) -> None:
    broker.fill("dead", 0)

    def publish(connection: pika.BlockingConnection) -> None:
        channel = connection.channel()
        channel.confirm_delivery()
        broker.faults.broker.nack = 1
        with pytest.raises(exceptions.NackError):
            channel.basic_publish("", "dead", b"refused", mandatory=True)
        broker.faults.broker.no_route = 1
        with pytest.raises(exceptions.UnroutableError):
            channel.basic_publish("", "dead", b"returned", mandatory=True)
        channel.basic_publish("", "dead", b"kept", mandatory=True)

    await broker.run(publish)
    assert [m.body for m in broker.queue("dead").letters] == [b"kept"]


async def test_a_full_queue_refuses(broker: Broker) -> None:
    def publish(connection: pika.BlockingConnection) -> None:
        channel = connection.channel()
        arguments = {"x-max-length": 1, "x-overflow": "reject-publish"}
        channel.queue_declare("small", durable=True, arguments=arguments)
        channel.confirm_delivery()
        channel.basic_publish("", "small", b"1")
        with pytest.raises(exceptions.NackError):
            channel.basic_publish("", "small", b"2")

    await broker.run(publish)
    assert [m.body for m in broker.queue("small").letters] == [b"1"]


class Publisher:
    """pika's asynchronous client that publishes numbers and keeps what was confirmed."""

    def __init__(self, broker: Broker, count: int) -> None:
        self.confirmed: set[int] = set()
        self.methods = 0
        self.said: list[str] = []
        self._count = count
        self.ready = asyncio.Event()
        self.done = asyncio.Event()
        self.connection = AsyncioConnection(
            broker.parameters(),
            on_open_callback=lambda c: c.channel(on_open_callback=self._opened),
            on_close_callback=self._closed,
        )
        self.connection.add_on_connection_blocked_callback(
            lambda _, frame: self.said.append(frame.method.reason)
        )
        self.connection.add_on_connection_unblocked_callback(
            lambda *_: self.said.append("unblocked")
        )

    def _opened(self, channel: Any) -> None:
        self.channel = channel
        channel.confirm_delivery(self._confirmed, callback=lambda _: self.ready.set())

    def publish(self) -> None:
        for number in range(1, self._count + 1):
            self.channel.basic_publish("", "dead", b"%d" % number, mandatory=True)

    def _confirmed(self, frame: Any) -> None:
        method = frame.method
        self.methods += 1
        first = max(self.confirmed, default=0) + 1 if method.multiple else method.delivery_tag
        self.confirmed |= set(range(first, method.delivery_tag + 1))
        if len(self.confirmed) == self._count:
            self.done.set()

    def _closed(self, _: Any, error: BaseException) -> None:
        self.said.append(str(error))
        self.done.set()


async def test_confirms_come_together_and_may_be_late(broker: Broker) -> None:
    broker.fill("dead", 0)
    publisher = Publisher(broker, 500)
    await publisher.ready.wait()
    broker.faults.broker.confirm_delay = 0.3
    publisher.publish()
    await until(lambda: broker.queue("dead").ready == 500)
    assert not publisher.confirmed
    await asyncio.wait_for(publisher.done.wait(), 10)
    assert publisher.confirmed == set(range(1, 501))
    assert publisher.methods < 100
    publisher.connection.close()
    await until(lambda: not broker.server.connections)


async def test_nothing_confirmed_is_lost_when_the_broker_goes_down(broker: Broker) -> None:
    broker.fill("dead", 0)
    publisher = Publisher(broker, 500)
    await publisher.ready.wait()
    broker.faults.broker.drop_after = 313
    publisher.publish()
    await asyncio.wait_for(publisher.done.wait(), 10)
    kept = [int(m.body) for m in broker.queue("dead").letters]
    assert kept == list(range(1, 314))
    assert publisher.confirmed < set(kept)
    assert not broker.server.connections
    await broker.run(nothing)


async def test_what_was_not_acknowledged_goes_back_when_the_broker_goes_down(
    broker: Broker,
) -> None:
    broker.fill("dead", 100)

    def consume(connection: pika.BlockingConnection) -> int:
        channel = connection.channel()
        channel.basic_qos(prefetch_count=50)
        broker.faults.broker.drop_after = 10
        done = 0
        with pytest.raises(exceptions.AMQPError):
            for method, _, _ in channel.consume("dead"):
                done += 1  # the tenth may be sent and its call still raise
                channel.basic_ack(method.delivery_tag)
        return done

    assert await broker.run(consume) >= 10
    dead = broker.queue("dead")
    assert [int(m.body) for m in dead.letters] == list(range(10, 100))
    assert (dead.ready, dead.unacked, dead.consumers) == (90, 0, 0)
    assert [m.redelivered for m in dead.letters].count(True) >= 40


async def test_an_alarm_blocks_who_publishes(broker: Broker) -> None:
    broker.fill("dead", 0)
    node = broker.world.broker.nodes[0]
    publisher, idle = Publisher(broker, 3), Publisher(broker, 1)
    await publisher.ready.wait()
    await idle.ready.wait()
    free, node.disk_free = node.disk_free, 0
    publisher.publish()
    await until(lambda: bool(publisher.said))
    assert (publisher.said, idle.said, publisher.confirmed) == (["low on disk"], [], set())

    def states() -> list[str]:
        links = broker.world.broker.connections.values()
        return sorted(link.state for link in links if link.open is not None)

    await until(lambda: states() == ["blocked", "blocking"])
    node.disk_free = free
    await asyncio.wait_for(publisher.done.wait(), 10)
    assert publisher.said == ["low on disk", "unblocked"]
    assert [m.body for m in broker.queue("dead").letters] == [b"1", b"2", b"3"]
    for one in (publisher, idle):
        one.connection.close()
    await until(lambda: not broker.server.connections)


async def test_the_management_api_sees_and_closes_connections(broker: Broker) -> None:
    management = Management(broker.world, broker.faults, broker.account)
    base = f"http://127.0.0.1:{await management.start()}/api"
    headers = {"Authorization": aiohttp.encode_basic_auth("mailtui", "secret")}
    publisher = Publisher(broker, 1)
    await publisher.ready.wait()
    async with aiohttp.ClientSession(headers=headers) as session:
        async with session.get(f"{base}/connections") as answer:
            mine = [c for c in await answer.json() if c["peer_host"] == "127.0.0.1"]
        assert [(c["user"], c["vhost"], c["channels"]) for c in mine] == [("mailtui", "mail", 1)]
        assert mine[0]["client_properties"]["capabilities"]["connection.blocked"] is True
        name = yarl.URL.build(path=mine[0]["name"]).raw_path
        async with session.get(f"{base}/channels") as answer:
            channels = [c for c in await answer.json() if c["user"] == "mailtui"]
        assert [(c["number"], c["confirm"]) for c in channels] == [(1, True)]
        url = yarl.URL(f"{base}/connections/{name}", encoded=True)
        async with session.delete(url, headers={"X-Reason": "stuck consumer"}) as answer:
            assert answer.status == 204
        await asyncio.wait_for(publisher.done.wait(), 10)
        assert "320" in publisher.said[0] and "CONNECTION_FORCED - stuck" in publisher.said[0]
        async with session.delete(url) as answer:
            assert answer.status == 404
    await management.stop()


@pytest.mark.parametrize("kind", ["down", "html", "401"])
async def test_connecting_meets_faults(broker: Broker, kind: Any) -> None:
    broker.faults.set("amqp", kind, times=1)
    with pytest.raises((exceptions.AMQPError, ConnectionError)):
        await broker.run(nothing, connection_attempts=1)
    await broker.run(nothing)


async def test_a_server_that_hangs(broker: Broker) -> None:
    broker.faults.set("amqp", "hang")
    with pytest.raises(AMQPConnectorStackTimeout):
        await broker.run(nothing, stack_timeout=0.5)


async def test_a_silent_client_is_given_up(broker: Broker) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", broker.port)
    writer.write(b"AMQP\0\0\x09\x01")
    await reader.readuntil(b"en_US\xce")
    start = commands_start()
    writer.write(start)
    await reader.readuntil(b"\xce")
    assert len(broker.server.connections) == 1
    await until(lambda: not broker.server.connections)
    writer.close()


def commands_start() -> bytes:
    """StartOk, then TuneOk with a heartbeat of one second."""
    from pamqp.commands import Connection
    from pamqp.frame import marshal

    login = Connection.StartOk({}, "PLAIN", "\0mailtui\0secret", "en_US")
    return marshal(login, 0) + marshal(Connection.TuneOk(0, 0, 1), 0)
