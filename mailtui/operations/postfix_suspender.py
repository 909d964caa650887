"""mailtui-suspend on a mail host: what it is told, what it says; domains and times as words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mailtui.connections.clean import clean
from mailtui.connections.errors import SourceError, ToolMissing
from mailtui.connections.runner import Command, command
from mailtui.model.operation import Target
from mailtui.model.suspension import Suspension, parse
from mailtui.operations.base import Refused
from mailtui.operations.postfix_facts import PATIENCE

if TYPE_CHECKING:
    from mailtui.operations.base import Desk

PROGRAM = "/usr/local/sbin/mailtui-suspend"
LONGEST = 30 * 86400.0
_DOMAIN = re.compile(
    r"(?=.{3,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
)
_SPAN = re.compile(r"(\d{1,6})\s*(m|min|h|d)")
_UNITS = {"m": 60, "min": 60, "h": 3600, "d": 86400}


def domain_of(text: str) -> str:
    """A destination as Postfix looks it up: lower case, an IDN as A-labels. Raises Refused."""
    domain = text.strip().rstrip(".").lower()
    if not domain.isascii():
        try:
            domain = domain.encode("idna").decode()
        except UnicodeError:
            domain = ""
    if not _DOMAIN.fullmatch(domain):
        raise Refused(f"{clean(text)!r} is no domain; give one as destination=gmail.com")
    return domain


def span_of(text: str) -> float:
    """Seconds of `30m`, `2h`, `1d`. Raises Refused."""
    match = _SPAN.fullmatch(text.strip())
    seconds = int(match[1]) * _UNITS[match[2]] if match else 0
    if not 60 <= seconds <= LONGEST:
        raise Refused(f"for={clean(text)} is no time from 1m to 30d; give it as for=2h")
    return float(seconds)


def program() -> Command:
    return command(PROGRAM, root=True)


async def ask(desk: Desk, host: str, given: str, timeout: float) -> str:
    """What the program of a host says to some lines. Raises SourceError."""
    asked = Command((PROGRAM,), root=True, stdin=given.encode())
    return (await desk.platform.connections.runner(host).run(asked, timeout=timeout)).check()


async def listed(desk: Desk, host: str, timeout: float) -> tuple[str, tuple[Suspension, ...]]:
    """(`TYPE:FILE STATE` of the table, what is suspended). Raises SourceError."""
    text = await ask(desk, host, "list\n", timeout)
    table = next(
        (x.removeprefix("table ") for x in text.splitlines() if x.startswith("table ")), ""
    )
    return table, parse(host, text, "suspended ")


async def state(desk: Desk, host: str) -> tuple[str, bool]:
    """(what there is to say of a host's table, whether it stops the plan)."""
    try:
        table, found = await listed(desk, host, PATIENCE)
    except ToolMissing:
        return f"{PROGRAM} is not there: install deploy/mailtui-suspend (its head says how)", True
    except SourceError as error:
        return error.message, True
    if table.endswith(" unlisted"):
        name = table.partition(" ")[0]
        return f"transport_maps does not have {name}: put it there as the first", True
    if table.endswith(" listed"):
        return "its table is not the first of transport_maps: an entry before it wins", False
    return (f"{len(found)} suspended there already" if found else ""), False


async def looked_up(desk: Desk, one: Target) -> bool:
    """True if Postfix finds the entry (postmap(1))."""
    table, _ = await listed(desk, one.place, desk.settings.timeout)
    asked = command("postmap", "-q", one.id, table.partition(" ")[0])
    done = await desk.platform.connections.runner(one.place).run(asked, timeout=PATIENCE * 4)
    return done.stdout.startswith("retry:")
