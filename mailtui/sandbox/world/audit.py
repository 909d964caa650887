"""The audit trail: events in the Elastic Common Schema, and the store that keeps the newest.

Events of the past are made when somebody asks for their time (`between`), minute by minute, each
minute from its own seed: the same minute is always the same.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

KEPT_SECONDS = 3 * 3600 + 1800
BLOCK = 60
"""Seconds of one block; blocks start at multiples of it."""


class AuditEvent(msgspec.Struct, gc=False):
    """One event, compact; `document` is what the index holds."""

    millis: int
    """Epoch milliseconds."""
    id: str
    action: str
    """event.action"""
    outcome: str
    """event.outcome: success, failure, unknown."""
    category: str
    """event.category"""
    user: str
    source_ip: str
    host: str
    service: str
    tenant: str
    message: str
    extra: tuple[tuple[str, str], ...] = ()
    """Further fields as (dotted name, value)."""

    @property
    def index(self) -> str:
        """Its daily index, by UTC day."""
        return index_of(self.millis / 1000.0)

    def document(self) -> dict[str, Any]:
        """`_source`: nested objects, `@timestamp` as ISO 8601 with milliseconds, UTC."""
        document: dict[str, Any] = {
            "@timestamp": timestamp(self.millis),
            "ecs": {"version": "8.11.0"},
            "event": {
                "action": self.action,
                "outcome": self.outcome,
                "category": [self.category],
                "kind": "event",
                "dataset": f"mail.{self.service}",
            },
            "host": {"name": self.host},
            "service": {"name": self.service},
            "message": self.message,
        }
        if self.user:
            document["user"] = {"name": self.user}
        if self.source_ip:
            document["source"] = {"ip": self.source_ip}
        if self.tenant:
            document["organization"] = {"name": self.tenant}
        for name, value in self.extra:
            _put(document, name, value)
        return document


def _put(document: dict[str, Any], name: str, value: str) -> None:
    *parents, last = name.split(".")
    for parent in parents:
        document = document.setdefault(parent, {})
    document[last] = value


def timestamp(millis: int) -> str:
    """`2026-11-24T14:03:27.041Z`."""
    seconds, rest = divmod(millis, 1000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{rest:03d}Z"


def index_of(epoch: float) -> str:
    """`audit-2026.11.24`."""
    return time.strftime("audit-%Y.%m.%d", time.gmtime(epoch))


Maker = Callable[[int, int], list[AuditEvent]]
"""(first second, last second exclusive) → the events of that time, oldest first."""


class Audit:
    """The events that are in the index, oldest first; queried by time."""

    def __init__(self, start: float, make: Maker) -> None:
        """`make` gives the events of a span; the world's history begins KEPT_SECONDS before."""
        self._make = make
        self._blocks: dict[int, list[AuditEvent]] = {}
        """First second of a block → its events; of the past only what was asked for."""
        self._first = int(start - 3 * 3600) // BLOCK * BLOCK
        self._until = int(start)
        """Events before this second are in the index (or would be, once made)."""
        self.stopped_at: float | None = None
        """Epoch second at which the index became read-only; None while ingest works."""
        self.spool: deque[AuditEvent] = deque(maxlen=20_000)
        """Events that the index refused, as the shippers keep them."""

    @property
    def newest_second(self) -> int:
        """Epoch second before which all events are there."""
        return self._until

    @property
    def oldest_second(self) -> int:
        """Epoch second of the oldest event that may be there."""
        return self._first

    def advance(self, to: int) -> None:
        """Let time pass up to epoch second `to` (exclusive)."""
        self._until = max(self._until, to)
        first = max(self._first, (to - KEPT_SECONDS) // BLOCK * BLOCK)
        if first > self._first:
            for start in [s for s in self._blocks if s < first]:
                del self._blocks[start]
            self._first = first

    def append(self, event: AuditEvent) -> None:
        """Add an event that somebody's action caused; it must not be older than the newest."""
        start = event.millis // 1000 // BLOCK * BLOCK
        block = self._block(start)
        block.append(event)
        block.sort(key=_by_time)

    def _block(self, start: int) -> list[AuditEvent]:
        """The events of one block so far; makes what is missing."""
        known = self._blocks.get(start)
        if known is None:
            known = self._blocks[start] = self._make(start, start + BLOCK)
        return known

    def warm(self, blocks: int = 1) -> bool:
        """Make up to `blocks` missing blocks, newest first; False when nothing is missing."""
        start = self._until // BLOCK * BLOCK
        while start >= self._first and blocks:
            if start not in self._blocks:
                self._block(start)
                blocks -= 1
            start -= BLOCK
        return start >= self._first

    def count(self, start: float, end: float) -> int | None:
        """How many events `between` would give; None while some of that time is not made."""
        total = 0
        block = int(start) // BLOCK * BLOCK
        while block < end:
            events = self._blocks.get(block)
            if events is None:
                return None
            if block < start or block + BLOCK > end:
                first = bisect_left(events, round(start * 1000), key=_by_time)
                total += bisect_left(events, round(end * 1000), key=_by_time) - first
            else:
                total += len(events)
            block += BLOCK
        return total

    def between(self, start: float | None = None, end: float | None = None) -> list[AuditEvent]:
        """Events with start ≤ time < end (epoch seconds; None: open), oldest first."""
        low = self._first if start is None else max(start, float(self._first))
        high = float(self._until) if end is None else min(end, float(self._until))
        if self.stopped_at is not None:
            high = min(high, self.stopped_at)
        events: list[AuditEvent] = []
        block = int(low) // BLOCK * BLOCK
        while block < high:
            events += self._block(block)
            block += BLOCK
        first = bisect_left(events, round(low * 1000), key=_by_time)
        last = bisect_left(events, round(high * 1000), key=_by_time)
        return events[first:last]

    def __iter__(self) -> Iterator[AuditEvent]:
        return iter(self.between())


def _by_time(event: AuditEvent) -> int:
    return event.millis
