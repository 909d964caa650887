"""What the operator gives for a plan: by options in a script, by hand on a terminal."""

from __future__ import annotations

import argparse
import asyncio
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from mailtui.headless.errors import Refused

if TYPE_CHECKING:
    from mailtui.operations.consent import Consent, Demands

LONGEST_CODE = 64
"""Characters of a code that are read from standard input."""


def on_terminal() -> bool:
    """True if somebody can be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty()


async def given(args: argparse.Namespace, demands: Demands) -> Consent:
    """Consent by options (--yes). Raises Refused: something is not given."""
    from mailtui.operations.consent import Consent

    word = getattr(args, "confirm", "")
    if demands.confirm == "word" and not word:
        raise Refused(f"this destroys something: --yes also needs --confirm {demands.word!r}")
    code = await code_of(args) if demands.code else ""
    return Consent(confirmed=True, word=word, code=code)


async def asked(args: argparse.Namespace, demands: Demands) -> Consent | None:
    """Consent by hand; None: no. A typed word for what destroys, a hidden code."""
    from mailtui.operations.consent import Consent

    word = ""
    if demands.confirm == "word":
        word = (await prompt(f"type {demands.word!r} to run it: ")).strip()
        if not word:
            return None
    elif demands.confirm == "dialog":
        answer = await prompt("run it? [y/N] ")
        if answer.strip().lower() not in ("y", "yes"):
            return None
    code = await code_of(args) if demands.code else ""
    return Consent(confirmed=True, word=word, code=code)


async def code_of(args: argparse.Namespace) -> str:
    """A code of the second factor: from standard input, or typed and not shown. Raises Refused."""
    if args.code_stdin:
        code = (await on_thread(lambda: sys.stdin.readline(LONGEST_CODE))).strip()
        if not code:
            raise Refused("--code-stdin: standard input has no code in its first line")
        return code
    if not on_terminal():
        raise Refused(
            "this needs a code of your second factor: --code-stdin reads it from standard input "
            "(it is never an option's value: those can be seen by everybody on this machine)"
        )
    return (await prompt("code of your second factor (not shown): ", hidden=True)).strip()


async def prompt(words: str, *, hidden: bool = False) -> str:
    """One line from the terminal. The terminal is as before, however this ends."""
    import termios

    sys.stdout.flush()
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    try:
        if hidden:
            # before the question: what is typed at once must not be shown either
            quiet = termios.tcgetattr(descriptor)
            quiet[3] &= ~termios.ECHO
            termios.tcsetattr(descriptor, termios.TCSAFLUSH, quiet)
        print(words, end="", file=sys.stderr, flush=True)
        line: str = await on_thread(sys.stdin.readline)
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
        if hidden:
            print(file=sys.stderr, flush=True)
    if not line:
        raise Refused("nothing was answered, and nothing was run")
    return line


async def on_thread(read: Callable[[], str]) -> str:
    """A blocking read, on a thread that nobody waits for: a signal ends the verb at once."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[str] = loop.create_future()

    def deliver(result: str) -> None:
        if not future.done():
            future.set_result(result)

    def work() -> None:
        with suppress(RuntimeError, OSError, ValueError):
            loop.call_soon_threadsafe(deliver, read())

    threading.Thread(target=work, name="stdin", daemon=True).start()
    return await future
