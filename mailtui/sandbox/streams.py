"""Byte streams between the sandbox's shell commands: bounded pipes with backpressure."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Protocol

CHUNK = 65536
"""Bytes a producer should hand over at once."""


class Source(Protocol):
    """Where a command reads from."""

    async def read(self) -> bytes:
        """The next bytes, as they come; b"" at the end."""


class Sink(Protocol):
    """Where a command writes to."""

    async def write(self, data: bytes) -> None:
        """Returns when more may be written; BrokenPipeError if nobody reads any more."""


class Null:
    """/dev/null, both ways."""

    async def read(self) -> bytes:
        return b""

    async def write(self, data: bytes) -> None:
        return None


class Collected:
    """Keeps what is written, for command substitution."""

    def __init__(self) -> None:
        self.chunks: list[bytes] = []

    async def write(self, data: bytes) -> None:
        self.chunks.append(data)

    def value(self) -> bytes:
        """All that was written."""
        return b"".join(self.chunks)


class Pipe:
    """A pipe(7) of `limit` bytes: the writer waits for the reader."""

    def __init__(self, limit: int = CHUNK) -> None:
        self._chunks: deque[bytes] = deque()
        self._size = 0
        self._limit = limit
        self._ended = False
        self._broken = False
        self._changed = asyncio.Event()

    async def read(self) -> bytes:
        while not self._chunks and not self._ended:
            self._changed.clear()
            await self._changed.wait()
        if not self._chunks:
            return b""
        chunk = self._chunks.popleft()
        self._size -= len(chunk)
        self._changed.set()
        return chunk

    async def write(self, data: bytes) -> None:
        while self._size >= self._limit and not self._broken:
            self._changed.clear()
            await self._changed.wait()
        if self._broken:
            raise BrokenPipeError
        if data:
            self._chunks.append(data)
            self._size += len(data)
            self._changed.set()

    def end(self) -> None:
        """The writer is done."""
        self._ended = True
        self._changed.set()

    def break_(self) -> None:
        """The reader is gone."""
        self._broken = True
        self._chunks.clear()
        self._changed.set()


async def lines(source: Source) -> AsyncIterator[bytes]:
    """Lines with their newline; the last one may lack it."""
    rest = b""
    while chunk := await source.read():
        parts = (rest + chunk).split(b"\n")
        rest = parts.pop()
        for part in parts:
            yield part + b"\n"
    if rest:
        yield rest


class Batched:
    """Gathers small writes into chunks; `flush` at the end."""

    def __init__(self, sink: Sink, size: int = CHUNK) -> None:
        self._sink = sink
        self._parts: list[bytes] = []
        self._held = 0
        self._size = size

    async def write(self, data: bytes) -> None:
        self._parts.append(data)
        self._held += len(data)
        if self._held >= self._size:
            await self.flush()

    async def flush(self) -> None:
        """Writes what is held."""
        if self._parts:
            data = b"".join(self._parts)
            self._parts.clear()
            self._held = 0
            await self._sink.write(data)
