"""Standard input, output and error of a command on an SSH channel."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import asyncssh

from mailtui.sandbox.faults import Fault
from mailtui.sandbox.streams import CHUNK


def as_bytes(data: bytes | str) -> bytes:
    """What a channel with a terminal reads as text, as the bytes it was."""
    return data if isinstance(data, bytes) else data.encode("utf-8", "surrogateescape")


class Process(asyncssh.SSHServerProcess[bytes]):
    """Bytes; with a terminal text, which asyncssh's line editor needs."""

    def pty_requested(self, term_type: str, term_size: Any, term_modes: Any) -> bool:
        self.channel.set_encoding("utf-8", "surrogateescape")
        self._encoding = "utf-8"
        return super().pty_requested(term_type, term_size, term_modes)


class Input:
    """Standard input of a channel."""

    def __init__(self, reader: asyncssh.SSHReader[bytes]) -> None:
        self._reader = reader

    async def read(self) -> bytes:
        while True:
            try:
                return as_bytes(await self._reader.read(65536))
            except (asyncssh.TerminalSizeChanged, asyncssh.BreakReceived):
                continue
            except (asyncssh.SignalReceived, asyncssh.Error, OSError):
                return b""


class Output:
    """Standard output or error of a channel; `spoil` breaks it in the middle.

    Small writes are gathered until the event loop turns: fewer packets.
    """

    def __init__(
        self,
        process: asyncssh.SSHServerProcess[bytes],
        writer: asyncssh.SSHWriter[bytes],
        spoil: Fault | None = None,
    ) -> None:
        self._process = process
        self._writer = writer
        self._spoil = spoil
        self._held: list[bytes] = []
        self._size = 0

    async def write(self, data: bytes) -> None:
        if self._process.channel.is_closing():
            raise BrokenPipeError
        if self._spoil is not None and len(data) > 1:
            data = data[: len(data) // 2]
        if not self._held:
            asyncio.get_running_loop().call_soon(self.flush)
        self._held.append(data)
        self._size += len(data)
        if self._spoil is not None:
            await self._break()
        elif self._size >= CHUNK // 2:
            self.flush()
            try:
                await self._writer.drain()
            except (asyncssh.Error, OSError) as error:
                raise BrokenPipeError from error

    def flush(self) -> None:
        """Send what is held; what nobody reads any more is dropped."""
        if not self._held:
            return
        data: Any = b"".join(self._held)
        self._held.clear()
        self._size = 0
        if self._process.term_type is not None:
            data = data.decode("utf-8", "surrogateescape")
        with contextlib.suppress(asyncssh.Error, OSError):
            self._writer.write(data)

    async def _break(self) -> None:
        assert self._spoil is not None
        self.flush()
        # let the half leave before the end
        await asyncio.sleep(0.05)
        if self._spoil.kind == "cut":
            self._process.channel.get_connection().abort()
        else:
            self._process.exit(0)
        raise BrokenPipeError
