"""Documents and indices: the world's audit trail, and what clients write beside it.

The world's events stay where they are; what a client writes, replaces or deletes is kept here.
"""

from __future__ import annotations

import calendar
import re
from bisect import bisect_left, insort
from typing import TYPE_CHECKING, Any

from mailtui.sandbox.es_fields import NO_TIME, Mapping, comparable, lookup
from mailtui.sandbox.es_segments import DAY, Doc, Segment, Shard, StoredSegment, WorldSegment

if TYPE_CHECKING:
    from mailtui.sandbox.world import World


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
