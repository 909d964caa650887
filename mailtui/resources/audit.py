"""Audit events: the live tail, and what a search finds (the same rows)."""

from __future__ import annotations

from mailtui.collectors.state import State
from mailtui.model import clock
from mailtui.model import format as fmt
from mailtui.model.audit import AuditEvent, AuditTail
from mailtui.resources.base import Column, Level, Resource

SOURCES = ("audit",)

_LEVELS: dict[str, Level] = {"failure": "warning", "success": "ok", "unknown": "unknown"}


def _time(event: AuditEvent) -> str:
    """Time of day with seconds within 20 hours, else date and time."""
    near = abs(clock.now() - event.time) < 20 * 3600
    return fmt.clock_time(event.time) if near else fmt.since(event.time, clock.now())


RESOURCE: Resource[AuditEvent] = Resource(
    name="audit",
    title="audit",
    columns=(
        Column("time", "time", lambda e: e.time, _time, width=11),
        Column(
            "outcome",
            "outcome",
            lambda e: e.outcome,
            width=9,
            priority=1,
            level=lambda e: _LEVELS.get(e.outcome, ""),
        ),
        Column("action", "action", lambda e: e.action, width=14, flex=1),
        Column("user", "user", lambda e: e.user, width=16, flex=2, truncate="middle"),
        Column("ip", "from", lambda e: e.source_ip, width=15, truncate="middle"),
        Column("service", "service", lambda e: e.service, width=8, priority=2),
        Column("host", "host", lambda e: e.host, width=7, priority=2),
        Column("tenant", "tenant", lambda e: e.tenant, width=8, priority=3),
        Column("message", "message", lambda e: e.message, width=20, flex=4, priority=4),
    ),
    key=lambda e: e.key,
    empty="the audit trail has no event",
    sort="-time",
)


def rows(state: State) -> list[AuditEvent]:
    """The tail's events, newest first."""
    tail = state.value("audit", AuditTail)
    return [] if tail is None else list(reversed(tail.events))


def more(state: State) -> int | None:
    """Events that the tail read and no longer holds, or skipped; None if nothing was read."""
    tail = state.value("audit", AuditTail)
    return None if tail is None else tail.dropped + tail.skipped
