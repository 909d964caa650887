"""Reading a command's output as it comes: to its end, or in whole lines."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from mailtui.connections.errors import SourceError

CHUNK = 1 << 20
"""Bytes asked for at a time."""
STDERR_LIMIT = 64 * 1024
"""Bytes kept of what a command says on standard error."""


class Reader(Protocol):
    """The part of asyncio's and asyncssh's stream readers that is used."""

    async def read(self, n: int = -1) -> bytes:
        """At most `n` bytes, as soon as there are any; nothing at the end."""


async def keep(reader: Reader, limit: int = STDERR_LIMIT) -> bytes:
    """The first `limit` bytes; the rest is read too, so that the writer never waits."""
    parts: list[bytes] = []
    size = 0
    while data := await reader.read(CHUNK):
        if size < limit:
            parts.append(data[: limit - size])
            size += len(data)
    return b"".join(parts)


async def whole(reader: Reader, limit: int, name: str) -> bytes:
    """Everything. Raises SourceError as soon as it is more than `limit` bytes."""
    parts: list[bytes] = []
    size = 0
    while data := await reader.read(CHUNK):
        size += len(data)
        if size > limit:
            raise SourceError("protocol", f"{name}: more than {limit} bytes of output")
        parts.append(data)
    return b"".join(parts)


async def lines(reader: Reader, limit: int, name: str) -> AsyncIterator[list[bytes]]:
    """Lists of whole lines without their line feeds. Raises SourceError at a line of more than
    `limit` bytes."""
    rest: list[bytes] = []
    size = 0
    while data := await reader.read(CHUNK):
        first, *more = data.split(b"\n")
        rest.append(first)
        size += len(first)
        if size > limit:
            raise SourceError("protocol", f"{name}: a line is longer than {limit} bytes")
        if more:
            last = more.pop()
            yield [b"".join(rest), *more]
            rest, size = [last], len(last)
    if size:
        yield [b"".join(rest)]
