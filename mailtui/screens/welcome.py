"""The first screen without a configuration: the demo, this host, or writing one."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Center, Vertical
from textual.screen import Screen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from mailtui import __version__
from mailtui.config.paths import default_path, private

if TYPE_CHECKING:
    from mailtui.app import ConsoleApp

CHOICES = (
    ("demo", "Try the demo", "a simulated mail platform in an incident"),
    ("host", "Look at this host", "its disks, services, queue and bans; no SSH"),
    ("write", "Write a configuration", "the commented example, to be filled in"),
    ("quit", "Quit", ""),
)


class Welcome(Screen[None]):
    """Three ways to begin."""

    DEFAULT_CSS = """
    Welcome { align: center middle; }
    Welcome #box { width: 78; max-width: 96%; height: auto; padding: 1 2; border: round $primary; }
    Welcome OptionList { height: auto; background: $surface; margin-top: 1; padding: 0; }
    Welcome OptionList, Welcome OptionList:focus { border: none; }
    Welcome #said { height: auto; margin-top: 1; }
    """
    BINDINGS = [("q,escape", "leave", "Quit")]

    def compose(self) -> ComposeResult:
        """What this is, and what can be chosen."""
        with Center(), Vertical(id="box"):
            head = Text.assemble(
                ("mailtui ", "bold"),
                (__version__, "dim"),
                "\nThe operator's console for your own mail platform.\n\n",
                f"There is no configuration at {default_path()}.",
            )
            yield Static(head)
            yield OptionList(
                *(
                    Option(Text.assemble((f"{title:<24}", "bold"), (words, "dim")), id=name)
                    for name, title, words in CHOICES
                )
            )
            yield Static("", id="said", markup=False)

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        app = cast("ConsoleApp", self.app)
        if event.option_id == "quit":
            app.leave(0)
            return
        # this screen goes away: the application must not wait for its own handler
        if event.option_id == "write":
            self.query_one("#said", Static).update(_write())
        elif event.option_id == "host":
            from mailtui.loading import this_host

            app.call_later(app.load_from, this_host())
        else:
            from mailtui.loading import demo

            app.call_later(app.load_from, demo())

    def action_leave(self) -> None:
        """Quit."""
        cast("ConsoleApp", self.app).leave(0)


def _write() -> str:
    """Write the example where the configuration is looked for; what to do next, as a sentence."""
    from mailtui.config.example import text

    path = default_path()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "x", encoding="utf-8", opener=private) as file:
            file.write(text())
    except FileExistsError:
        return f"{path} is there already; edit it, then run: mailtui config check"
    except OSError as error:
        return f"{path}: {error.strerror or error}"
    return f"wrote {path}; edit it, then run: mailtui config check"
