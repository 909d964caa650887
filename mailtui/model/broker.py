"""RabbitMQ as its management API tells it (rabbitmq.com, HTTP API reference)."""

from __future__ import annotations

import msgspec


class BrokerNode(msgspec.Struct, frozen=True, gc=False):
    """One node of the cluster; sizes in bytes."""

    name: str
    running: bool
    memory_alarm: bool = False
    disk_alarm: bool = False
    memory_used: int | None = None
    memory_limit: int | None = None
    disk_free: int | None = None
    disk_free_limit: int | None = None
    fd_used: int | None = None
    fd_total: int | None = None
    sockets_used: int | None = None
    uptime: float | None = None
    """Seconds."""
    partitions: tuple[str, ...] = ()


class BrokerQueue(msgspec.Struct, frozen=True, gc=False):
    """One queue. None: the broker did not say (statistics off, or not yet collected)."""

    vhost: str
    name: str
    type: str = "classic"
    state: str = ""
    durable: bool = True
    ready: int | None = None
    unacked: int | None = None
    total: int | None = None
    consumers: int | None = None
    publish_rate: float | None = None
    deliver_rate: float | None = None
    ack_rate: float | None = None
    """Messages a second."""
    memory: int | None = None
    node: str = ""
    dead_letter_exchange: str | None = None
    """None: no dead-letter target; `` is the default exchange."""
    dead_letter_routing_key: str | None = None
    is_dead_letter: bool = False
    """True if other queues' messages end here when they fail (see collectors.rabbitmq_queues)."""
    delivery_limit: int | None = None
    policy: str = ""
    delays: bool = False
    """True if its messages expire into another queue: nobody is meant to consume it."""
    growth: float | None = None
    """Messages by which it grew within `growth_span`; negative when it shrank."""
    growth_span: float = 0.0
    """Seconds."""
    stuck_since: float | None = None
    """Epoch seconds since when consumers hold the same number of messages and acknowledge none."""

    @property
    def key(self) -> str:
        """Identity across polls."""
        return f"{self.vhost}\t{self.name}"


class BrokerConnection(msgspec.Struct, frozen=True, gc=False):
    """One AMQP connection."""

    name: str
    vhost: str = ""
    user: str = ""
    peer: str = ""
    state: str = ""
    """running, blocked, blocking, flow…"""
    channels: int | None = None
    connected_at: float | None = None
    receive_rate: float | None = None
    send_rate: float | None = None
    """Bytes a second."""
    client: str = ""
    consumes: tuple[str, ...] | None = None
    """Queues that it takes messages from; None: not known."""

    @property
    def key(self) -> str:
        """Identity across polls."""
        return self.name


class BrokerReport(msgspec.Struct, frozen=True):
    """The broker in one read."""

    cluster: str = ""
    version: str = ""
    erlang: str = ""
    ready: int | None = None
    unacked: int | None = None
    publish_rate: float | None = None
    deliver_rate: float | None = None
    ack_rate: float | None = None
    nodes: tuple[BrokerNode, ...] = ()
    alarms: tuple[str, ...] = ()
    """Alarms in effect, as sentences."""
    queues: tuple[BrokerQueue, ...] = ()
    queues_total: int = 0
    connections_total: int | None = None
    """How many there are; the connections themselves are the source `broker_connections`."""
    notes: tuple[str, ...] = ()
    """What could not be read, and why (a permission, a statistic that is off)."""


class BrokerConnections(msgspec.Struct, frozen=True):
    """The broker's connections in one read; only read while somebody looks at them."""

    connections: tuple[BrokerConnection, ...] = ()
    total: int = 0
    """How many there are, also those beyond the limit."""
    notes: tuple[str, ...] = ()
