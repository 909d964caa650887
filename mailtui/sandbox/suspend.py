"""deploy/mailtui-suspend as the sandbox's mail hosts have it, and postmap -q of its table."""

from __future__ import annotations

import time

from mailtui.sandbox.commands import Command, Context, UsageError
from mailtui.sandbox.postfix import spool
from mailtui.sandbox.streams import lines
from mailtui.sandbox.world.mail import Spool, Suspended

TABLE = "/etc/postfix/mailtui_suspended"
_MAP = f"hash:{TABLE}"
_LONGEST = 30 * 86400


def table(queues: Spool) -> bytes:
    """The table of a host."""
    return "".join(
        f"# mailtui {domain} {one.until} {one.who} {one.reason}\n{domain} {_entry(one)}\n"
        for domain, one in queues.suspended.items()
    ).encode()


def _entry(one: Suspended) -> str:
    at = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(one.until))
    return f"retry:4.3.2 delivery suspended until {at} by {one.who}"


async def suspend(context: Context, argv: list[str]) -> int:
    """Commands on standard input: list, add, remove, expire."""
    if len(argv) > 1:
        raise UsageError("commands come on standard input", 65)
    if context.user != "root":
        await context.err(f"{argv[0]}: 1: cannot create /run/mailtui-suspend.lock: "
                          "Permission denied")  # fmt: skip
        return 2
    queues, now = spool(context), int(context.machine.world.now)
    async for line in lines(context.stdin):
        words = line.decode("utf-8", "surrogateescape").rstrip("\n").split(" ", 4)
        verb, domain = words[0], (words[1:2] or [""])[0]
        if verb == "list":
            await context.out(f"table {_MAP} first")
            for name, one in queues.suspended.items():
                await context.out(f"suspended {name} {one.until} {one.who} {one.reason}")
        elif verb == "add":
            _domain(domain)
            until = int(words[2]) if len(words) > 2 and words[2].isdigit() else 0
            if not now < until <= now + _LONGEST:
                raise UsageError(f"not within the next 30 days: {until}", 65)
            queues.suspended[domain] = Suspended(until, words[3], " ".join(words[4:]))
            await context.out(f"suspended {domain} {until}")
        elif verb == "remove":
            _domain(domain)
            queues.suspended.pop(domain, None)
            await context.out(f"resumed {domain}")
        elif verb == "expire":
            queues.expire_suspended(now)
        else:
            raise UsageError(f"no such command: {verb}", 65)
    return 0


def _domain(text: str) -> None:
    labels = text.split(".")
    if len(labels) < 2 or not all(
        label and label.replace("-", "").isalnum() and label == label.strip("-").lower()
        for label in labels
    ):
        raise UsageError(f"not a domain: {text}", 65)


async def postmap(context: Context, argv: list[str]) -> int:
    """`postmap -q KEY hash:/etc/postfix/mailtui_suspended`; 1 if it is not there."""
    if len(argv) != 4 or argv[1] != "-q" or argv[3] != _MAP:
        raise UsageError(f"only `postmap -q KEY {_MAP}` is supported by this sandbox")
    one = spool(context).suspended.get(argv[2])
    if one is None:
        return 1
    await context.out(_entry(one))
    return 0


COMMANDS: dict[str, Command] = {
    "/usr/local/sbin/mailtui-suspend": suspend,
    "/usr/sbin/postmap": postmap,
}
