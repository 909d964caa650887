"""Destinations to which delivery is suspended, host by host."""

from __future__ import annotations

from mailtui.collectors.state import State
from mailtui.model import clock
from mailtui.model import format as fmt
from mailtui.model.suspension import Suspension, Suspensions
from mailtui.resources.base import Column, Resource

SOURCES = ("postfix_suspended",)


def _left(row: Suspension) -> float:
    return max(0.0, row.until - clock.now())


RESOURCE: Resource[Suspension] = Resource(
    name="suspended",
    title="suspended destinations",
    columns=(
        Column("destination", "destination", lambda s: s.destination, width=20, flex=1),
        Column("host", "host", lambda s: s.host, width=8),
        Column("left", "left", _left, lambda s: fmt.age(_left(s)), "right", 9),
        Column(
            "until",
            "until",
            lambda s: s.until,
            lambda s: fmt.since(s.until, clock.now()),
            "right",
            11,
            priority=2,
        ),
        Column("who", "by", lambda s: s.who, width=10, priority=1),
        Column("reason", "reason", lambda s: s.reason, width=20, flex=2, priority=3),
    ),
    key=lambda s: s.key,
    empty="no delivery is suspended",
    sort="left",
    tick=1.0,
)


def rows(state: State) -> list[Suspension]:
    """Every suspension of every host."""
    return [
        one for _, found in state.values("postfix_suspended", Suspensions) for one in found.entries
    ]
