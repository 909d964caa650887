"""Documents and indices: the world's audit trail, and what clients write beside it.

An index has up to two segments: the events of the world (one day of `world.audit`), and the
documents that clients wrote. Both are ordered by time, so that a time range is two bisections.
"""

from __future__ import annotations

import calendar
import re
from bisect import bisect_left, bisect_right, insort
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from mailtui.sandbox.es_fields import NO_TIME, Get, Mapping, comparable, lookup

if TYPE_CHECKING:
    from mailtui.sandbox.world import World
    from mailtui.sandbox.world.audit import AuditEvent

DAY = 86_400_000
_AUDIT_DAY = re.compile(r"audit-(\d{4})\.(\d\d)\.(\d\d)")

AUDIT_FIELDS = {
    "@timestamp": "date",
    "ecs.version": "keyword",
    "email.subject": "keyword",
    "email.to.address": "keyword",
    "event.action": "keyword",
    "event.category": "keyword",
    "event.dataset": "keyword",
    "event.kind": "keyword",
    "event.outcome": "keyword",
    "host.name": "keyword",
    "message": "match_only_text",
    "organization.name": "keyword",
    "service.name": "keyword",
    "source.ip": "ip",
    "user.name": "keyword",
    "user.target.name": "keyword",
    "user_agent.original": "keyword",
}
"""The mapping of the audit indices; further strings are keywords (ECS component template)."""

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
        values = (row.message, row.action, row.outcome, row.category, row.user, row.source_ip,
                  row.host, row.service, row.tenant, "event mail.", row.service, "8.11.0",
                  *(value for _, value in row.extra))  # fmt: skip
        return " ".join(values).lower()

    def ordinal(self, row: Any, nth: int) -> int:
        """Milliseconds of the day, then the place within one."""
        return int(row.millis % DAY) << 8 | nth

    def undated(self) -> bool:
        """Whether a row may lack `@timestamp`."""
        return False


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


class StoredIndex:
    """What clients wrote to one index."""

    def __init__(self, name: str, mapping: Mapping, created: float) -> None:
        self.name = name
        self.mapping = mapping
        self.created = created
        self.blocked = False
        """`index.blocks.read_only_allow_delete` as a client set it."""
        self.settings: dict[str, str] = {}
        self.docs: list[Doc] = []
        self.by_id: dict[str, Doc] = {}
        self.deleted: set[str] = set()
        """Ids of the world's events that a client deleted or replaced."""
        self.sequence = 0
        self.declared = False
        """A client made the index (it is not the world's)."""

    def put(self, id_: str, source: Any, version: int) -> Doc:
        """Add or replace a document."""
        self.mapping.learn(source)
        millis = NO_TIME
        if self.mapping.kind("@timestamp") == "date":
            value = comparable("date", lookup(source, "@timestamp"))
            millis = NO_TIME if value is None else value
        self.remove(id_)
        doc = Doc(id_, millis, self.sequence, version, source)
        self.sequence += 1
        insort(self.docs, doc, key=_order)
        self.by_id[id_] = doc
        return doc

    def remove(self, id_: str) -> bool:
        """Remove a written document; False if there is none."""
        doc = self.by_id.pop(id_, None)
        if doc is None:
            return False
        at = bisect_left(self.docs, _order(doc), key=_order)
        del self.docs[at]
        return True


def _order(doc: Doc) -> tuple[int, int]:
    return doc.millis, doc.seq


class Store:
    """Every index, the world's and the clients'."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._stored: dict[str, StoredIndex] = {}
        self._deleted_indices: set[str] = set()

    def names(self) -> list[str]:
        """All indices, in order."""
        from mailtui.sandbox.world.audit import index_of

        names = {*self.world.search.indices, *self._stored}
        audit = self.world.audit
        if audit.stopped_at is None:
            names.add(index_of(audit.newest_second - 1))
        return sorted(names - self._deleted_indices)

    def stored(self, name: str) -> StoredIndex:
        """The place for what clients write to an index; made when first used."""
        index = self._stored.get(name)
        if index is None:
            if name.startswith("audit-"):
                mapping = Mapping(dict(AUDIT_FIELDS), strings="keyword")
            else:
                mapping = Mapping({})
            index = self._stored[name] = StoredIndex(name, mapping, self.world.now)
            index.declared = name not in self.world.search.indices
            self._deleted_indices.discard(name)
        return index

    def mapping(self, name: str) -> Mapping:
        """The mapping of an existing index."""
        return self.stored(name).mapping

    def delete(self, name: str) -> None:
        """Delete an index, also one of the world's."""
        self._stored.pop(name, None)
        self._deleted_indices.add(name)

    def read_only(self, name: str) -> bool:
        """Blocked by the flood-stage watermark or by a client."""
        world = self.world.search.indices.get(name)
        return bool(world and world.read_only) or self.stored(name).blocked

    def shard(self, name: str) -> Shard:
        """The index as it is now; later writes do not show in it."""
        index = self.stored(name)
        segments: list[Segment] = []
        if match := _AUDIT_DAY.fullmatch(name):
            year, month, day = (int(part) for part in match.groups())
            first = calendar.timegm((year, month, day, 0, 0, 0)) * 1000
            last = min(first + DAY, self._end()) - 1
            segments.append(WorldSegment(self.world, first, last, frozenset(index.deleted)))
        if index.docs:
            dated = index.mapping.kind("@timestamp") == "date"
            segments.append(StoredSegment(list(index.docs), dated))
        world = self.world.search.indices.get(name)
        lost = 0
        primaries = 1
        if world is not None:
            primaries = world.primaries
            alive = {shard.number for shard in world.shards if shard.node is not None}
            lost = primaries - len(alive) if world.shards else 0
        return Shard(name, index.mapping, segments, primaries, lost)

    def _end(self) -> int:
        """Epoch milliseconds before which the world's events are in the index."""
        audit = self.world.audit
        end = audit.newest_second * 1000
        return end if audit.stopped_at is None else min(end, round(audit.stopped_at * 1000))

    def find(self, name: str, id_: str) -> tuple[Any, int] | None:
        """`_source` and version of a document by id; None if it is not there."""
        index = self.stored(name)
        if doc := index.by_id.get(id_):
            return doc.source, doc.version
        if id_ in index.deleted:
            return None
        for segment in self.shard(name).segments:
            if isinstance(segment, WorldSegment):
                for event in segment.rows(None, None):
                    if event.id == id_:
                        return segment.source(event), 1
        return None

    def put(self, name: str, id_: str, source: Any, version: int = 1) -> Doc:
        """Write a document over whatever has its id (version 1: nothing has it)."""
        index = self.stored(name)
        if version > 1 and name.startswith("audit-"):
            index.deleted.add(id_)
        return index.put(id_, source, version)

    def remove(self, name: str, id_: str) -> None:
        """Delete a document, written or the world's."""
        index = self.stored(name)
        index.remove(id_)
        if name.startswith("audit-"):
            index.deleted.add(id_)
