"""sendmail(1) of Postfix as a program submits mail by it: `-i -f SENDER -- RECIPIENT…`."""

from __future__ import annotations

import re
import time

from mailtui.sandbox.commands import Command, Context, UsageError, encode
from mailtui.sandbox.world.mail import Message

_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"(@[^@]*)?', re.DOTALL)
_SEPARATOR = re.compile(r"[\s,;<>()]")
_EX_USAGE = 64


async def sendmail(context: Context, argv: list[str]) -> int:
    """A message from standard input; addresses in external form, as RFC 5322 quotes them."""
    sender, recipients = f"{context.user}@{context.machine.host.fqdn}", list[str]()
    words = argv[1:]
    while words and words[0].startswith("-"):
        flag = words.pop(0)
        if flag == "--":
            break
        if flag in ("-f", "-r") and words:
            sender = _internal(words.pop(0))
        elif flag in ("-B", "-F", "-N", "-R", "-V") and words:
            words.pop(0)
        elif flag[:2] not in ("-B", "-N", "-R") and flag not in ("-i", "-oi", "-oem", "-om", "-U"):
            raise UsageError(f"{flag} is not supported by this sandbox")
    recipients = [_internal(word) for word in words]
    if not recipients:
        await context.err("sendmail: fatal: Recipient addresses must be specified on the command "
                          "line or via the -t option")  # fmt: skip
        return _EX_USAGE
    parts = []
    while data := await context.stdin.read():
        parts.append(data)
    world, host = context.machine.world, context.machine.host
    message: Message = world.traffic.submit(host.name, sender, recipients, b"".join(parts))
    when = time.strftime("%a, %d %b %Y %H:%M:%S +0000 (UTC)", time.gmtime(message.arrival_time))
    number = 0 if context.user == "root" else 1000
    message.content = encode(
        f"Received: by {host.fqdn} (Postfix, from userid {number})\n"
        f"\tid {message.queue_id}; {when}\n"
    ) + b"".join(parts)
    message.size = len(message.content)
    return 0


def _internal(address: str) -> str:
    """An address without its quoting. An unquoted separator makes more of it than one."""
    match = _QUOTED.fullmatch(address)
    if match:
        return re.sub(r"\\(.)", r"\1", match[1], flags=re.DOTALL) + (match[2] or "")
    if _SEPARATOR.search(address):
        raise UsageError(f"{address!r}: such an address is not supported by this sandbox")
    return address


COMMANDS: dict[str, Command] = {"/usr/sbin/sendmail": sendmail}
