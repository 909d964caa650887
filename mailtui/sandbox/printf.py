"""printf(1) and echo(1) as dash has them."""

from __future__ import annotations

import re

from mailtui.sandbox.commands import Context, UsageError, encode

_ESCAPES = {
    "a": b"\a", "b": b"\b", "f": b"\f", "n": b"\n", "r": b"\r", "t": b"\t", "v": b"\v",
    "\\": b"\\", '"': b'"', "'": b"'",
}  # fmt: skip
_PIECE = re.compile(
    r"\\(?P<octal>[0-7]{1,3})|\\(?P<escape>.)|%(?P<flags>[-+ 0#]*)(?P<width>\*|\d*)"
    r"(?:\.(?P<precision>\d*))?(?P<verb>[a-zA-Z%])|(?P<text>[^\\%]+)|(?P<stray>[\\%])",
    re.DOTALL,
)


class _Stop(Exception):
    """`\\c` in an argument of %b: no more output."""


def _unescape(text: str) -> bytes:
    """Escapes of %b and echo: octal as \\0ooo."""

    def one(match: re.Match[str]) -> str:
        octal, char = match.groups()
        if octal is not None:
            return bytes([int(octal, 8) & 255 if octal else 0]).decode("latin-1")
        if char == "c":
            raise _Stop
        known = _ESCAPES.get(char) if char not in "\"'" else None
        return known.decode("latin-1") if known else "\\" + char

    # bytes as Latin-1 characters, so that \0377 stays one byte
    raw = encode(text).decode("latin-1")
    return re.sub(r"\\(?:0([0-7]{0,3})|(.))", one, raw, flags=re.DOTALL).encode("latin-1")


async def printf(context: Context, argv: list[str]) -> int:
    """`printf FORMAT [ARGUMENT…]`; the format is used again while arguments are left."""
    if len(argv) < 2 or (len(argv) == 2 and argv[1] == "--"):
        raise UsageError("usage: printf format [arg ...]", 2)
    if argv[1] == "--":
        argv = [argv[0], *argv[2:]]
    arguments = argv[2:]
    status = 0
    output: list[bytes] = []
    try:
        while True:
            before = len(arguments)
            for match in _PIECE.finditer(argv[1]):
                piece, error = _format(match, arguments)
                output.append(piece)
                if error:
                    await context.err(f"{context.shell_name}: 1: printf: {error}")
                    status = 1
            if not arguments or len(arguments) == before:
                break
    except _Stop as stop:
        output.append(stop.args[0] if stop.args else b"")
    await context.stdout.write(b"".join(output))
    return status


def _format(match: re.Match[str], arguments: list[str]) -> tuple[bytes, str]:
    """One piece of the format; takes its argument away. Bytes, and an error or ``."""
    if match["text"] is not None:
        return encode(match["text"]), ""
    if match["octal"] is not None:
        return bytes([int(match["octal"], 8) & 255]), ""
    if match["escape"] is not None:
        return _ESCAPES.get(match["escape"], b"\\" + encode(match["escape"])), ""
    if match["stray"] is not None:
        if match["stray"] == "\\":
            return b"\\", ""
        raise UsageError(f"{match['stray']}: invalid directive", 2)
    verb = match["verb"]
    if verb == "%":
        return b"%", ""
    if match["width"] == "*" or verb not in "sbcdiuxXo":
        raise UsageError(f"%{verb}: not supported by this sandbox", 2)
    argument = arguments.pop(0) if arguments else ("" if verb in "sbc" else "0")
    width = int(match["width"] or 0)
    left = "-" in match["flags"]
    error = ""
    if verb in "sbc":
        value = _unescape(argument) if verb == "b" else encode(argument)
        if verb == "c":
            value = value[:1]
        if match["precision"] is not None:
            value = value[: int(match["precision"] or 0)]
    else:
        number, error = _integer(argument)
        flags = match["flags"].replace("-", "")
        precision = f".{match['precision']}" if match["precision"] is not None else ""
        value = (f"%{flags}{width if '0' in flags else ''}{precision}{verb}" % number).encode()
    return (value.ljust(width) if left else value.rjust(width)), error


def _integer(text: str) -> tuple[int, str]:
    """As strtoimax(3): hexadecimal, octal or decimal, as far as it goes; and an error or ``."""
    match = re.match(r"\s*([-+]?)(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9]\d*)", text)
    if not match:
        return 0, f"{text}: expected numeric value" if text else ""
    digits = match[2].lower()
    base = 16 if digits.startswith("0x") else 8 if digits.startswith("0") else 10
    number = int(digits, base) * (-1 if match[1] == "-" else 1)
    return number, "" if match.end() == len(text) else f"{text}: not completely converted"


async def echo(context: Context, argv: list[str]) -> int:
    """dash's echo: `-n`, and escapes are interpreted."""
    words = argv[1:]
    newline = b"\n"
    if words and words[0] == "-n":
        words, newline = words[1:], b""
    try:
        data = _unescape(" ".join(words))
    except _Stop:
        # output ends at \c
        data, newline = _unescape(re.split(r"(?<!\\)\\c", " ".join(words))[0]), b""
    await context.stdout.write(data + newline)
    return 0
