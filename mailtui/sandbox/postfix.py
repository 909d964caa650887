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
_QUEUE_ID = re.compile(r"[0-9A-Za-z_]{1,100}")


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


async def _flush(context: Context, flag: str, what: str = "") -> int:
    """`-f`, `-i ID` and `-s SITE`, silent when they do anything."""
    queues, world = spool(context), context.machine.world
    if flag == "-i" and not _QUEUE_ID.fullmatch(what):
        await context.err(f'postqueue: fatal: Cannot flush queue ID - invalid name: "{what}"')
        return _EX_UNAVAILABLE
    if not _running(context.machine.host):
        if flag == "-i":
            await context.err("postqueue: warning: connect to public/flush: Connection refused")
        await context.err("postqueue: fatal: Cannot flush mail queue - mail system is down")
        return _EX_UNAVAILABLE
    if flag == "-f":
        queues.flush(world.now)
    elif flag == "-i":
        queues.flush(world.now, [what])
    else:
        site = what.lower()
        if site not in _expanded(_parameters(context), "fast_flush_domains").split():
            await context.err(
                f'postqueue: fatal: Flush service is not configured for destination "{what}"'
            )
            return _EX_UNAVAILABLE
        queues.flush(
            world.now,
            [
                m.queue_id
                for m in queues.queue("deferred")
                if any(r.address.lower().endswith(f"@{site}") for r in m.recipients)
            ],
        )
    return 0


async def postqueue(context: Context, argv: list[str]) -> int:
    """`postqueue -j`, `-p`, `-f`, `-i ID`, `-s SITE`; exit 69 while the mail system is down."""
    name = argv[0]
    words = [w for w in argv[1:] if w not in ("-v", "-c", "/etc/postfix")]
    if (len(words) == 2 and words[0] in ("-i", "-s")) or words == ["-f"]:
        return await _flush(context, *words)
    if words not in (["-j"], ["-p"]):
        flag = words[0].lstrip("-")[:1] if words else ""
        if flag and flag not in "fijps":
            await context.err(f"{name}: invalid option -- '{flag}'")
        await context.err(f"{name}: fatal: {_USAGE}")
        return 64 if flag and flag not in "fijps" else _EX_UNAVAILABLE
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


def _parameters(context: Context) -> dict[str, tuple[str, bool]]:
    """Parameter → value, and whether main.cf sets it."""
    host: Host = context.machine.host
    return {
        "compatibility_level": ("3.6", True),
        "authorized_flush_users": ("static:anyone", False),
        "enable_long_queue_ids": ("yes" if spool(context).long_ids else "no", True),
        "fast_flush_domains": ("$relay_domains", False),
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
        "relay_domains": ("partner.example.net", True),
        "relayhost": ("", False),
        "smtpd_sasl_auth_enable": ("yes", True),
        "smtpd_sasl_type": ("dovecot", True),
        "smtpd_tls_security_level": ("may", True),
        "smtputf8_enable": ("yes", True),
        "transport_maps": ("hash:/etc/postfix/mailtui_suspended", True),
        "virtual_transport": ("lmtp:inet:store1.example.org:24", True),
    }


def _expanded(known: dict[str, tuple[str, bool]], name: str) -> str:
    """A value with `$name` put in, once."""
    return re.sub(r"\$(\w+)", lambda m: known[m[1]][0] if m[1] in known else m[0], known[name][0])


async def postconf(context: Context, argv: list[str]) -> int:
    """`postconf [-h] NAME…`, `postconf -n`; a listing of every parameter is refused."""
    known = _parameters(context)
    flags = {f"-{c}" for w in argv[1:] if w.startswith("-") for c in w[1:]}
    names = [w for w in argv[1:] if not w.startswith("-")]
    if flags - {"-h", "-n", "-x"} or not (names or "-n" in flags):
        raise UsageError("only `-h`, `-n` and named parameters are supported by this sandbox")
    if not names:
        names = [name for name, (_, is_set) in known.items() if is_set]
    for name in names:
        if name not in known:
            await context.err(f"{argv[0]}: warning: {name}: unknown parameter")
            continue
        value = _expanded(known, name) if "-x" in flags else known[name][0]
        await context.out(value if "-h" in flags else f"{name} = {value}".rstrip())
    return 0


COMMANDS: dict[str, Command] = {
    "/usr/bin/mailq": mailq,
    "/usr/sbin/postconf": postconf,
    "/usr/sbin/postqueue": postqueue,
}
