"""Suspended destinations: mail waits there, and somebody else should know why."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from mailtui.collectors.state import State
from mailtui.model import format as fmt
from mailtui.model.problem import Problem
from mailtui.model.suspension import Suspension, Suspensions
from mailtui.model.where_parse import exactly

if TYPE_CHECKING:
    from mailtui.config.settings import Context

_LATE = 120.0
"""Seconds after its end from which a suspension should have been removed by the host's timer."""


def find(state: State, context: Context, now: float) -> Iterable[Problem]:
    """One for each destination, over all hosts."""
    found: dict[str, list[Suspension]] = {}
    read_at = 0.0
    for reading in state.of("postfix_suspended"):
        if isinstance(reading.value, Suspensions):
            read_at = max(read_at, reading.read_at)
            for one in reading.value.entries:
                found.setdefault(one.destination, []).append(one)
    for destination, every in found.items():
        last = max(every, key=lambda one: one.until)
        text = f"delivery to {destination} is suspended until {fmt.since(last.until, now)}"
        text += f" by {last.who}" + (f": {last.reason}" if last.reason else "")
        if now > last.until + _LATE:
            text = (
                f"delivery to {destination} was suspended until {fmt.since(last.until, now)} and "
                "still is: mailtui-suspend.timer does not run there"
            )
        yield Problem(
            key=f"postfix/suspended/{destination}",
            severity="warning",
            hosts=tuple(sorted({one.host for one in every})),
            text=text,
            screen="queues",
            where=exactly("destination", destination),
            read_at=read_at,
            weight=20,
            source="postfix_suspended",
        )
