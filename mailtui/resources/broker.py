"""The broker's queues."""

from __future__ import annotations

from mailtui.collectors.state import State
from mailtui.model import format as fmt
from mailtui.model.broker import BrokerQueue, BrokerReport
from mailtui.resources.base import Column, Level, Resource

SOURCES = ("rabbitmq",)


def _kind(queue: BrokerQueue) -> str:
    return "dead-letter" if queue.is_dead_letter else queue.type


def _rate(value: float | None) -> str:
    return "?" if value is None else f"{value:,.1f}"


def _target(queue: BrokerQueue) -> str:
    """Where its dead letters go; empty without a dead-letter exchange."""
    if queue.dead_letter_exchange is None:
        return ""
    exchange = queue.dead_letter_exchange or "(default)"
    key = queue.dead_letter_routing_key
    return exchange if key is None else f"{exchange} {key}"


def _ready_level(queue: BrokerQueue) -> Level:
    if queue.is_dead_letter and queue.ready:
        return "warning"
    return "unknown" if queue.ready is None else ""


def _consumers_level(queue: BrokerQueue) -> Level:
    if queue.consumers == 0 and queue.ready and not queue.is_dead_letter:
        return "warning"
    return ""


RESOURCE: Resource[BrokerQueue] = Resource(
    name="broker",
    title="queues",
    columns=(
        Column("vhost", "vhost", lambda q: q.vhost, width=8, priority=3),
        Column("queue", "queue", lambda q: q.name, width=14, flex=2, truncate="middle"),
        Column("kind", "kind", _kind, width=11, priority=2),
        Column(
            "ready",
            "ready",
            lambda q: q.ready,
            lambda q: fmt.count(q.ready),
            "right",
            9,
            level=_ready_level,
        ),
        Column(
            "unacked", "unacked", lambda q: q.unacked, lambda q: fmt.count(q.unacked), "right", 8
        ),
        Column(
            "consumers",
            "consumers",
            lambda q: q.consumers,
            lambda q: fmt.count(q.consumers),
            "right",
            9,
            level=_consumers_level,
        ),
        Column(
            "in",
            "in /s",
            lambda q: q.publish_rate,
            lambda q: _rate(q.publish_rate),
            "right",
            8,
            0,
            1,
        ),
        Column(
            "out", "out /s", lambda q: q.deliver_rate, lambda q: _rate(q.deliver_rate), "right", 8
        ),
        Column(
            "ack",
            "ack /s",
            lambda q: q.ack_rate,
            lambda q: _rate(q.ack_rate),
            "right",
            8,
            priority=1,
        ),
        Column(
            "memory",
            "bytes",
            lambda q: q.memory,
            lambda q: fmt.size(q.memory),
            "right",
            7,
            priority=5,
        ),
        Column("state", "state", lambda q: q.state, width=8, priority=4),
        Column("dead_to", "dead letters to", _target, width=12, flex=1, priority=4),
        Column("policy", "policy", lambda q: q.policy, width=8, priority=6),
        Column("node", "node", lambda q: q.node, width=12, priority=6),
    ),
    key=lambda q: q.key,
    empty="the broker has no queue",
    sort="-ready",
)


def rows(state: State) -> list[BrokerQueue]:
    """Every queue that was read."""
    report = state.value("rabbitmq", BrokerReport)
    return [] if report is None else list(report.queues)


def more(state: State) -> int | None:
    """Queues beyond `queue_limit`; None if nothing was read yet."""
    report = state.value("rabbitmq", BrokerReport)
    return None if report is None else max(0, report.queues_total - len(report.queues))
