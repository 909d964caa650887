"""The command line: every verb. Imports nothing heavy; each verb's work is loaded when used."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from mailtui import __version__
from mailtui.headless import exits

VERBS = ("demo", "status", "get", "tail", "shot", "config", "sandbox", "do", "undo",
         "approve", "journal", "operator")  # fmt: skip
"""Modules in `mailtui.headless`; each adds its own parser."""

FREE_TEXT = ("--where", "--sort", "--query", "--columns", "--why")
"""Options whose value may begin with a dash: `--sort -age`, `--where -queue:hold`."""

EPILOG = """\
with no verb, the console opens. Exit codes: 0 fine, 1 warning, 2 critical, 3 unknown (status);
0 done, 1 partly, 2 failed, 3 unknown (do, undo); 64 wrong usage, 69 a source gave no answer or
a plan is blocked, 70 a defect of mailtui, 73 cannot write, 75 try later, 77 not permitted,
78 wrong configuration, 130 interrupted, 143 terminated.
"""


class Parser(argparse.ArgumentParser):
    """argparse with the documented exit code for wrong usage, and no guessed abbreviations."""

    late: Callable[[Parser, Sequence[str]], None] | None = None
    """Adds the options that depend on the other words, before anything is parsed."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{"allow_abbrev": False, **settings})

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """argparse's, after `late`."""
        if self.late is not None and args is not None:
            self.late(self, args)
            self.late = None
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and where to look."""
        self.print_usage(sys.stderr)
        self.exit(exits.USAGE, f"{self.prog}: {message}\ntry: {self.prog} --help\n")


def common() -> argparse.ArgumentParser:
    """The options that every verb takes, before or after its name."""
    # SUPPRESS: a verb's own default must not overwrite what stood before the verb
    options = Parser(add_help=False, argument_default=argparse.SUPPRESS)
    options.add_argument("-c", "--config", metavar="FILE", type=Path, help="configuration file")
    options.add_argument("--context", metavar="NAME", help="context of the configuration to use")
    options.add_argument("--demo", action="store_true", help="use the embedded sandbox's platform")
    options.add_argument("--scenario", metavar="S", help="what the demo plays")
    options.add_argument("--seed", metavar="N", type=int, help="seed of the demo's world")
    options.add_argument("--this-host", action="store_true", help="this machine alone, no SSH")
    return options


def parser(only: str | None = None) -> argparse.ArgumentParser:
    """The whole command line, or what the verb `only` needs of it."""
    options = common()
    main_parser = Parser(
        prog="mailtui",
        description="The operator's console for an organisation's own mail platform.",
        parents=[options],
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    main_parser.add_argument("--version", action="version", version=f"mailtui {__version__}")
    verbs = main_parser.add_subparsers(dest="verb", metavar="VERB", parser_class=Parser)
    for name in (only,) if only in VERBS else VERBS:
        importlib.import_module(f"mailtui.headless.{name}").add(verbs, options)
    return main_parser


def joined(argv: list[str]) -> list[str]:
    """`--sort -age` as `--sort=-age`: argparse takes a value with a dash for an option."""
    done: list[str] = []
    words = iter(argv)
    for word in words:
        if word == "--":
            return [*done, word, *words]
        value = next(words, None) if word in FREE_TEXT else None
        done.append(word if value is None else f"{word}={value}")
    return done


def main(argv: list[str] | None = None) -> NoReturn:
    """Run a verb, or the console; never returns."""
    words = joined(sys.argv[1:] if argv is None else argv)
    args = parser(words[0] if words else None).parse_args(words)
    verb = args.verb or "console"
    try:
        status = importlib.import_module(f"mailtui.headless.{verb}").run(args)
        sys.stdout.flush()
    except KeyboardInterrupt:
        status = exits.INTERRUPTED
    except BrokenPipeError:
        # the reader of our output went away (`| head`): not an error of ours
        silence(sys.stdout)
        status = exits.OK
    except Exception as error:
        from mailtui.headless.errors import explain

        status = explain(verb, error)
    leave(int(status))


def silence(stream: Any) -> None:
    """What is still to be written to `stream` is dropped."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def leave(status: int) -> NoReturn:
    """End the process now: a thread that hangs in a source must not delay it."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            status = status or exits.CANNOT_CREATE
    os._exit(status)
