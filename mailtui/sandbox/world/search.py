"""The search cluster: nodes and their disks, indices, shards, watermarks, health."""

from __future__ import annotations

from dataclasses import dataclass, field

GIB = 1024**3


@dataclass(slots=True)
class SearchNode:
    """One node; bytes."""

    id: str
    name: str
    address: str
    disk_total: int
    disk_used: float
    growth: float
    """Bytes a second."""
    heap_max: int = 4 * GIB
    heap_percent: int = 41
    cpu_percent: int = 7
    load: float = 0.6
    roles: tuple[str, ...] = ("data", "ingest", "master")
    started: float = 0.0

    @property
    def disk_available(self) -> int:
        """Bytes."""
        return max(0, self.disk_total - int(self.disk_used))

    @property
    def used_ratio(self) -> float:
        """0 to 1."""
        return self.disk_used / self.disk_total


@dataclass(slots=True)
class Shard:
    """One copy of one shard."""

    number: int
    primary: bool
    node: str | None
    """Node name; None: unassigned."""
    reason: str = ""
    """Why it is unassigned (`unassigned_info.reason`: NODE_LEFT, ALLOCATION_FAILED…)."""
    since: float = 0.0


@dataclass(slots=True)
class Index:
    """One index; bytes."""

    name: str
    uuid: str
    docs: int
    size: int
    """All copies."""
    primary_size: int
    shards: list[Shard] = field(default_factory=list)
    primaries: int = 1
    replicas: int = 1
    status: str = "open"
    """open or close."""
    read_only: bool = False
    """`index.blocks.read_only_allow_delete`."""
    created: float = 0.0
    deleted_docs: int = 0

    @property
    def health(self) -> str:
        """red: a primary is missing; yellow: a replica is; else green."""
        if any(s.primary and s.node is None for s in self.shards):
            return "red"
        return "yellow" if any(s.node is None for s in self.shards) else "green"


@dataclass(slots=True)
class Search:
    """The cluster."""

    cluster: str
    version: str
    uuid: str
    nodes: list[SearchNode] = field(default_factory=list)
    indices: dict[str, Index] = field(default_factory=dict)
    low: float = 0.85
    high: float = 0.90
    flood_stage: float = 0.95
    """Watermarks (cluster.routing.allocation.disk.watermark.*), as shares of a disk."""
    pending_tasks: int = 0

    @property
    def health(self) -> str:
        """The worst of its indices."""
        order = ("green", "yellow", "red")
        worst = max((order.index(i.health) for i in self.indices.values()), default=0)
        return order[worst]

    def shards(self) -> list[Shard]:
        """Every copy of every open index."""
        return [s for i in self.indices.values() if i.status == "open" for s in i.shards]

    @property
    def unassigned(self) -> int:
        """Copies without a node."""
        return sum(1 for s in self.shards() if s.node is None)
