"""Text filters: cat, head, tail, wc, cut, sort, uniq. They stream line by line."""

from __future__ import annotations

import getopt
import re
from collections import deque
from collections.abc import AsyncIterator

from mailtui.sandbox.commands import Command, Context, UsageError, encode
from mailtui.sandbox.streams import Batched, Source, lines


class _Bytes:
    def __init__(self, data: bytes) -> None:
        self._data = data

    async def read(self) -> bytes:
        data, self._data = self._data, b""
        return data


async def open_operand(context: Context, name: str, tool: str) -> Source | None:
    """A source for an operand; says so on standard error if there is none."""
    if name == "-":
        return context.stdin
    if name == "/dev/null":
        return _Bytes(b"")
    read = context.machine.files.get(name)
    if read is None:
        prefix = name + "/"
        directory = any(path.startswith(prefix) for path in context.machine.files)
        reason = "Is a directory" if directory else "No such file or directory"
        shown = f"cannot open '{name}' for reading" if tool in ("head", "tail") else name
        await context.err(f"{tool}: {shown}: {reason}")
        return None
    return _Bytes(read())


def _count(text: str, tool: str) -> int:
    if not text.isdigit():
        raise UsageError(f"invalid number of lines: '{text}'")
    return int(text)


async def cat(context: Context, argv: list[str]) -> int:
    """`cat [FILE…]`."""
    _, operands = getopt.gnu_getopt(argv[1:], "u")
    status = 0
    for name in operands or ["-"]:
        source = await open_operand(context, name, "cat")
        if source is None:
            status = 1
            continue
        while data := await source.read():
            await context.stdout.write(data)
    return status


def _head_arguments(argv: list[str]) -> list[str]:
    """`-5` is `-n 5`."""
    return [f"-n{a[1:]}" if re.fullmatch(r"-\d+", a) else a for a in argv[1:]]


async def head(context: Context, argv: list[str]) -> int:
    """`head [-n N] [-c N] [FILE]`."""
    options, operands = getopt.gnu_getopt(_head_arguments(argv), "n:c:q", ["lines=", "bytes="])
    if len(operands) > 1:
        raise UsageError("more than one file is not supported by this sandbox")
    given = dict(options)
    size = given.get("-c", given.get("--bytes"))
    left = _count(size or given.get("-n", given.get("--lines", "10")), "head")
    source = await open_operand(context, operands[0] if operands else "-", "head")
    if source is None:
        return 1
    if left == 0:
        return 0
    if size is not None:
        while left and (data := await source.read()):
            await context.stdout.write(data[:left])
            left = max(0, left - len(data))
        return 0
    output = Batched(context.stdout)
    async for line in lines(source):
        await output.write(line)
        left -= 1
        if left == 0:
            break
    await output.flush()
    return 0


async def tail(context: Context, argv: list[str]) -> int:
    """`tail [-n N | -n +N] [FILE]`."""
    options, operands = getopt.gnu_getopt(_head_arguments(argv), "n:q", ["lines="])
    if len(operands) > 1:
        raise UsageError("more than one file is not supported by this sandbox")
    given = dict(options)
    number = given.get("-n", given.get("--lines", "10"))
    source = await open_operand(context, operands[0] if operands else "-", "tail")
    if source is None:
        return 1
    output = Batched(context.stdout)
    if number.startswith("+"):
        skip = max(0, _count(number[1:], "tail") - 1)
        async for line in lines(source):
            if skip:
                skip -= 1
            else:
                await output.write(line)
    else:
        kept: deque[bytes] = deque(maxlen=_count(number.removeprefix("-"), "tail"))
        async for line in lines(source):
            kept.append(line)
        for line in kept:
            await output.write(line)
    await output.flush()
    return 0


async def wc(context: Context, argv: list[str]) -> int:
    """`wc [-lwc] [FILE]`."""
    options, operands = getopt.gnu_getopt(argv[1:], "lwc", ["lines", "words", "bytes"])
    if len(operands) > 1:
        raise UsageError("more than one file is not supported by this sandbox")
    source = await open_operand(context, operands[0] if operands else "-", "wc")
    if source is None:
        return 1
    counts = [0, 0, 0]
    async for line in lines(source):
        counts[0] += line.endswith(b"\n")
        counts[1] += len(line.split())
        counts[2] += len(line)
    names = {name.lstrip("-")[0] for name, _ in options} or {"l", "w", "c"}
    shown = [str(n) for n, letter in zip(counts, "lwc", strict=True) if letter in names]
    text = shown[0] if len(shown) == 1 else " ".join(n.rjust(7) for n in shown)
    await context.out(f"{text} {operands[0]}" if operands else text)
    return 0


