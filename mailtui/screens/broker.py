"""RabbitMQ: queues, connections, nodes."""

from __future__ import annotations

from rich.text import Text
from textual.app import ComposeResult
from textual.widgets import Static

from mailtui.model import format as fmt
from mailtui.model.broker import BrokerReport
from mailtui.resources import broker, broker_connections, broker_nodes
from mailtui.screens.lists import ListSpec, ListsScreen


class View(ListsScreen):
    """The queues between reception and processing."""

    NAME = "broker"
    HEADING = "Broker"
    SOURCES = ("rabbitmq", "broker_connections")
    ENTER = ""
    LISTS = tuple(map(ListSpec.of, (broker, broker_connections, broker_nodes)))
    CSS = "View #cluster { height: auto; max-height: 4; padding: 0 1; }"

    def compose_body(self) -> ComposeResult:
        """The cluster in two lines, then the lists."""
        yield Static(id="cluster", markup=False)
        yield from super().compose_body()

    def data_changed(self) -> None:
        """The cluster's line, then the lists."""
        super().data_changed()
        platform = self.console_app.platform
        report = platform.state.value("rabbitmq", BrokerReport) if platform is not None else None
        self.query_one("#cluster", Static).update(_cluster(report))


def _cluster(report: BrokerReport | None) -> Text:
    text = Text(no_wrap=True, overflow="ellipsis")
    if report is None:
        return text
    running = sum(node.running for node in report.nodes)
    text.append(report.cluster or "cluster", style="bold")
    text.append(
        f"  RabbitMQ {report.version or '?'}  nodes {running} of {len(report.nodes)} running"
        f"  ready {fmt.count(report.ready)}  unacked {fmt.count(report.unacked)}"
        f"  publish {fmt.rate(report.publish_rate, '/s')}"
        f"  deliver {fmt.rate(report.deliver_rate, '/s')}  ack {fmt.rate(report.ack_rate, '/s')}"
    )
    for alarm in report.alarms:
        text.append(f"\n✖ {alarm}", style="bold red")
    for note in report.notes:
        text.append(f"\n? {note}")
    return text
