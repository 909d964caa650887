"""postqueue(1), mailq(1) and postconf(1) of Postfix 3.7 and 3.10."""

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


def spool(context: Context) -> Spool:
    """The queues of the host."""
    found: Spool = context.machine.world.mail.spools[context.machine.host.name]
    return found


def _running(host: Host) -> bool:
    unit = host.units.get(_MASTER)
    return unit is None or unit.active == "active"


def _messages(queues: Spool) -> Iterator[Message]:
    # a copy of the references: the world moves on while a slow client reads
    everything = list(queues.messages.values())
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


async def _list_json(context: Context, queues: Spool) -> None:
    output = Batched(context.stdout)
    for index, message in enumerate(_messages(queues)):
        await output.write(json_line(message))
        if index % _BATCH == _BATCH - 1:
            await asyncio.sleep(0)
    await output.flush()


async def _list_plain(context: Context, queues: Spool) -> None:
    if not queues.messages:
        await context.out("Mail queue is empty")
        return
    output = Batched(context.stdout)
    await output.write(b"----Queue ID----- --Size-- ---Arrival Time---- --Sender/Recipient------\n")
    size = count = 0
    for index, message in enumerate(_messages(queues)):
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
    queues = spool(context)
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
        await _list_json(context, queues)
    else:
        await _list_plain(context, queues)
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


COMMANDS: dict[str, Command] = {
    "/usr/bin/mailq": mailq,
    "/usr/sbin/postconf": postconf,
    "/usr/sbin/postqueue": postqueue,
}
