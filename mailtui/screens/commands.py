"""The `:` commands: name, words, what they do. Palette, completion and help are made from them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mailtui.app import ConsoleApp

Run = Callable[["ConsoleApp", str], str]
"""(app, argument) → an error as a sentence, or an empty string."""
Candidates = Callable[["ConsoleApp"], list[str]]


@dataclass(frozen=True, slots=True)
class Command:
    """One command."""

    name: str
    usage: str
    help: str
    run: Run
    candidates: Candidates | None = None
    """Possible arguments, for completion."""
    complete: Callable[[ConsoleApp, str], list[str]] | None = None
    """(app, argument) → whole arguments that it could become."""


def _go(name: str) -> Run:
    def run(app: ConsoleApp, argument: str) -> str:
        return app.go_to(name, argument)

    return run


def _context(app: ConsoleApp, argument: str) -> str:
    if not argument:
        app.action_contexts()
        return ""
    return app.switch_context(argument)


def _theme(app: ConsoleApp, argument: str) -> str:
    if argument not in app.available_themes:
        return f"there is no theme {argument!r}; Tab shows them"
    app.theme = argument
    return ""


def _read(app: ConsoleApp, argument: str) -> str:
    return app.read_now(argument.split())


def _export(app: ConsoleApp, argument: str) -> str:
    return app.export(argument)


def _shot(app: ConsoleApp, argument: str) -> str:
    return app.save_shot(argument)


def _action(action: Callable[[ConsoleApp], object]) -> Run:
    def run(app: ConsoleApp, argument: str) -> str:
        if argument:
            return f"this command takes no argument, got {argument!r}"
        action(app)
        return ""

    return run


def commands(app: ConsoleApp) -> list[Command]:
    """Every command; one for each screen first."""
    from mailtui.screens import acting_commands

    screens = [
        Command(name, f"{name} [FILTER]", f"go to {name}", _go(name)) for name in app.screen_names()
    ]
    return [
        *screens,
        Command(
            "context",
            "context [NAME]",
            "work on another platform",
            _context,
            lambda app: app.context_names(),
        ),
        Command(
            "read",
            "read [SOURCE…]",
            "read every source now, or those named",
            _read,
            lambda app: app.source_names(),
        ),
        Command("export", "export [FILE]", "write the shown rows as .csv or .json", _export),
        Command("shot", "shot [FILE.svg]", "save a picture of the screen", _shot),
        Command(
            "theme",
            "theme NAME",
            "change the colours",
            _theme,
            lambda app: sorted(app.available_themes),
        ),
        Command(
            "help",
            "help",
            "keys, commands and the filter language",
            _action(lambda a: a.action_help()),
        ),
        Command(
            "list",
            "list RESOURCE [FILTER]",
            "any list, also one that has no screen",
            acting_commands.open_list,
            acting_commands.list_names,
        ),
        Command(
            "undo",
            "undo",
            "plan to take back your last run that can be",
            _action(lambda a: a.action_undo()),
        ),
        Command(
            "stop",
            "stop",
            "stop what runs, between two of its steps",
            _action(lambda a: a.action_stop_run()),
        ),
        Command(
            "outcome", "outcome", "how the last run ended", _action(lambda a: a.action_outcome())
        ),
        *acting_commands.of_operations(app),
        Command(
            "back", "back", "to the screen before", _action(lambda a: a.call_next(a.action_back))
        ),
        Command("quit", "quit", "end the console", _action(lambda a: a.leave(0))),
    ]


def run(app: ConsoleApp, line: str) -> str:
    """Run a command line; an error as a sentence, or an empty string."""
    name, _, argument = line.strip().partition(" ")
    if not name:
        return ""
    known = {command.name: command for command in commands(app)}
    starting = [n for n in known if n.startswith(name)]
    chosen = known.get(name) or (known[starting[0]] if len(starting) == 1 else None)
    if name == "q":
        chosen = known["quit"]
    if chosen is None:
        if starting:
            return f"{name!r} could be {', '.join(starting)}"
        near = get_close_matches(name, known, n=1)
        hint = f"; did you mean {near[0]}?" if near else "; Tab shows all"
        return f"there is no command {name!r}{hint}"
    return chosen.run(app, argument.strip())


def complete(app: ConsoleApp, text: str) -> list[str]:
    """Whole lines that `text` could become."""
    name, space, argument = text.lstrip().partition(" ")
    if not space:
        return [c.name for c in commands(app) if c.name.startswith(name)]
    for command in commands(app):
        if command.name == name and command.complete is not None:
            return [f"{name} {c}" for c in command.complete(app, argument)]
        if command.name == name and command.candidates is not None:
            return [f"{name} {c}" for c in command.candidates(app) if c.startswith(argument)]
    return []
