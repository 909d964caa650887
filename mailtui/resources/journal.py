"""What was done, asked for and refused, as the journal of this machine has it."""

from __future__ import annotations

from mailtui.access.history import Entry
from mailtui.collectors.journal import JournalReport
from mailtui.collectors.state import State
from mailtui.model import clock
from mailtui.model import format as fmt
from mailtui.resources.base import Column, Level, Resource

SOURCES = ("journal",)

_LEVELS: dict[str, Level] = {
    "done": "ok", "partly": "warning", "failed": "critical", "unknown": "unknown",
    "running": "accent", "interrupted": "critical", "waiting": "warning", "approved": "accent",
    "declined": "muted", "expired": "muted", "planned": "muted", "refused": "muted",
    "noted": "muted",
}  # fmt: skip


def _age(entry: Entry) -> float:
    return max(0.0, clock.now() - entry.at)


def _undo(entry: Entry) -> str:
    """`u` where it can be taken back by that key."""
    return "undone" if entry.undone_by else "u" if entry.can_undo else ""


RESOURCE: Resource[Entry] = Resource(
    name="journal",
    title="journal",
    columns=(
        Column(
            "state", "state", lambda e: e.state, width=13, level=lambda e: _LEVELS.get(e.state, "")
        ),
        Column(
            "at", "when", lambda e: e.at, lambda e: fmt.since(e.at, clock.now()), "right", 11
        ),
        Column("age", "age", _age, lambda e: fmt.age(_age(e)), "right", 9, priority=5),
        Column("who", "who", lambda e: e.who, width=8),
        Column("title", "what", lambda e: e.title or e.operation or e.kind, width=18, flex=2),
        Column(
            "count", "planned", lambda e: e.count, lambda e: fmt.count(e.count), "right", 8,
            priority=4,
        ),
        Column(
            "done", "done", lambda e: e.done,
            lambda e: fmt.count(e.done) if e.done is not None or e.kind == "intent" else "",
            "right", 7, priority=2,
        ),
        Column("undo", "undo", lambda e: e.undone_by or e.undo, _undo, width=6, priority=2),
        Column("sentence", "how it ended", lambda e: e.sentence, width=20, flex=3, priority=1),
        Column("id", "run", lambda e: e.id, width=12, priority=3, truncate="never"),
        Column("context", "context", lambda e: e.context, width=8, priority=5),
        Column("operation", "operation", lambda e: e.operation, width=16, priority=6),
        Column("approved", "approved by", lambda e: e.approved_by, width=11, priority=7),
        Column("selection", "chosen by", lambda e: e.selection, width=16, flex=1, priority=8),
    ),
    key=lambda e: e.id,
    empty="nothing was done yet from this machine",
    sort="-at",
    tick=5.0,
)  # fmt: skip


def rows(state: State) -> list[Entry]:
    """The newest entries."""
    report = state.value("journal", JournalReport)
    return [] if report is None else list(report.entries)


def more(state: State) -> int | None:
    """Entries beyond these; None if they were not counted."""
    report = state.value("journal", JournalReport)
    if report is None:
        return 0
    return None if report.cut else report.more
