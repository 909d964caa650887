"""What a table holds and where its cursor is: `RowTable` without painting, keys and mouse."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Literal

from textual.cache import LRUCache
from textual.geometry import Region, Size
from textual.reactive import reactive, var
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.worker import Worker

from mailtui.model.where import Where
from mailtui.resources.base import Resource
from mailtui.widgets.table_messages import Changed, CursorRowVanished, Highlighted
from mailtui.widgets.table_order import drain, drive, position_of_key
from mailtui.widgets.table_paint import Painter, RowState
from mailtui.widgets.table_rows import Arrangement, Rows

AT_ONCE = 50_000
"""Up to this many rows are arranged in one go, more in slices."""
SETTLED = 20.0
"""Seconds without a move after which a cursor on the first row is left to the poller."""

Cause = Literal["data", "user"]


class TableCore(ScrollView, can_focus=True, inherit_bindings=False):
    """Rows, filter, order and cursor of one resource."""

    pending_new: var[int] = var(0)
    """Rows held back while someone is inside the list."""
    stale: reactive[bool] = reactive(False)
    """Dims the body: what it shows is older than it should be."""
    ascii_only: reactive[bool] = reactive(False)
    """Plain glyphs, for terminals without Unicode."""
    notice: reactive[str] = reactive("")
    """What an empty body says instead of the resource's own sentence."""
    busy: reactive[bool] = reactive(False)
    """True while many rows are being filtered or sorted."""
    hold_new: var[bool] = var(True)
    """Whether rows are held back at all."""
    follow_first: var[bool] = var(False)
    """A cursor that was left alone on the first row stays on the first row when others come in
    above it: for streams."""

    def __init__(
        self,
        resource: Resource[Any],
        *,
        name: str | None = None,
        id: str | None = None,
        classes: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(name=name, id=id, classes=classes)
        self._clock = clock
        self._lines: LRUCache[tuple[int, RowState], Strip] = LRUCache(512)
        self._painter: Painter | None = None
        self._worker: Worker[None] | None = None
        self._start(resource)

    def _start(self, resource: Resource[Any]) -> None:
        self._rows: Rows[Any] = Rows(resource)
        self._loaded_once = False
        self._more = False
        self._again = False
        self._cursor = -1
        self._anchor: str | None = None
        self._anchor_at = -1
        self._top_is_home = True
        self._moved_at = float("-inf")
        self.vanished_key: str | None = None
        """Key of the cursor's row that vanished, until the cursor is moved by hand."""

    # --- what is in it -----------------------------------------------------------------------

    @property
    def resource(self) -> Resource[Any]:
        """The kind of rows that are shown."""
        return self._rows.resource

    def set_resource(self, resource: Resource[Any]) -> None:
        """Show another kind of rows: rows, filter, order, cursor and marks start anew."""
        self.workers.cancel_group(self, "arrange")
        self._start(resource)
        self.busy = False
        self.pending_new = 0
        self._painter = None
        self._fit_height()
        self.scroll_to(y=0, animate=False)
        self.repaint()
        self.post_message(Changed(self))

    def set_rows(self, rows: Sequence[Any], *, total_more: bool = False) -> None:
        """Show these rows. Rows equal to the present ones cost a comparison and nothing else.

        `total_more` says that the source has more rows than were fetched.
        """
        new = list(rows)
        more_changed, self._more = total_more != self._more, total_more
        if self._loaded_once and new == self._rows.incoming:
            if more_changed:
                self.post_message(Changed(self))
            if not (self.pending_new and not self.inside):
                return
        self._loaded_once = True
        self._rows.incoming = new
        self._arrange("data")

    def forget(self) -> None:
        """Know nothing, as before the first reading; filter and order stay."""
        if self._loaded_once:
            self._rows.incoming, self._more = [], False
            self._arrange("user")
            self._loaded_once = False

    def set_filter(self, where: Where | None) -> None:
        """Show only rows that match; None or an empty filter shows all."""
        if where is not self._rows.where:
            self._rows.where = where
            self._arrange("user")

    @property
    def where(self) -> Where | None:
        """The filter."""
        return self._rows.where

    def sort_by(self, column: str, *, reverse: bool = False) -> None:
        """Sort by the column called `column`; "" is the order of the source."""
        self._rows.sort, self._rows.reverse = column, reverse
        self._arrange("user")

    @property
    def sort_spec(self) -> str:
        """The order as `Resource.sort` writes it: `-age`."""
        return ("-" if self._rows.reverse else "") + self._rows.sort

    def show_pending(self) -> None:
        """Insert the rows that were held back, and sort again."""
        self._arrange("user")

    @property
    def inside(self) -> bool:
        """Whether someone is at work in the list, so that nothing may be inserted."""
        if self._rows.marks or self._anchor is not None:
            return True
        moved_lately = self._clock() - self._moved_at < SETTLED
        return moved_lately or (self._cursor > 0 and not self._top_is_home)

    @property
    def shown(self) -> int:
        """Rows in the list."""
        return len(self._rows.view)

    @property
    def shown_rows(self) -> list[Any]:
        """The records in the list, in their order on the screen; not to be changed."""
        return self._rows.view

    def sample(self, most: int = 2_000) -> list[Any]:
        """At most `most` of the loaded rows, evenly spread: for suggestions of values."""
        rows = self._rows.now.rows
        return rows[:: max(1, -(-len(rows) // most))]

    @property
    def loaded(self) -> int:
        """Rows that were read."""
        return len(self._rows.now.rows)

    @property
    def more_than(self) -> bool:
        """Whether the source has more than what was read."""
        return self._more

    @property
    def count_text(self) -> str:
        """`5,214`, `4,312 of 5,214`, or `500 of more than 500`; `?` before the first reading."""
        if not self._loaded_once:
            return "?"
        if self._more:
            return f"{self.shown:,} of more than {self.loaded:,}"
        if self.shown == self.loaded:
            return f"{self.shown:,}"
        return f"{self.shown:,} of {self.loaded:,}"

    # --- arranging ---------------------------------------------------------------------------

    def _arrange(self, cause: Cause) -> None:
        if cause == "data" and self.busy:
            self._again = True  # what is under way is finished first, or it never would be
            return
        many = max(len(self._rows.incoming), self.shown) > AT_ONCE
        if many and self.is_running and self._rows.has_work(hold=self._holds(cause)):
            self.busy, self._again = True, False

            async def slowly() -> None:
                await self._arrange_slowly(cause)

            self._worker = self.run_worker(slowly, group="arrange", exclusive=True)
            return
        if self.busy:
            self.workers.cancel_group(self, "arrange")
            self.busy = False
        self._commit(drain(self._rows.arrange(hold=self._holds(cause))), cause)

    def _holds(self, cause: Cause) -> bool:
        return cause == "data" and self.hold_new and self.shown > 0 and self.inside

    async def _arrange_slowly(self, cause: Cause) -> None:
        while True:
            hold, rows = self._holds(cause), self._rows
            result = await drive(rows.arrange(hold=hold, cursor=lambda: self.row))
            if not hold and self._holds(cause):
                continue  # someone moved in meanwhile
            self._commit(result, cause)
            if not self._again:
                break
            self._again, cause = False, "data"
        self.busy = False

    def _commit(self, new: Arrangement[Any], cause: Cause) -> None:
        """Put a new arrangement on the screen, the cursor's row staying on its line."""
        old_view, old_cursor, top = self._rows.view, self._cursor, self.scroll_offset.y
        old_row = old_view[old_cursor] if 0 <= old_cursor < len(old_view) else None
        old_key = None if old_row is None else self.resource.key(old_row)
        visible = top <= old_cursor < top + self.page
        top_row = old_view[top] if top < len(old_view) else None
        moved = self._rows.commit(new, old_cursor)
        view = new.view
        at_first = self.follow_first and cause == "data" and old_cursor == 0 and not self.inside
        self._cursor = min(0, moved.position) if at_first else moved.position
        self.pending_new = new.held
        if self._anchor is not None:
            self._anchor_at = position_of_key(view, self._anchor, self.resource.key)
            if self._anchor_at < 0:
                self._anchor = None
        self._fit_height()
        if self._top_is_home and top == 0:
            new_top = 0
        elif visible or top_row is None:
            new_top = max(0, self._cursor - (old_cursor - top))
        else:
            new_top = position_of_key(view, self.resource.key(top_row), self.resource.key)
        if new_top < 0:
            new_top = top
        self.scroll_to(y=new_top, animate=False)
        if visible or old_row is None:
            self._show_cursor()
        if self.scroll_offset.y > 0:
            self._top_is_home = False
        self._refresh_changed(old_view, old_cursor, top)
        if moved.vanished and cause == "data" and old_row is not None and old_key is not None:
            self.vanished_key = old_key
            self.post_message(CursorRowVanished(self, old_key, old_row))
        if self.row != old_row:
            self._post_highlighted()
        self.post_message(Changed(self))

    def _refresh_changed(self, old_view: list[Any], old_cursor: int, old_top: int) -> None:
        """Repaint the lines whose row is another one; all of them if they moved."""
        self._lines.clear()
        top, view = self.scroll_offset.y, self._rows.view
        if top != old_top or not old_view or not view:
            self.refresh()
            return
        self.refresh(Region(0, 0, self.size.width, 1))
        for at in range(top, top + self.page):
            old = old_view[at] if at < len(old_view) else None
            new = view[at] if at < len(view) else None
            if old != new or at in (old_cursor, self._cursor):
                self.refresh_line(at + 1)

    def watch_busy(self) -> None:
        self.post_message(Changed(self))

    def repaint(self) -> None:
        """Paint the visible lines anew, as when texts that depend on the clock have changed."""
        self._lines.clear()
        self.refresh()

    def _fit_height(self) -> None:
        self.virtual_size = Size(self.scrollable_content_region.width, self.shown + 1)

    # --- the cursor --------------------------------------------------------------------------

    @property
    def page(self) -> int:
        """Rows that are visible at once."""
        return max(1, self.scrollable_content_region.height - 1)

    @property
    def cursor_row(self) -> int:
        """Place of the cursor from 0; -1 in an empty table."""
        return self._cursor

    @property
    def row(self) -> Any | None:
        """The record under the cursor."""
        return self._rows.view[self._cursor] if 0 <= self._cursor < self.shown else None

    @property
    def cursor_key(self) -> str | None:
        """Key of the row under the cursor."""
        row = self.row
        return None if row is None else self.resource.key(row)

    def move_cursor(self, to: int) -> None:
        """Put the cursor on a row by its place, as a key or a click does."""
        if not self.shown:
            return
        old, self._cursor = self._cursor, min(max(0, to), self.shown - 1)
        self._moved_at = self._clock()
        self._top_is_home = self._cursor == 0
        self.vanished_key = None
        self._show_cursor()
        if self._anchor is not None:
            self.refresh()
        else:
            self.refresh_line(old + 1)
            self.refresh_line(self._cursor + 1)
        if old != self._cursor:
            self._post_highlighted()

    def _show_cursor(self) -> None:
        top = self.scroll_offset.y
        if self._cursor < top:
            self.scroll_to(y=max(0, self._cursor), animate=False)
        elif self._cursor >= top + self.page:
            self.scroll_to(y=self._cursor - self.page + 1, animate=False)

    def _post_highlighted(self) -> None:
        row = self.row
        key = None if row is None else self.resource.key(row)
        self.post_message(Highlighted(self, row, key))
