"""What every simulated host has: files below /etc and /proc, and the small tools around them.

Formats as on Debian 12 and 13 (coreutils 9.1, procps 4.0.2, proc(5)).
"""

from __future__ import annotations

import getopt
import time
from collections.abc import Callable, Mapping

from mailtui.sandbox import (
    df,
    fail2ban,
    filters,
    grep,
    openssl,
    postcat,
    postfix,
    postsuper,
    processes,
    rabbitmq_queues,
    sendmail,
    suspend,
    systemctl,
)
from mailtui.sandbox.commands import Command, Context, Machine, UsageError
from mailtui.sandbox.world import World
from mailtui.sandbox.world.hosts import Host

USER = "mailtui"
UID = 1000
DIRECTORIES = ("/etc", "/home", "/home/mailtui", "/proc", "/root", "/usr", "/var")


def machine(world: World, name: str) -> Machine:
    """The host of that name, as its commands see it."""
    host = world.hosts[name]
    commands: dict[str, Command] = {
        **filters.COMMANDS,
        **grep.COMMANDS,
        **processes.COMMANDS,
        **systemctl.COMMANDS,
        **openssl.COMMANDS,
        "/usr/bin/date": date,
        "/usr/bin/df": df.df,
        "/usr/bin/free": free,
        "/usr/bin/hostname": hostname,
        "/usr/bin/id": id_,
        "/usr/bin/ls": ls,
        "/usr/bin/nproc": nproc,
        "/usr/bin/pwd": pwd,
        "/usr/bin/uname": uname,
        "/usr/bin/uptime": uptime,
        "/usr/bin/whoami": whoami,
    }
    if name in world.mail.spools:
        commands |= postfix.COMMANDS | postcat.COMMANDS
        commands |= postsuper.COMMANDS | sendmail.COMMANDS | suspend.COMMANDS
    if f"rabbit@{name}" in (node.name for node in world.broker.nodes):
        commands |= rabbitmq_queues.COMMANDS
    if name in world.bans.hosts:
        commands |= fail2ban.COMMANDS
    return Machine(world, host, commands, files(world, host))


# -- files


def files(world: World, host: Host) -> Mapping[str, Callable[[], bytes]]:
    """Path → its content at the time of reading."""
    result: dict[str, Callable[[], bytes]] = {
        "/etc/debian_version": f"{host.os_version}.{_point_release(host)}\n".encode,
        "/etc/hostname": f"{host.name}\n".encode,
        "/etc/os-release": lambda: _os_release(host),
        "/proc/cpuinfo": lambda: _cpuinfo(host),
        "/proc/loadavg": lambda: _loadavg(world, host),
        "/proc/meminfo": lambda: _meminfo(host),
        "/proc/mounts": lambda: _mounts(host),
        "/proc/sys/kernel/hostname": f"{host.name}\n".encode,
        "/proc/sys/kernel/osrelease": f"{host.kernel}\n".encode,
        "/proc/uptime": lambda: _uptime(world, host),
        "/proc/version": f"Linux version {host.kernel} {_version(host)}\n".encode,
    }
    if host.name in world.mail.spools:
        result[suspend.TABLE] = lambda: suspend.table(world.mail.spools[host.name])
    return result


def _point_release(host: Host) -> int:
    return 12 if host.os_version == "12" else 1


def _version(host: Host) -> str:
    day = "2025-09-20" if host.os_version == "12" else "2025-09-30"
    package = host.kernel.partition("-")[0].partition("+")[0]
    return f"#1 SMP PREEMPT_DYNAMIC Debian {package}-1 ({day})"


def _os_release(host: Host) -> bytes:
    codename = host.os.partition("(")[2].rstrip(")")
    full = f"DEBIAN_VERSION_FULL=13.{_point_release(host)}\n" if host.os_version == "13" else ""
    return (
        f'PRETTY_NAME="{host.os}"\nNAME="Debian GNU/Linux"\nVERSION_ID="{host.os_version}"\n'
        f'VERSION="{host.os_version} ({codename})"\nVERSION_CODENAME={codename}\n{full}ID=debian\n'
        'HOME_URL="https://www.debian.org/"\nSUPPORT_URL="https://www.debian.org/support"\n'
        'BUG_REPORT_URL="https://bugs.debian.org/"\n'
    ).encode()


