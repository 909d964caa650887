"""This host, with no SSH: the same commands, the same answers."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress

from mailtui.connections import streams
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


class LocalRunner:
    """Runs commands on this machine."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._sudo = os.geteuid() != 0

    async def run(self, cmd: Command, *, timeout: float, limit: int = OUTPUT_LIMIT) -> Completed:
        """See Runner.run."""
        status, out, err = await self._shell(
            single_script(cmd, sudo=self._sudo), cmd.stdin, timeout, limit
        )
        return Completed(self.name, cmd, status, decode(out), decode(err))

    async def batch(self, cmds: Sequence[Command], *, timeout: float) -> list[Completed]:
        """See Runner.batch."""
        batch = Batch(cmds, sudo=self._sudo)
        _, out, err = await self._shell(batch.script, None, timeout, OUTPUT_LIMIT)
        return batch.split(self.name, out, err)

    async def chunks(
        self, cmd: Command, *, timeout: float, warnings: list[str] | None = None
    ) -> AsyncGenerator[list[bytes], None]:
        """See Runner.chunks."""
        process = await self._start(single_script(cmd, sudo=self._sudo))
        assert process.stdout is not None
        assert process.stderr is not None
        errors = asyncio.create_task(streams.keep(process.stderr))
        try:
            async with asyncio.timeout(timeout):
                async for lines in streams.lines(process.stdout, LINE_LIMIT, self.name):
                    yield lines
                status = await process.wait()
                stderr = decode(await errors)
        except TimeoutError:
            raise self._late(cmd.argv[0], timeout) from None
        finally:
            errors.cancel()
            await _end(process)
        if status:
            raise failure(self.name, cmd, status, stderr)
        if warnings is not None:
            warnings.extend(warnings_of(stderr))

    async def close(self) -> None:
        """Nothing is kept open."""

    async def _shell(
        self, script: str, stdin: bytes | None, timeout: float, limit: int
    ) -> tuple[int, bytes, bytes]:
        process = await self._start(script, pipe=stdin is not None)
        assert process.stdout is not None
        assert process.stderr is not None
        errors = asyncio.create_task(streams.keep(process.stderr, OUTPUT_LIMIT))
        feeding = asyncio.create_task(_feed(process, stdin))
        try:
            async with asyncio.timeout(timeout):
                out = await streams.whole(process.stdout, limit, self.name)
                return await process.wait(), out, await errors
        except TimeoutError:
            raise self._late("the command", timeout) from None
        finally:
            errors.cancel()
            feeding.cancel()
            await _end(process)

    async def _start(self, script: str, *, pipe: bool = False) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            "/bin/sh",
            "-c",
            script,
            stdin=asyncio.subprocess.PIPE if pipe else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )

    def _late(self, what: str, timeout: float) -> SourceError:
        return SourceError("timeout", f"{self.name}: {what} gave no answer within {timeout:g} s")


async def _feed(process: asyncio.subprocess.Process, stdin: bytes | None) -> None:
    """Write the input; a command that does not want it is no error."""
    if stdin is None or process.stdin is None:
        return
    with suppress(BrokenPipeError, ConnectionResetError):
        process.stdin.write(stdin)
        await process.stdin.drain()
        process.stdin.close()


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, 9)
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
