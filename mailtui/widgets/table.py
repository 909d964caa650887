"""A table of records that stays itself with a million rows.

Only the visible lines are ever painted (Textual's Line API). The cursor, the marks and the
scroll position belong to row keys, not to places: a poll, a sort or a filter never puts
another row under the cursor without saying so (`RowTable.CursorRowVanished`).

While someone is inside the list (the cursor was moved off the first row or within the last
20 s, or rows are marked), known rows change in place, removed rows go, and rows which would
be inserted are only counted (`pending_new`) until `show_pending`.

Marks belong to one resource and one scope: `set_resource` clears them, and a screen that
changes its scope (another host, another queue) calls `clear_marks`.
"""

from __future__ import annotations

import textwrap
from typing import Any, ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.actions import SkipAction
from textual.geometry import Region
from textual.strip import Strip

from mailtui.widgets import table_messages
from mailtui.widgets.glyphs import for_terminal
from mailtui.widgets.table_core import TableCore
from mailtui.widgets.table_keys import TABLE_BINDINGS, TABLE_CSS
from mailtui.widgets.table_layout import GUTTER, clean, fit, lay_out
from mailtui.widgets.table_paint import Painter, RowState

FOCUSING_CLICK = 0.5
"""Seconds after the focus came in which a click on the cursor's row does not open it."""


