"""Runs whose program died: what they made true is not known until somebody reads it back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from mailtui.collectors.journal import JournalReport
from mailtui.collectors.state import State
from mailtui.model.problem import Problem
from mailtui.model.where_parse import exactly

if TYPE_CHECKING:
    from mailtui.config.settings import Context


def find(state: State, context: Context, now: float) -> Iterable[Problem]:
    """One problem a run."""
    report = state.value("journal", JournalReport)
    for entry in report.entries if report is not None else ():
        if entry.state == "interrupted":
            yield Problem(
                key=f"journal/{entry.id}",
                severity="warning",
                hosts=(),
                text=f"{entry.title} ({entry.who} on {entry.context}) was interrupted: "
                f"{entry.sentence}",
                screen="journal",
                where=exactly("id", entry.id),
                since=entry.at,
                read_at=state.get("journal").read_at,
                weight=50,
                source="journal",
            )
