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


class Gap(msgspec.Struct, frozen=True, gc=False):
    """Events that the tail left out because too many came while it was not reading."""

    before: str
    """Id of the first event after the gap; it may have left the tail since."""
    start: float
    end: float
    """Epoch seconds between which they are; a search over this time shows them."""
    count: int


class AuditTail(msgspec.Struct, frozen=True):
    """The newest events, as far as the live tail has read them."""

    events: tuple[AuditEvent, ...] = ()
    """By time, newest last; at most `audit.limit`."""
    total_seen: int = 0
    """Events that the tail read since it began."""
    dropped: int = 0
    """Of those, how many left at the old end because of the limit."""
    skipped: int = 0
    """Events left out in gaps."""
    gaps: tuple[Gap, ...] = ()
    """Oldest first; those whose place is still within `events`."""
    notes: tuple[str, ...] = ()
    """Why events may be missing (a shard that did not answer)."""

    @property
    def newest(self) -> float | None:
        """Epoch seconds of the newest event, or None."""
        return self.events[-1].time if self.events else None


class AuditPage(msgspec.Struct, frozen=True):
    """What a search found."""

    events: tuple[AuditEvent, ...] = ()
    """In the order that was asked for."""
    total: int = 0
    """Events that match, also those not in `events`."""
    total_is_lower_bound: bool = False
    """True where the server stopped counting ("more than")."""
    notes: tuple[str, ...] = ()
    """Why events may be missing."""


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
    notes: tuple[str, ...] = ()
