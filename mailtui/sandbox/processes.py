"""Tools that run other tools: sh, env, sudo, timeout, nice; and sleep."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace

from mailtui.sandbox.commands import ROOT_PATH, Command, Context, UsageError
from mailtui.sandbox.printf import echo, printf
from mailtui.sandbox.streams import Null, lines

_DURATION = re.compile(r"(\d*\.?\d+)([smhd]?)")
_SCALE = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


async def shell(context: Context, argv: list[str]) -> int:
    """`sh -c SCRIPT [name arg…]`, or a script on standard input."""
    from mailtui.sandbox.shell import Shell

    context = replace(context, shell_name=argv[0])
    arguments = argv[1:]
    errexit = False
    while arguments and arguments[0].startswith("-") and arguments[0] not in ("-", "--"):
        flags = arguments.pop(0)[1:]
        unknown = set(flags) - set("celis")
        if unknown:
            await context.err(f"{argv[0]}: 0: Illegal option -{unknown.pop()}")
            return 2
        errexit = errexit or "e" in flags
        if "c" in flags:
            if not arguments:
                await context.err(f"{argv[0]}: 0: -c requires an argument")
                return 2
            script, positional = arguments[0], arguments[1:]
            break
    else:
        if arguments:
            await context.err(f"{argv[0]}: 0: cannot open {arguments[0]}: No such file")
            return 2
        script = b"".join([line async for line in lines(context.stdin)]).decode(
            "utf-8", "surrogateescape"
        )
        positional = []
    if positional:
        context = replace(context, shell_name=positional[0])
    child = Shell(context, positional)
    child.errexit = errexit
    return await child.run(script)


async def _run(context: Context, argv: list[str], tool: str, **changes: object) -> int:
    """Runs argv; 127 and the message of coreutils' wrappers if it is not there."""
    status = await context.run(argv, **changes)  # type: ignore[arg-type]
    if status is None:
        await context.err(f"{tool}: ‘{argv[0]}’: No such file or directory")
        return 127
    return status


async def env(context: Context, argv: list[str]) -> int:
    """`env [-i] [-u NAME] [NAME=VALUE…] [COMMAND…]`."""
    words = argv[1:]
    variables = dict(context.env)
    while words and words[0].startswith("-"):
        flag = words.pop(0)
        if flag in ("-i", "-"):
            variables = {}
        elif flag == "-u" and words:
            variables.pop(words.pop(0), None)
        elif flag != "--":
            raise UsageError(f"{flag}: not supported by this sandbox", 125)
    while words and "=" in words[0]:
        name, _, value = words.pop(0).partition("=")
        variables[name] = value
    if words:
        return await _run(context, words, "env", env=variables)
    for name, value in variables.items():
        await context.out(f"{name}={value}")
    return 0


def _seconds(text: str) -> float:
    match = _DURATION.fullmatch(text)
    if not match:
        raise UsageError(f"invalid time interval ‘{text}’", 125)
    return float(match[1]) * _SCALE[match[2]]


async def timeout(context: Context, argv: list[str]) -> int:
    """`timeout [-s SIGNAL] [-k DURATION] DURATION COMMAND…`; 124 if it was too slow."""
    words = argv[1:]
    killed = False
    while words and words[0].startswith("-"):
        flag = words.pop(0)
        if flag in ("-s", "-k") and words:
            killed = flag == "-s" and words[0] in ("KILL", "9", "SIGKILL")
            words.pop(0)
        elif not re.match(r"--(signal|kill-after|foreground|preserve-status)|-[sk]\w", flag):
            raise UsageError(f"{flag}: not supported by this sandbox", 125)
    if len(words) < 2:
        raise UsageError("missing operand", 125)
    limit = _seconds(words[0])
    try:
        async with asyncio.timeout(limit or None):
            return await _run(context, words[1:], "timeout")
    except TimeoutError:
        return 137 if killed else 124


async def nice(context: Context, argv: list[str]) -> int:
    """`nice [-n N] COMMAND…`, also ionice: the simulated host has no priorities."""
    words = argv[1:]
    while words and words[0].startswith("-"):
        flag = words.pop(0)
        if flag in ("-n", "-c") and words:
            words.pop(0)
    if not words:
        await context.out("0")
        return 0
    return await _run(context, words, argv[0])


async def sleep(context: Context, argv: list[str]) -> int:
    """`sleep DURATION`."""
    await asyncio.sleep(sum(_seconds(word) for word in argv[1:]))
    return 0


