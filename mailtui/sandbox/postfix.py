"""postqueue(1), mailq(1), postconf(1), postcat(1) and qshape(1) of Postfix 3.7 and 3.10."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator

from mailtui.sandbox.commands import Command, Context, UsageError, encode
from mailtui.sandbox.streams import Batched
from mailtui.sandbox.world.hosts import Host
from mailtui.sandbox.world.mail import Message, Spool

_ORDER = ("active", "incoming", "deferred", "hold", "maildrop")
"""The order in which showq(8) reads the queues."""
_EX_UNAVAILABLE = 69
_BATCH = 200
"""Messages between two looks at the event loop."""
_MASTER = "postfix@-.service"


def _spool(context: Context) -> Spool:
    spool: Spool = context.machine.world.mail.spools[context.machine.host.name]
    return spool


def _running(host: Host) -> bool:
    unit = host.units.get(_MASTER)
    return unit is None or unit.active == "active"


def _messages(spool: Spool) -> Iterator[Message]:
    # a copy of the references: the world moves on while a slow client reads
    everything = list(spool.messages.values())
    for queue in _ORDER:
        for message in everything:
            if message.queue_name == queue:
                yield message


def _quote(text: str) -> bytes:
    """json_quote() of postqueue: control characters escaped, all else as it is, valid or not."""
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return text.encode()
    short = {"\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
    return encode(
        re.sub(
            r'[\x00-\x1f\x7f"\\]',
            lambda m: short.get(m[0]) or ("\\" + m[0] if m[0] in '"\\' else f"\\u{ord(m[0]):04X}"),
            text,
        )
    )


def json_line(message: Message) -> bytes:
    """One object of `postqueue -j`, with its newline. Bytes that are not UTF-8 stay."""
    recipients = b", ".join(
        b'{"address": "%s"%s}'
        % (
            _quote(r.address),
            b', "delay_reason": "%s"' % _quote(r.delay_reason) if r.delay_reason else b"",
        )
        for r in message.recipients
    )
    return (
        b'{"queue_name": "%s", "queue_id": "%s", "arrival_time": %d, "message_size": %d, '
        b'"forced_expire": %s, "sender": "%s", "recipients": [%s]}\n'
    ) % (
        message.queue_name.encode(),
        message.queue_id.encode(),
        int(message.arrival_time),
        message.size,
        b"true" if message.forced_expire else b"false",
        _quote(message.sender or "MAILER-DAEMON"),
        recipients,
    )


def _printable(text: str) -> bytes:
    """printable(): what postqueue -p shows has no control characters."""
    return encode(re.sub(r"[\x00-\x1f\x7f]", "?", text))


def _listing(message: Message, first: bool) -> bytes:
    """One message of `postqueue -p`."""
    mark = {"active": "*", "hold": "!"}.get(message.queue_name, "")
    if message.forced_expire:
        mark += "#"
    when = time.strftime("%a %b %e %H:%M:%S", time.gmtime(message.arrival_time))
    parts = [
        b"" if first else b"\n",
        b"%-17s %8d %s %s\n"
        % (
            (message.queue_id + mark).encode(),
            message.size,
            when.encode(),
            _printable(message.sender or "MAILER-DAEMON"),
        ),
    ]
    previous = ""
    for recipient in message.recipients:
        if recipient.delay_reason and recipient.delay_reason != previous:
            previous = recipient.delay_reason
            reason = _printable(previous)
            parts.append(b" " * max(0, 76 - len(reason)) + b"(" + reason + b")\n")
        parts.append(b" " * 47 + _printable(recipient.address) + b"\n")
    return b"".join(parts)


async def _list_json(context: Context, spool: Spool) -> None:
    output = Batched(context.stdout)
    for index, message in enumerate(_messages(spool)):
        await output.write(json_line(message))
        if index % _BATCH == _BATCH - 1:
            await asyncio.sleep(0)
    await output.flush()


async def _list_plain(context: Context, spool: Spool) -> None:
    if not spool.messages:
        await context.out("Mail queue is empty")
        return
    output = Batched(context.stdout)
    await output.write(b"----Queue ID----- --Size-- ---Arrival Time---- --Sender/Recipient------\n")
    size = count = 0
    for index, message in enumerate(_messages(spool)):
        await output.write(_listing(message, index == 0))
        size += message.size
        count += 1
        if index % _BATCH == _BATCH - 1:
            await asyncio.sleep(0)
    plural = "" if count == 1 else "s"
    await output.write(
        b"\n-- %d Kbytes in %d Request%s.\n" % (size // 1024, count, plural.encode())
    )
    await output.flush()


_USAGE = (
    "usage: postqueue -f | postqueue -i queueid | postqueue -j | postqueue -p | postqueue -s site"
)


async def postqueue(context: Context, argv: list[str]) -> int:
    """`postqueue -j` and `-p`; exit 69 while the mail system is down."""
    name = argv[0]
    words = [w for w in argv[1:] if w not in ("-v", "-c", "/etc/postfix")]
    if words not in (["-j"], ["-p"]):
        if words and words[0] in ("-f", "-i", "-s"):
            await context.err(f"{name}: fatal: {words[0]} is not supported by this sandbox")
        else:
            flag = words[0].lstrip("-")[:1] if words else ""
            if flag and flag not in "fijps":
                await context.err(f"{name}: invalid option -- '{flag}'")
            await context.err(f"{name}: fatal: {_USAGE}")
        return 1 if words[:1] and words[0] in ("-f", "-i", "-s") else 64
    spool = _spool(context)
    if not _running(context.machine.host):
        cause = "(Connect to the Postfix showq service: Connection refused)"
        if context.user != "root":
            await context.err(
                f"{name}: fatal: Queue report unavailable - mail system is down {cause}"
            )
            return _EX_UNAVAILABLE
        await context.err(
            f"{name}: warning: Mail system is down -- accessing queue directly {cause}"
        )
    if words == ["-j"]:
        await _list_json(context, spool)
    else:
        await _list_plain(context, spool)
    return 0


async def mailq(context: Context, argv: list[str]) -> int:
    """`mailq` is `postqueue -p`, and says so in its errors."""
    return await postqueue(context, ["postqueue", "-p"])


# -- postconf


def _parameters(host: Host) -> dict[str, tuple[str, bool]]:
    """Parameter → value, and whether main.cf sets it."""
    return {
        "compatibility_level": ("3.6", True),
        "enable_long_queue_ids": ("yes", True),
        "inet_interfaces": ("all", True),
        "inet_protocols": ("all", True),
        "mail_version": (host.postfix_version, False),
        "maximal_backoff_time": ("4000s", False),
        "maximal_queue_lifetime": ("5d", False),
        "message_size_limit": ("52428800", True),
        "minimal_backoff_time": ("300s", False),
        "multi_instance_directories": ("", False),
        "mydestination": ("$myhostname, localhost", True),
        "mydomain": ("example.org", True),
        "myhostname": (host.fqdn, True),
        "mynetworks": ("127.0.0.0/8 10.77.0.0/24", True),
        "myorigin": ("example.org", True),
        "queue_directory": ("/var/spool/postfix", False),
        "queue_run_delay": ("300s", False),
        "relayhost": ("", False),
        "smtpd_sasl_auth_enable": ("yes", True),
        "smtpd_sasl_type": ("dovecot", True),
        "smtpd_tls_security_level": ("may", True),
        "smtputf8_enable": ("yes", True),
        "virtual_transport": ("lmtp:inet:store1.example.org:24", True),
    }


async def postconf(context: Context, argv: list[str]) -> int:
    """`postconf [-h] NAME…`, `postconf -n`; a listing of every parameter is refused."""
    known = _parameters(context.machine.host)
    flags = {w for w in argv[1:] if w.startswith("-")}
    names = [w for w in argv[1:] if not w.startswith("-")]
    if flags - {"-h", "-n", "-x"} or not (names or "-n" in flags):
        raise UsageError("only `-h`, `-n` and named parameters are supported by this sandbox")
    if not names:
        names = [name for name, (_, is_set) in known.items() if is_set]
    for name in names:
        if name not in known:
            await context.err(f"{argv[0]}: warning: {name}: unknown parameter")
            continue
        value = known[name][0]
        if "-x" in flags:
            value = value.replace("$myhostname", context.machine.host.fqdn)
        await context.out(value if "-h" in flags else f"{name} = {value}".rstrip())
    return 0


# -- postcat

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
    message = _spool(context).messages.get(queue_id)
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
        parts.append(b"(the body of a simulated message)\n")
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
    for message in list(_spool(context).messages.values()):
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
    "/usr/bin/mailq": mailq,
    "/usr/sbin/postcat": postcat,
    "/usr/sbin/postconf": postconf,
    "/usr/sbin/postqueue": postqueue,
    "/usr/sbin/qshape": qshape,
}
