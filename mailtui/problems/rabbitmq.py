"""What is wrong with the broker: alarms, nodes, dead letters, queues that do not move."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

from mailtui.collectors.state import State
from mailtui.model import format as fmt
from mailtui.model.broker import BrokerQueue, BrokerReport
from mailtui.model.metrics import MetricsReport
from mailtui.model.problem import Problem, Severity
from mailtui.model.where_parse import exactly

if TYPE_CHECKING:
    from mailtui.config.settings import Context
    from mailtui.config.sources.rabbitmq import Settings

_WELL = frozenset(("", "running", "idle", "flow", "live"))
"""States of a queue that works; others are down, crashed, stopped, minority, terminated."""


GROWN = 10
"""Dead letters that came within the growth's span from which they are a problem at any depth."""


def find(state: State, context: Context, now: float) -> Iterator[Problem]:
    """Problems of the last BrokerReport."""
    from mailtui.config.sources.rabbitmq import Settings

    reading = state.get("rabbitmq")
    report, settings = reading.value, context.source("rabbitmq", Settings)
    if not isinstance(report, BrokerReport) or settings is None:
        return
    yield from _nodes(report, reading.read_at)
    metrics = state.value("prometheus", MetricsReport)
    for queue in _grown(report.queues, metrics):
        # nodes, and who consumes what, are told to who has the tag `monitoring`
        yield from _queue(queue, settings, reading.read_at, monitors=bool(report.nodes))


def _grown(queues: tuple[BrokerQueue, ...], metrics: MetricsReport | None) -> Iterator[BrokerQueue]:
    """`queues` with the growth that Prometheus knows, where the broker itself does not yet."""
    names = Counter(queue.name for queue in queues)
    for queue in queues:
        grew = metrics.values.get(f"broker_growth.{queue.name}") if metrics is not None else None
        # Prometheus is asked by name: the same name in two virtual hosts is no answer
        if queue.growth is None and grew is not None and names[queue.name] == 1:
            yield msgspec.structs.replace(queue, growth=grew, growth_span=1200.0)
        else:
            yield queue


def _nodes(report: BrokerReport, read_at: float) -> Iterator[Problem]:
    said: list[tuple[str, str]] = []
    for node in report.nodes:
        words: list[str] = []
        if not node.running:
            words.append("is down")
        if node.disk_alarm:
            said.append((node.name, "disk"))
            words.append(
                f"disk alarm: {fmt.size(node.disk_free)} free, "
                f"limit {fmt.size(node.disk_free_limit)}; publishers are blocked"
            )
        if node.memory_alarm:
            said.append((node.name, "memory"))
            words.append(
                f"memory alarm: {fmt.size(node.memory_used)} used, "
                f"limit {fmt.size(node.memory_limit)}; publishers are blocked"
            )
        if node.partitions:
            words.append(f"partitioned from {', '.join(node.partitions)}")
        if words:
            yield _node_problem(node.name, f"{node.name} {'; '.join(words)}", read_at)
    for alarm in report.alarms:
        # a node's own flags come later than the check, and not to every user
        if not any(name in alarm and alarm.startswith(kind) for name, kind in said):
            yield _node_problem("", alarm, read_at)


def _node_problem(node: str, text: str, read_at: float) -> Problem:
    return Problem(
        key=f"rabbitmq/node/{node or text}",
        severity="critical",
        hosts=(node.partition("@")[2],) if "@" in node else (),
        text=text,
        screen="broker",
        where=f"broker_nodes {exactly('node', node)}" if node else "",
        read_at=read_at,
        weight=50.0,
        source="rabbitmq",
    )


def _consumers(queue: BrokerQueue) -> str:
    return f"broker_connections {exactly('consumes', queue.name)} {exactly('vhost', queue.vhost)}"


def _queue(
    queue: BrokerQueue, settings: Settings, read_at: float, *, monitors: bool
) -> Iterator[Problem]:
    name = queue.name if queue.vhost == "/" else f"{queue.vhost}/{queue.name}"
    total = queue.total if queue.total is not None else queue.ready
    if queue.state not in _WELL:
        yield _problem(
            queue, "state", "critical", f"{name} is {queue.state}", read_at=read_at, weight=40.0
        )
    elif queue.is_dead_letter:
        grown = (queue.growth or 0) >= GROWN
        if total is not None and (total >= settings.dead_letter_warning or grown):
            grows = max(0.0, queue.growth or 0.0)
            text = f"{name} holds {fmt.count(total)} dead letters{growth(queue)}"
            yield _problem(
                queue, "dead", "warning", text, read_at=read_at, weight=5.0 + grows + total / 1e6
            )
    elif queue.consumers == 0:
        if queue.ready and not queue.delays:
            text = f"{name}: {fmt.count(queue.ready)} wait and nobody consumes{growth(queue)}"
            yield _problem(
                queue,
                "consumers",
                "warning",
                text,
                read_at=read_at,
                weight=10.0 + queue.ready / 1e3,
            )
    elif _is_stuck(queue, settings, read_at):
        text = (
            f"{name}: {fmt.count(queue.consumers)} consumers hold {fmt.count(queue.unacked)} "
            f"and acknowledge none; {fmt.count(queue.ready)} wait{growth(queue)}"
        )
        found = _problem(
            queue, "stuck", "warning", text, read_at=read_at, weight=20.0, since=queue.stuck_since
        )
        # to who holds them, where the broker says who consumes what
        yield msgspec.structs.replace(found, where=_consumers(queue)) if monitors else found
    elif queue.ready is not None and queue.ready >= settings.ready_warning:
        text = f"{name}: {fmt.count(queue.ready)} wait{growth(queue)}{_pace(queue)}"
        yield _problem(
            queue, "ready", "warning", text, read_at=read_at, weight=5.0 + queue.ready / 1e3
        )


def _is_stuck(queue: BrokerQueue, settings: Settings, read_at: float) -> bool:
    return queue.stuck_since is not None and read_at - queue.stuck_since >= settings.stuck_after


def growth(queue: BrokerQueue) -> str:
    """`, +1,140 in 20 min`; empty where it is unknown or nothing."""
    if not queue.growth or queue.growth_span < 60.0:
        return ""
    return f", {queue.growth:+,.0f} in {round(queue.growth_span / 60.0)} min"


def _pace(queue: BrokerQueue) -> str:
    if queue.publish_rate is None or queue.deliver_rate is None:
        return ""
    consumers = "" if queue.consumers is None else f", {fmt.count(queue.consumers)} consumers"
    return f" (in {queue.publish_rate:.1f} /s, out {queue.deliver_rate:.1f} /s{consumers})"


def _problem(
    queue: BrokerQueue,
    what: str,
    severity: Severity,
    text: str,
    *,
    read_at: float,
    weight: float,
    since: float | None = None,
) -> Problem:
    return Problem(
        key=f"rabbitmq/{what}/{queue.vhost}/{queue.name}",
        severity=severity,
        hosts=(),
        text=text,
        screen="broker",
        where=f"{exactly('queue', queue.name)} {exactly('vhost', queue.vhost)}",
        since=since,
        read_at=read_at,
        weight=weight,
        source="rabbitmq",
    )
