"""grep(1), with POSIX regular expressions turned into Python's."""

from __future__ import annotations

import getopt
import re

from mailtui.sandbox.commands import Command, Context, UsageError, encode
from mailtui.sandbox.filters import open_operand
from mailtui.sandbox.streams import Batched, lines

_CLASSES = {
    "alpha": "A-Za-z", "digit": "0-9", "alnum": "A-Za-z0-9", "upper": "A-Z", "lower": "a-z",
    "space": r"\s", "blank": " \t", "punct": re.escape("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"),
    "xdigit": "A-Fa-f0-9",
}  # fmt: skip


def _pattern(text: str, extended: bool) -> str:
    """A POSIX regular expression as Python's; basic ones have \\( \\) \\{ \\} \\| \\+ \\?."""
    result: list[str] = []
    position = 0
    while position < len(text):
        char = text[position]
        if char == "[":
            match = re.compile(r"\[\^?\]?(?:\[:\w+:\]|[^\]])*\]").match(text, position)
            if not match:
                raise UsageError("Unmatched [, [^, [:, [., or [=", 2)
            body = re.sub(r"\[:(\w+):\]", lambda m: f"\0{m[1]}\0", match.group()[1:-1])
            negated = body.startswith("^")
            body = body[negated:].replace("\\", "\\\\").replace("[", "\\[").replace("]", "\\]")
            body = re.sub("\0(\\w+)\0", lambda m: _CLASSES.get(m[1], ""), body)
            result.append(f"[{'^' if negated else ''}{body}]")
            position = match.end()
        elif char == "\\" and position + 1 < len(text):
            following = text[position + 1]
            bare = not extended and following in "(){}|+?"
            result.append(following if bare else "\\" + following)
            position += 2
        else:
            literal = not extended and char in "(){}|+?"
            first_star = not extended and char == "*" and not result
            result.append("\\" + char if literal or first_star else char)
            position += 1
    return "".join(result)


async def grep(context: Context, argv: list[str]) -> int:
    """`grep [-EFivcqnowxm] PATTERN [FILE…]`; exit 0 found, 1 not found, 2 error."""
    options, operands = getopt.gnu_getopt(
        argv[1:], "EFGivcqnowxhm:e:as", ["color=", "line-buffered", "max-count=", "text"]
    )
    flags = {name for name, _ in options}
    patterns = [value for name, value in options if name == "-e"]
    if not patterns:
        if not operands:
            raise UsageError("usage: grep [OPTION]... PATTERNS [FILE]...", 2)
        patterns = [operands.pop(0)]
    try:
        regex = _regex([p for text in patterns for p in text.split("\n")], flags)
    except re.error as error:
        raise UsageError(f"{error}", 2) from error
    limit = next((int(v) for n, v in options if n in ("-m", "--max-count")), -1)
    status, failed = 1, False
    output = Batched(context.stdout)
    for name in operands or ["-"]:
        source = await open_operand(context, name, "grep")
        if source is None:
            failed = True
            continue
        prefix = encode(f"{name}:") if len(operands) > 1 and "-h" not in flags else b""
        found = 0
        number = 0
        async for line in lines(source):
            number += 1
            text = line.rstrip(b"\n")
            if (regex.search(text) is None) != ("-v" in flags):
                continue
            found += 1
            if "-q" in flags:
                return 0
            if "-c" not in flags:
                head_ = prefix + (b"%d:" % number if "-n" in flags else b"")
                parts = [m.group() for m in regex.finditer(text)] if "-o" in flags else [text]
                for part in parts:
                    await output.write(head_ + part + b"\n")
            if found == limit:
                break
        if found:
            status = 0
        if "-c" in flags and "-q" not in flags:
            await output.write(prefix + b"%d\n" % found)
    await output.flush()
    return 2 if failed else status


def _regex(patterns: list[str], flags: set[str]) -> re.Pattern[bytes]:
    extended = "-E" in flags
    parts = [re.escape(p) if "-F" in flags else _pattern(p, extended) for p in patterns]
    text = "|".join(f"(?:{p})" for p in parts)
    if "-w" in flags:
        text = rf"(?<!\w)(?:{text})(?!\w)"
    if "-x" in flags:
        text = rf"\A(?:{text})\Z"
    return re.compile(encode(text), re.IGNORECASE if "-i" in flags else 0)


COMMANDS: dict[str, Command] = {"/usr/bin/grep": grep}