def _loadavg(world: World, host: Host) -> bytes:
    one, five, fifteen = host.load
    running = 1 + int(one)
    last_pid = 2000 + int(world.now - host.boot_time) % 4_190_000
    return (
        f"{one:.2f} {five:.2f} {fifteen:.2f} {running}/{180 + 40 * host.cpus} {last_pid}\n".encode()
    )


def _uptime(world: World, host: Host) -> bytes:
    up = world.now - host.boot_time
    return f"{up:.2f} {up * host.cpus * 0.9:.2f}\n".encode()


def _memory(host: Host) -> dict[str, int]:
    """Bytes; what the world does not model is a share of what it does."""
    free_ = int(host.memory_available * 0.36)
    cached = int(host.memory_available * 0.58)
    sizes = {
        "MemTotal": host.memory_total,
        "MemFree": free_,
        "MemAvailable": host.memory_available,
        "Buffers": int(host.memory_available * 0.02),
        "Cached": cached,
        "SwapCached": 0,
        "Active": int(host.memory_total * 0.31),
        "Inactive": int(host.memory_total * 0.27),
        "Unevictable": 0,
        "Mlocked": 0,
        "SwapTotal": host.swap_total,
        "SwapFree": host.swap_free,
        "Dirty": 1_208_320,
        "Writeback": 0,
        "Shmem": int(host.memory_total * 0.006),
        "SReclaimable": int(host.memory_available * 0.05),
    }
    return {name: size // 4096 * 4096 for name, size in sizes.items()}


def _meminfo(host: Host) -> bytes:
    return "".join(
        f"{name + ':':<16}{size // 1024:>8} kB\n" for name, size in _memory(host).items()
    ).encode()


def _mounts(host: Host) -> bytes:
    return "".join(
        f"{m.source} {m.target} {m.fstype} {m.options} 0 0\n" for m in host.mounts
    ).encode()


def _cpuinfo(host: Host) -> bytes:
    return "".join(
        f"processor\t: {i}\nvendor_id\t: GenuineIntel\nmodel name\t: Intel Xeon Processor "
        f"(Icelake)\ncpu MHz\t\t: 2394.374\ncpu cores\t: {host.cpus}\n\n"
        for i in range(host.cpus)
    ).encode()


# -- tools


async def nproc(context: Context, argv: list[str]) -> int:
    """`nproc [--all]`."""
    getopt.gnu_getopt(argv[1:], "", ["all"])
    await context.out(str(context.machine.host.cpus))
    return 0


async def hostname(context: Context, argv: list[str]) -> int:
    """`hostname [-f|-s]`."""
    options, operands = getopt.gnu_getopt(argv[1:], "fs", ["fqdn", "long", "short"])
    if operands:
        raise UsageError("you must be root to change the host name")
    long = any(name in ("-f", "--fqdn", "--long") for name, _ in options)
    await context.out(context.machine.host.fqdn if long else context.machine.host.name)
    return 0


async def uname(context: Context, argv: list[str]) -> int:
    """`uname [-asnrvmo]`."""
    options, _ = getopt.gnu_getopt(argv[1:], "asnrvmo", ["all"])
    chosen = {name.lstrip("-")[0] for name, _ in options} or {"s"}
    host = context.machine.host
    parts = {
        "s": "Linux",
        "n": host.name,
        "r": host.kernel,
        "v": _version(host),
        "m": "x86_64",
        "o": "GNU/Linux",
    }
    await context.out(" ".join(v for k, v in parts.items() if "a" in chosen or k in chosen))
    return 0


async def date(context: Context, argv: list[str]) -> int:
    """`date [-u] [+FORMAT]`, UTC; the time of the simulated world."""
    options, operands = getopt.gnu_getopt(argv[1:], "uR", ["utc"])
    now = context.machine.world.now
    form = operands[0] if operands else "+%a %b %e %H:%M:%S UTC %Y"
    if any(name == "-R" for name, _ in options):
        form = "+%a, %d %b %Y %H:%M:%S +0000"
    if not form.startswith("+"):
        raise UsageError("cannot set date: Operation not permitted")
    form = form[1:].replace("%s", str(int(now))).replace("%N", "000000000")
    await context.out(time.strftime(form.replace("%Z", "UTC").replace("%z", "+0000"), _utc(now)))
    return 0


def _utc(now: float) -> time.struct_time:
    return time.gmtime(now)


async def uptime(context: Context, argv: list[str]) -> int:
    """`uptime [-p|-s]`."""
    options, _ = getopt.gnu_getopt(argv[1:], "ps", ["pretty", "since"])
    world, host = context.machine.world, context.machine.host
    up = int(world.now - host.boot_time)
    days, hours, minutes = up // 86400, up % 86400 // 3600, up % 3600 // 60
    flags = {name.lstrip("-")[0] for name, _ in options}
    if "s" in flags:
        await context.out(time.strftime("%Y-%m-%d %H:%M:%S", _utc(host.boot_time)))
        return 0
    if "p" in flags:
        parts = [(days // 7, "week"), (days % 7, "day"), (hours, "hour"), (minutes, "minute")]
        text = ", ".join(f"{n} {unit}{'s' * (n != 1)}" for n, unit in parts if n)
        await context.out(f"up {text}")
        return 0
    span = f"{hours}:{minutes:02d}" if hours else f"{minutes} min"
    if days:
        span = f"{days} day{'s' * (days != 1)}, " + (span.rjust(5) if hours else span)
    loads = ", ".join(f"{value:.2f}" for value in host.load)
    clock = time.strftime("%H:%M:%S", _utc(world.now))
    await context.out(f" {clock} up {span},  0 user,  load average: {loads}")
    return 0


async def free(context: Context, argv: list[str]) -> int:
    """`free [-b|-k|-m|-g]`; used is total less available (procps 4)."""
    options, _ = getopt.gnu_getopt(argv[1:], "bkmg", ["bytes", "kibi", "mebi", "gibi"])
    unit = ("k", *[name.lstrip("-")[0] for name, _ in options])[-1]
    divisor = {"b": 1, "k": 1024, "m": 1024**2, "g": 1024**3}[unit]
    m = _memory(context.machine.host)
    cache = m["Buffers"] + m["Cached"] + m["SReclaimable"]
    memory = (m["MemTotal"], m["MemTotal"] - m["MemAvailable"], m["MemFree"], m["Shmem"], cache)
    swap = (m["SwapTotal"], m["SwapTotal"] - m["SwapFree"], m["SwapFree"])
    heads = ("total", "used", "free", "shared", "buff/cache", "available")
    await context.out(" " * 8 + " ".join(head.rjust(11) for head in heads).rstrip())
    for name, sizes in (("Mem:", (*memory, m["MemAvailable"])), ("Swap:", swap)):
        cells = " ".join(str(size // divisor).rjust(11) for size in sizes)
        await context.out(f"{name:<8}{cells}")
    return 0


async def id_(context: Context, argv: list[str]) -> int:
    """`id [-u|-g|-un|-gn]`."""
    options, operands = getopt.gnu_getopt(argv[1:], "ugn")
    name = operands[0] if operands else context.user
    if name not in (USER, "root"):
        raise UsageError(f"‘{name}’: no such user")
    number = 0 if name == "root" else UID
    flags = {flag for flag, _ in options}
    if flags & {"-u", "-g"}:
        await context.out(name if "-n" in flags else str(number))
    else:
        await context.out(f"uid={number}({name}) gid={number}({name}) groups={number}({name})")
    return 0


async def whoami(context: Context, argv: list[str]) -> int:
    """`whoami`."""
    await context.out(context.user)
    return 0


async def pwd(context: Context, argv: list[str]) -> int:
    """`pwd`: commands run in the home directory."""
    await context.out("/root" if context.user == "root" else f"/home/{context.user}")
    return 0


async def ls(context: Context, argv: list[str]) -> int:
    """`ls [-1aA] [PATH…]`: names only; -l is refused, since modes and owners are not simulated."""
    options, operands = getopt.gnu_getopt(argv[1:], "1aAdl")
    flags = {flag for flag, _ in options}
    if "-l" in flags:
        raise UsageError("-l is not supported by this sandbox", 2)
    status = 0
    paths = {*context.machine.files, *context.machine.commands, *DIRECTORIES}
    paths |= {mount.target for mount in context.machine.host.mounts}
    for operand in operands or ["/home/mailtui"]:
        path = operand.rstrip("/") or "/"
        prefix = "/" if path == "/" else path + "/"
        names = {p[len(prefix) :].split("/")[0] for p in paths if p.startswith(prefix)} - {""}
        if not names and path not in paths:
            await context.err(f"ls: cannot access '{operand}': No such file or directory")
            status = 2
            continue
        if "-d" in flags or path in context.machine.files or path in context.machine.commands:
            await context.out(operand)
            continue
        if len(operands) > 1:
            await context.out(f"{operand}:")
        for name in sorted(names):
            await context.out(name)
    return status
