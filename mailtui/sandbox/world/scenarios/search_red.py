"""The search cluster is red: a node at 96 % of its disk, audit indices turned read-only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailtui.sandbox.world.clock import Course
from mailtui.sandbox.world.scenarios import MINUTE, BasePlan

if TYPE_CHECKING:
    from mailtui.sandbox.world import World


class Plan(BasePlan):
    """Flood stage was reached nine minutes ago; nothing has been indexed since."""

    title = "search is red, the audit trail does not move"

    def prepare(self, world: World) -> None:
        since = self.start - 9 * MINUTE
        world.rates.index_depth = Course([(since, 40.0), (self.start, 40.0 + 6.9 * 9 * MINUTE)])

    def finish(self, world: World) -> None:
        search = world.search
        since = self.start - 9 * MINUTE
        world.audit.stopped_at = since
        full = search.nodes[1]
        full.disk_used, full.growth = 0.962 * full.disk_total, 900.0
        for index in search.indices.values():
            if index.status == "open":
                index.read_only = index.name.startswith("audit-") or index.name == "mail-000002"
        for shard in search.indices["mail-000002"].shards:
            if shard.number == 1:
                shard.node, shard.reason, shard.since = None, "ALLOCATION_FAILED", since
        for index in search.indices.values():
            if index.name.startswith("audit-") and index.status == "open":
                for shard in index.shards:
                    if not shard.primary:
                        shard.node, shard.reason, shard.since = None, "NODE_LEFT", since
        search.pending_tasks = 3
