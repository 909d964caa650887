"""Hosts over SSH: one persistent connection per host, a channel per command."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from mailtui.connections import ssh_errors, streams
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
    warnings_of,
)
from mailtui.connections.ssh_options import Endpoint, Resolved

if TYPE_CHECKING:
    import asyncssh


class SshRunner:
    """Runs commands on one host; connects when first used, and again when the connection broke.

    `gate` bounds the connects at the same time over all hosts; `runner_of` gives the runner of
    a jump host.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        gate: asyncio.Semaphore,
        runner_of: Callable[[Endpoint], SshRunner],
    ) -> None:
        self.name = endpoint.name
        self._endpoint = endpoint
        self._gate = gate
        self._runner_of = runner_of
        self._lock = asyncio.Lock()
        self._connection: asyncssh.SSHClientConnection | None = None
        self._resolved: Resolved | None = None
        self._failures = 0
        self._failure: Exception | None = None
        """Why the last attempt to connect failed."""

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

    async def chunks(
        self, cmd: Command, *, timeout: float, warnings: list[str] | None = None
    ) -> AsyncGenerator[list[bytes], None]:
        """See Runner.chunks."""
        async with (
            self._limited(timeout),
            self._process(lambda sudo: single_script(cmd, sudo=sudo)) as process,
        ):
            errors = asyncio.create_task(streams.keep(process.stderr))
            try:
                process.stdin.write_eof()
                async for lines in streams.lines(process.stdout, LINE_LIMIT, self.name):
                    yield lines
                status = await self._status(process)
                stderr = decode(await errors)
            finally:
                errors.cancel()
        if status:
            raise failure(self.name, cmd, status, stderr)
        if warnings is not None:
            warnings.extend(warnings_of(stderr))

    async def close(self) -> None:
        """Drop the connection at once, without waiting for the other side."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.abort()

    async def connected(self) -> asyncssh.SSHClientConnection:
        """The connection, made if there is none. Raises asyncssh's errors, SourceError.

        Several that wait for one attempt share its outcome: a host that is down is not tried
        once for each of its sources.
        """
        failures = self._failures
        async with self._lock:
            if self._connection is not None and not self._connection.is_closed():
                return self._connection
            if self._failures != failures and self._failure is not None:
                raise self._failure
            self._connection = None
            try:
                self._connection = await self._connect()
            except Exception as error:
                self._failures += 1
                self._failure = error
                raise
            return self._connection

    async def _connect(self) -> asyncssh.SSHClientConnection:
        self._resolved = found = await self._endpoint.resolve()
        tunnel = None
        if found.jump is not None:
            tunnel = await self._runner_of(found.jump).through()
        async with self._gate:
            return await found.connect(self._endpoint, tunnel)

    async def through(self) -> asyncssh.SSHClientConnection:
        """As `connected`, for a host behind this one: errors name this jump host."""
        try:
            return await self.connected()
        except Exception as error:
            translated = ssh_errors.translate(error, self._endpoint, self._resolved)
            if translated is None:
                raise
            raise translated from None

    async def _script(
        self, script: Callable[[bool], str], stdin: bytes | None, limit: int
    ) -> tuple[int, bytes, bytes]:
        async with self._process(script) as process:
            errors = asyncio.create_task(streams.keep(process.stderr, limit))
            feeding = asyncio.create_task(_feed(process, stdin))
            try:
                out = await streams.whole(process.stdout, limit, self.name)
                return await self._status(process), out, await errors
            finally:
                errors.cancel()
                feeding.cancel()

    async def _status(self, process: asyncssh.SSHClientProcess[bytes]) -> int:
        """The exit status; one that never came means that the connection broke."""
        await process.wait_closed()
        if process.exit_signal is not None:
            return 128
        if process.exit_status is None:
            raise SourceError("unreachable", f"{self.name}: the connection broke during a command")
        return process.exit_status

    @asynccontextmanager
    async def _process(
        self, script: Callable[[bool], str]
    ) -> AsyncIterator[asyncssh.SSHClientProcess[bytes]]:
        """A running script. A connection that does not even open a channel is dropped."""
        connection = await self.connected()
        sudo = connection.get_extra_info("username") != "root"
        # a login shell may be anything; sh is what the script is written for
        line = f"exec /bin/sh -c {shlex.quote(script(sudo))}"
        try:
            process: asyncssh.SSHClientProcess[bytes] = await connection.create_process(
                line, encoding=None
            )
        except BaseException:
            self._forget(connection)
            raise
        try:
            yield process
        finally:
            process.close()

    @asynccontextmanager
    async def _limited(self, timeout: float) -> AsyncIterator[None]:
        """A hard limit, and every error of the connection as SourceError.

        A command that is late loses its channel only: keepalives tell whether the connection
        lives, and other commands may be running on it.
        """
        try:
            async with asyncio.timeout(timeout):
                yield
        except TimeoutError:
            raise SourceError("timeout", self._late(timeout)) from None
        except SourceError:
            raise
        except Exception as error:
            translated = ssh_errors.translate(error, self._endpoint, self._resolved)
            if translated is None:
                raise
            raise translated from None

    def _late(self, timeout: float) -> str:
        if self._connection is None:
            return f"{self.name}: SSH connect timed out after {timeout:g} s"
        return f"{self.name}: no answer over SSH within {timeout:g} s"

    def _forget(self, connection: asyncssh.SSHClientConnection) -> None:
        if self._connection is connection:
            self._connection = None
        connection.abort()


async def _feed(process: asyncssh.SSHClientProcess[bytes], stdin: bytes | None) -> None:
    """Write the input; a command that does not want it is no error."""
    with suppress(OSError):
        if stdin is not None:
            process.stdin.write(stdin)
            await process.stdin.drain()
        process.stdin.write_eof()


class SshPool:
    """The runners of all hosts, made when first asked for; jump hosts are shared."""

    def __init__(self, connects: int) -> None:
        self._gate = asyncio.Semaphore(connects)
        self._runners: dict[Endpoint, SshRunner] = {}

    def runner(self, endpoint: Endpoint) -> SshRunner:
        """The runner of this endpoint, the same one for the same endpoint by the same way."""
        found = self._runners.get(endpoint)
        if found is None:
            found = self._runners[endpoint] = SshRunner(endpoint, self._gate, self.runner)
        return found

    async def close(self) -> None:
        """Drop every connection."""
        for runner in self._runners.values():
            await runner.close()
