"""The lists that a screen has, with their counts; one is in view."""

from __future__ import annotations

from rich.style import Style
from rich.text import Text
from textual import events
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget


class TabLine(Widget):
    """One line: ` hosts 7 │ disks 14 │ units 21 `."""

    COMPONENT_CLASSES = {"tabs--active", "tabs--other"}
    DEFAULT_CSS = """
    TabLine {
        height: 1; padding: 0 1;
        & > .tabs--active { text-style: bold reverse; }
        & > .tabs--other { color: $foreground 65%; }
    }
    """
    tabs: reactive[tuple[tuple[str, str], ...]] = reactive(())
    """(name, count as text) of each list."""
    active: reactive[int] = reactive(0)

    class Picked(Message):
        """A list was clicked."""

        def __init__(self, index: int) -> None:
            self.index = index
            super().__init__()

    def render(self) -> Text:
        """All names."""
        text = Text(no_wrap=True, overflow="ellipsis", end="")
        for index, (name, count) in enumerate(self.tabs):
            if index:
                text.append("  ")
            style = self.get_component_rich_style(
                "tabs--active" if index == self.active else "tabs--other"
            )
            label = f" {name} {count} " if count else f" {name} "
            text.append(label, style=style + Style(meta={"tab": index}))
        return text

    def on_click(self, event: events.Click) -> None:
        """Tell which was clicked."""
        if (index := event.style.meta.get("tab")) is not None:
            self.post_message(self.Picked(index))