def _ranges(text: str) -> list[tuple[int, int]]:
    result = []
    for part in text.split(","):
        match = re.fullmatch(r"(\d*)(-?)(\d*)", part)
        if not match or not (match[1] or match[3]):
            raise UsageError(f"invalid field value '{part}'")
        low = int(match[1] or 1)
        high = int(match[3]) if match[3] else (10**9 if match[2] else low)
        result.append((low, high))
    return result


async def cut(context: Context, argv: list[str]) -> int:
    """`cut -d C -f LIST [-s]` or `cut -c LIST`."""
    options, operands = getopt.gnu_getopt(argv[1:], "d:f:c:b:s")
    given = dict(options)
    delimiter = encode(given.get("-d", "\t"))
    characters = given.get("-c", given.get("-b"))
    wanted = characters if characters is not None else given.get("-f")
    if wanted is None or len(operands) > 1:
        raise UsageError("you must specify a list of bytes, characters, or fields")
    ranges = _ranges(wanted)
    source = await open_operand(context, operands[0] if operands else "-", "cut")
    if source is None:
        return 1
    output = Batched(context.stdout)
    async for line in lines(source):
        text = line.rstrip(b"\n")
        if characters is not None:
            picked = b"".join(
                text[i : i + 1]
                for i in range(len(text))
                if any(low <= i + 1 <= high for low, high in ranges)
            )
        elif delimiter not in text:
            if "-s" in given:
                continue
            picked = text
        else:
            fields = text.split(delimiter)
            picked = delimiter.join(
                f for i, f in enumerate(fields, 1) if any(low <= i <= high for low, high in ranges)
            )
        await output.write(picked + b"\n")
    await output.flush()
    return 0


def _number(text: bytes) -> float:
    match = re.match(rb"\s*-?\d*\.?\d+", text)
    return float(match.group()) if match else 0.0


async def sort(context: Context, argv: list[str]) -> int:
    """`sort [-nru] [-t C] [-k N] [FILE…]`, in the C locale."""
    options, operands = getopt.gnu_getopt(argv[1:], "nrut:k:")
    given = dict(options)
    key_text = given.get("-k", "")
    match = re.fullmatch(r"(\d+)(?:,(\d+))?(n?)(r?)", key_text) if key_text else None
    if key_text and not match:
        raise UsageError(f"-k {key_text}: not supported by this sandbox", 2)
    numeric = "-n" in given or bool(match and match[3])
    separator = encode(given["-t"]) if "-t" in given else None

    def key(line: bytes) -> tuple[float, bytes] | tuple[bytes, bytes]:
        part = line
        if match:
            fields = line.split(separator)
            last = int(match[2]) if match[2] else len(fields)
            part = (separator or b" ").join(fields[int(match[1]) - 1 : last])
        return (_number(part), line) if numeric else (part, line)

    rows: list[bytes] = []
    for name in operands or ["-"]:
        source = await open_operand(context, name, "sort")
        if source is None:
            return 2
        rows += [line.rstrip(b"\n") async for line in lines(source)]
    rows.sort(key=key, reverse="-r" in given or bool(match and match[4]))
    output = Batched(context.stdout)
    previous: object = None
    for row in rows:
        identity = key(row)[0]
        if "-u" in given and identity == previous:
            continue
        previous = identity
        await output.write(row + b"\n")
    await output.flush()
    return 0


async def _runs(source: Source) -> AsyncIterator[tuple[int, bytes]]:
    """Equal lines in a row: how many, and the line."""
    current: bytes | None = None
    count = 0
    async for line in lines(source):
        text = line.rstrip(b"\n")
        if text == current:
            count += 1
            continue
        if current is not None:
            yield count, current
        current, count = text, 1
    if current is not None:
        yield count, current


async def uniq(context: Context, argv: list[str]) -> int:
    """`uniq [-cdu] [FILE]`."""
    options, operands = getopt.gnu_getopt(argv[1:], "cdu")
    flags = {name for name, _ in options}
    source = await open_operand(context, operands[0] if operands else "-", "uniq")
    if source is None:
        return 1
    output = Batched(context.stdout)
    async for count, text in _runs(source):
        if ("-d" in flags and count < 2) or ("-u" in flags and count > 1):
            continue
        await output.write((b"%7d " % count if "-c" in flags else b"") + text + b"\n")
    await output.flush()
    return 0


COMMANDS: dict[str, Command] = {
    "/usr/bin/cat": cat,
    "/usr/bin/cut": cut,
    "/usr/bin/head": head,
    "/usr/bin/sort": sort,
    "/usr/bin/tail": tail,
    "/usr/bin/uniq": uniq,
    "/usr/bin/wc": wc,
}
