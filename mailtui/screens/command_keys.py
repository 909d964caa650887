"""The `:` commands and the palette, which is made of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, cast

from textual.app import App, SystemCommand
from textual.screen import Screen

from mailtui.widgets.prompt import Prompt

if TYPE_CHECKING:
    from mailtui.app import ConsoleApp


class CommandKeys(App[int]):
    """The part of the application that takes commands."""

    @property
    def _console(self) -> ConsoleApp:
        return cast("ConsoleApp", self)

    def action_command(self) -> None:
        """Open the prompt for a command."""
        from mailtui.screens import commands

        if (view := self._console.view) is not None and self.screen is view:
            view.query_one(Prompt).open(
                ":", "", lambda text, _: commands.complete(self._console, text)
            )

    def run_command(self, line: str) -> str:
        """Run a `:` command; an error as a sentence, or an empty string."""
        from mailtui.screens import commands

        return commands.run(self._console, line)

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """The palette is made of the `:` commands."""
        from mailtui.screens import commands

        for command in commands.commands(self._console):
            if command.candidates is None or command.name in ("context", "read"):
                line = command.name
                yield SystemCommand(
                    command.usage.partition(" ")[0], command.help, lambda line=line: self._run(line)
                )

    def _run(self, line: str) -> None:
        if error := self.run_command(line):
            self.notify(error, severity="error", markup=False)
