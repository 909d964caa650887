"""postcat(1) and qshape(1): what a queue file holds, and the age of a queue by domain."""

from __future__ import annotations

import time

from mailtui.sandbox.commands import Command, Context, UsageError, encode
from mailtui.sandbox.postfix import spool
from mailtui.sandbox.world.hosts import Host
from mailtui.sandbox.world.mail import Message

_DIGITS = "0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz"


def _directory(queue_id: str) -> str:
    """The hashed subdirectory of a long queue ID: first hex digit of its microseconds."""
    microseconds = 0
    for char in queue_id.partition("z")[0][-4:]:
        microseconds = microseconds * 52 + max(0, _DIGITS.find(char))
    return f"{microseconds:05X}"[0]


def _envelope(message: Message, host: Host) -> bytes:
    when = time.strftime("%a %b %e %H:%M:%S %Y", time.gmtime(message.arrival_time))
    lines = [
        f"message_size: {message.size:>15} {687:>15} {len(message.recipients):>15} {0:>15} "
        f"{message.size:>15} {2:>15}",
        f"message_arrival_time: {when}",
        f"create_time: {when}",
        f"named_attribute: log_ident={message.queue_id}",
        "named_attribute: rewrite_context=remote",
    ]
    if message.sasl_username:
        lines += [
            "named_attribute: sasl_method=PLAIN",
            f"named_attribute: sasl_username={message.sasl_username}",
        ]
    lines += [f"sender: {message.sender}", "named_attribute: log_protocol_name=ESMTP"]
    lines.append(f"named_attribute: server_address={host.address}")
    for recipient in message.recipients:
        lines += [
            f"named_attribute: dsn_orig_rcpt=rfc822;{recipient.address}",
            f"original_recipient: {recipient.address}",
            f"recipient: {recipient.address}",
        ]
    return encode("".join(line + "\n" for line in lines))


def _headers(message: Message, host: Host) -> bytes:
    if message.content:
        return message.content.partition(b"\n\n")[0] + b"\n"
    when = time.strftime("%a, %d %b %Y %H:%M:%S +0000 (UTC)", time.gmtime(message.arrival_time))
    first = message.recipients[0].address if message.recipients else "undisclosed-recipients:;"
    return encode(
        f"Received: by {host.fqdn} (Postfix)\n\tid {message.queue_id}; {when}\n"
        f"From: <{message.sender}>\nTo: {first}\nSubject: {message.subject}\n"
        f"Message-ID: <{message.queue_id}@{host.fqdn}>\n"
        "Content-Type: text/plain; charset=utf-8\n"
    )


async def postcat(context: Context, argv: list[str]) -> int:
    """`postcat -q[e][b][h] QUEUE_ID`: root only."""
    name = argv[0]
    flags = "".join(w[1:] for w in argv[1:] if w.startswith("-"))
    operands = [w for w in argv[1:] if not w.startswith("-")]
    if "q" not in flags or set(flags) - set("qebhv") or len(operands) != 1:
        raise UsageError("only `postcat -q[ebh] QUEUE_ID` is supported by this sandbox")
    queue_id = operands[0]
    if not queue_id.isalnum():
        await context.err(f"{name}: fatal: bad mail queue ID: {queue_id}")
        return 1
    message = spool(context).messages.get(queue_id)
    if context.user != "root" or message is None:
        why = "Permission denied" if context.user != "root" else "No such file or directory"
        await context.err(f"{name}: fatal: open queue file {queue_id}: {why}")
        return 1
    host: Host = context.machine.host
    path = f"{message.queue_name}/{_directory(queue_id)}/{queue_id}"
    everything = not set(flags) & set("ebh")
    envelope = everything or "e" in flags
    parts = []
    if envelope:
        parts += [f"*** ENVELOPE RECORDS {path} ***\n".encode(), _envelope(message, host)]
        parts.append(f"*** MESSAGE CONTENTS {path} ***\n".encode())
    if everything or "h" in flags:
        parts.append(_headers(message, host))
    if everything or ("b" in flags and "h" in flags):
        parts.append(b"\n")
    if everything or "b" in flags:
        body = message.content.partition(b"\n\n")[2]
        parts.append(body if message.content else b"(the body of a simulated message)\n")
    if envelope:
        parts.append(f"*** HEADER EXTRACTED {path} ***\n*** MESSAGE FILE END {path} ***\n".encode())
    await context.stdout.write(b"".join(parts))
    return 0


# -- qshape

_BUCKETS = (5, 10, 20, 40, 80, 160, 320, 640, 1280)


async def qshape(context: Context, argv: list[str]) -> int:
    """`qshape [-s] [QUEUE…]`: recipients (senders) by domain and age in minutes."""
    by_sender = "-s" in argv[1:]
    names = [w for w in argv[1:] if not w.startswith("-")] or ["incoming", "active"]
    if {w for w in argv[1:] if w.startswith("-")} - {"-s"}:
        raise UsageError("only -s is supported by this sandbox")
    if context.user != "root":
        raise UsageError("Permission denied: the queue directories are for root")
    now = context.machine.world.now
    table: dict[str, list[int]] = {}
    total = [0] * 11
    for message in list(spool(context).messages.values()):
        if message.queue_name not in names:
            continue
        minutes = (now - message.arrival_time) / 60
        column = 1 + next((i for i, limit in enumerate(_BUCKETS) if minutes < limit), 9)
        addresses = [message.sender] if by_sender else [r.address for r in message.recipients]
        for address in addresses:
            row = table.setdefault(address.rpartition("@")[2].lower() or "MAILER-DAEMON", [0] * 11)
            for cells in (row, total):
                cells[0] += 1
                cells[column] += 1
    heads = ["T", *map(str, _BUCKETS), f"{_BUCKETS[-1]}+"]
    widths = [max(len(head), len(str(n))) for head, n in zip(heads, total, strict=True)]
    left = max(10, 80 - sum(width + 1 for width in widths))

    def line(name: str, cells: list[str]) -> bytes:
        text = " ".join(c.rjust(w) for c, w in zip(cells, widths, strict=True))
        return encode(name)[-left:].rjust(left) + encode(f" {text}\n")

    output = [line("", heads), line("TOTAL", [str(n) for n in total])]
    for name, row in sorted(table.items(), key=lambda item: -item[1][0]):
        output.append(line(name, [str(n) for n in row]))
    await context.stdout.write(b"".join(output))
    return 0


COMMANDS: dict[str, Command] = {
    "/usr/sbin/postcat": postcat,
    "/usr/sbin/qshape": qshape,
}
