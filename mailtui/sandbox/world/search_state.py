"""The search cluster's content, and how it grows."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from mailtui.sandbox.world.audit import index_of
from mailtui.sandbox.world.corpus import token
from mailtui.sandbox.world.search import GIB, Index, Search, SearchNode, Shard

if TYPE_CHECKING:
    from mailtui.sandbox.world import World

DAY = 86400.0
_EVENT_BYTES = 610
_EVENTS_A_SECOND = 5.0


class Indexing:
    """Moves the search cluster of a world."""

    def __init__(self, world: World) -> None:
        """Three nodes, a week of audit indices, the mail index."""
        self._world = world
        source = self._random = random.Random(f"{world.seed}/search")
        search = world.search = Search("mail-search", "8.19.3", token(source, 22))
        for i in range(3):
            used = 300 * GIB * source.uniform(0.52, 0.66)
            search.nodes.append(
                SearchNode(
                    token(source, 22),
                    f"es{i + 1}",
                    f"10.77.0.{61 + i}",
                    300 * GIB,
                    used,
                    7_000.0,
                    started=world.start - 31 * DAY,
                )
            )
        for name, docs, size in (
            ("mail-000001", 48_211_904, 212 * GIB),
            ("mail-000002", 12_400_331, 57 * GIB),
            ("users", 18_204, 31_000_000),
        ):
            self._index(name, docs, size, 3, world.start - 200 * DAY)
        for days in range(7, 0, -1):
            name = index_of(world.start - days * DAY)
            docs = 460_000 + source.randrange(40_000)
            index = self._index(name, docs, docs * _EVENT_BYTES, 1, world.start - days * DAY)
            # older days are closed: kept on disk, not searched
            index.status = "close"
        self._count_audit()

    def _index(self, name: str, docs: int, size: int, primaries: int, created: float) -> Index:
        nodes = self._world.search.nodes
        index = Index(name, token(self._random, 22), docs, 2 * size, size, created=created)
        index.primaries = primaries
        first = len(self._world.search.indices)
        for number in range(primaries):
            for copy in range(2):
                node = nodes[(first + number + copy) % len(nodes)].name
                index.shards.append(Shard(number, copy == 0, node))
        self._world.search.indices[name] = index
        return index

    def _count_audit(self) -> None:
        """Documents of the audit indices that hold events which can be searched."""
        audit = self._world.audit
        begin, end = float(audit.oldest_second), self._world.now
        if audit.stopped_at is not None:
            end = min(end, audit.stopped_at)
        day = begin
        while day <= end:
            name = index_of(day)
            midnight = (int(day) // 86400 + 1) * DAY
            index = self._world.search.indices.get(name)
            if index is None or index.status == "close":
                index = self._index(name, 0, 0, 1, float(int(day) // 86400 * 86400))
            first, last = max(begin, midnight - DAY), min(end, midnight)
            counted = audit.count(first, last)
            # from the rate, until somebody has made them all
            index.docs = round((last - first) * _EVENTS_A_SECOND) if counted is None else counted
            index.primary_size = index.docs * _EVENT_BYTES
            index.size = index.primary_size * (index.replicas + 1)
            day = midnight

    def step(self, now: float, dt: float) -> None:
        """Grow by dt seconds."""
        search = self._world.search
        for node in search.nodes:
            node.disk_used = min(node.disk_used + node.growth * dt, node.disk_total * 0.995)
            node.heap_percent = 34 + int(now / 11 + len(node.name) * 7) % 29
        if int(now) % 15 == 0 or dt > 1.0:
            self._count_audit()
