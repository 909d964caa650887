"""How operators and enrolments are printed."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, TextIO

from mailtui.model import format

if TYPE_CHECKING:
    from mailtui.access import qr
    from mailtui.access.enrolment import Enrolment
    from mailtui.access.roles import Operator


def print_table(operators: Sequence[Operator]) -> None:
    """One line an operator."""
    from mailtui.headless import text
    from mailtui.resources.base import Column

    columns: list[Column[Operator]] = [
        Column("operator", "operator", lambda o: o.name, truncate="never"),
        Column("roles", "roles", lambda o: o.words(), width=20),
        Column("factor", "second factor", lambda o: "yes" if o.enrolled else "no"),
        Column("state", "state", lambda o: "disabled" if o.disabled else "enabled"),
        Column("seen", "last seen", _seen),
    ]
    for line in text.table(columns, operators, sys.stdout):
        print(line)


def _seen(operator: Operator) -> str:
    return "never" if operator.last_seen is None else format.date_time(operator.last_seen)


def print_json(operators: Sequence[Operator], where: str) -> None:
    """One object."""
    answer = {
        "database": where,
        "count": len(operators),
        "operators": list(map(_object, operators)),
    }
    json.dump(answer, sys.stdout, ensure_ascii=False, indent=1, allow_nan=False)
    print()


def _object(operator: Operator) -> dict[str, Any]:
    grants = [
        {"role": g.role, "tenant": g.tenant or None, "context": g.context or None}
        for g in operator.grants
    ]
    return {
        "name": operator.name, "grants": grants, "enrolled": operator.enrolled,
        "disabled": operator.disabled, "created_at": operator.created_at,
        "last_seen": operator.last_seen,
    }  # fmt: skip


def enrolment(enrolment: Enrolment, out: TextIO) -> Iterator[str]:
    """What the phone is shown on a terminal; elsewhere the secret alone, for a script."""
    if not out.isatty():
        yield f"secret {enrolment.groups}"
        return
    yield f"Scan the code, or type this secret, into an authenticator app as {enrolment.account}"
    yield f"(by time, SHA-1, 6 digits, 30 s): {enrolment.groups}"
    # the code last: with the question below it, it just fits on 24 lines
    yield from qr_lines(enrolment.qr(), out) or ["(this terminal is too small for the code)"]


def qr_lines(modules: qr.Matrix, out: TextIO) -> list[str]:
    """The QR code as the terminal can show it; nothing if it is wider than the terminal."""
    from mailtui.access import qr

    # black on white is needed by the camera, not by taste: NO_COLOR does not mean it
    paints = os.environ.get("TERM", "dumb") not in ("dumb", "vt100", "vt220")
    if not paints:
        modules = qr.inverted(modules)
    halves = paints and _has_blocks(out)
    lines = qr.half_blocks(modules) if halves else qr.ascii_blocks(modules)
    if len(lines[0]) > shutil.get_terminal_size().columns:
        return []
    return qr.painted(lines) if paints else lines


def _has_blocks(out: TextIO) -> bool:
    try:
        "█▀▄".encode(out.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def recovery_codes(codes: Sequence[str], out: TextIO) -> Iterator[str]:
    """The codes, for people in two columns, for a script one a line."""
    if not out.isatty():
        yield from codes
        return
    yield ""
    yield "Recovery codes: each works once instead of the phone, and they are not shown again."
    half = (len(codes) + 1) // 2
    for left, right in zip(codes[:half], codes[half:], strict=False):
        yield f"    {left}    {right}"
    yield "Keep them where the phone is not. Then clear this terminal, its scrollback too."
