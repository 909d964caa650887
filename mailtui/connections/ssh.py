"""Hosts over SSH: one persistent connection per host, a channel per command."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from mailtui.connections import ssh_errors
from mailtui.connections.clean import decode
from mailtui.connections.errors import SourceError
from mailtui.connections.runner import (
    LINE_LIMIT,
    OUTPUT_LIMIT,
    Batch,
    Command,
    Completed,
    failure,
    single_script,
)
from mailtui.connections.ssh_options import Endpoint

if TYPE_CHECKING:
    import asyncssh

CHUNK = 1 << 20


class SshRunner:
    """Runs commands on one host; connects when first used, and again when the connection broke.

    `gate` bounds the connects at the same time over all hosts; `jump` is the connection that
    this one goes through.
    """

    def __init__(
        self, endpoint: Endpoint, gate: asyncio.Semaphore, jump: SshRunner | None = None
    ) -> None:
        self.name = endpoint.name
        self._endpoint = endpoint
        self._gate = gate
        self._jump = jump
        self._lock = asyncio.Lock()
        self._connection: asyncssh.SSHClientConnection | None = None

    async def run(self, cmd: Command, *, timeout: float, limit: int = OUTPUT_LIMIT) -> Completed:
        """See Runner.run."""
        async with self._limited(timeout):
            status, out, err = await self._script(
                lambda sudo: single_script(cmd, sudo=sudo), cmd.stdin, limit
            )
        return Completed(self.name, cmd, status, decode(out), decode(err))

    async def batch(self, cmds: Sequence[Command], *, timeout: float) -> list[Completed]:
        """See Runner.batch."""
        batch: Batch | None = None

        def script(sudo: bool) -> str:
            nonlocal batch
            batch = Batch(cmds, sudo=sudo)
            return batch.script

        async with self._limited(timeout):
            _, out, err = await self._script(script, None, OUTPUT_LIMIT)
        assert batch is not None
        return batch.split(self.name, out, err)

    async def chunks(self, cmd: Command, *, timeout: float) -> AsyncIterator[list[bytes]]:
        """See Runner.chunks."""
        async with self._limited(timeout):
            process = await self._open(lambda sudo: single_script(cmd, sudo=sudo))
            errors = asyncio.create_task(process.stderr.read(CHUNK))
            try:
                process.stdin.write_eof()
                rest = b""
                while data := await process.stdout.read(CHUNK):
                    *lines, rest = (rest + data).split(b"\n")
                    if len(rest) > LINE_LIMIT:
                        raise SourceError("protocol", f"{self.name}: a line is too long")
                    if lines:
                        yield lines
                if rest:
                    yield [rest]
                await process.wait_closed()
                status, stderr = self._status(process), decode(await errors)
            finally:
                errors.cancel()
                process.close()
        if status:
            raise failure(self.name, cmd, status, stderr)

    async def close(self) -> None:
        """Drop the connection at once, without waiting for the other side."""
        if self._connection is not None:
            self._connection.abort()
            self._connection = None

    async def _script(
        self, script: Callable[[bool], str], stdin: bytes | None, limit: int
    ) -> tuple[int, bytes, bytes]:
        process = await self._open(script)
        errors = asyncio.create_task(process.stderr.read(CHUNK))
        try:
            if stdin is not None:
                process.stdin.write(stdin)
                await process.stdin.drain()
            process.stdin.write_eof()
            parts: list[bytes] = []
            size = 0
            while data := await process.stdout.read(CHUNK):
                size += len(data)
                if size > limit:
                    raise SourceError("protocol", f"{self.name}: more than {limit} bytes of output")
                parts.append(data)
            await process.wait_closed()
            return self._status(process), b"".join(parts), await errors
        finally:
            errors.cancel()
            process.close()

    def _status(self, process: asyncssh.SSHClientProcess[bytes]) -> int:
        """The exit status; one that never came means that the connection broke."""
        status = process.exit_status
        if status is None:
            raise SourceError("unreachable", f"{self.name}: the connection broke during a command")
        return status

    async def _open(self, script: Callable[[bool], str]) -> asyncssh.SSHClientProcess[bytes]:
        connection = await self._connected()
        sudo = connection.get_extra_info("username") != "root"
        # a login shell may be anything; sh is what the script is written for
        line = f"exec /bin/sh -c {shlex.quote(script(sudo))}"
        process: asyncssh.SSHClientProcess[bytes] = await connection.create_process(
            line, encoding=None
        )
        return process

    async def _connected(self) -> asyncssh.SSHClientConnection:
        async with self._lock:
            if self._connection is not None and not self._connection.is_closed():
                return self._connection
            self._connection = None
            tunnel = await self._jump._connected() if self._jump is not None else None
            async with self._gate:
                self._connection = await self._endpoint.connect(tunnel)
            return self._connection

    @asynccontextmanager
    async def _limited(self, timeout: float) -> AsyncIterator[None]:
        """A hard limit, and every error of the connection as SourceError."""
        try:
            async with asyncio.timeout(timeout):
                yield
        except TimeoutError:
            await self._drop()
            raise SourceError(
                "timeout", f"{self.name}: no answer over SSH within {timeout:g} s"
            ) from None
        except SourceError as error:
            if error.kind == "unreachable":
                await self._drop()
            raise
        except Exception as error:
            translated = await ssh_errors.translate(error, self._endpoint)
            if translated is None:
                raise
            if translated.kind != "server":
                await self._drop()
            raise translated from None

    async def _drop(self) -> None:
        with suppress(Exception):
            await self.close()


class SshPool:
    """The runners of all hosts, made when first asked for; jump hosts are shared."""

    def __init__(self, connects: int) -> None:
        self._gate = asyncio.Semaphore(connects)
        self._runners: dict[tuple[str, int | None, str | None, str], SshRunner] = {}

    def runner(self, endpoint: Endpoint) -> SshRunner:
        """The runner of this endpoint, the same one for the same endpoint."""
        key = (endpoint.address, endpoint.port, endpoint.user, endpoint.name)
        if key not in self._runners:
            jump = self.runner(endpoint.jump) if endpoint.jump is not None else None
            self._runners[key] = SshRunner(endpoint, self._gate, jump)
        return self._runners[key]

    async def close(self) -> None:
        """Drop every connection."""
        for runner in self._runners.values():
            await runner.close()