class RowTable(TableCore):
    """A virtual table of the rows of one resource."""

    BINDINGS = TABLE_BINDINGS
    DEFAULT_CSS = TABLE_CSS
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"table--{name}"
        for name in ("head", "row", "cursor", "mark", "critical", "warning", "ok", "muted")
    } | {"table--accent", "table--stale", "table--empty"}

    Highlighted = table_messages.Highlighted
    Selected = table_messages.Selected
    CursorRowVanished = table_messages.CursorRowVanished
    Changed = table_messages.Changed

    _focused_at = float("-inf")
    _blank: tuple[Any, list[Strip]] = None, []
    """What an empty table shows, and for what it was made; the last line goes on below."""

    # --- marks -------------------------------------------------------------------------------

    @property
    def marked_keys(self) -> list[str]:
        """Keys of the marked rows, in the order in which they were marked."""
        return list(self._rows.marks)

    @property
    def marked_rows(self) -> list[Any]:
        """Records of the marked rows, as last read."""
        return list(self._rows.marks.values())

    @property
    def marked_hidden(self) -> int:
        """How many marked rows the filter hides."""
        return len(self._rows.hidden)

    def clear_marks(self) -> None:
        """Take the mark from every row and give up an open range."""
        self._rows.clear_marks()
        self._anchor, self._anchor_at = None, -1
        self._marks_changed()

    def _marks_changed(self) -> None:
        self.refresh()
        self.post_message(self.Changed(self))

    def _mark_between(self, one: int, other: int) -> None:
        first, last = sorted((one, other))
        self._rows.mark(self._rows.view[max(0, first) : last + 1])
        self._marks_changed()

    # --- keys --------------------------------------------------------------------------------

    def action_move(self, by: int) -> None:
        self.move_cursor(self._cursor + by)

    def action_page(self, by: int) -> None:
        top = self.scroll_offset.y
        self.scroll_to(y=max(0, top + by * self.page), animate=False)
        self.move_cursor(self._cursor + by * self.page)

    def action_first(self) -> None:
        self.move_cursor(0)

    def action_last(self) -> None:
        self.move_cursor(self.shown - 1)

    def action_select(self) -> None:
        row = self.row
        if row is not None:
            self.post_message(self.Selected(self, row, self.resource.key(row)))

    def action_mark(self) -> None:
        row = self.row
        if row is None:
            return
        if self.resource.key(row) in self._rows.marks:
            self._rows.unmark([row])
        else:
            self._rows.mark([row])
        self._marks_changed()
        self.move_cursor(self._cursor + 1)

    def action_mark_all(self) -> None:
        view = self._rows.view
        if len(self._rows.marks) - self.marked_hidden >= len(view):
            self._rows.unmark(view)
        else:
            self._rows.mark(view)
        self._marks_changed()

    def action_mark_move(self, by: int) -> None:
        to = min(max(0, self._cursor + by), self.shown - 1)
        self._mark_between(self._cursor, to)
        self.move_cursor(to)

    def action_range(self) -> None:
        if self._anchor is None:
            self._anchor, self._anchor_at = self.cursor_key, self._cursor
            self._marks_changed()
            return
        anchor_at = self._anchor_at
        self._anchor, self._anchor_at = None, -1
        self._mark_between(anchor_at, self._cursor)

    def action_clear_marks(self) -> None:
        if self._anchor is not None:
            self._anchor, self._anchor_at = None, -1
            self._marks_changed()
        elif self._rows.marks:
            self.clear_marks()
        else:
            raise SkipAction

    def action_sort(self, by: int) -> None:
        names = [slot.column.name for slot in self.painter.slots]
        if not names:
            return
        now = self._rows.sort
        at = names.index(now) + by if now in names else (0 if by > 0 else -1)
        self._sort_first_time(names[at % len(names)])

    def action_sort_reverse(self) -> None:
        if self._rows.sort:
            self.sort_by(self._rows.sort, reverse=not self._rows.reverse)

    def action_show_pending(self) -> None:
        if not self.pending_new:
            raise SkipAction
        self.show_pending()

    def _sort_first_time(self, name: str) -> None:
        """Numbers start with the greatest: that is where trouble is."""
        column = self.resource.column(name)
        self.sort_by(name, reverse=column is not None and column.align == "right")

    # --- mouse -------------------------------------------------------------------------------

    def on_focus(self) -> None:
        self._focused_at = self._clock()

    def on_click(self, event: events.Click) -> None:
        offset = event.get_content_offset(self)
        if offset is None or event.button != 1:
            return
        event.stop()
        if offset.y == 0:
            self._click_head(offset.x)
            return
        at = self.scroll_offset.y + offset.y - 1
        if not 0 <= at < self.shown:
            return
        if event.shift:
            self._mark_between(self._cursor, at)
            self.move_cursor(at)
        elif event.ctrl:
            row = self._rows.view[at]
            marked = self.resource.key(row) in self._rows.marks
            (self._rows.unmark if marked else self._rows.mark)([row])
            self.move_cursor(at)
            self._marks_changed()
        elif at != self._cursor:
            self.move_cursor(at)
        elif event.chain > 1 or self._clock() - self._focused_at > FOCUSING_CLICK:
            self.action_select()

    def _click_head(self, x: int) -> None:
        for slot in self.painter.slots:
            if slot.x <= x < slot.x + slot.width + self.painter.gap:
                if slot.column.name == self._rows.sort:
                    self.action_sort_reverse()
                else:
                    self._sort_first_time(slot.column.name)

    # --- painting ----------------------------------------------------------------------------

    @property
    def painter(self) -> Painter:
        """Layout and styles at the present size and theme."""
        if self._painter is None:
            width = self.scrollable_content_region.width
            slots, gap = lay_out(self.resource.columns, width)
            glyphs = for_terminal(self.ascii_only)
            self._painter = Painter(slots, gap, width, glyphs, self._style)
        return self._painter

    def _style(self, name: str) -> Style:
        return self.get_component_rich_style(f"table--{name}")

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._painter = None
        self._lines.clear()

    def on_resize(self) -> None:
        self._painter = None
        self._fit_height()
        self._show_cursor()
        self.repaint()

    def watch_ascii_only(self) -> None:
        self._painter = None
        self._lines.clear()

    def render_line(self, y: int) -> Strip:
        painter, view = self.painter, self._rows.view
        if painter.width != self.scrollable_content_region.width:
            self._painter = None  # the scrollbar came or went
            self._lines.clear()
            painter = self.painter
        if y == 0:
            return painter.head(self._rows.sort, self._rows.reverse, busy=self.busy)
        at = self.scroll_offset.y + y - 1
        if at >= len(view):
            return self._blank_line(y) if not view else Strip.blank(painter.width, self.rich_style)
        return self._row_line(at)

    def repaint_rows(self) -> None:
        """Paint the visible rows whose texts have changed with the clock, and nothing else."""
        top = self.scroll_offset.y
        visible = range(top, min(top + self.page, self.shown))
        before = [self._row_line(at) for at in visible]
        self._lines.clear()
        width = self.size.width
        for y, (at, old) in enumerate(zip(visible, before, strict=True), 1):
            if self._row_line(at) != old:
                self.refresh(Region(0, y, width, 1))

    def _row_line(self, at: int) -> Strip:
        painter, row, marks = self.painter, self._rows.view[at], self._rows.marks
        state = RowState(
            cursor=at == self._cursor,
            marked=bool(marks) and self.resource.key(row) in marks,
            ranged=self._anchor is not None and self._in_range(at),
            stale=self.stale,
        )
        strip = self._lines.get((at, state))
        if strip is None:
            strip = painter.row(row, state)
            self._lines[at, state] = strip
        return strip

    def _in_range(self, at: int) -> bool:
        return min(self._anchor_at, self._cursor) <= at <= max(self._anchor_at, self._cursor)

    def _blank_line(self, y: int) -> Strip:
        width, sentence, style = self.painter.width, self._sentence(), self._style("empty")
        if self._blank[0] != (width, sentence, style):
            room = max(1, width - 2 * GUTTER)
            strips = [
                Strip([Segment(" " * GUTTER + fit(text, room), style)]).adjust_cell_length(
                    width, style
                )
                for text in (*textwrap.wrap(clean(sentence), room), "")
            ]
            self._blank = (width, sentence, style), strips
        strips = self._blank[1]
        return strips[min(y, len(strips)) - 1]

    def _sentence(self) -> str:
        """Why there is nothing to see."""
        if self.notice:
            return self.notice
        if self.busy:
            return f"putting {len(self._rows.incoming):,} rows in order"
        if not self._loaded_once:
            return "never read"
        where = self._rows.where
        if self.loaded and where is not None:
            of = f"the first {self.loaded:,}" if self.more_than else f"{self.loaded:,}"
            return f"nothing of {of} matches {where.text}"
        return self.resource.empty
