"""Postfix's queues: how many messages of which host are in which."""

from __future__ import annotations

import msgspec

from mailtui.collectors.state import State
from mailtui.model import clock
from mailtui.model import format as fmt
from mailtui.model.mail import QueueListing
from mailtui.resources.base import Column, Level, Resource

SOURCES = ("postfix",)

ORDER = ("maildrop", "incoming", "active", "deferred", "hold", "corrupt")
"""The way of a message (qmgr(8))."""
ALWAYS = ("active", "deferred", "hold")
"""Shown with 0 too: an empty queue is an answer."""


class QueueRow(msgspec.Struct, frozen=True, gc=False):
    """One queue of one host."""

    host: str
    queue: str
    count: int
    oldest: int | None
    """Arrival time of the oldest message that was kept, epoch seconds."""
    size: int
    """Bytes of the messages that were kept."""
    complete: bool
    """False if the host has more messages than were kept: oldest and size are then of a part."""
    read_at: float

    @property
    def key(self) -> str:
        """Identity across polls."""
        return f"{self.host}/{self.queue}"


def _age(row: QueueRow) -> float | None:
    return None if row.oldest is None else max(0.0, clock.now() - row.oldest)


def _age_text(row: QueueRow) -> str:
    return "-" if row.oldest is None and not row.count else fmt.age(_age(row))


def _level(row: QueueRow) -> Level:
    return "critical" if row.queue == "corrupt" and row.count else ""


def _read(row: QueueRow) -> float:
    return max(0.0, clock.now() - row.read_at)


RESOURCE: Resource[QueueRow] = Resource(
    name="queues",
    title="queues",
    columns=(
        Column("host", "host", lambda q: q.host, width=10, flex=1),
        Column("queue", "queue", lambda q: q.queue, width=10, level=_level),
        Column("count", "messages", lambda q: q.count, lambda q: fmt.count(q.count), "right", 9),
        Column("oldest", "oldest", _age, _age_text, "right", 10),
        Column(
            "size",
            "bytes",
            lambda q: q.size,
            lambda q: ("" if q.complete else "> ") + fmt.size(q.size),
            "right",
            8,
            priority=1,
        ),
        Column("age", "read", _read, lambda q: fmt.age(_read(q)), "right", 8, priority=2),
    ),
    key=lambda q: q.key,
    empty="no host's queue was read",
    tick=1.0,
)


def rows(state: State) -> list[QueueRow]:
    """Host by host, in the order in which a message passes through."""
    found: list[QueueRow] = []
    for reading in state.of("postfix"):
        listing = reading.value
        if not isinstance(listing, QueueListing):
            continue
        oldest: dict[str, int] = {}
        size: dict[str, int] = {}
        for message in listing.messages:
            name = message.queue_name
            size[name] = size.get(name, 0) + message.message_size
            if message.arrival_time < oldest.get(name, 1 << 62):
                oldest[name] = message.arrival_time
        names = [n for n in ORDER if n in ALWAYS or listing.counts.get(n)]
        names += sorted(set(listing.counts) - set(ORDER))
        found += [
            QueueRow(
                host=reading.target,
                queue=name,
                count=listing.counts.get(name, 0),
                oldest=oldest.get(name),
                size=size.get(name, 0),
                complete=not listing.truncated,
                read_at=reading.read_at,
            )
            for name in names
        ]
    return found
