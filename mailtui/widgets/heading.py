"""A heading: words at the left, words at the right."""

from __future__ import annotations

from rich.text import Text
from textual.reactive import reactive
from textual.widget import Widget


class Heading(Widget):
    """One line."""

    COMPONENT_CLASSES = {"heading--title", "heading--note"}
    DEFAULT_CSS = """
    Heading {
        height: 1; padding: 0 1;
        & > .heading--title { text-style: bold; color: $primary; }
        & > .heading--note { color: $foreground 65%; }
    }
    """
    note: reactive[str] = reactive("")

    def __init__(self, title: str, note: str = "", *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.heading = title
        self.set_reactive(Heading.note, note)

    def render(self) -> Text:
        """Title, gap, note."""
        title = Text(self.heading, style=self.get_component_rich_style("heading--title"))
        note = Text(self.note, style=self.get_component_rich_style("heading--note"))
        room = self.content_size.width - title.cell_len - 1
        note.truncate(max(0, room), overflow="ellipsis")
        gap = max(1, self.content_size.width - title.cell_len - note.cell_len)
        line = title + Text(" " * gap) + note
        line.no_wrap, line.end = True, ""
        return line
