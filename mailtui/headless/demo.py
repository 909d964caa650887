"""`mailtui demo`: the console on the embedded sandbox."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from mailtui.headless import exits
from mailtui.headless.source import SCENARIOS, demo


def add(verbs: Any, options: argparse.ArgumentParser) -> None:
    """The parser of this verb."""
    verb = verbs.add_parser(
        "demo",
        parents=[options],
        help="open the console on a simulated platform",
        description="Open the console on an embedded platform that speaks the real protocols on "
        f"loopback. Scenarios: {', '.join(SCENARIOS)}.",
    )
    verb.add_argument("--hosts", metavar="N", type=int, default=0, help="number of hosts")


def run(args: argparse.Namespace) -> int:
    """Start the sandbox and open the console on it."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        print(
            "mailtui demo: a simulated mail platform, shown full-screen; this is no terminal.\n"
            "In a script, use the same simulation by a verb:\n"
            "  mailtui --demo status\n"
            "  mailtui --demo get messages -o json\n"
            "  mailtui --demo shot overview -o overview.svg",
            file=sys.stderr,
        )
        return exits.USAGE
    from mailtui.headless.console import open_console

    return open_console(demo(args))
