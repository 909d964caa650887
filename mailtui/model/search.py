"""Elasticsearch's own health (cluster health, cat indices, nodes stats)."""

from __future__ import annotations

import msgspec


class Index(msgspec.Struct, frozen=True, gc=False):
    """One index; sizes in bytes."""

    name: str
    health: str = ""
    status: str = ""
    docs: int | None = None
    size: int | None = None
    primaries: int | None = None
    replicas: int | None = None
    read_only: bool = False
    """Blocked by the flood-stage watermark (`index.blocks.read_only_allow_delete`)."""

    @property
    def key(self) -> str:
        """Identity across polls."""
        return self.name


class SearchNode(msgspec.Struct, frozen=True, gc=False):
    """One node's disk; bytes."""

    name: str
    disk_total: int | None = None
    disk_available: int | None = None
    heap_percent: int | None = None


class SearchReport(msgspec.Struct, frozen=True):
    """The cluster in one read."""

    cluster: str = ""
    version: str = ""
    status: str = ""
    """green, yellow, red."""
    nodes_count: int | None = None
    unassigned_shards: int | None = None
    nodes: tuple[SearchNode, ...] = ()
    indices: tuple[Index, ...] = ()
    flood_stage: float | None = None
    """Share of the disk at which indices turn read-only, 0 to 1."""
    newest_audit: float | None = None
    """Epoch seconds of the newest audit event; None if there is none or it was not asked."""
    audit_events: int | None = None
    audit_failures: int | None = None
    """Audit events in the last `audit_window` seconds, and those of outcome `failure`."""
    audit_window: float = 600.0
    notes: tuple[str, ...] = ()
