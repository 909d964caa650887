"""A source of the whole platform that does not answer: said once, with what it answers last."""

from __future__ import annotations

from collections.abc import Iterator

from mailtui.collectors.state import State
from mailtui.model import format as fmt
from mailtui.model.problem import Problem


def unanswered(state: State, source: str) -> Iterator[Problem]:
    """One problem of severity `unknown` if the last read of `source` failed."""
    reading = state.get(source)
    fault = reading.fault
    if fault is None or reading.absent:
        return
    known = f"; last answer {fmt.clock_time(reading.read_at)}" if reading.read_at else ""
    yield Problem(
        key=f"source/{source}/",
        severity="unknown",
        hosts=(),
        text=f"{fault.sentence()}{known}",
        screen="sources",
        where=f"source:={source}",
        since=fault.since or None,
        read_at=reading.read_at or fault.since,
        weight=1.0,
        source=source,
    )
