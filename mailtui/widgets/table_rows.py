"""The rows behind a table: what is loaded, what is shown in which order, what is held back.

No widget here. An `Arrangement` is computed step by step (`arrange`) while the old one stays
in use, and replaces it at once (`commit`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

import msgspec

from mailtui.model.where import Where
from mailtui.resources.base import Resource
from mailtui.widgets.table_order import (
    Steps,
    chosen,
    drain,
    filtered,
    follow,
    kept,
    located,
    ordered,
)

Row = TypeVar("Row")


class Arrangement(msgspec.Struct, Generic[Row]):
    """The outcome of filtering and sorting."""

    rows: list[Row] = msgspec.field(default_factory=list)
    """All that is loaded, in the order of the source."""
    view: list[Row] = msgspec.field(default_factory=list)
    """What is shown, in the order of the screen; may be the same list as `rows`."""
    held: int = 0
    """Rows that match but are not shown yet."""
    marked: dict[str, Row] = msgspec.field(default_factory=dict)
    """Marked rows that are loaded."""
    marked_shown: set[str] = msgspec.field(default_factory=set)
    cursor: int = -1
    """Where the cursor's row is in `view`, if it was looked for and found."""


class Moved(msgspec.Struct, frozen=True):
    """Where the cursor's row went."""

    position: int
    vanished: bool


class Rows(Generic[Row]):
    """Rows of one resource with their filter, order and marks.

    The lists are never changed in place, so a computation can keep reading them.
    """

    def __init__(self, resource: Resource[Row]) -> None:
        self.resource = resource
        self.where: Where | None = None
        self.sort = resource.sort.removeprefix("-")
        self.reverse = resource.sort.startswith("-")
        self.now: Arrangement[Row] = Arrangement()
        self.incoming: list[Row] = []
        """The newest rows; `now.rows` once they are arranged."""
        self.marks: dict[str, Row] = {}
        self.hidden: set[str] = set()
        """Keys of marked rows that are loaded but not shown."""

    @property
    def view(self) -> list[Row]:
        return self.now.view

    def has_work(self, *, hold: bool) -> bool:
        """Whether `arrange` looks at rows at all."""
        return hold or bool(self.where or self.sort or self.marks)

    def arrange(
        self, *, hold: bool, cursor: Callable[[], Row | None] | None = None
    ) -> Steps[Arrangement[Row]]:
        """Filter and sort the incoming rows; with `hold` the shown rows keep their order, and
        those which would be inserted are only counted. `cursor` gives the row under the cursor,
        which is then looked for at the end, in slices too."""
        rows, where, view = self.incoming, self.where, self.now.view
        key = self.resource.key
        matched = rows
        if where is not None and not where.empty:
            matched = yield from filtered(rows, where)
        column = self.resource.column(self.sort)
        if hold:
            new, held = yield from kept(view, matched, key)
            result = Arrangement(rows, new, held)
        elif column is not None:
            new = yield from ordered(matched, column.value, self.reverse)
            result = Arrangement(rows, new)
        else:
            result = Arrangement(rows, matched)
        if self.marks:
            wanted = set(self.marks)
            result.marked = yield from chosen(rows, wanted, key)
            if result.view is rows:
                result.marked_shown = set(result.marked)
            else:
                shown = yield from chosen(result.view, wanted, key)
                result.marked_shown = set(shown)
        row = cursor() if cursor is not None else None
        if row is not None:
            result.cursor = yield from located(result.view, key(row), key)
        return result

    def commit(self, new: Arrangement[Row], cursor: int) -> Moved:
        """Put `new` in the place of the present arrangement; where the row at `cursor` went."""
        key = self.resource.key
        late = self.marks.keys() - new.marked.keys()
        if late:  # marked while the arrangement was computed, or gone
            new.marked.update(drain(chosen(new.rows, late, key)))
            new.marked_shown.update(drain(chosen(new.view, late, key)))
        self.marks = {k: new.marked[k] for k in self.marks if k in new.marked}
        self.hidden = self.marks.keys() - new.marked_shown
        position, vanished = follow(self.now.view, cursor, new.view, key, new.cursor)
        self.now = new
        return Moved(position, vanished)

    def mark(self, rows: Iterable[Row]) -> None:
        """Mark shown rows."""
        key = self.resource.key
        self.marks.update((key(row), row) for row in rows)

    def unmark(self, rows: Iterable[Row]) -> None:
        """Take the mark from rows."""
        for row in rows:
            key = self.resource.key(row)
            self.marks.pop(key, None)
            self.hidden.discard(key)

    def clear_marks(self) -> None:
        """Take the mark from every row."""
        self.marks = {}
        self.hidden = set()
