"""A table with its caption: what it holds, how many, filtered how, how old, what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widget import Widget

from mailtui.model import clock
from mailtui.model.freshness import Freshness, summarise
from mailtui.model.reading import AnyReading
from mailtui.resources.base import Resource
from mailtui.widgets.glyphs import UNICODE, Glyphs
from mailtui.widgets.table import RowTable


class Caption(Widget):
    """One line above a table."""

    COMPONENT_CLASSES = {
        "caption--title",
        "caption--filter",
        "caption--muted",
        "caption--stale",
        "caption--new",
    }
    DEFAULT_CSS = """
    Caption {
        height: 1; padding: 0 1; color: $text;
        & > .caption--title { text-style: bold; }
        & > .caption--filter { color: $accent; }
        & > .caption--muted { color: $foreground 65%; }
        & > .caption--stale { color: $warning; text-style: bold; }
        & > .caption--new { color: $accent; text-style: bold; }
    }
    """
    glyphs: Glyphs = UNICODE

    def __init__(self, title: str) -> None:
        super().__init__()
        self.heading = title
        self.detail = ""
        """Further facts after the title, from the screen."""
        self.freshness: Freshness | None = None

    def render(self) -> Text:
        """Title, counts, filter and marks from the left; age or error at the right."""
        panel = self.parent
        assert isinstance(panel, TablePanel)
        table, width = panel.table, self.content_size.width
        left = Text(self.heading, style=self._style("title"), no_wrap=True, end="")
        if self.detail:
            left.append(f"  {self.detail}")
        if self.heading or table.more_than or table.shown != table.loaded:
            left.append(f"  {table.count_text}", style=self._style("muted"))
        if table.where is not None and table.where.text:
            left.append(f"  /{table.where.text}", style=self._style("filter"))
        if marked := len(table.marked_keys):
            hidden = f" ({table.marked_hidden} hidden)" if table.marked_hidden else ""
            left.append(f"  marked {marked}{hidden}", style=self._style("new"))
        if table.pending_new:
            left.append(f"  {table.pending_new:,} new, r to show", style=self._style("new"))
        right = self._age()
        # an error matters more than the end of the left part
        room = width - min(right.cell_len, max(20, width // 2)) - 2
        if left.cell_len > room:
            left.truncate(max(10, room), overflow="ellipsis")
        right.truncate(max(0, width - left.cell_len - 2), overflow="ellipsis")
        return left + Text(" " * max(1, width - left.cell_len - right.cell_len)) + right

    def _age(self) -> Text:
        fresh = self.freshness
        if fresh is None:
            return Text("")
        if fresh.wrong:
            return Text(f"{self.glyphs.stale} {fresh.text}", style=self._style("stale"))
        return Text(fresh.text, style=self._style("muted"))

    def _style(self, name: str):  # type: ignore[no-untyped-def]
        return self.get_component_rich_style(f"caption--{name}")


class TablePanel(Vertical):
    """A caption and the table below it."""

    DEFAULT_CSS = "TablePanel { height: 1fr; }"

    def __init__(
        self, resource: Resource[Any], title: str | None = None, *, id: str | None = None
    ) -> None:
        super().__init__(id=id)
        self.caption = Caption(resource.title if title is None else title)
        self.table = RowTable(resource)
        self._readings: Sequence[AnyReading] = ()
        self._painted_at = 0.0

    def compose(self) -> ComposeResult:
        """Caption, then table."""
        yield self.caption
        yield self.table

    def show(
        self,
        rows: Sequence[Any] | None,
        readings: Sequence[AnyReading],
        *,
        more: bool = False,
        detail: str = "",
    ) -> None:
        """Show `rows`, which come from `readings`; `more`: the source has more than these.
        None: nothing is known yet."""
        self._readings = readings
        self.caption.detail = detail
        self._freshen()
        if rows is None:
            self.table.forget()
        else:
            self.table.set_rows(rows, total_more=more)
        self.caption.refresh()

    def tick(self) -> None:
        """A second passed: ages go on."""
        if not self._readings:
            return
        self._freshen()
        self.caption.refresh()
        every = self.table.resource.tick
        now = clock.now()
        if every and abs(now - self._painted_at) >= every:
            self._painted_at = now
            self.table.repaint_rows()

    def _freshen(self) -> None:
        fresh = summarise(self._readings, clock.now())
        self.caption.freshness = fresh
        self.table.stale = (
            fresh.is_stale and fresh.stale + fresh.absent + fresh.never >= fresh.total
        )
        self.table.notice = fresh.text if fresh.nothing or fresh.total == 0 else ""

    @on(RowTable.Changed)
    def _table_changed(self) -> None:
        self.caption.refresh()
