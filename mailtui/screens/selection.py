"""What an operation is asked for: the rows that are chosen on a screen, and in which words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mailtui.widgets.table import RowTable


@dataclass(frozen=True)
class Selection:
    """Rows of one resource. They are taken when the key is pressed, and never again."""

    resource: str
    """Name of the resource of the rows."""
    rows: tuple[Any, ...] = ()
    words: str = ""
    """How they were chosen: `3 marked rows, 1 of them hidden by the filter`."""
    refusal: str = ""
    """Why nothing can be chosen here, as a sentence; empty if it can."""


def same_resource(one: str, other: str) -> bool:
    """True for the same resource, written with dashes or underscores."""
    return one.replace("-", "_") == other.replace("-", "_")


def of_table(table: RowTable) -> Selection:
    """The marked rows, else the row under the cursor."""
    name = table.resource.name
    if marked := table.marked_rows:
        words = f"{len(marked):,} marked {'row' if len(marked) == 1 else 'rows'}"
        if hidden := table.marked_hidden:
            words += f", {hidden:,} of them hidden by the filter"
        return Selection(name, tuple(marked), words)
    if refusal := vanished(table):
        return Selection(name, refusal=refusal)
    row = table.row
    if row is None:
        return Selection(name, refusal="there is no row under the cursor")
    key = " ".join(table.resource.key(row).split("\t"))
    return Selection(name, (row,), f"the row under the cursor, {key}")


def vanished(table: RowTable) -> str:
    """A key meant for a row that has just gone does nothing to the next one, once."""
    if table.vanished_key is None:
        return ""
    table.vanished_key = None
    return "the row that was under the cursor has just gone; press again for the one there now"
