"""No verb: the full-screen console."""

from __future__ import annotations

import argparse
import sys

from mailtui.headless import exits
from mailtui.headless.source import chosen
from mailtui.loading import Loading


def run(args: argparse.Namespace) -> int:
    """Open the console on what the options ask for; with nothing, on the welcome screen."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        print(
            "mailtui: the console needs a terminal; in a script use a verb:\n"
            "  mailtui status        or  mailtui --demo status\n"
            "  mailtui get messages -o json\n"
            "  mailtui --help",
            file=sys.stderr,
        )
        return exits.USAGE
    return open_console(chosen(args))


def open_console(loading: Loading | None) -> int:
    """Run the console until the operator quits."""
    import gc

    # what is imported and made until the sources are read stays: collecting meanwhile is in vain
    gc.disable()
    from mailtui.app import ConsoleApp
    from mailtui.terminal import run_app

    return run_app(ConsoleApp(loading))
