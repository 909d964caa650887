"""`mailtui sandbox`: the embedded platform alone, until it is interrupted."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from mailtui.headless import exits
from mailtui.headless.source import SCENARIOS


def add(verbs: Any, options: argparse.ArgumentParser) -> None:
    """The parser of this verb."""
    verb = verbs.add_parser(
        "sandbox",
        parents=[options],
        help="run the simulated platform alone and print its configuration",
        description="Run the embedded platform on loopback until Ctrl-C, for the console or for "
        f"any other client of these protocols. Scenarios: {', '.join(SCENARIOS)}.",
    )
    verb.add_argument("--hosts", metavar="N", type=int, default=0, help="number of hosts")
    verb.add_argument(
        "--directory",
        metavar="DIR",
        type=Path,
        help="write its configuration and keys here (default: a temporary one)",
    )


def run(args: argparse.Namespace) -> int:
    """Run the sandbox."""
    from mailtui.headless.errors import Refused

    argv: list[str] = []
    if (scenario := getattr(args, "scenario", None)) is not None:
        if scenario not in SCENARIOS:
            raise Refused(
                f"there is no scenario {scenario!r}; expected one of {', '.join(SCENARIOS)}"
            )
        argv += ["--scenario", scenario]
    if (seed := getattr(args, "seed", None)) is not None:
        argv += ["--seed", str(seed)]
    if args.hosts:
        argv += ["--hosts", str(args.hosts)]
    if args.directory is not None:
        argv += ["--directory", str(args.directory)]
    from mailtui.sandbox.main import run as run_sandbox

    return {0: exits.OK, 1: exits.UNAVAILABLE}.get(run_sandbox(argv), exits.USAGE)
