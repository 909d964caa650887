"""Segments: the parts of an index as one search sees them, ordered by time.

An index has up to two: the events of the world (one day of `world.audit`), and the documents that
clients wrote. A time range is two bisections.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from mailtui.sandbox.es_fields import NO_TIME, Get, Mapping, lookup

if TYPE_CHECKING:
    from mailtui.sandbox.world import World
    from mailtui.sandbox.world.audit import AuditEvent


DAY = 86_400_000


_ATTRIBUTES = {
    "event.action": "action",
    "event.outcome": "outcome",
    "event.category": "category",
    "user.name": "user",
    "source.ip": "source_ip",
    "host.name": "host",
    "service.name": "service",
    "organization.name": "tenant",
    "message": "message",
    "_id": "id",
}


class Row(Protocol):
    """What a hit is made of."""

    millis: int
    id: str


class Doc:
    """A document that a client wrote; never changed, replaced by a newer one."""

    __slots__ = ("id", "millis", "seq", "source", "version")

    def __init__(self, id_: str, millis: int, seq: int, version: int, source: Any) -> None:
        self.id = id_
        self.millis = millis
        self.seq = seq
        self.version = version
        self.source = source


class Segment(Protocol):
    """A part of an index as one search sees it."""

    def rows(self, low: int | None, high: int | None) -> Sequence[Any]:
        """Rows with low ≤ millis ≤ high, oldest first."""

    def raw(self, path: str) -> Get:
        """A getter of one field's values as they are in the source."""

    def source(self, row: Any) -> Any:
        """`_source`."""

    def text(self, row: Any) -> str:
        """All values in lower case: what a search over all fields can meet."""

    def ordinal(self, row: Any, nth: int) -> int:
        """A number that orders the rows of a shard; `nth` among those of its millisecond."""

    def undated(self) -> bool:
        """Whether a row may lack `@timestamp`."""

    def span(self) -> tuple[int, int] | None:
        """First and last epoch millisecond, where rows of old times are dear to get."""


class WorldSegment:
    """One day of the world's audit events, up to a moment."""

    def __init__(self, world: World, first: int, last: int, deleted: frozenset[str]) -> None:
        """`first` and `last`: epoch milliseconds, inclusive."""
        self._audit = world.audit
        self._first = first
        self._last = last
        self._deleted = deleted

    def rows(self, low: int | None, high: int | None) -> Sequence[Any]:
        """Rows with low ≤ millis ≤ high, oldest first."""
        low = self._first if low is None else max(low, self._first)
        high = self._last if high is None else min(high, self._last)
        if low > high:
            return ()
        events = self._audit.between(low / 1000, (high + 1) / 1000)
        if self._deleted:
            return [event for event in events if event.id not in self._deleted]
        return events

    def raw(self, path: str) -> Get:
        """A getter of one field's values."""
        if path == "@timestamp":
            return lambda row: row.millis
        if attribute := _ATTRIBUTES.get(path):
            import operator

            get = operator.attrgetter(attribute)
            return lambda row: get(row) or None
        if path == "event.dataset":
            return lambda row: f"mail.{row.service}"
        if path == "event.kind":
            return lambda row: "event"
        if path == "ecs.version":
            return lambda row: "8.11.0"

        def extra(row: AuditEvent) -> Any:
            found = [value for name, value in row.extra if name == path]
            return found[0] if len(found) == 1 else found or None

        return extra

    def source(self, row: Any) -> Any:
        """`_source`."""
        return row.document()

    def text(self, row: Any) -> str:
        """All values in lower case."""
        values = (
            f"{row.message} {row.action} {row.outcome} {row.category} {row.user} {row.source_ip}"
            f" {row.host} mail.{row.service} {row.tenant} event 8.11.0"
        )
        if row.extra:
            values = " ".join([values, *[value for _, value in row.extra]])
        return values.lower()

    def ordinal(self, row: Any, nth: int) -> int:
        """Milliseconds of the day, then the place within one."""
        return int(row.millis % DAY) << 8 | nth

    def undated(self) -> bool:
        """Whether a row may lack `@timestamp`."""
        return False

    def span(self) -> tuple[int, int] | None:
        """First and last epoch millisecond."""
        return max(self._first, self._audit.oldest_second * 1000), self._last


class StoredSegment:
    """Documents that clients wrote."""

    def __init__(self, docs: Sequence[Doc], dated: bool) -> None:
        """`dated`: `@timestamp` is mapped as a date, so that `millis` is its value."""
        self._docs = docs
        self._dated = dated

    def rows(self, low: int | None, high: int | None) -> Sequence[Any]:
        """Rows with low ≤ millis ≤ high, oldest first."""
        if low is None and high is None:
            return self._docs
        start = bisect_left(self._docs, NO_TIME + 1 if low is None else low, key=_millis)
        end = len(self._docs) if high is None else bisect_right(self._docs, high, key=_millis)
        return self._docs[start:end]

    def raw(self, path: str) -> Get:
        """A getter of one field's values."""
        if path == "@timestamp" and self._dated:
            return lambda row: None if row.millis == NO_TIME else row.millis
        if path == "_id":
            return lambda row: row.id
        if "." not in path:
            return lambda row: row.source.get(path)
        return lambda row: lookup(row.source, path)

    def source(self, row: Any) -> Any:
        """`_source`."""
        return row.source

    def text(self, row: Any) -> str:
        """All values in lower case."""
        return " ".join(_leaves(row.source)).lower()

    def ordinal(self, row: Any, nth: int) -> int:
        """The order of writing, after the world's events."""
        return 1 << 36 | int(row.seq)

    def undated(self) -> bool:
        """Whether a row may lack `@timestamp`."""
        return not self._dated or (bool(self._docs) and self._docs[0].millis == NO_TIME)

    def span(self) -> tuple[int, int] | None:
        """Not needed: everything is there."""
        return None


def _millis(doc: Any) -> int:
    return int(doc.millis)


def _leaves(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [leaf for item in value.values() for leaf in _leaves(item)]
    if isinstance(value, list):
        return [leaf for item in value for leaf in _leaves(item)]
    if isinstance(value, bool):
        return ["true" if value else "false"]
    return [] if value is None else [str(value)]


class Shard:
    """An index as one search sees it: it does not change while it is held."""

    def __init__(
        self, name: str, mapping: Mapping, segments: list[Segment], primaries: int, lost: int
    ) -> None:
        """`lost`: how many of its `primaries` no node holds; their documents are out of reach."""
        self.name = name
        self.mapping = mapping
        self.segments = segments if lost < primaries else []
        self.primaries = primaries
        self.lost = lost
