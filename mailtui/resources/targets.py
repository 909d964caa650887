"""What Prometheus scrapes."""

from __future__ import annotations

from mailtui.collectors.state import State
from mailtui.model import clock
from mailtui.model import format as fmt
from mailtui.model.metrics import MetricsReport, ScrapeTarget
from mailtui.resources.base import Column, Resource

SOURCES = ("prometheus",)


def _age(target: ScrapeTarget) -> float | None:
    return None if target.last_scrape is None else max(0.0, clock.now() - target.last_scrape)


RESOURCE: Resource[ScrapeTarget] = Resource(
    name="targets",
    title="targets",
    columns=(
        Column(
            "up",
            "state",
            lambda t: "up" if t.up else "down",
            width=7,
            level=lambda t: "ok" if t.up else "critical",
        ),
        Column("job", "job", lambda t: t.job, width=14),
        Column("instance", "instance", lambda t: t.instance, width=24, flex=1),
        Column("age", "scraped", _age, lambda t: fmt.age(_age(t)), "right", 9, priority=1),
        Column("error", "error", lambda t: t.error, width=20, flex=2),
    ),
    key=lambda t: f"{t.job}/{t.instance}",
    empty="Prometheus scrapes no target",
    tick=1.0,
)


def rows(state: State) -> list[ScrapeTarget]:
    """Every target, those that are down first."""
    report = state.value("prometheus", MetricsReport)
    if report is None:
        return []
    return sorted(report.targets, key=lambda t: (t.up, t.job, t.instance))
