"""Bans of all hosts' fail2ban."""

from __future__ import annotations

from mailtui.collectors.state import State
from mailtui.model import clock
from mailtui.model import format as fmt
from mailtui.model.bans import Ban, BanReport
from mailtui.resources.base import Column, Resource

SOURCES = ("fail2ban",)


def _age(ban: Ban) -> float | None:
    return None if ban.banned_at is None else max(0.0, clock.now() - ban.banned_at)


def _left(ban: Ban) -> float | None:
    return float("inf") if ban.permanent else ban.time_left(clock.now())


def _left_text(ban: Ban) -> str:
    if ban.permanent:
        return "permanent"
    left = ban.time_left(clock.now())
    return "ending" if left == 0 else fmt.age(left)


RESOURCE: Resource[Ban] = Resource(
    name="bans",
    title="bans",
    columns=(
        Column("address", "address", lambda b: b.address, width=24, flex=1, truncate="never"),
        Column("jail", "jail", lambda b: b.jail, width=14, flex=1),
        Column("host", "host", lambda b: b.host, width=10),
        Column("age", "banned for", _age, lambda b: fmt.age(_age(b)), "right", 12),
        Column("left", "time left", _left, _left_text, "right", 10),
        Column(
            "since",
            "since",
            lambda b: b.banned_at,
            lambda b: fmt.since(b.banned_at, clock.now()),
            "right",
            11,
            priority=1,
        ),
    ),
    key=lambda b: b.key,
    empty="no address is banned",
    sort="age",
    tick=1.0,
)


def rows(state: State) -> list[Ban]:
    """Every ban, the newest first."""
    found = [ban for _, report in state.values("fail2ban", BanReport) for ban in report.bans]
    return sorted(found, key=lambda b: -(b.banned_at or 0.0))


def more(state: State) -> int:
    """Bans beyond those that were kept."""
    return sum(report.total - len(report.bans) for _, report in state.values("fail2ban", BanReport))
