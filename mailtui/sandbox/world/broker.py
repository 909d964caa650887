"""The message broker: nodes, queues, dead letters, connections, policies.

How it moves is in `broker_traffic.py`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from mailtui.sandbox.world.messages import Message

GIB = 1024**3
MIB = 1024**2


@dataclass(slots=True)
class BrokerNode:
    """One node; sizes in bytes."""

    name: str
    """`rabbit@mon1`."""
    started: float
    """Epoch seconds."""
    running: bool = True
    memory_used: int = 412 * MIB
    memory_limit: int = 6 * GIB
    disk_free: int = 120 * GIB
    disk_free_limit: int = 2 * GIB
    fd_used: int = 84
    fd_total: int = 32_768
    sockets_used: int = 14
    sockets_total: int = 29_399
    processes_used: int = 842
    processes_total: int = 1_048_576
    partitions: tuple[str, ...] = ()

    @property
    def memory_alarm(self) -> bool:
        """True above the memory watermark."""
        return self.memory_used > self.memory_limit

    @property
    def disk_alarm(self) -> bool:
        """True below the free disk limit."""
        return self.disk_free < self.disk_free_limit


@dataclass(slots=True)
class Queue:
    """One queue. Rates in messages a second."""

    vhost: str
    name: str
    type: str
    """quorum or classic."""
    node: str
    ready: float = 0.0
    unacked: float = 0.0
    consumers: int = 0
    publish_rate: float = 0.0
    deliver_rate: float = 0.0
    ack_rate: float = 0.0
    redeliver_rate: float = 0.0
    published: float = 0.0
    delivered: float = 0.0
    acked: float = 0.0
    redelivered: float = 0.0
    """Totals since the node started."""
    arguments: dict[str, str | int] = field(default_factory=dict)
    """x-arguments: x-queue-type, x-dead-letter-exchange…"""
    policy: str = ""
    dead_letter_exchange: str | None = None
    dead_letter_routing_key: str | None = None
    delivery_limit: int | None = None
    memory: int = 140 * 1024
    state: str = "running"
    durable: bool = True
    auto_delete: bool = False
    exclusive: bool = False
    idle_since: float | None = None
    letters: deque[Message] = field(default_factory=deque)
    """Those of its ready messages that somebody may look at, oldest first; the rest of `ready` is
    only counted. In a queue that no simulated traffic fills: all."""
    held: int = 0
    """What clients of AMQP have got and not acknowledged: part of `unacked`."""
    subscribed: int = 0
    """Consumers of AMQP clients: part of `consumers`."""
    next_order: int = 0

    @property
    def workers(self) -> int:
        """Simulated consumers."""
        return self.consumers - self.subscribed

    @property
    def messages(self) -> int:
        """Ready and unacked."""
        return int(self.ready) + int(self.unacked)


@dataclass(slots=True)
class Consumer:
    """A consumer of an AMQP client."""

    tag: str
    queue: str
    """In the vhost of its connection."""
    ack_required: bool
    prefetch: int
    exclusive: bool = False


@dataclass(slots=True)
class Channel:
    """A channel of an AMQP client."""

    number: int
    confirm: bool = False
    prefetch: int = 0
    """For the consumers that are made next (`basic.qos` with `global` false)."""
    shared_prefetch: int = 0
    """Of all its consumers together (`global` true)."""
    unacked: int = 0
    unconfirmed: int = 0
    consumers: dict[str, Consumer] = field(default_factory=dict)
    """By tag."""


@dataclass(slots=True)
class Connection:
    """One AMQP connection. Rates in bytes a second."""

    name: str
    """`10.77.0.11:51822 -> 10.77.0.16:5672`."""
    vhost: str
    user: str
    node: str
    peer_host: str
    peer_port: int
    host: str
    port: int
    connected_at: float
    client: str
    """`connection_name` of its client properties."""
    product: str
    version: str
    channels: int = 1
    prefetch: int = 20
    state: str = "running"
    receive_rate: float = 900.0
    send_rate: float = 900.0
    received: float = 0.0
    sent: float = 0.0
    consumes: str = ""
    """Queue that it consumes from."""
    publishes: str = ""
    """Exchange that it publishes to."""
    open: dict[int, Channel] | None = None
    """The channels of an AMQP client, by number; None: the connection is simulated."""
    properties: dict[str, object] = field(default_factory=dict)
    """What the client says of itself; empty: what a worker would say."""
    timeout: int = 60
    """Seconds of the heartbeat; 0: none."""
    close: Callable[[str], None] | None = None
    """Closes it with a reason, where somebody is at its other end."""


@dataclass(slots=True)
class Policy:
    """A policy (rabbitmq.com, Parameters and Policies)."""

    vhost: str
    name: str
    pattern: str
    apply_to: str
    priority: int
    definition: dict[str, str | int]


@dataclass(slots=True)
class Exchange:
    """An exchange."""

    vhost: str
    name: str
    type: str
    durable: bool = True
    internal: bool = False


@dataclass(slots=True)
class Binding:
    """A binding from an exchange to a queue."""

    vhost: str
    source: str
    destination: str
    routing_key: str


@dataclass(slots=True)
class Broker:
    """The whole broker."""

    cluster: str
    version: str
    erlang: str
    nodes: list[BrokerNode] = field(default_factory=list)
    vhosts: list[str] = field(default_factory=lambda: ["/", "mail"])
    queues: dict[tuple[str, str], Queue] = field(default_factory=dict)
    """By (vhost, name)."""
    connections: dict[str, Connection] = field(default_factory=dict)
    """By name."""
    exchanges: list[Exchange] = field(default_factory=list)
    bindings: list[Binding] = field(default_factory=list)
    policies: list[Policy] = field(default_factory=list)
    users: list[tuple[str, str]] = field(default_factory=list)
    """(name, tags)."""

    @property
    def alarms(self) -> list[tuple[str, str]]:
        """Resource alarms in effect as (node, `disk space` or `memory`): they block publishers."""
        found = []
        for node in self.nodes:
            if node.running and node.disk_alarm:
                found.append((node.name, "disk space"))
            if node.running and node.memory_alarm:
                found.append((node.name, "memory"))
        return found

    def queue(self, name: str, vhost: str = "mail") -> Queue:
        """The queue of that name; KeyError if there is none."""
        return self.queues[vhost, name]
