"""One context, alive: its collectors, their pollers, the state that they fill."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from mailtui.collectors.base import Collector
from mailtui.collectors.poller import Poller
from mailtui.collectors.state import State
from mailtui.connections.pool import Connections
from mailtui.model.reading import AnyReading

if TYPE_CHECKING:
    from mailtui.config.settings import Context

C = TypeVar("C")


def build(context: Context, connections: Connections) -> list[Collector]:
    """The collectors of every configured source. Imports what they need: slow the first time."""
    from mailtui.config.settings import SOURCES

    found: list[Collector] = []
    for name, model in SOURCES.items():
        if context.source(name, model) is not None:
            module = importlib.import_module(f"mailtui.collectors.{name}")
            found.extend(module.collectors(context, connections))
    return found


class Platform:
    """The read side of one context, for the screens and for the headless verbs alike."""

    def __init__(self, name: str, context: Context) -> None:
        self.name = name
        self.context = context
        self.state = State()
        self.connections = Connections(context)
        self.collectors: list[Collector] = build(context, self.connections)
        self.pollers = [Poller(collector, self.state) for collector in self.collectors]
        self._tasks: list[asyncio.Task[None]] = []

    def add(self, collector: Collector) -> None:
        """Read one more source, which is not the context's own."""
        poller = Poller(collector, self.state)
        self.collectors.append(collector)
        self.pollers.append(poller)
        if self._tasks:
            name = f"poll {collector.source}"
            self._tasks.append(asyncio.create_task(poller.run(), name=name))

    def start(self) -> None:
        """Poll everything, each source on its own schedule, until `stop`."""
        self._tasks = [
            asyncio.create_task(poller.run(), name=f"poll {poller.collector.source}")
            for poller in self.pollers
        ]

    async def stop(self, patience: float = 0.2) -> None:
        """End every poller and connection; what hangs for longer than `patience` is left."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=patience)
        closing = [collector.close() for collector in self.collectors]
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await asyncio.gather(*closing, self.connections.close(), return_exceptions=True)

    async def read_all(self, sources: Iterable[str] = ()) -> None:
        """Read each source once, all at the same time; every source if none is named."""
        wanted = set(sources)
        await asyncio.gather(
            *(
                poller.read_once()
                for poller in self.pollers
                if not wanted or poller.collector.source in wanted
            )
        )

    def read_now(self, sources: Iterable[str] = ()) -> None:
        """Wake the pollers of these sources, or all."""
        wanted = set(sources)
        for poller in self.pollers:
            if not wanted or poller.collector.source in wanted:
                poller.read_now()

    def readings(self, sources: Iterable[str] = ()) -> list[AnyReading]:
        """The readings of these sources; without any, of those that are always read.

        A source that is read only while a screen looks at it is old, and no fault, elsewhere.
        """
        wanted = set(sources) or {c.source for c in self.collectors if c.overview}
        return [r for r in self.state.all() if r.source in wanted]

    def look_at(self, sources: Iterable[str]) -> None:
        """Pause what neither the overview nor the screen in view needs."""
        wanted = set(sources)
        for poller in self.pollers:
            collector = poller.collector
            poller.pause(not collector.overview and collector.source not in wanted)

    def find(self, kind: type[C], where: Callable[[C], bool] = lambda _: True) -> C | None:
        """The first collector of a kind: for what it can do on request (describe, search)."""
        return next((c for c in self.collectors if isinstance(c, kind) and where(c)), None)
