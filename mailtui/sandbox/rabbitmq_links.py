"""Who is connected to the broker: connections, channels, consumers; what alarms stop them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mailtui.sandbox.rabbitmq_writes import as_json
from mailtui.sandbox.world.broker import Broker, Channel, Connection, Consumer

if TYPE_CHECKING:
    from mailtui.sandbox.world import World

Object = dict[str, Any]

_CAPABILITIES = {
    "authentication_failure_close": True,
    "basic.nack": True,
    "connection.blocked": True,
    "consumer_cancel_notify": True,
    "exchange_exchange_bindings": True,
    "publisher_confirms": True,
}


def rate(value: float) -> float:
    """Messages a second as the broker shows them: a count over its 5-s sample."""
    return round(value * 5) / 5


def alarms(broker: Broker) -> list[Object]:
    """Resource alarms in effect, as the health check lists them."""
    return [{"node": node, "resource": resource} for node, resource in broker.alarms]


class Links:
    """Builds the answers; each call reads the world as it is."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._broker = world.broker

    def connection(self, connection: Connection) -> Object:
        """One connection; publishers are blocked and consumers blocking while an alarm is on."""
        age = max(0.0, self._world.now - connection.connected_at)
        state = connection.state
        if state == "running" and connection.open is None and self._broker.alarms:
            state = "blocked" if connection.publishes else "blocking"
        halted = state == "blocked"
        receive = 0.0 if halted else connection.receive_rate
        received = connection.received or age * connection.receive_rate
        sent = connection.sent or age * connection.send_rate
        return {
            "auth_mechanism": "PLAIN",
            "channel_max": 2047,
            "channels": connection.channels,
            "client_properties": as_json(connection.properties)
            or {
                "capabilities": _CAPABILITIES,
                "connection_name": connection.client,
                "information": "See https://pika.rtfd.org",
                "platform": "Python 3.11.7",
                "product": connection.product,
                "version": connection.version,
            },
            "connected_at": int(connection.connected_at * 1000),
            "frame_max": 131_072,
            "host": connection.host,
            "name": connection.name,
            "node": connection.node,
            "peer_cert_issuer": None,
            "peer_cert_subject": None,
            "peer_cert_validity": None,
            "peer_host": connection.peer_host,
            "peer_port": connection.peer_port,
            "port": connection.port,
            "protocol": "AMQP 0-9-1",
            "recv_cnt": int(received / 180),
            "recv_oct": int(received),
            "recv_oct_details": {"rate": rate(receive)},
            "send_cnt": int(sent / 180),
            "send_oct": int(sent),
            "send_oct_details": {"rate": rate(connection.send_rate)},
            "send_pend": 0,
            "ssl": False,
            "ssl_cipher": None,
            "ssl_hash": None,
            "ssl_key_exchange": None,
            "ssl_protocol": None,
            "state": state,
            "timeout": connection.timeout,
            "type": "network",
            "user": connection.user,
            "user_provided_name": connection.client,
            "user_who_performed_action": connection.user,
            "vhost": connection.vhost,
        }

    def connections(self) -> list[Object]:
        """`/api/connections`."""
        return [self.connection(c) for c in self._broker.connections.values()]

    def channels(self) -> list[Object]:
        """`/api/channels`."""
        found = []
        for connection in self._broker.connections.values():
            for channel in self._of(connection):
                number = channel.number
                found.append(
                    {
                        "acks_uncommitted": 0,
                        "confirm": channel.confirm,
                        "connection_details": {
                            "name": connection.name,
                            "peer_host": connection.peer_host,
                            "peer_port": connection.peer_port,
                        },
                        "consumer_count": len(channel.consumers),
                        "global_prefetch_count": channel.shared_prefetch,
                        "messages_unacknowledged": channel.unacked,
                        "messages_uncommitted": 0,
                        "messages_unconfirmed": channel.unconfirmed,
                        "name": f"{connection.name} ({number})",
                        "node": connection.node,
                        "number": number,
                        "prefetch_count": channel.prefetch,
                        "state": "running",
                        "transactional": False,
                        "user": connection.user,
                        "user_who_performed_action": connection.user,
                        "vhost": connection.vhost,
                    }
                )
        return found

    def _of(self, connection: Connection) -> list[Channel]:
        """The channels of a connection; a worker consumes on its first."""
        if connection.open is not None:
            return [connection.open[number] for number in sorted(connection.open)]
        found = [
            Channel(number, confirm=bool(connection.publishes))
            for number in range(1, connection.channels + 1)
        ]
        if connection.consumes and found:
            first, prefetch = found[0], connection.prefetch
            consumer = Consumer(connection.client, connection.consumes, True, prefetch)
            first.consumers[consumer.tag] = consumer
            first.prefetch, first.unacked = prefetch, self._unacked(connection)
        return found

    def _unacked(self, connection: Connection) -> int:
        """The connection's part of what its queue has delivered and not seen acknowledged."""
        queue = self._broker.queues.get((connection.vhost, connection.consumes))
        if queue is None:
            return 0
        peers = [c.name for c in self._broker.connections.values()
                 if (c.vhost, c.consumes) == (connection.vhost, connection.consumes)]  # fmt: skip
        share, rest = divmod(int(queue.unacked) - queue.held, len(peers))
        return share + (peers.index(connection.name) < rest)

    def consumers(self) -> list[Object]:
        """`/api/consumers`."""
        return [
            {
                "arguments": {},
                "ack_required": consumer.ack_required,
                "active": True,
                "activity_status": "up",
                "channel_details": {
                    "connection_name": connection.name,
                    "name": f"{connection.name} ({channel.number})",
                    "node": connection.node,
                    "number": channel.number,
                    "peer_host": connection.peer_host,
                    "peer_port": connection.peer_port,
                    "user": connection.user,
                },
                "consumer_tag": consumer.tag,
                "exclusive": consumer.exclusive,
                "prefetch_count": consumer.prefetch,
                "queue": {"name": consumer.queue, "vhost": connection.vhost},
            }
            for connection in self._broker.connections.values()
            for channel in self._of(connection)
            for consumer in channel.consumers.values()
        ]