async def sudo(context: Context, argv: list[str]) -> int:
    """`sudo [-n] [-u USER] COMMAND…`: NOPASSWD for what the host allows."""
    words = argv[1:]
    user = "root"
    listing = False
    while words and words[0].startswith("-"):
        flag = words.pop(0)
        if flag == "-u" and words:
            user = words.pop(0)
        elif flag == "--":
            break
        elif flag == "-l":
            listing = True
        elif flag not in ("-n", "-S", "-H", "-E", "-k", "--non-interactive"):
            raise UsageError(f"{flag}: not supported by this sandbox")
    allowed = context.machine.sudo
    if listing and not words:
        return await _sudo_list(context)
    if not words:
        raise UsageError("usage: sudo [-n] [-u user] command")
    path = context.machine.find(words[0], ROOT_PATH)
    if context.user != "root" and allowed is not None and path not in allowed:
        await context.err("sudo: a password is required")
        return 1
    variables = {
        "LANG": context.env.get("LANG", "C.UTF-8"),
        "PATH": ROOT_PATH,
        "HOME": "/root" if user == "root" else f"/home/{user}",
        "LOGNAME": user,
        "USER": user,
        "SUDO_USER": context.user,
    }
    status = await context.run(words, user=user, env=variables)
    if status is None:
        await context.err(f"sudo: {words[0]}: command not found")
        return 1
    return status


async def _sudo_list(context: Context) -> int:
    name = context.machine.host.name
    allowed = context.machine.sudo
    if allowed is not None and not allowed:
        await context.err("sudo: a password is required")
        return 1
    await context.out(
        f"Matching Defaults entries for {context.user} on {name}:\n"
        "    env_reset, mail_badpass, secure_path="
        + ROOT_PATH.replace(":", "\\:")
        + f", use_pty\n\nUser {context.user} may run the following commands on {name}:\n"
        f"    (root) NOPASSWD: {'ALL' if allowed is None else ', '.join(allowed)}"
    )
    return 0


async def xargs(context: Context, argv: list[str]) -> int:
    """`xargs [-r] [-n N] COMMAND…`: words of standard input, without quoting; 123 if one failed."""
    words, limit, empty = argv[1:], 5000, True
    while words and words[0].startswith("-"):
        flag = words.pop(0)
        if flag in ("-r", "--no-run-if-empty"):
            empty = False
        elif flag.startswith("-n") and (flag[2:] or words):
            limit = int(flag[2:] or words.pop(0))
        elif flag != "--":
            raise UsageError(f"{flag}: not supported by this sandbox")
    data = b"".join([line async for line in lines(context.stdin)])
    given = data.decode("utf-8", "surrogateescape").split()
    starts = range(0, len(given), limit) if given or not empty else ()
    status = 0
    for start in starts or ([0] if empty else []):
        part = given[start : start + limit]
        one = await _run(replace(context, stdin=Null()), [*(words or ["echo"]), *part], "xargs")
        if one in (126, 127, 255):
            return 124 if one == 255 else one
        status = status or (123 if one else 0)
        await asyncio.sleep(0)
    return status


async def _refused(context: Context, argv: list[str]) -> int:
    raise UsageError("not supported by this sandbox", 2)


_REAL = (
    "awk", "basename", "chmod", "cp", "dirname", "dpkg-query", "du", "find", "journalctl",
    "ln", "lsblk", "mkdir", "mktemp", "mount", "mv", "ps", "readlink", "rm", "sed", "seq", "stat",
    "tee", "touch", "tr", "who",
)  # fmt: skip
"""Every Debian has them: "not found" would be a lie, and what they would say is not simulated."""


async def _status(status: int) -> int:
    return status


COMMANDS: dict[str, Command] = {
    **{f"/usr/bin/{name}": _refused for name in _REAL},
    "/usr/bin/bash": shell,
    "/usr/bin/dash": shell,
    "/usr/bin/echo": echo,
    "/usr/bin/env": env,
    "/usr/bin/false": lambda context, argv: _status(1),
    "/usr/bin/ionice": nice,
    "/usr/bin/nice": nice,
    "/usr/bin/printf": printf,
    "/usr/bin/sh": shell,
    "/usr/bin/sleep": sleep,
    "/usr/bin/sudo": sudo,
    "/usr/bin/timeout": timeout,
    "/usr/bin/xargs": xargs,
    "/usr/bin/true": lambda context, argv: _status(0),
}
