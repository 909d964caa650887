"""What runs now and what has just ended: one line each, above the last line."""

from __future__ import annotations

from typing import Literal

import msgspec
from rich.style import Style
from rich.text import Text
from textual import events
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

from mailtui.connections.clean import clean
from mailtui.widgets.glyphs import UNICODE, Glyphs

Kind = Literal["running", "ok", "warning", "critical", "unknown"]


class RunText(msgspec.Struct, frozen=True):
    """One line: what it says, and the key that goes with it."""

    kind: Kind
    title: str
    facts: str = ""
    """Counts, rate, time left; they stay when the title is cut."""
    tail: str = ""
    """What is done now; it leaves first."""
    key: str = ""
    label: str = ""
    action: str = ""


class RunLine(Widget):
    """Hidden while nothing runs."""

    COMPONENT_CLASSES = {f"run--{name}" for name in ("ok", "warning", "critical", "unknown")} | {
        "run--running",
        "run--key",
        "run--muted",
    }
    DEFAULT_CSS = """
    RunLine {
        height: auto; max-height: 3; padding: 0 1; display: none;
        background: $boost; color: $text;
        & > .run--running { color: $accent; text-style: bold; }
        & > .run--ok { color: $success; text-style: bold; }
        & > .run--warning { color: $warning; text-style: bold; }
        & > .run--critical { color: $error-lighten-1; text-style: bold; }
        & > .run--unknown { color: $accent; text-style: bold; }
        & > .run--key { color: $accent; text-style: bold; }
        & > .run--muted { color: $foreground 65%; }
    }
    """
    lines: reactive[tuple[RunText, ...]] = reactive((), layout=True)
    glyphs: Glyphs = UNICODE

    class Clicked(Message):
        """The key of a line was clicked."""

        def __init__(self, action: str) -> None:
            self.action = action
            super().__init__()

    def watch_lines(self) -> None:
        """Take no room for nothing."""
        self.display = bool(self.lines)

    def render(self) -> Text:
        """One line below the other."""
        width = self.content_size.width or self.size.width
        whole = Text(no_wrap=True, end="")
        for number, line in enumerate(self.lines):
            whole.append("\n" if number else "")
            whole.append_text(self._line(line, width))
        return whole

    def _line(self, line: RunText, width: int) -> Text:
        sign = {"running": "▸", "ok": self.glyphs.ok, "warning": self.glyphs.warning,
                "critical": self.glyphs.critical, "unknown": self.glyphs.unknown}  # fmt: skip
        mark = sign[line.kind] if line.kind != "running" or not self.glyphs.ascii else ">"
        key = Text(end="")
        if line.key:
            key.append(f"  {line.key} ", style=self._style("key"))
            key.append(line.label)
            key.stylize(Style(meta={"run": line.action}))
        facts = Text(f"  {clean(line.facts)}" if line.facts else "", end="")
        head = Text(f"{mark} ", style=self._style(line.kind), end="")
        title = Text(clean(line.title), end="")
        room = width - head.cell_len - facts.cell_len - key.cell_len
        title.truncate(max(8, room), overflow="ellipsis")
        left = head + title + facts
        tail = Text(f"  {clean(line.tail)}" if line.tail else "", style=self._style("muted"))
        tail.truncate(max(0, width - left.cell_len - key.cell_len), overflow="ellipsis")
        left.append_text(tail)
        left.append(" " * max(0, width - left.cell_len - key.cell_len))
        left.append_text(key)
        left.truncate(width)
        return left

    def _style(self, name: str) -> Style:
        return self.get_component_rich_style(f"run--{name}")

    def on_click(self, event: events.Click) -> None:
        """Tell which key was clicked."""
        if action := event.style.meta.get("run"):
            self.post_message(self.Clicked(action))
