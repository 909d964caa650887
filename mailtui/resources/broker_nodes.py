"""The broker's nodes."""

from __future__ import annotations

from mailtui.collectors.state import State
from mailtui.model import format as fmt
from mailtui.model.broker import BrokerNode, BrokerReport
from mailtui.resources.base import Column, Level, Resource

SOURCES = ("rabbitmq",)


def _state(node: BrokerNode) -> str:
    if not node.running:
        return "down"
    alarms = [
        name
        for name, on in (("memory alarm", node.memory_alarm), ("disk alarm", node.disk_alarm))
        if on
    ]
    if node.partitions:
        alarms.append("partition")
    return ", ".join(alarms) or "running"


def _level(node: BrokerNode) -> Level:
    return "ok" if _state(node) == "running" else "critical"


RESOURCE: Resource[BrokerNode] = Resource(
    name="broker_nodes",
    title="nodes",
    columns=(
        Column("node", "node", lambda n: n.name, width=16, flex=1),
        Column("state", "state", _state, width=14, level=_level),
        Column(
            "memory",
            "memory B",
            lambda n: n.memory_used,
            lambda n: fmt.size(n.memory_used),
            "right",
            8,
        ),
        Column(
            "memory_limit",
            "of B",
            lambda n: n.memory_limit,
            lambda n: fmt.size(n.memory_limit),
            "right",
            7,
            priority=1,
        ),
        Column(
            "disk_free",
            "free B",
            lambda n: n.disk_free,
            lambda n: fmt.size(n.disk_free),
            "right",
            7,
        ),
        Column(
            "disk_limit",
            "least B",
            lambda n: n.disk_free_limit,
            lambda n: fmt.size(n.disk_free_limit),
            "right",
            7,
            priority=1,
        ),
        Column(
            "fd", "files", lambda n: n.fd_used, lambda n: fmt.count(n.fd_used), "right", 7, 0, 2
        ),
        Column(
            "sockets",
            "sockets",
            lambda n: n.sockets_used,
            lambda n: fmt.count(n.sockets_used),
            "right",
            7,
            priority=3,
        ),
        Column(
            "uptime", "uptime", lambda n: n.uptime, lambda n: fmt.age(n.uptime), "right", 10, 0, 2
        ),
        Column(
            "partitions",
            "partitioned from",
            lambda n: n.partitions,
            lambda n: " ".join(n.partitions),
            width=16,
            priority=3,
        ),
    ),
    key=lambda n: n.name,
    empty="the broker names no node: see its notes",
    sort="node",
)


def rows(state: State) -> list[BrokerNode]:
    """Every node."""
    report = state.value("rabbitmq", BrokerReport)
    return [] if report is None else list(report.nodes)


def more(state: State) -> int | None:
    """None are left out."""
    return 0 if state.value("rabbitmq", BrokerReport) is not None else None
