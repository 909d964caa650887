"""Queued messages in groups: what dominates, how old it is, what is inside."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import Any, Literal, get_args

import msgspec

from mailtui.model.mail import Message

By = Literal["destination", "reason", "sender", "age", "host", "queue"]
BY: tuple[str, ...] = get_args(By)
"""What messages can be grouped by, in the order in which screens offer it."""

AGE_EDGES = (300, 900, 3600, 4 * 3600, 12 * 3600, 86400, 3 * 86400)
"""Upper edges, in seconds, of the age buckets; the last bucket has none."""
AGE_NAMES = ("< 5 m", "5-15 m", "15-60 m", "1-4 h", "4-12 h", "12-24 h", "1-3 d", "> 3 d")

NO_REASON = "(no reason yet)"
"""Group of messages that no delivery attempt has delayed."""
NO_DESTINATION = "(no domain)"
BOUNCES = "MAILER-DAEMON"
"""Name of the empty envelope sender, as postqueue(1) shows it."""

_INNER: dict[str, str] = {
    "destination": "reason",
    "reason": "destination",
    "sender": "destination",
    "age": "destination",
    "host": "destination",
    "queue": "destination",
}
_FIELD = {"queue": "queue_name"}
_INNER_NAMES = {"reason": NO_REASON, "destination": NO_DESTINATION, "sender": BOUNCES}


class Group(msgspec.Struct, frozen=True, gc=False):
    """Messages that share one value."""

    by: str
    """One of BY."""
    value: str
    """The shared value as the message has it (`` for no reason, for a bounce's sender)."""
    count: int
    oldest: int
    """Arrival time of the oldest, epoch seconds."""
    ages: tuple[int, ...]
    """Messages by age, a bucket each of AGE_NAMES."""
    size: int = 0
    """Bytes in all."""
    inner: tuple[tuple[str, int, int], ...] = ()
    """(value, count, oldest arrival) of the groups inside, the largest first."""

    @property
    def name(self) -> str:
        """What a screen calls it."""
        return self.value or _INNER_NAMES.get(self.by, "?")

    @property
    def key(self) -> str:
        """Identity across polls."""
        return f"{self.by}/{self.value}"


def group(messages: Iterable[Message], by: By, now: float) -> list[Group]:
    """Groups of `messages`, the largest first (the youngest first for `by="age"`)."""
    members: dict[Any, list[Message]] = {}
    if by == "age":
        found = _by_age(messages, now)
        members = {AGE_NAMES[n]: list(rows) for n, rows in enumerate(found) if rows}
    else:
        value = attrgetter(_FIELD.get(by, by))
        for message in messages:
            key = value(message)
            if key in members:
                members[key].append(message)
            else:
                members[key] = [message]
    inner = attrgetter(_FIELD.get(_INNER[by], _INNER[by]))
    groups = [_group(by, name, rows, inner, now) for name, rows in members.items()]
    if by != "age":
        groups.sort(key=lambda g: (-g.count, g.value))
    return groups


def queue_counts(counts: Iterable[dict[str, int]]) -> dict[str, int]:
    """Sum of several hosts' counts by queue name (`QueueListing.counts`)."""
    total: Counter[str] = Counter()
    for one in counts:
        total.update(one)
    return dict(total)


def _by_age(messages: Iterable[Message], now: float) -> list[list[Message]]:
    buckets: list[list[Message]] = [[] for _ in AGE_NAMES]
    for message in messages:
        buckets[bisect_right(AGE_EDGES, now - message.arrival_time)].append(message)
    return buckets


def _group(
    by: By, value: str, rows: Sequence[Message], inner: Callable[[Message], str], now: float
) -> Group:
    arrivals = [m.arrival_time for m in rows]
    by_value: dict[str, list[int]] = {}
    for key, arrival in zip(map(inner, rows), arrivals, strict=True):
        if key in by_value:
            by_value[key].append(arrival)
        else:
            by_value[key] = [arrival]
    inside = [(name, len(times), min(times)) for name, times in by_value.items()]
    inside.sort(key=lambda part: (-part[1], part[0]))
    return Group(
        by=by,
        value=value,
        count=len(rows),
        oldest=min(arrivals),
        ages=age_histogram(arrivals, now),
        size=sum(m.message_size for m in rows),
        inner=tuple(inside),
    )


def age_histogram(arrivals: list[int], now: float) -> tuple[int, ...]:
    """Counts of these arrival times (epoch seconds) by age bucket; sorts the list in place."""
    arrivals.sort()
    counts = []
    newer = len(arrivals)
    for edge in AGE_EDGES:
        # everything that arrived at or before now - edge is older than this bucket
        at = bisect_right(arrivals, now - edge, 0, newer)
        counts.append(newer - at)
        newer = at
    return (*counts, newer)
