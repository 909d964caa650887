"""The line on which commands (`:`) and filters (`/`) are typed, with completion."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal

from rich.text import Text
from textual import events, on
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widgets import Input, Static

Mode = Literal[":", "/"]
Completer = Callable[[str, int], Sequence[str]]
"""(text, cursor) → whole texts that the line could become, the likeliest first."""

DEBOUNCE = 0.15


class PromptInput(Input):
    """An input whose Tab completes, and whose Up recalls."""

    BINDINGS = []

    class Complete(Message):
        """Tab was pressed."""

        def __init__(self, step: int) -> None:
            self.step = step
            super().__init__()

    class Recall(Message):
        """Up or Down was pressed."""

        def __init__(self, step: int) -> None:
            self.step = step
            super().__init__()

    def on_key(self, event: events.Key) -> None:
        """Tab, Shift+Tab, Up and Down are the prompt's own."""
        steps = {"tab": 1, "shift+tab": -1}
        if event.key in steps:
            event.stop()
            event.prevent_default()
            self.post_message(self.Complete(steps[event.key]))
        elif event.key in ("up", "down"):
            event.stop()
            event.prevent_default()
            self.post_message(self.Recall(-1 if event.key == "up" else 1))


class Prompt(Vertical):
    """Hidden until opened; says what is wrong while it is typed."""

    DEFAULT_CSS = """
    Prompt {
        dock: bottom; height: 2; display: none; background: $panel; margin-bottom: 1;
        &.open { display: block; }
        & #prompt-hint { height: 1; padding: 0 1; color: $foreground 65%; }
        & #prompt-hint.error { color: $text-error; text-style: bold; }
        & #prompt-mark { width: 2; padding-left: 1; text-style: bold; color: $accent; }
        & PromptInput { border: none; height: 1; padding: 0; background: $panel; width: 1fr; }
        & PromptInput:focus { border: none; background-tint: $foreground 0%; }
    }
    """

    class Changed(Message):
        """The text changed (after a pause in typing)."""

        def __init__(self, mode: Mode, text: str) -> None:
            self.mode: Mode = mode
            self.text = text
            super().__init__()

    class Submitted(Changed):
        """Enter was pressed."""

    class Cancelled(Message):
        """Escape was pressed."""

        def __init__(self, mode: Mode) -> None:
            self.mode: Mode = mode
            super().__init__()

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.mode: Mode = ":"
        self._completer: Completer = lambda text, cursor: ()
        self._candidates: list[str] = []
        self._at = -1
        self._history: dict[Mode, list[str]] = {":": [], "/": []}
        self._recalled = 0
        self._completing = False
        self._built = False
        self._asked: Callable[[], None] | None = None
        """What opens it once it is built."""

    def on_mount(self) -> None:
        """The screen is painted first: nobody sees this line before it is opened."""
        self.call_after_refresh(self._build)

    async def _build(self) -> None:
        """The hint above, the input below."""
        await self.mount(
            Static(id="prompt-hint", markup=False),
            Horizontal(
                Static(":", id="prompt-mark", markup=False),
                PromptInput(id="prompt-input", select_on_focus=False),
            ),
        )
        self._built = True
        if (asked := self._asked) is not None:
            self._asked = None
            asked()

    @property
    def is_open(self) -> bool:
        """True while it is on screen."""
        return self.has_class("open")

    def open(self, mode: Mode, text: str, completer: Completer, hint: str = "") -> None:
        """Show the line with `text` in it and take the focus."""
        if not self._built:
            self._asked = partial(self.open, mode, text, completer, hint)
            return
        self.mode = mode
        self._completer = completer
        self._recalled = len(self._history[mode])
        self.query_one("#prompt-mark", Static).update(mode)
        self.add_class("open")
        entry = self.query_one(PromptInput)
        entry.value = text
        entry.cursor_position = len(text)
        entry.focus()
        if hint:
            self.hint(hint)
        else:
            self._suggest()

    def close(self) -> None:
        """Hide the line."""
        self.remove_class("open")

    def hint(self, text: str, *, error: bool = False) -> None:
        """Say something above the input."""
        label = self.query_one("#prompt-hint", Static)
        label.set_class(error, "error")
        label.update(Text(text, no_wrap=True, overflow="ellipsis"))

    @property
    def completing(self) -> bool:
        """True while what is typed could still become something else."""
        return bool(self._candidates)

    def _suggest(self) -> None:
        entry = self.query_one(PromptInput)
        self._candidates = list(self._completer(entry.value, entry.cursor_position))
        self._at = -1
        self._show_candidates()

    def _show_candidates(self) -> None:
        text = Text(no_wrap=True, overflow="ellipsis")
        for index, candidate in enumerate(self._candidates[:40]):
            if index:
                text.append("  ")
            text.append(candidate, style="reverse" if index == self._at else "")
        label = self.query_one("#prompt-hint", Static)
        label.set_class(False, "error")
        label.update(text)

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        if not self.is_open:
            return
        if self._completing:
            self._completing = False
        else:
            self._suggest()
        mode, text = self.mode, event.value
        self.set_timer(DEBOUNCE, lambda: self._settled(mode, text))

    def _settled(self, mode: Mode, text: str) -> None:
        if self.is_open and self.query_one(PromptInput).value == text and self.mode == mode:
            self.post_message(self.Changed(mode, text))

    @on(Input.Submitted)
    def _entered(self, event: Input.Submitted) -> None:
        event.stop()
        history = self._history[self.mode]
        if event.value and (not history or history[-1] != event.value):
            history.append(event.value)
        self.post_message(self.Submitted(self.mode, event.value))

    @on(PromptInput.Complete)
    def _complete(self, event: PromptInput.Complete) -> None:
        event.stop()
        if not self._candidates:
            return
        self._at = (self._at + event.step) % len(self._candidates)
        self._put(self._candidates[self._at])
        self._show_candidates()
        if len(self._candidates) == 1:
            self._suggest()

    @on(PromptInput.Recall)
    def _recall(self, event: PromptInput.Recall) -> None:
        event.stop()
        history = self._history[self.mode]
        if history:
            self._recalled = max(0, min(len(history) - 1, self._recalled + event.step))
            self._put(history[self._recalled])

    def _put(self, text: str) -> None:
        entry = self.query_one(PromptInput)
        if entry.value != text:
            self._completing = True
            entry.value = text
        entry.cursor_position = len(text)

    def key_escape(self, event: events.Key) -> None:
        """Leave the line."""
        event.stop()
        self.post_message(self.Cancelled(self.mode))
