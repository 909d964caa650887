"""Entries of the journal, as rows: runs, dry runs, requests, refusals."""

from __future__ import annotations

from mailtui.access.history import Entry
from mailtui.model import clock
from mailtui.model import format as fmt
from mailtui.resources.base import Column, Level, Resource

LEVELS: dict[str, Level] = {
    "done": "ok", "partly": "warning", "failed": "critical", "unknown": "unknown",
    "interrupted": "critical", "running": "accent", "waiting": "warning", "approved": "accent",
    "refused": "warning", "planned": "muted", "declined": "muted", "expired": "muted",
    "noted": "muted",
}  # fmt: skip


def _age(entry: Entry) -> float:
    return max(0.0, clock.now() - entry.at)


def _result(entry: Entry) -> str:
    if entry.undone_by:
        return f"taken back by {entry.undone_by}; {entry.sentence}"
    return entry.sentence


RESOURCE: Resource[Entry] = Resource(
    name="journal-entries",
    title="journal",
    columns=(
        Column("id", "run", lambda e: e.id, width=12, truncate="never"),
        Column("at", "at", lambda e: e.at, lambda e: fmt.date_time(e.at), width=19, priority=1),
        Column("age", "age", _age, lambda e: fmt.age(_age(e)), "right", 9, priority=5),
        Column("who", "who", lambda e: e.who, width=8, priority=2),
        Column("state", "state", lambda e: e.state, width=11,
               level=lambda e: LEVELS.get(e.state, "")),
        Column("operation", "operation", lambda e: e.operation, width=18, priority=4),
        Column("context", "context", lambda e: e.context, width=10, priority=6),
        Column("count", "targets", lambda e: e.count, lambda e: fmt.count(e.count), "right", 7,
               priority=5),
        Column("title", "title", lambda e: e.title, width=20, flex=2),
        Column("result", "result", _result, width=20, flex=3, priority=3),
        Column("selection", "selection", lambda e: e.selection, width=16, flex=1, priority=8),
        Column("undo", "undo", lambda e: e.undo if e.can_undo else "", width=16, priority=7),
    ),
    key=lambda e: e.id,
    empty="the journal is empty",
    sort="-at",
    tick=5.0,
)  # fmt: skip
