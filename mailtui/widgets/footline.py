"""The last line: the keys for what is under the cursor, in the order in which they are needed."""

from __future__ import annotations

import msgspec
from rich.style import Style
from rich.text import Text
from textual import events
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget


class FootKey(msgspec.Struct, frozen=True):
    """One key: how it is written, what it does."""

    key: str
    label: str
    action: str = ""
    """Name of the action for a click."""
    dimmed: bool = False
    """It cannot be done now; pressed all the same, it says why."""
    rank: int = 2
    """Where there is no room, the highest number leaves first, and of equals the last."""


class FootLine(Widget):
    """Keys from the left; those at the right end leave first when the line is narrow."""

    COMPONENT_CLASSES = {"footline--key", "footline--label", "footline--dimmed"}
    DEFAULT_CSS = """
    FootLine {
        height: 1; dock: bottom; background: $panel; color: $text;
        & > .footline--key { color: $accent; text-style: bold; }
        & > .footline--label { color: $foreground; }
        & > .footline--dimmed { color: $foreground 50%; text-style: dim; }
    }
    """
    keys: reactive[tuple[FootKey, ...]] = reactive(())
    right: reactive[tuple[FootKey, ...]] = reactive(())
    """Keys at the right edge: the screens."""

    class Clicked(Message):
        """A key on the line was clicked."""

        def __init__(self, key: FootKey) -> None:
            self.key = key
            super().__init__()

    def render(self) -> Text:
        """The keys that fit."""
        width = self.size.width
        left = self._line(self.keys, width - 1)
        right = self._right(width - left.cell_len - 3)
        gap = max(1, width - left.cell_len - right.cell_len - 1)
        return Text(" ", no_wrap=True, end="") + left + Text(" " * gap) + right

    def _right(self, room: int) -> Text:
        """The screens by name if all of them fit, else only how to reach them."""
        names = self._line(self.right, 1000, gap=1)
        if names.cell_len <= room or not self.right:
            return names
        short = FootKey(f"{self.right[0].key}-{self.right[-1].key}", "screens")
        return self._line((short,), room)

    def _line(self, keys: tuple[FootKey, ...], width: int, gap: int = 2) -> Text:
        parts = [(index, key, self._part(key)) for index, key in enumerate(keys)]
        while parts and sum(p.cell_len for *_, p in parts) + gap * (len(parts) - 1) > width:
            parts.remove(max(parts, key=lambda part: (part[1].rank, part[0])))
        text = Text(no_wrap=True)
        for index, _, part in parts:
            text.append(" " * gap if text else "")
            part.stylize(Style(meta={"foot": (keys is self.right, index)}))
            text.append_text(part)
        return text

    def _part(self, key: FootKey) -> Text:
        if key.dimmed:
            return Text(f"{key.key} {key.label}", style=self._style("dimmed"))
        return Text.assemble((key.key, self._style("key")), " ", (key.label, self._style("label")))

    def _style(self, name: str) -> Style:
        return self.get_component_rich_style(f"footline--{name}")

    def on_click(self, event: events.Click) -> None:
        """Tell which key was clicked."""
        place = event.style.meta.get("foot")
        if place is not None:
            right, index = place
            self.post_message(self.Clicked((self.right if right else self.keys)[index]))
