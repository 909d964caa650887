"""What a table tells the screen; handlers are called `on_row_table_selected` and so on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textual.message import Message

if TYPE_CHECKING:
    from mailtui.widgets.table_core import TableCore


class TableMessage(Message, namespace="row_table"):
    """A message of one table."""

    def __init__(self, table: TableCore) -> None:
        super().__init__()
        self.table = table

    @property
    def control(self) -> TableCore:
        return self.table


class Replaceable(TableMessage, namespace="row_table"):
    """A state rather than an event: a newer one takes the place of one still in the queue."""

    def can_replace(self, message: Message) -> bool:
        return type(message) is type(self) and message.control is self.table


class Highlighted(Replaceable, namespace="row_table"):
    """Another row, or a newer record of the same row, is under the cursor."""

    def __init__(self, table: TableCore, row: Any | None, key: str | None) -> None:
        super().__init__(table)
        self.row = row
        """The record; None when the table is empty."""
        self.key = key


class Changed(Replaceable, namespace="row_table"):
    """Counts, order, filter or marks are not what they were."""


class Selected(TableMessage, namespace="row_table"):
    """A row was opened by enter or a click."""

    def __init__(self, table: TableCore, row: Any, key: str) -> None:
        super().__init__(table)
        self.row = row
        self.key = key


class CursorRowVanished(TableMessage, namespace="row_table"):
    """A poll took the row under the cursor (gone, or no longer matching the filter): the cursor
    moved to its neighbour.

    A key pressed at this moment was meant for `row`: the screen can refuse it while
    `table.vanished_key` is set.
    """

    def __init__(self, table: TableCore, key: str, row: Any) -> None:
        super().__init__(table)
        self.key = key
        self.row = row
        """The last record of the vanished row."""
