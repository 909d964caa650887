"""fail2ban-client(1) of fail2ban 1.0.2 and 1.1.0: what is read, word for word."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from mailtui.sandbox.commands import Command, Context
from mailtui.sandbox.world.bans import Ban, Fail2ban, Jail

_SOCKET = "/var/run/fail2ban/fail2ban.sock"
_END_OF_TIME = "9999-12-31 23:59:59"
"""What fail2ban writes as the end of a permanent ban."""
_UNIT = "fail2ban.service"


class _Refused(Exception):
    """The server's "NOK": what is printed, and what is logged."""

    def __init__(self, shown: str, logged: str) -> None:
        super().__init__(shown)
        self.shown = shown
        self.logged = logged


async def fail2ban_client(context: Context, argv: list[str]) -> int:
    """`fail2ban-client COMMAND…`; exit 255 if the server refuses or is not there."""
    words = argv[1:]
    server: Fail2ban = context.machine.world.bans.hosts[context.machine.host.name]
    if words in (["-V"], ["--version"]):
        await context.out(server.version if words == ["-V"] else f"Fail2Ban v{server.version}")
        return 0
    if not words:
        await context.out("Usage: fail2ban-client [OPTIONS] <COMMAND>")
        return 255
    unit = context.machine.host.units.get(_UNIT)
    if unit is not None and unit.active != "active":
        await _log(context, f"Failed to access socket path: {_SOCKET}. Is fail2ban running?")
        return 255
    if context.user != "root":
        await _log(context, f"Permission denied to socket: {_SOCKET}, (you must be root)")
        return 255
    try:
        await context.out(_answer(server, words))
    except _Refused as refused:
        await _log(context, f"NOK: {refused.logged}")
        await context.out(refused.shown)
        return 255
    return 0


async def _log(context: Context, text: str) -> None:
    now = datetime.fromtimestamp(context.machine.world.now, UTC)
    stamp = now.strftime("%Y-%m-%d %H:%M:%S,") + f"{now.microsecond // 1000:03d}"
    await context.err(f"{stamp} fail2ban                [4711]: ERROR   {text}")


def _answer(server: Fail2ban, words: list[str]) -> str:
    match words:
        case ["ping"]:
            return "Server replied: pong"
        case ["version"]:
            return server.version
        case ["status"]:
            return _status(server)
        case ["status", "--all"] if server.version >= "1.1":
            return _status_all(server)
        case ["status", name]:
            return f"Status for the jail: {name}\n" + "\n".join(_jail_lines(_jail(server, name)))
        case ["banned", *addresses]:
            return _banned(server, addresses)
        case ["get", "loglevel"]:
            return "Current logging level is 'INFO'"
        case ["get", "dbfile"]:
            return f"Current database file is:\n`- {server.database}"
        case ["get", name, *what]:
            return _get(_jail(server, name), what)
    raise _invalid()


def _invalid() -> _Refused:
    text = "Invalid command (not known to this sandbox)"
    return _Refused(text, f"({text!r},)")


def _jail(server: Fail2ban, name: str) -> Jail:
    jail = server.jails.get(name)
    if jail is None:
        raise _Refused(f"Sorry but the jail '{name}' does not exist", f"({name!r},)")
    return jail


def _status(server: Fail2ban) -> str:
    names = sorted(server.jails)
    return f"Status\n|- Number of jail:\t{len(names)}\n`- Jail list:\t{', '.join(names)}"


def _jail_lines(jail: Jail) -> list[str]:
    journal = jail.file_list and jail.file_list[0].startswith("_")
    label = "Journal matches:" if journal else "File list:"
    addresses = " ".join(ban.address for ban in _ordered(jail))
    return [
        "|- Filter",
        f"|  |- Currently failed:\t{jail.currently_failed}",
        f"|  |- Total failed:\t{jail.total_failed}",
        f"|  `- {label}\t{' '.join(jail.file_list)}",
        "`- Actions",
        f"   |- Currently banned:\t{len(jail.bans)}",
        f"   |- Total banned:\t{jail.total_banned}",
        f"   `- Banned IP list:\t{addresses}",
    ]


def _status_all(server: Fail2ban) -> str:
    names = sorted(server.jails)
    lines = [
        "Status",
        f"|- Number of jail:\t{len(names)}",
        f"|- Jail list:\t{', '.join(names)}",
        "`- Status for the jails:",
    ]
    for name in names:
        last = name == names[-1]
        lines.append(f"   {'`' if last else '|'}- Jail: {name}")
        branch = "      " if last else "   |  "
        lines += [branch + line for line in _jail_lines(server.jails[name])]
    return "\n".join(lines)


def _ordered(jail: Jail) -> list[Ban]:
    """By the end of the ban, as getBanList sorts; permanent ones last."""
    return sorted(jail.bans.values(), key=lambda b: float("inf") if b.until is None else b.until)


def _time(epoch: float | None) -> str:
    if epoch is None:
        return _END_OF_TIME
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(epoch))


def _banned(server: Fail2ban, addresses: list[str]) -> str:
    if addresses:
        found = [
            [name for name, jail in server.jails.items() if address in jail.bans]
            for address in addresses
        ]
        return repr(found)
    return repr(
        [{name: [b.address for b in _ordered(jail)]} for name, jail in server.jails.items()]
    )


def _tree(head: str, items: tuple[str, ...]) -> str:
    marks = ["|-"] * (len(items) - 1) + ["`-"]
    return "\n".join([head, *(f"{m} {item}" for m, item in zip(marks, items, strict=True))])


def _get(jail: Jail, what: list[str]) -> str:
    match what:
        case ["banip", "--with-time"]:
            return "\n".join(
                f"{b.address} \t{_time(b.at)} + {b.duration:.0f} = {_time(b.until)}"
                for b in _ordered(jail)
            )
        case ["banip"]:
            return " ".join(b.address for b in _ordered(jail))
        case ["banip", separator]:
            return separator.join(b.address for b in _ordered(jail))
        case ["bantime"]:
            return f"{jail.ban_time:.0f}"
        case ["findtime"]:
            return f"{jail.find_time:.0f}"
        case ["maxretry"]:
            return str(jail.max_retry)
        case ["ignoreip"]:
            if not jail.ignore:
                return "No IP address/network is ignored"
            return _tree("These IP addresses/networks are ignored:", jail.ignore)
        case ["logpath"]:
            paths = tuple(p for p in jail.file_list if not p.startswith("_"))
            if not paths:
                return "No file is currently monitored"
            return _tree("Current monitored log file(s):", paths)
        case ["actions"]:
            return f"The jail {jail.name} has the following actions:\n" + ", ".join(jail.actions)
    raise _invalid()


COMMANDS: dict[str, Command] = {"/usr/bin/fail2ban-client": fail2ban_client}
