"""Painting one line of a table: segments, glyphs and styles, nothing that knows of scrolling."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from mailtui.resources.base import Level
from mailtui.widgets.glyphs import Glyphs, plain
from mailtui.widgets.table_layout import GUTTER, Slot, clean, fit


class Signs(msgspec.Struct, frozen=True):
    """What the gutter and the head say without colour."""

    cursor: str = "▸"
    mark: str = "●"
    ranged: str = "○"
    """A row that the open range covers."""
    ascending: str = "↑"
    descending: str = "↓"


UNICODE_SIGNS = Signs()
ASCII_SIGNS = Signs(">", "*", "=", "^", "v")


class RowState(msgspec.Struct, frozen=True):
    """What paints a row differently from its neighbours."""

    cursor: bool = False
    marked: bool = False
    ranged: bool = False
    stale: bool = False


class Painter:
    """Turns rows into strips for one layout and one set of styles.

    `style(name)` resolves `table--NAME` to a complete style, `table--` prefix left out.
    """

    def __init__(
        self,
        slots: list[Slot],
        gap: int,
        width: int,
        glyphs: Glyphs,
        style: Callable[[str], Style],
    ) -> None:
        self.slots = slots
        self.gap = gap
        self.width = width
        self.glyphs = glyphs
        self.signs = ASCII_SIGNS if glyphs.ascii else UNICODE_SIGNS
        self._style = style
        self._styles: dict[tuple[RowState, Level], Style] = {}

    def head(self, sort: str, reverse: bool, *, busy: bool) -> Strip:
        """The head, with a glyph at the column `sort`."""
        style = self._style("head")
        sorted_style = style + Style(underline=True)
        glyph = self.signs.descending if reverse else self.signs.ascending
        busy_glyph = self.glyphs.ellipsis if busy else " "
        segments = [Segment(busy_glyph + " " * (GUTTER - 1), style)]
        for slot in self.slots:
            title = clean(slot.column.title)
            align, width, dots = slot.column.align, slot.width, self.glyphs.ellipsis
            if slot.column.name == sort and width > 2:
                title = fit(title, min(width - 2, cell_len(title)), ellipsis=dots)
                title = f"{glyph} {title}" if align == "right" else f"{title} {glyph}"
                pad = Segment(" " * (width - cell_len(title)), style)
                word = Segment(title, sorted_style)
                segments += [pad, word] if align == "right" else [word, pad]
            else:
                segments.append(Segment(fit(title, width, align, ellipsis=dots), style))
            segments.append(Segment(" " * self.gap, style))
        return Strip(segments).adjust_cell_length(self.width, style)

    def row(self, row: Any, state: RowState) -> Strip:
        """One row. A cell that is never truncated may take room from the cells after it."""
        base = self._row_style(state, "")
        glyphs = self.glyphs
        signs = self.signs
        mark = signs.mark if state.marked else signs.ranged if state.ranged else " "
        gutter = (signs.cursor if state.cursor else " ") + mark + " "
        segments = [Segment(gutter, base)]
        gap = Segment(" " * self.gap, base)
        debt = 0
        for slot in self.slots:
            column = slot.column
            text = clean(column.render(row))
            level = column.grade(row)
            width = slot.width
            if debt:
                paid = min(debt, max(0, width - 1))
                debt, width = debt - paid, width - paid
            glyph = glyphs.of(level).strip()
            if glyph and not text.startswith(glyph) and cell_len(text) + 2 <= width:
                text = f"{glyph} {text}"
            cell = fit(text, width, column.align, column.truncate, glyphs.ellipsis)
            if glyphs.ascii:
                cell = plain(cell)
            if column.truncate == "never":
                debt += max(0, cell_len(cell) - width)
            segments.append(Segment(cell, self._row_style(state, level) if level else base))
            segments.append(gap)
        return Strip(segments).adjust_cell_length(self.width, base)

    def _row_style(self, state: RowState, level: Level) -> Style:
        """Style of a cell: the cursor's colours win, then stale, then level, on a mark's ground."""
        found = self._styles.get((state, level))
        if found is None:
            found = self._styles[state, level] = self._mix(state, level)
        return found

    def _mix(self, state: RowState, level: Level) -> Style:
        if state.cursor:
            style = self._style("cursor")
            return style + Style(bold=True) if level == "critical" else style
        mark = self._style("mark") if state.marked or state.ranged else None
        if state.stale or level == "stale":
            style = self._style("stale")
        elif level in ("critical", "warning", "ok", "muted", "accent"):
            style = self._style(level)
        elif level == "unknown":
            style = self._style("muted")
        else:
            return mark or self._style("row")
        return style if mark is None else style + Style(bgcolor=mark.bgcolor, bold=True)
