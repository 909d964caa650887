"""The settings could not be loaded: what is wrong, all of it, and what to do."""

from __future__ import annotations

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from mailtui.connections.clean import clean_lines


class Trouble(ModalScreen[None]):
    """Shows why nothing can be shown."""

    DEFAULT_CSS = """
    Trouble { align: center middle; }
    Trouble VerticalScroll {
        width: 90%; max-width: 110; height: auto; max-height: 80%;
        border: round $error; border-title-color: $error; padding: 1 2; background: $surface;
    }
    Trouble Static { height: auto; }
    """
    BINDINGS = [("q,escape,enter", "quit_now", "Quit")]

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def compose(self) -> ComposeResult:
        """The problems, one below the other."""
        box = VerticalScroll()
        problems = getattr(self.error, "problems", None)
        box.border_title = "the configuration cannot be used" if problems else "cannot start"
        with box:
            text = Text()
            if problems:
                for problem in problems:
                    text.append(clean_lines(str(problem)) + "\n\n")
                text.append("check it again with: mailtui config check\n")
            else:
                text.append(clean_lines(str(self.error) or type(self.error).__name__) + "\n")
            text.append("\nq quits", style="bold")
            yield Static(text)

    def action_quit_now(self) -> None:
        """End the console with the code of a wrong configuration."""
        self.app.exit(78, return_code=78)
