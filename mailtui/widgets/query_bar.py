"""The line that says what is searched, over what time, and whether it goes on; edited in place."""

from __future__ import annotations

from typing import Literal

from rich.style import Style
from rich.text import Text
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget
from textual.widgets import Input, Static

from mailtui.connections.clean import clean

Part = Literal["query", "range"]
MOST_REMEMBERED = 100


class FieldInput(Input):
    """An input with a history on Up and Down, left by Escape."""

    BINDINGS = [
        Binding("up", "recall(-1)", "Before", show=False, tooltip="The query before"),
        Binding("down", "recall(1)", "After", show=False, tooltip="The next query"),
        Binding("escape", "leave", "Leave", show=False, tooltip="Leave it as it was"),
        Binding("tab,shift+tab", "leave", "Leave", show=False, tooltip="Leave it as it was"),
    ]

    class Left(Message):
        """Escape was pressed."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id, select_on_focus=False, compact=True)
        self.history: list[str] = []
        self._at = 0
        self._draft = ""

    def begin(self, text: str) -> None:
        """Start with `text`."""
        self.value = text
        self.cursor_position = len(text)
        self._at = len(self.history)

    def remember(self, text: str) -> None:
        """Put a line at the end of the history."""
        if text:
            self.history = [one for one in self.history if one != text][-MOST_REMEMBERED:]
            self.history.append(text)

    def action_recall(self, step: int) -> None:
        """Go through the history; what was being typed is at its end."""
        if self._at == len(self.history):
            self._draft = self.value
        at = min(max(0, self._at + step), len(self.history))
        if at == self._at:
            return
        self._at = at
        self.value = self.history[at] if at < len(self.history) else self._draft
        self.cursor_position = len(self.value)

    def action_leave(self) -> None:
        """Escape."""
        self.post_message(self.Left())


class QueryBar(Vertical):
    """Query, time range and state on one line, and below it what is wrong with them."""

    DEFAULT_CSS = """
    QueryBar {
        height: auto; background: $panel;
        & > Horizontal { height: 1; }
        & FieldInput { display: none; height: 1; width: 1fr; padding: 0; border: none;
            background: $surface; }
        & #range-input { width: 44; max-width: 60%; }
        & #query-line { width: 1fr; }
        & #query-error { display: none; height: auto; max-height: 3; padding: 0 1;
            color: $text-error; text-style: bold; }
        &.wrong #query-error { display: block; }
        &.edit-query #query-input, &.edit-range #range-input { display: block; }
    }
    """

    class Submitted(Message):
        """Enter was pressed in one of the two."""

        def __init__(self, part: Part, text: str) -> None:
            self.part: Part = part
            self.text = text
            super().__init__()

    class Left(Message):
        """Editing ended without Enter."""

    class Asked(Message):
        """The query or the range was clicked."""

        def __init__(self, part: Part) -> None:
            self.part: Part = part
            super().__init__()

    def __init__(self) -> None:
        super().__init__()
        self.line = QueryLine(id="query-line")
        """What is painted."""
        self._inputs: dict[Part, FieldInput] = {
            "query": FieldInput(id="query-input"),
            "range": FieldInput(id="range-input"),
        }
        self._error = Static(id="query-error", markup=False)

    def compose(self) -> ComposeResult:
        """One line; the sentence of an error below it."""
        yield Horizontal(self.line, *self._inputs.values())
        yield self._error

    @property
    def editing(self) -> Part | None:
        """Which of the two is being edited."""
        if self.has_class("edit-query"):
            return "query"
        return "range" if self.has_class("edit-range") else None

    def edit(self, part: Part, text: str) -> None:
        """Open the input of one of the two, with `text` in it."""
        self.close()
        self.add_class(f"edit-{part}")
        self.line.editing = part
        entry = self._inputs[part]
        entry.begin(text)
        entry.focus()

    def close(self) -> None:
        """Show the line again."""
        self.remove_class("edit-query", "edit-range", "wrong")
        self.line.editing = None

    def remember(self, part: Part, text: str) -> None:
        """Put into the history what was accepted."""
        self._inputs[part].remember(text)

    def error(self, message: str, position: int | None = None) -> None:
        """Say what is wrong; `position` is the index of the character at fault."""
        text = Text(overflow="fold")
        # what a range lacks is said in its sentence
        if self.editing == "query" and position is not None:
            entry = self._inputs["query"]
            entry.cursor_position = min(position, len(entry.value))
            bad = entry.value[entry.cursor_position :]
            if bad:
                text.append("at ")
                text.append(bad if len(bad) < 30 else f"{bad[:29]}…", style="reverse")
                text.append(": ")
        text.append(message)
        self._error.update(text)
        self.add_class("wrong")

    @on(Input.Submitted)
    def _entered(self, event: Input.Submitted) -> None:
        event.stop()
        if (part := self.editing) is not None:
            self.post_message(self.Submitted(part, event.value.strip()))

    @on(FieldInput.Left)
    def _left(self, event: FieldInput.Left) -> None:
        event.stop()
        self.close()
        self.post_message(self.Left())

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        self.remove_class("wrong")


class QueryLine(Widget):
    """` query: …   range: last 15 m   ● live`."""

    COMPONENT_CLASSES = {f"query--{n}" for n in ("label", "text", "all", "live", "paused", "fixed")}
    DEFAULT_CSS = """
    QueryLine {
        height: 1; padding: 0 1;
        & > .query--label { color: $foreground 65%; }
        & > .query--text { color: $accent; text-style: bold; }
        & > .query--all { color: $foreground 65%; }
        & > .query--live { color: $success; text-style: bold; }
        & > .query--paused { color: $warning; text-style: bold reverse; }
        & > .query--fixed { color: $foreground 65%; }
    }
    """
    query_text: reactive[str] = reactive("")
    range_text: reactive[str] = reactive("")
    state: reactive[tuple[str, str]] = reactive(("fixed", ""))
    """(live, paused or fixed; the words)."""
    editing: reactive[Part | None] = reactive(None)

    def render(self) -> Text:
        """The parts that are not being edited; range and state are never cut."""
        width = self.content_size.width
        if self.editing == "query":
            return Text("query: ", style=self._style("label"), no_wrap=True, end="")
        wide = width >= 70
        right = Text(no_wrap=True)
        if self.editing is None:
            if wide:
                right.append("range: ", style=self._style("label"))
            right.append(self.range_text, style=Style(meta={"part": "range"}))
            name, words = self.state
            if words:
                right.append("  ")
                right.append(words, style=self._style(name))
        else:
            right.append("range: ", style=self._style("label"))
        left = Text("query: " if wide else "", style=self._style("label"), no_wrap=True)
        if self.query_text:
            left.append(clean(self.query_text), style=self._style("text"))
        else:
            hint = "all events" + (" (Q searches)" if wide else "")
            left.append(hint, style=self._style("all"))
        left.stylize(Style(meta={"part": "query"}))
        left.truncate(max(8, width - right.cell_len - 2), overflow="ellipsis")
        gap = max(1, width - left.cell_len - right.cell_len)
        line = left + Text(" " * gap) + right
        line.no_wrap, line.end = True, ""
        return line

    def on_click(self, event: events.Click) -> None:
        """A click edits."""
        part = event.style.meta.get("part")
        if part in ("query", "range"):
            event.stop()
            self.post_message(QueryBar.Asked(part))

    def watch_editing(self, part: Part | None) -> None:
        """The input takes the rest of the line."""
        self.styles.width = 8 if part == "query" else None

    def _style(self, name: str) -> Style:
        return self.get_component_rich_style(f"query--{name}")
