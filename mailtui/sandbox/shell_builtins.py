"""The shell's own commands (IEEE Std 1003.1-2017, 2.14 and the regular builtins of dash)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from mailtui.sandbox.commands import Exit
from mailtui.sandbox.printf import echo, printf
from mailtui.sandbox.shell_syntax import NAME

if TYPE_CHECKING:
    from mailtui.sandbox.shell import Shell

Builtin = Callable[["Shell", list[str]], Awaitable[int]]

SPECIAL = {":", "exit", "export", "exec", "set", "unset", "shift"}


async def _true(shell: Shell, argv: list[str]) -> int:
    return 0


async def _false(shell: Shell, argv: list[str]) -> int:
    return 1


async def _exit(shell: Shell, argv: list[str]) -> int:
    if len(argv) > 1 and not argv[1].isdigit():
        await shell.say(f"exit: Illegal number: {argv[1]}")
        raise Exit(2)
    raise Exit(int(argv[1]) & 255 if len(argv) > 1 else shell.status)


async def _export(shell: Shell, argv: list[str]) -> int:
    if argv[1:] in ([], ["-p"]):
        for name, value in shell.environment().items():
            await shell.context.out(f"export {name}='{value}'")
        return 0
    for word in argv[1:]:
        name, equals, value = word.partition("=")
        if not NAME.fullmatch(name):
            await shell.say(f"export: {name}: bad variable name")
            raise Exit(2)
        shell.exported.add(name)
        if equals:
            shell.variables[name] = value
    return 0


async def _unset(shell: Shell, argv: list[str]) -> int:
    for name in argv[1:]:
        shell.variables.pop(name, None)
        shell.exported.discard(name)
    return 0


async def _exec(shell: Shell, argv: list[str]) -> int:
    words = argv[2:] if argv[1:2] == ["--"] else argv[1:]
    if not words:
        shell._permanent = True
        return 0
    raise Exit(await shell.external(words, {}))


async def _set(shell: Shell, argv: list[str]) -> int:
    for word in argv[1:]:
        if word in ("-e", "-u", "-eu", "-ue", "+e", "+u"):
            shell.errexit = (word[0] == "-") if "e" in word else shell.errexit
            shell.nounset = (word[0] == "-") if "u" in word else shell.nounset
        else:
            await shell.say(f"set: {word}: not supported by this sandbox")
            raise Exit(2)
    return 0


async def _shift(shell: Shell, argv: list[str]) -> int:
    count = int(argv[1]) if len(argv) > 1 and argv[1].isdigit() else 1
    if count > max(0, len(shell.positional) - 1):
        await shell.say("shift: can't shift that many")
        raise Exit(2)
    del shell.positional[1 : 1 + count]
    return 0


async def _command(shell: Shell, argv: list[str]) -> int:
    words = argv[1:]
    if words[:1] in (["-v"], ["-V"]):
        status = 127
        for name in words[1:]:
            path = shell.context.machine.find(name, shell._lookup_path({}))
            found = name if name in BUILTINS else path
            if found is None:
                if words[0] == "-V":
                    await shell.context.err(f"{name}: not found")
                continue
            status = 0
            kind = "a shell builtin" if name in BUILTINS else found
            await shell.context.out(found if words[0] == "-v" else f"{name} is {kind}")
        return status
    if words[:1] == ["-p"]:
        words = words[1:]
    if not words:
        return 0
    return await shell.execute(words, shell.context, {})


async def _type(shell: Shell, argv: list[str]) -> int:
    return await _command(shell, ["command", "-V", *argv[1:]])


async def _printf(shell: Shell, argv: list[str]) -> int:
    from mailtui.sandbox.commands import run_command

    return await run_command(shell.context, printf, argv)


async def _echo(shell: Shell, argv: list[str]) -> int:
    return await echo(shell.context, argv)


async def _unsupported(shell: Shell, argv: list[str]) -> int:
    await shell.say(f"{argv[0]}: not supported by this sandbox")
    raise Exit(2)


_UNARY = {"-z", "-n", "-e", "-f", "-d", "-r", "-x", "-s", "-t", "-w"}
_NUMERIC: dict[str, Callable[[int, int], bool]] = {
    "-eq": lambda a, b: a == b,
    "-ne": lambda a, b: a != b,
    "-lt": lambda a, b: a < b,
    "-le": lambda a, b: a <= b,
    "-gt": lambda a, b: a > b,
    "-ge": lambda a, b: a >= b,
}


async def _test(shell: Shell, argv: list[str]) -> int:
    words = argv[1:]
    if argv[0] == "[":
        if words[-1:] != ["]"]:
            await shell.say("[: missing ]")
            return 2
        words = words[:-1]
    negated = False
    while words[:1] == ["!"] and len(words) > 1:
        negated, words = not negated, words[1:]
    result = _evaluate(shell, words)
    if result is None:
        await shell.say(f"{argv[0]}: {' '.join(words)}: not supported by this sandbox")
        return 2
    return int(result == negated)


def _evaluate(shell: Shell, words: list[str]) -> bool | None:
    """True or false; None if it is not understood."""
    if len(words) < 2:
        return bool(words and words[0])
    if len(words) == 2 and words[0] in _UNARY:
        return _unary(shell, *words)
    if len(words) == 3:
        left, op, right = words
        if op in ("=", "!="):
            return (left == right) == (op == "=")
        if op in _NUMERIC:
            try:
                return _NUMERIC[op](int(left), int(right))
            except ValueError:
                return None
    return None


def _unary(shell: Shell, op: str, operand: str) -> bool:
    machine = shell.context.machine
    if op in ("-z", "-n"):
        return (operand == "") == (op == "-z")
    if op == "-t":
        return False
    is_file = operand in machine.files
    is_tool = machine.find(operand, "") is not None if operand.startswith("/") else False
    prefix = operand.rstrip("/") + "/"
    is_directory = operand == "/" or any(
        path.startswith(prefix) for paths in (machine.files, machine.commands) for path in paths
    )
    if op == "-s":
        return is_tool or (is_file and bool(machine.files[operand]()))
    return {
        "-e": is_file or is_tool or is_directory,
        "-f": is_file or is_tool,
        "-d": is_directory,
        "-r": is_file or is_tool or is_directory,
        "-x": is_tool or is_directory,
        "-w": False,
    }[op]


BUILTINS: dict[str, Builtin] = {
    **dict.fromkeys(
        (
            ".",
            "alias",
            "break",
            "cd",
            "continue",
            "eval",
            "getopts",
            "hash",
            "jobs",
            "kill",
            "local",
            "read",
            "return",
            "times",
            "trap",
            "ulimit",
            "umask",
            "wait",
        ),
        _unsupported,
    ),
    ":": _true,
    "[": _test,
    "command": _command,
    "echo": _echo,
    "exec": _exec,
    "exit": _exit,
    "export": _export,
    "false": _false,
    "printf": _printf,
    "set": _set,
    "shift": _shift,
    "test": _test,
    "true": _true,
    "type": _type,
    "unset": _unset,
}
