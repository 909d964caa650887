"""Choose another platform."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.screen import ModalScreen
from textual.widgets import OptionList
from textual.widgets.option_list import Option

if TYPE_CHECKING:
    from mailtui.app import ConsoleApp


class Contexts(ModalScreen[None]):
    """The contexts of the configuration, each in its colour."""

    DEFAULT_CSS = """
    Contexts { align: center middle; }
    Contexts OptionList {
        width: 60; max-width: 90%; height: auto; max-height: 70%;
        border: round $primary; background: $surface;
    }
    """
    BINDINGS = [("escape,q", "dismiss", "Close")]

    def __init__(self, app: ConsoleApp) -> None:
        super().__init__()
        self._owner = app

    def compose(self) -> ComposeResult:
        """One line a context."""
        settings, platform = self._owner.settings, self._owner.platform
        assert settings is not None
        options = OptionList()
        options.border_title = "work on"
        for name, context in settings.contexts.items():
            here = platform is not None and platform.name == name
            line = Text.assemble(
                ("● " if here else "  ", "bold"),
                (f" {context.label or name} ", f"black on {context.color}"),
                f"  {len(context.hosts)} {'host' if len(context.hosts) == 1 else 'hosts'}",
                "  read-only" if context.read_only else "",
                "  simulation" if context.simulation else "",
            )
            options.add_option(Option(line, id=name))
            if here:
                options.highlighted = options.option_count - 1
        yield options

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        self.dismiss()
        if event.option_id is not None:
            self._owner.switch_context(event.option_id)
