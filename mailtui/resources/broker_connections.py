"""The broker's AMQP connections."""

from __future__ import annotations

from mailtui.collectors.state import State
from mailtui.model import clock
from mailtui.model import format as fmt
from mailtui.model.broker import BrokerConnection, BrokerConnections
from mailtui.resources.base import Column, Level, Resource

SOURCES = ("broker_connections",)


def _age(connection: BrokerConnection) -> float | None:
    since = connection.connected_at
    return None if since is None else max(0.0, clock.now() - since)


def _level(connection: BrokerConnection) -> Level:
    return "warning" if connection.state in ("blocked", "blocking", "flow") else ""


def _consumes(connection: BrokerConnection) -> str:
    return "?" if connection.consumes is None else ", ".join(connection.consumes)


RESOURCE: Resource[BrokerConnection] = Resource(
    name="broker_connections",
    title="connections",
    columns=(
        Column("user", "user", lambda c: c.user, width=10, flex=1),
        Column("peer", "peer", lambda c: c.peer, width=21, truncate="middle"),
        Column("state", "state", lambda c: c.state or None, width=9, level=_level),
        Column(
            "channels",
            "channels",
            lambda c: c.channels,
            lambda c: fmt.count(c.channels),
            "right",
            8,
            priority=2,
        ),
        Column("age", "age", _age, lambda c: fmt.age(_age(c)), "right", 9, priority=1),
        Column(
            "received",
            "from B/s",
            lambda c: c.receive_rate,
            lambda c: fmt.size(c.receive_rate),
            "right",
            8,
            priority=1,
        ),
        Column(
            "sent",
            "to B/s",
            lambda c: c.send_rate,
            lambda c: fmt.size(c.send_rate),
            "right",
            8,
            priority=1,
        ),
        Column(
            "consumes", "consumes", lambda c: c.consumes, _consumes, width=12, flex=1, priority=2
        ),
        Column("vhost", "vhost", lambda c: c.vhost, width=8, priority=3),
        Column("client", "client", lambda c: c.client, width=16, flex=2, priority=2),
        Column("name", "name", lambda c: c.name, width=20, flex=1, priority=4, truncate="middle"),
    ),
    key=lambda c: c.key,
    empty="nobody is connected to the broker",
    sort="user",
    tick=5.0,
)


def rows(state: State) -> list[BrokerConnection]:
    """Every connection that was read."""
    found = state.value("broker_connections", BrokerConnections)
    return [] if found is None else list(found.connections)


def more(state: State) -> int | None:
    """Connections beyond `connection_limit`; None if nothing was read yet."""
    found = state.value("broker_connections", BrokerConnections)
    return None if found is None else max(0, found.total - len(found.connections))
