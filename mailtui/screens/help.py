"""Help for the screen in view: keys, commands, the filter language, the columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from mailtui.model import where
from mailtui.screens import commands
from mailtui.screens.acts import operations_for

if TYPE_CHECKING:
    from mailtui.screens.base import ConsoleScreen


class Help(ModalScreen[None]):
    """Made from the bindings, the commands and the columns themselves."""

    DEFAULT_CSS = """
    Help { align: center middle; }
    Help VerticalScroll {
        width: 94%; max-width: 110; height: 90%;
        border: round $primary; padding: 0 2; background: $surface;
    }
    Help Static { height: auto; }
    """
    BINDINGS = [("escape,q,question_mark", "dismiss", "Close")]

    def __init__(self, view: ConsoleScreen) -> None:
        super().__init__()
        self._view = view

    def compose(self) -> ComposeResult:
        """Keys of the list, of the screen, of the console; commands; filters."""
        box = VerticalScroll()
        box.border_title = f"help: {self._view.HEADING}"
        box.border_subtitle = "Escape closes"
        with box:
            yield Static(self._text())

    def _text(self) -> Text:
        view = self._view
        text = Text()
        table = view.table
        _keys(text, view.HEADING, type(view)._merged_bindings, skip=_TEXTUAL)
        _operations(text, view)
        if table is not None:
            _keys(text, "List", type(table)._merged_bindings)
        _keys(text, "Console", type(view.console_app)._merged_bindings, skip=_TEXTUAL)
        _head(text, "Commands, after :")
        for command in commands.commands(view.console_app):
            text.append(f"  {command.usage:<24}", style="bold")
            text.append(f"{command.help}\n")
        _head(text, "Filters, after /")
        doc = (where.__doc__ or "").partition("::\n")[2]
        for line in doc.splitlines():
            text.append(f"{line}\n" if line.startswith("   ") or not line else f"  {line}\n")
        if table is not None:
            _head(text, f"Fields of {table.resource.title}")
            for column in table.resource.columns:
                text.append(f"  {column.name:<24}", style="bold")
                text.append(f"{column.title}\n")
        return text


_TEXTUAL = ("tab", "shift+tab", "ctrl+c", "super+c")
"""Keys that Textual's own classes bind on every screen."""


def _head(text: Text, title: str) -> None:
    text.append(f"\n{title}\n", style="bold underline")


def _keys(text: Text, title: str, bindings: object, skip: tuple[str, ...] = ()) -> None:
    lines: dict[str, tuple[list[str], str]] = {}
    for key, group in getattr(bindings, "key_to_bindings", {}).items():
        for binding in group:
            assert isinstance(binding, Binding)
            if key in skip or not (binding.tooltip or binding.description):
                continue
            words = binding.tooltip or binding.description
            lines.setdefault(binding.action, ([], words))[0].append(_written(key))
    if lines:
        _head(text, title)
    for keys, words in lines.values():
        text.append(f"  {' '.join(keys):<24}", style="bold")
        text.append(f"{words}\n")


def _operations(text: Text, view: ConsoleScreen) -> None:
    """What can be done with the rows here; what cannot says why."""
    app = view.console_app
    found = operations_for(view.acting_resource()) if app.acting_ready else []
    if found:
        _head(text, "Operations on these rows")
    for operation in found:
        why = app.acting.why_not(operation)
        text.append(f"  {operation.key:<24}", style="dim" if why else "bold")
        text.append(f"{operation.title}, {operation.danger}")
        text.append(f" (not now: {why})\n" if why else "\n", style="dim")


def _written(key: str) -> str:
    """`question_mark` as `?`."""
    signs = {
        "question_mark": "?",
        "colon": ":",
        "slash": "/",
        "asterisk": "*",
        "minus": "-",
        "full_stop": ".",
        "right_square_bracket": "]",
        "left_square_bracket": "[",
        "pageup": "PgUp",
        "pagedown": "PgDn",
    }
    return signs.get(key, key)
