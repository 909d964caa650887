"""A host that answers from a table, for collectors."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence

from mailtui.connections.runner import Command, Completed, failure, warnings_of

Answer = tuple[int, str, str]
"""Exit status, standard output, standard error."""


class FakeRunner:
    """Answers each command by `answer`; counts what was asked."""

    def __init__(self, answer: Callable[[tuple[str, ...]], Answer], name: str = "mx1") -> None:
        self.name = name
        self.answer = answer
        self.asked: list[Command] = []

    def _done(self, cmd: Command) -> Completed:
        self.asked.append(cmd)
        return Completed(self.name, cmd, *self.answer(cmd.argv))

    async def run(self, cmd: Command, *, timeout: float, limit: int = 0) -> Completed:
        return self._done(cmd)

    async def batch(self, cmds: Sequence[Command], *, timeout: float) -> list[Completed]:
        return [self._done(cmd) for cmd in cmds]

    async def chunks(
        self, cmd: Command, *, timeout: float, warnings: list[str] | None = None
    ) -> AsyncIterator[list[bytes]]:
        done = self._done(cmd)
        lines = done.stdout.encode("utf-8", "surrogateescape").split(b"\n")
        for start in range(0, len(lines), 7):
            yield lines[start : start + 7]
        if done.status:
            raise failure(self.name, cmd, done.status, done.stderr)
        if warnings is not None:
            warnings.extend(warnings_of(done.stderr))

    async def close(self) -> None:
        """Nothing is open."""

    def runner(self, name: str) -> FakeRunner:
        """It is its own pool."""
        return self
