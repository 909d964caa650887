"""The board that answers: does mail flow?"""

from __future__ import annotations

from rich.cells import cell_len
from rich.style import Style
from rich.text import Text
from textual.reactive import reactive
from textual.widget import Widget

from mailtui.model.spark import spark
from mailtui.resources.base import Level
from mailtui.resources.flow import Tile
from mailtui.widgets.glyphs import UNICODE, Glyphs, plain

NAME = 9
VALUE = 8


class FlowBoard(Widget):
    """Tiles in two columns, or one where the terminal is narrow."""

    COMPONENT_CLASSES = {
        "flow--name",
        "flow--value",
        "flow--unit",
        "flow--spark",
        "flow--note",
        "flow--warning",
        "flow--critical",
    }
    DEFAULT_CSS = """
    FlowBoard {
        height: auto; padding: 0 1;
        & > .flow--name { color: $foreground 65%; }
        & > .flow--value { text-style: bold; }
        & > .flow--unit { color: $foreground 65%; }
        & > .flow--spark { color: $primary; }
        & > .flow--note { color: $foreground 65%; }
        & > .flow--warning { color: $warning; text-style: bold; }
        & > .flow--critical { color: $error; text-style: bold; }
    }
    """
    tiles: reactive[tuple[Tile, ...]] = reactive(())
    glyphs: Glyphs = UNICODE

    def watch_tiles(self, old: tuple[Tile, ...], new: tuple[Tile, ...]) -> None:
        """Only their number changes the height."""
        if len(old) != len(new):
            self.refresh(layout=True)

    def columns(self, width: int) -> int:
        """How many columns fit."""
        return 2 if width >= 100 else 1

    def get_content_height(self, container, viewport, width: int) -> int:  # type: ignore[no-untyped-def]
        """One line a tile and column."""
        columns = self.columns(width)
        return max(1, -(-len(self.tiles) // columns))

    def render(self) -> Text:
        """All tiles."""
        width = self.content_size.width
        columns = self.columns(width)
        each = width // columns
        lines: list[Text] = []
        for start in range(0, len(self.tiles), columns):
            line = Text(no_wrap=True, end="")
            for number, tile in enumerate(self.tiles[start : start + columns]):
                last = number == columns - 1
                unit = max(len(t.unit) for t in self.tiles[number::columns])
                line.append_text(self._tile(tile, each if last else each - 2, unit))
                if not last:
                    line.append("  ")
            lines.append(line)
        return Text("\n").join(lines)

    def _tile(self, tile: Tile, width: int, unit: int) -> Text:
        bad = tile.level in ("warning", "critical")
        text = Text(no_wrap=True)
        text.append(f"{tile.name:<{NAME}}", style=self._style("name"))
        if tile.value or tile.trend is not None:
            text.append(
                f"{tile.value:>{VALUE}} ", style=self._style(tile.level if bad else "value")
            )
            text.append(f"{tile.unit:<{unit}} ", style=self._style("unit"))
        room = width - text.cell_len
        note = tile.note
        if self.glyphs.ascii:
            note = plain(note)
        if tile.trend is not None and room > 12:
            # the note keeps its place: the sparkline takes what is left
            length = max(8, min(60, room - max(20, cell_len(note)) - 2))
            length = min(length, room)
            known = [v for v in tile.trend.values if v is not None]
            # some air above the peak, so that full blocks of two lines never touch
            top = max(known, default=0.0) * 1.2
            text.append(
                spark(tile.trend.values, length, lo=0.0, hi=top or None, ascii=self.glyphs.ascii),
                style=self._style("spark"),
            )
            text.append("  ")
        text.append(note, style=self._style(tile.level if bad else "note"))
        text.truncate(width, overflow="ellipsis", pad=True)
        return text

    def _style(self, name: Level | str) -> Style:
        return self.get_component_rich_style(f"flow--{name}")
