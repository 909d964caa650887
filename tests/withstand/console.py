"""Running the sandbox and the console for tests, and reading what is on the screen."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import yaml
from textual.pilot import Pilot

from mailtui.app import ConsoleApp
from mailtui.loading import from_file
from mailtui.model.reading import AnyReading
from mailtui.sandbox.faults import Faults, Kind
from mailtui.sandbox.platform import Platform
from mailtui.sandbox.world import World

HOSTS = ("mx1", "mx2", "store1")
DEADLINE = 30.0
"""Seconds until a condition counts as never met; on an idle machine it takes less than two."""


class SandboxThread:
    """The sandbox's servers on an event loop of their own, so that a hang is theirs alone."""

    def __init__(self, directory: Path, scenario: str = "quiet") -> None:
        self.faults = Faults()
        self._directory = directory / "sandbox"
        self._scenario = scenario
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self.platform: Platform

    def start(self) -> None:
        self._thread.start()

        async def begin() -> None:
            self.platform = Platform(World(1, self._scenario), self._directory, self.faults)
            await self.platform.start()

        self.run(begin())

    def stop(self) -> None:
        self.run(self.platform.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run on the sandbox's loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(DEADLINE)

    def call(self, function: Callable[[], Any]) -> Any:
        """Call on the sandbox's loop."""

        async def work() -> Any:
            return function()

        return self.run(work())

    def fault(self, server: str, kind: Kind, **options: Any) -> None:
        self.call(lambda: self.faults.set(server, kind, **options))

    def heal(self, server: str | None = None) -> None:
        self.call(lambda: self.faults.clear(server))

    def config(
        self,
        changes: Mapping[str, Any] | None = None,
        hosts: tuple[str, ...] = HOSTS,
        name: str = "quick.yaml",
    ) -> Path:
        """The sandbox's configuration with short intervals; `changes` by name of the source."""
        data = yaml.safe_load(self.platform.config.read_text())
        context = data["contexts"]["demo"]
        context["hosts"] = {k: v for k, v in context["hosts"].items() if k in hosts}
        sources = context["sources"]
        for source in ("prometheus", "rabbitmq", "elasticsearch"):
            sources[source] |= {"interval": "500ms", "timeout": "2s"}
        sources["prometheus"]["slow_interval"] = "2s"
        sources["elasticsearch"]["audit"]["interval"] = "500ms"
        for source in ("hosts", "postfix", "fail2ban"):
            sources[source] |= {"interval": "1s", "timeout": "3s"}
        for source, change in (changes or {}).items():
            sources[source] = None if change is None else sources[source] | change
        context["sources"] = {k: v for k, v in sources.items() if v is not None}
        path = self._directory / name
        path.write_text(yaml.safe_dump(data, sort_keys=False))
        path.chmod(0o600)
        return path


@asynccontextmanager
async def console(
    config: Path, size: tuple[int, int] = (140, 45), start: str = "overview"
) -> AsyncIterator[tuple[ConsoleApp, Pilot[int]]]:
    """The console on a configuration, without a terminal; what breaks in it is raised here."""
    app = ConsoleApp(from_file(config), start=start)
    async with app.run_test(size=size) as pilot:
        await until(lambda: app.platform is not None, "the settings are loaded")
        yield app, pilot


async def until(
    condition: Callable[[], Any], what: str | Callable[[], str], deadline: float = DEADLINE
) -> float:
    """Wait until `condition` holds; the seconds that it took. Fails at the deadline."""
    begin = time.monotonic()
    while not condition():
        if time.monotonic() - begin > deadline:
            words = what if isinstance(what, str) else what()
            raise AssertionError(f"not within {deadline:g} s: {words}")
        await asyncio.sleep(0.02)
    return time.monotonic() - begin


def screen_text(app: ConsoleApp) -> str:
    """The characters on the screen, line by line."""
    strips = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip) for strip in strips)


def reading(app: ConsoleApp, source: str, target: str = "") -> AnyReading:
    assert app.platform is not None
    return app.platform.state.get(source, target)


def fresh(app: ConsoleApp, source: str, target: str = "") -> bool:
    """True if the last read was good, or the tool is not there."""
    found = reading(app, source, target)
    return found.absent or (found.status == "fresh" and found.fault is None)


def all_fresh(app: ConsoleApp) -> bool:
    assert app.platform is not None
    return all(fresh(app, r.source, r.target) for r in app.platform.state.all())


def faults(app: ConsoleApp) -> str:
    """Every reading, for the message of a failed test."""
    assert app.platform is not None
    return "\n".join(
        f"{r.source} {r.target}: {r.status} {r.fault}" for r in app.platform.state.all()
    )


async def go(app: ConsoleApp, pilot: Pilot[int], name: str) -> None:
    """Show a screen."""
    assert app.go_to(name) == ""
    await until(lambda: app.view is not None and name == app.view.NAME, f"the screen {name}")
    await pilot.pause()
