"""This host, with no SSH: the same commands, the same answers."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress

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

CHUNK = 1 << 20


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

    async def chunks(self, cmd: Command, *, timeout: float) -> AsyncIterator[list[bytes]]:
        """See Runner.chunks."""
        process = await self._start(single_script(cmd, sudo=self._sudo))
        assert process.stdout is not None
        assert process.stderr is not None
        errors = asyncio.create_task(process.stderr.read(CHUNK))
        try:
            async with asyncio.timeout(timeout):
                rest = b""
                while data := await process.stdout.read(CHUNK):
                    *lines, rest = (rest + data).split(b"\n")
                    if len(rest) > LINE_LIMIT:
                        raise SourceError("protocol", f"{self.name}: a line is too long")
                    if lines:
                        yield lines
                if rest:
                    yield [rest]
                status = await process.wait()
        except TimeoutError:
            raise self._late(cmd.argv[0], timeout) from None
        finally:
            await _end(process)
            stderr = decode(await errors)
        if status:
            raise failure(self.name, cmd, status, stderr)

    async def close(self) -> None:
        """Nothing is kept open."""

    async def _shell(
        self, script: str, stdin: bytes | None, timeout: float, limit: int
    ) -> tuple[int, bytes, bytes]:
        process = await self._start(script, pipe=stdin is not None)
        try:
            async with asyncio.timeout(timeout):
                out, err = await process.communicate(stdin)
        except TimeoutError:
            raise self._late("the command", timeout) from None
        finally:
            await _end(process)
        if len(out) > limit:
            raise SourceError("protocol", f"{self.name}: more than {limit} bytes of output")
        assert process.returncode is not None
        return process.returncode, out, err

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


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, 9)
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
