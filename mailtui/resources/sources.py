"""Every reading: which source at which target, how old, how long it took, what is wrong."""

from __future__ import annotations

from mailtui.collectors.state import State
from mailtui.model import clock
from mailtui.model import format as fmt
from mailtui.model.reading import AnyReading
from mailtui.resources.base import Column, Level, Resource

SOURCES: tuple[str, ...] = ()
"""All of them."""

_LEVELS: dict[str, Level] = {"fresh": "ok", "stale": "stale", "never": "unknown", "absent": "muted"}


def _age(reading: AnyReading) -> float | None:
    return reading.age(clock.now())


def _error(reading: AnyReading) -> str:
    return reading.fault.sentence() if reading.fault is not None else ""


def _took(reading: AnyReading) -> float | None:
    return reading.took if reading.status in ("fresh", "stale") else None


RESOURCE: Resource[AnyReading] = Resource(
    name="sources",
    title="sources",
    columns=(
        Column("status", "status", lambda r: r.status, width=8, level=lambda r: _LEVELS[r.status]),
        Column("source", "source", lambda r: r.source, width=18),
        Column("target", "host", lambda r: r.target, width=10),
        Column("age", "age", _age, lambda r: fmt.age(_age(r)), "right", 9),
        Column(
            "took",
            "took ms",
            _took,
            lambda r: "?" if (t := _took(r)) is None else f"{t * 1000:,.0f}",
            "right",
            8,
            priority=2,
        ),
        Column(
            "every",
            "every s",
            lambda r: r.interval or None,
            lambda r: f"{r.interval:g}" if r.interval else "?",
            "right",
            8,
            priority=3,
        ),
        Column(
            "since",
            "failing since",
            lambda r: r.fault.since if r.fault is not None and not r.absent else None,
            lambda r: fmt.clock_time(r.fault.since) if r.fault is not None and not r.absent else "",
            width=13,
            priority=1,
        ),
        Column("error", "error", _error, width=20, flex=1),
    ),
    key=lambda r: f"{r.source}/{r.target}",
    empty="no source is configured",
    tick=1.0,
)


def rows(state: State) -> list[AnyReading]:
    """Every reading, those with an error first."""
    return sorted(state.all(), key=lambda r: (r.fault is None or r.absent, r.source, r.target))
