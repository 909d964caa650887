"""Destinations to which delivery is suspended: the table that mailtui-suspend keeps on a host."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from mailtui.connections.errors import ToolMissing
from mailtui.connections.runner import command
from mailtui.model.suspension import TABLE, Suspensions, parse

if TYPE_CHECKING:
    from mailtui.connections.pool import Connections

INTERVAL = 30.0
TIMEOUT = 10.0


class SuspendedCollector:
    """Reads the table of one host, which everybody may read."""

    source: ClassVar[str] = "postfix_suspended"
    overview: ClassVar[bool] = True
    interval = INTERVAL
    timeout = TIMEOUT + 1.0

    def __init__(self, host: str, connections: Connections) -> None:
        self.target = host
        self._connections = connections

    async def read(self) -> Suspensions:
        """What is suspended there. Raises SourceError; ToolMissing if there is no table."""
        runner = self._connections.runner(self.target)
        done = await runner.run(command("cat", TABLE), timeout=TIMEOUT)
        if done.status and "No such file" in done.stderr:
            raise ToolMissing("mailtui-suspend", self.target, f"{self.target} has no {TABLE}")
        return Suspensions(parse(self.target, done.check()))

    async def close(self) -> None:
        """Nothing of its own is open."""
