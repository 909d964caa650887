"""A queue file as `postcat -q` prints it: taken apart for what sends it again.

postcat(1) prints the records of the envelope, the message, the records that were extracted from
the headers, each part behind a line of stars with the file's path.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mailtui.connections.runner import Command, command

MANY = 100
"""Recipients given to one sendmail(1): a command line has its limits."""

_FIRST = re.compile(rb"\*\*\* ENVELOPE RECORDS (\S+) \*\*\*\n")
_ATOMS = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\u0080-\U0010ffff-]+"
    r"(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~\u0080-\U0010ffff-]+)*"
)
_DOMAIN = re.compile(r"[A-Za-z0-9_.\u0080-\U0010ffff-]+|\[[A-Za-z0-9:.]+\]")


class Unusable(Exception):
    """It cannot be sent again: why, as a sentence."""


@dataclass(frozen=True)
class QueueFile:
    """What is needed to submit a message again."""

    sender: str
    """Internal form; empty: the null sender."""
    recipients: tuple[str, ...]
    """Internal form; those who had not got it yet."""
    content: bytes
    """Headers and body."""


def is_whole(raw: bytes, queue_id: str) -> bool:
    """True if postcat printed the file of this queue ID from its beginning to its end."""
    match = _FIRST.match(raw)
    if match is None:
        return False
    path = match[1]
    return path.endswith(queue_id.encode()) and raw.endswith(
        b"*** MESSAGE FILE END " + path + b" ***\n"
    )


def parsed(raw: bytes) -> QueueFile:
    """A queue file. Raises Unusable.

    A body may contain lines that look like postcat's: the first one after the envelope and the
    last ones in the file are postcat's own.
    """
    match = _FIRST.match(raw)
    if match is None:
        raise Unusable("what was kept is not a queue file")
    path = match[1]
    begin = b"*** MESSAGE CONTENTS " + path + b" ***\n"
    end = b"*** HEADER EXTRACTED " + path + b" ***\n"
    start, stop = raw.find(begin), raw.rfind(end)
    if start < 0 or stop < start + len(begin):
        raise Unusable("what was kept of it is not whole")
    records = raw[match.end() : start] + raw[stop + len(end) :]
    sender: bytes | None = None
    recipients: list[bytes] = []
    for line in records.split(b"\n"):
        name, colon, value = line.partition(b": ")
        if not colon:
            name, value = line.removesuffix(b":"), b""
        if name == b"sender" and sender is None:
            sender = value
        elif name == b"recipient" and value:
            recipients.append(value)
    if sender is None or not recipients:
        raise Unusable("what was kept of it has no sender or nobody left to get it")
    try:
        return QueueFile(
            sender.decode(),
            tuple(dict.fromkeys(one.decode() for one in recipients)),
            raw[start + len(begin) : stop],
        )
    except UnicodeDecodeError:
        raise Unusable("an address of it is not UTF-8") from None


def external(address: str) -> str:
    """An address as sendmail(1) takes it: RFC 5322 quoting. Raises Unusable."""
    local, at, domain = address.rpartition("@")
    if not at:
        local, domain = address, ""
    if at and not _DOMAIN.fullmatch(domain):
        raise Unusable(f"{address!r} has no domain that a command line can carry")
    if any(ord(c) < 32 or ord(c) == 127 for c in local) or not local:
        raise Unusable(f"{address!r} cannot be given to sendmail")
    if not _ATOMS.fullmatch(local):
        local = '"' + local.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return local + at + domain


def submissions(found: QueueFile) -> list[Command]:
    """The sendmail(1) commands that send it again. Raises Unusable."""
    sender = external(found.sender) if found.sender else ""
    recipients = [external(one) for one in found.recipients]
    body = () if found.content.isascii() else ("-B8BITMIME",)
    return [
        command(
            "sendmail", "-i", *body, "-f", sender, "--", *recipients[start : start + MANY],
            stdin=found.content,
        )
        for start in range(0, len(recipients), MANY)
    ]  # fmt: skip
