"""Queued messages in groups, as rows."""

from __future__ import annotations

from collections.abc import Iterable

from mailtui.model import clock
from mailtui.model import format as fmt
from mailtui.model.groups import By, Group, age_histogram, group
from mailtui.model.mail import Message
from mailtui.model.spark import spark
from mailtui.resources.base import Column, Resource

ALL = "all"
"""The group that holds every message: its row comes first."""


def _age(row: Group) -> float | None:
    return max(0.0, clock.now() - row.oldest) if row.count else None


def _ages(row: Group) -> str:
    # a small share is still something: the scale is the group's own
    return spark([float(n) for n in row.ages], len(row.ages))


def resource(by: str) -> Resource[Group]:
    """The table of groups by `by`."""
    return Resource(
        name="groups",
        title=f"by {by}",
        columns=(
            Column(by, by, lambda g: g.name, width=12, flex=1, truncate="middle"),
            Column("n", "n", lambda g: g.count, lambda g: fmt.count(g.count), "right", 7),
            Column("oldest", "oldest", _age, lambda g: fmt.age(_age(g)), "right", 9, priority=1),
            Column("age", "young-old", lambda g: None, _ages, width=9, priority=2),
            Column(
                "size",
                "bytes",
                lambda g: g.size,
                lambda g: fmt.size(g.size),
                "right",
                7,
                priority=3,
            ),
        ),
        key=lambda g: g.key,
        empty="no message is queued",
        tick=5.0,
    )


def rows(messages: Iterable[Message], by: By, now: float) -> list[Group]:
    """The row of all messages, then the groups, largest first."""
    messages = list(messages)
    if not messages:
        return []
    arrivals = [m.arrival_time for m in messages]
    every = Group(
        by=ALL,
        value="(all)",
        count=len(messages),
        oldest=min(arrivals),
        ages=age_histogram(arrivals, now),
        size=sum(m.message_size for m in messages),
    )
    return [every, *group(messages, by, now)]


def members(messages: Iterable[Message], row: Group | None, now: float) -> list[Message]:
    """The messages of a group; all of them without one."""
    if row is None or row.by == ALL:
        return list(messages)
    if row.by == "age":
        from mailtui.model.groups import AGE_EDGES, AGE_NAMES

        at = AGE_NAMES.index(row.value)
        low = AGE_EDGES[at - 1] if at else -1.0
        high = AGE_EDGES[at] if at < len(AGE_EDGES) else float("inf")
        return [m for m in messages if low <= now - m.arrival_time < high]
    field = "queue_name" if row.by == "queue" else row.by
    return [m for m in messages if getattr(m, field) == row.value]
