"""The options that the acting verbs share. Imports nothing heavy: every help needs them."""

from __future__ import annotations

import argparse


def consent(verb: argparse.ArgumentParser, *, plans: bool = True) -> None:
    """How a plan is consented to; `plans`: the verb makes one, so it can be shown alone."""
    how = verb.add_mutually_exclusive_group()
    if plans:
        how.add_argument("--dry-run", action="store_true", help="show the plan, change nothing")
    how.add_argument("--yes", action="store_true", help="do it without asking")
    if plans:
        verb.add_argument(
            "--confirm", metavar="WORD", default="", help="the word of a destructive plan"
        )
    verb.add_argument(
        "--code-stdin",
        action="store_true",
        help="read a code of the second factor from the first line of standard input",
    )


def expect(verb: argparse.ArgumentParser) -> None:
    """A guard for scripts."""
    verb.add_argument(
        "--expect", metavar="N", type=int, help="refuse unless the plan has exactly N targets"
    )


def output(verb: argparse.ArgumentParser) -> None:
    """Text or JSON."""
    verb.add_argument(
        "-o",
        "--output",
        metavar="FORMAT",
        choices=("text", "json"),
        default="text",
        help="text or json",
    )


def request_number(text: str) -> int:
    """`12` or `#12`."""
    return int(text.removeprefix("#"))
