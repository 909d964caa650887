"""Audit events in the Elastic Common Schema (ECS 8)."""

from __future__ import annotations

import msgspec


class AuditEvent(msgspec.Struct, frozen=True, gc=False):
    """One event. Empty strings: the document does not have that field."""

    id: str
    """`index/_id`: unique across indices."""
    time: float
    """Epoch seconds of `@timestamp`."""
    action: str = ""
    outcome: str = ""
    """success, failure, unknown."""
    user: str = ""
    source_ip: str = ""
    host: str = ""
    service: str = ""
    tenant: str = ""
    message: str = ""
    document: str = ""
    """The whole `_source` as JSON text, for the detail and for export."""

    @property
    def key(self) -> str:
        """Identity across polls."""
        return self.id


class Bucket(msgspec.Struct, frozen=True, gc=False):
    """One bar of a histogram."""

    start: float
    """Epoch seconds."""
    count: int
    failures: int = 0


class Histogram(msgspec.Struct, frozen=True):
    """Counts over time at a fixed interval."""

    interval: float
    """Seconds a bucket."""
    buckets: tuple[Bucket, ...] = ()
    total: int = 0
    total_is_lower_bound: bool = False
    """True where the server stopped counting ("more than")."""
