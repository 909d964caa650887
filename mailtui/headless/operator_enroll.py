"""`mailtui operator enroll|codes`: one's own second factor."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING

from mailtui.access.errors import AccessError
from mailtui.headless import consent, exits
from mailtui.headless.errors import Refused, say

if TYPE_CHECKING:
    from mailtui.access.enrolment import Enrolment
    from mailtui.headless.office import Office

TRIES = 3
"""How often the first code of a new secret is asked for on a terminal."""


async def enroll(args: argparse.Namespace, office: Office) -> int:
    """A new secret, confirmed by a code of it; replaces an older one that a code proves."""
    from mailtui.headless import operator_text

    me, enrolment = office.who.name, await _begun(args, office)
    _print(operator_text.enrolment(enrolment, sys.stdout))
    tries = 1 if _is_scripted(args) else TRIES
    for number in range(1, tries + 1):
        code = await _code(args, "the code that the phone shows now (not shown): ")
        try:
            codes = await office.factor.confirm(enrolment, code, _note(office, "enroll"))
        except AccessError as error:
            if error.kind != "permission" or number == tries:
                raise
            say("operator", f"{error}; try again")
        else:
            _print(operator_text.recovery_codes(codes, sys.stdout))
            say("operator", f"the second factor of {me} is in force")
            return exits.OK
    raise AssertionError("the last try returns or raises")


async def renew(args: argparse.Namespace, office: Office) -> int:
    """Ten new recovery codes."""
    from mailtui.headless import operator_text

    code = await _code(args, "a code of your second factor (not shown): ")
    with_note = _note(office, "codes")
    try:
        codes = await office.factor.renew_recovery(office.who.name, code, with_note)
    except AccessError as error:
        await _tell_refusal(office, "codes", error)
        raise
    _print(operator_text.recovery_codes(codes, sys.stdout))
    return exits.OK


async def _begun(args: argparse.Namespace, office: Office) -> Enrolment:
    me, old = office.who.name, ""
    if (await office.factor.state(me)).enrolled:
        old = await _code(args, "a code of the present phone, or a recovery code (not shown): ")
    try:
        return await office.factor.begin(me, office.who.machine, old)
    except AccessError as error:
        await _tell_refusal(office, "enroll", error)
        raise


async def _tell_refusal(office: Office, action: str, error: AccessError) -> None:
    if error.kind == "permission":
        me = office.who.name
        await office.operators.note(office.who, action, me, refused=error.message)


def _note(office: Office, action: str) -> Callable[[], Awaitable[None]]:
    async def note() -> None:
        await office.operators.note(office.who, action, office.who.name)

    return note


def _is_scripted(args: argparse.Namespace) -> bool:
    return args.code_stdin or not sys.stdin.isatty()


async def _code(args: argparse.Namespace, words: str) -> str:
    """A code, typed and not shown; from a line of standard input where that is no terminal."""
    if _is_scripted(args):
        line = await consent.on_thread(lambda: sys.stdin.readline(consent.LONGEST_CODE))
        if not line.strip():
            raise Refused("standard input has no code in its next line")
        return line.strip()
    return (await consent.prompt(words, hidden=True)).strip()


def _print(lines: Iterable[str]) -> None:
    for line in lines:
        print(line)
    sys.stdout.flush()
