"""The alerts of Prometheus' own rules."""

from __future__ import annotations

from mailtui.collectors.state import State
from mailtui.model import clock
from mailtui.model import format as fmt
from mailtui.model.metrics import Alert, MetricsReport
from mailtui.resources.base import Column, Level, Resource

SOURCES = ("prometheus",)


def _level(alert: Alert) -> Level:
    if alert.state != "firing":
        return "muted"
    return "critical" if alert.severity in ("critical", "page", "emergency") else "warning"


def _age(alert: Alert) -> float | None:
    return None if alert.active_at is None else max(0.0, clock.now() - alert.active_at)


def _where(alert: Alert) -> str:
    for name in ("host", "instance", "node", "job"):
        if alert.labels.get(name):
            return alert.labels[name]
    return ""


def _labels(alert: Alert) -> str:
    return " ".join(f"{name}={value}" for name, value in sorted(alert.labels.items()))


RESOURCE: Resource[Alert] = Resource(
    name="alerts",
    title="alerts",
    columns=(
        Column("state", "state", lambda a: a.state, width=9, level=_level),
        Column("severity", "severity", lambda a: a.severity, width=9, priority=1),
        Column("alert", "alert", lambda a: a.name, width=20, flex=1),
        Column("where", "where", _where, width=12, truncate="middle"),
        Column("age", "since", _age, lambda a: fmt.age(_age(a)), "right", 9),
        Column("summary", "summary", lambda a: a.summary or a.description, width=20, flex=2),
        Column("labels", "labels", _labels, width=16, flex=1, priority=3),
    ),
    key=lambda a: a.key,
    empty="no alert is pending or firing",
    tick=1.0,
)


def rows(state: State) -> list[Alert]:
    """Every alert, firing and critical ones first."""
    report = state.value("prometheus", MetricsReport)
    if report is None:
        return []
    ranks: dict[Level, int] = {"critical": 0, "warning": 1}
    return sorted(report.alerts, key=lambda a: (ranks.get(_level(a), 2), a.active_at or 0.0, a.key))


def more(state: State) -> int | None:
    """None are left out."""
    return 0 if state.value("prometheus", MetricsReport) is not None else None
