"""A button on one line that shows its focus without colour: `[ Cancel ]`."""

from __future__ import annotations

from rich.text import Text
from textual.binding import Binding
from textual.events import Click
from textual.message import Message
from textual.widget import Widget


class Choice(Widget, can_focus=True):
    """What can be chosen at the end of a dialog."""

    DEFAULT_CSS = """
    Choice {
        width: auto; height: 1; margin-left: 2;
        &:focus { background: $block-cursor-background; color: $block-cursor-foreground; }
        &:focus { text-style: bold; }
        &.danger { color: $error-lighten-1; text-style: bold; }
        &.danger:focus { background: $error; color: $foreground; }
        &:ansi:focus, &:nocolor:focus { text-style: bold reverse; }
    }
    """
    BINDINGS = [Binding("enter,space", "press", "Choose", show=False)]

    class Pressed(Message):
        """It was chosen."""

        def __init__(self, choice: Choice) -> None:
            self.choice = choice
            super().__init__()

    def __init__(self, words: str, *, id: str, danger: bool = False) -> None:
        super().__init__(id=id, classes="danger" if danger else "")
        self._words = words

    def render(self) -> Text:
        """The words, in brackets while it has the focus."""
        return Text(f"[ {self._words} ]" if self.has_focus else f"  {self._words}  ", no_wrap=True)

    def on_focus(self) -> None:
        """The brackets come."""
        self.refresh()

    def on_blur(self) -> None:
        """The brackets go."""
        self.refresh()

    def action_press(self) -> None:
        """Choose it."""
        self.post_message(self.Pressed(self))

    def on_click(self, event: Click) -> None:
        """A click chooses too."""
        event.stop()
        self.action_press()
