"""Defects of our own: a collector, a rule or a column that raises ends nothing."""

from __future__ import annotations

import dataclasses
import threading
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

from mailtui.collectors import hosts as hosts_collector
from mailtui.collectors.poller import Poller
from mailtui.collectors.state import State
from mailtui.connections.errors import SourceError
from mailtui.problems import engine
from mailtui.resources import hosts as hosts_resource
from mailtui.resources.base import Column
from mailtui.resources.export import as_csv, as_json
from tests.snapshots.still import StillApp
from tests.withstand.console import SandboxThread, console, fresh, reading, screen_text, until


class Weird:
    """A collector that breaks in ways that nobody expects."""

    source = "weird"
    overview = True
    target = ""
    interval = 0.01
    timeout = 1.0

    def __init__(self) -> None:
        self.raises: BaseException | None = None

    async def read(self) -> Any:
        if self.raises is not None:
            raise self.raises
        return 1

    async def close(self) -> None:
        """Nothing."""


@pytest.mark.parametrize(
    "error",
    [
        ValueError("\x1b[2J"),
        RecursionError(),
        MemoryError(),
        AssertionError(),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "x"),
        KeyError("missing"),
        StopAsyncIteration(),
        SourceError("server", "weird: \x1b]52;c;AAAA\x07"),
    ],
    ids=lambda e: type(e).__name__,
)
async def test_poller_survives(error: BaseException) -> None:
    """Any exception becomes a fault; the last good value stays; the next read is good again."""
    state, weird = State(), Weird()
    poller = Poller(weird, state)
    await poller.read_once()
    weird.raises = error
    await poller.read_once()
    found = state.get("weird")
    assert found.value == 1 and found.fault is not None
    assert "\x1b" not in found.fault.sentence()
    weird.raises = None
    await poller.read_once()
    assert state.get("weird").fault is None


async def test_collector_and_rule_that_raise(
    sandbox: SandboxThread, monkeypatch: pytest.MonkeyPatch, state_home: Path
) -> None:
    """The screen says which; everything else goes on."""

    async def broken(self: Any) -> Any:
        raise ZeroDivisionError("a defect")

    def broken_rule(*_: Any) -> Any:
        raise LookupError("a defect")

    monkeypatch.setattr(hosts_collector.HostCollector, "read", broken)
    monkeypatch.setitem(engine.finders(), "postfix", broken_rule)
    async with console(sandbox.config()) as (app, _):
        await until(lambda: fresh(app, "postfix", "mx1"), "the queue is read")
        await until(lambda: reading(app, "hosts", "mx1").fault is not None, "hosts fail")
        await until(
            lambda: "the check of postfix broke (LookupError)" in screen_text(app),
            lambda: screen_text(app),
        )
        await until(lambda: "ZeroDivisionError" in screen_text(app), lambda: screen_text(app))


def _raises(row: Any) -> Any:
    raise AttributeError("a defect")


async def test_column_that_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its cells are unknown: painted, sorted, filtered, completed, copied and exported."""
    bad = [
        Column("bad", "bad", _raises, width=6),
        Column("worse", "worse", lambda r: 1, _raises, width=6, level=_raises),
    ]
    resource = msgspec.structs.replace(
        hosts_resource.RESOURCE, columns=(*hosts_resource.RESOURCE.columns[:2], *bad), sort="bad"
    )
    from mailtui.screens import hosts as screen

    first = screen.View.LISTS[0]
    changed = dataclasses.replace(first, resource=resource)
    lists = (changed, *screen.View.LISTS[1:])
    monkeypatch.setattr(screen.View, "LISTS", lists)
    app = StillApp("quiet", "hosts")
    async with app.run_test(size=(120, 40)) as pilot:
        await until(lambda: "mx1" in screen_text(app), lambda: screen_text(app))
        line = next(x for x in screen_text(app).splitlines() if "mx1" in x)
        assert "?" in line
        await pilot.press("s", "s", "s", "S", "y")
        await pilot.press("slash", "b", "a", "d", "colon", "tab", "1", "enter")
        await pilot.press("escape", "escape")
        await pilot.press("slash", "m", "x", "enter")
        await pilot.pause()
        table = app.view.table if app.view is not None else None
        assert table is not None
        rows = table.shown_rows
        assert "bad" in as_csv(resource, rows)
        assert '"bad": null' in as_json(resource, rows)


async def test_nothing_is_left_behind(sandbox: SandboxThread) -> None:
    """200 reads of failing sources: no more tasks, sockets and threads than after the first."""
    import asyncio

    from mailtui.collectors.platform import Platform
    from mailtui.config.load import load

    config = sandbox.config({"postfix": {"timeout": "300ms"}, "hosts": {"timeout": "300ms"}})
    platform = Platform(*load(config).choose())
    process = psutil.Process()
    try:
        await platform.read_all()
        for kind in ("down", "html", "500", "truncated"):
            for server in ("prometheus", "rabbitmq", "elasticsearch", "ssh:mx1", "ssh:mx2"):
                sandbox.fault(server, kind)
            for _ in range(3):  # what is made once is there
                await platform.read_all()
            await asyncio.sleep(0.2)
            before = len(asyncio.all_tasks()), process.num_fds(), threading.active_count()
            for _ in range(50):
                await platform.read_all(["prometheus", "rabbitmq", "elasticsearch", "hosts"])

            def now() -> tuple[int, int, int]:
                return len(asyncio.all_tasks()), process.num_fds(), threading.active_count()

            # the server's half of a broken connection goes a little later than ours
            await until(
                lambda before=before: all(n <= b + 8 for n, b in zip(now(), before, strict=True)),
                lambda kind=kind, before=before: f"{kind}: {before} became {now()}",
                10.0,
            )
            print(kind, "tasks, descriptors, threads:", before, "→", now())
    finally:
        await platform.stop()
        sandbox.heal()
