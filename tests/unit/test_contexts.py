"""Changing the platform: nothing of the one before stays, and keys meanwhile do no harm."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import pytest
from textual.pilot import Pilot

from mailtui.app import ConsoleApp
from mailtui.collectors import platform as platforms
from mailtui.config.settings import Context, Settings
from mailtui.loading import Loading
from mailtui.model.host import HostFacts, Mount
from mailtui.screens import ORDER

DEADLINE = 20.0
GB = 2**30


class FakeHost:
    """Says that its disk is full; its end can be made to take long."""

    source: ClassVar[str] = "hosts"
    overview: ClassVar[bool] = True
    interval = 0.05
    timeout = 5.0
    closing: ClassVar[float] = 0.0

    def __init__(self, target: str) -> None:
        self.target = target

    async def read(self) -> HostFacts:
        full = Mount("/", "/dev/sda1", "ext4", 100 * GB, 99 * GB, GB)
        return HostFacts(hostname=self.target, mounts=(full,))

    async def close(self) -> None:
        await asyncio.sleep(self.closing)


class Paused(FakeHost):
    """Read only while a screen looks at it."""

    source: ClassVar[str] = "audit"
    overview: ClassVar[bool] = False


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def build(context: Context, connections: Any) -> list[FakeHost]:
        return [*(FakeHost(name) for name in context.hosts), Paused("")]

    monkeypatch.setattr(platforms, "build", build)


def settings() -> Settings:
    return Settings.model_validate(
        {
            "contexts": {
                "production": {"label": "PROD", "hosts": {"mx1": {}, "mx2": {}}},
                "staging": {"label": "STAGE", "hosts": {"stage1": {}}},
            }
        }
    )


@asynccontextmanager
async def console() -> AsyncIterator[tuple[ConsoleApp, Pilot[int]]]:
    app = ConsoleApp(Loading("test", settings))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: len(app.problems) == 2)
        yield app, pilot


async def until(pilot: Pilot[int], condition: Any) -> None:
    async with asyncio.timeout(DEADLINE):
        while not condition():
            await pilot.pause(0.02)


def on(app: ConsoleApp, name: str) -> bool:
    return app.platform is not None and app.platform.name == name


def hosts_shown(app: ConsoleApp) -> set[str]:
    return {host for problem in app.problems for host in problem.hosts}


async def test_nothing_of_the_platform_before_stays() -> None:
    async with console() as (app, pilot):
        await pilot.press("4")
        await until(pilot, lambda: app.view is not None and app.view.NAME == "hosts")
        view = app.view
        assert view is not None
        assert view.table is not None
        await until(pilot, lambda: view.table.shown == 2)
        view.apply_filter(view.table, "host:mx1")
        await pilot.press("1", "space")
        old = app.platform
        assert old is not None
        assert app.switch_context("staging") == ""
        await until(pilot, lambda: on(app, "staging") and hosts_shown(app) == {"stage1"})
        overview = app.view
        assert overview is not None
        assert overview.NAME == "overview"
        assert overview.table is not None
        await until(pilot, lambda: overview.table.shown == 1)
        assert overview.table.marked_keys == []
        assert overview.table.pending_new == 0
        # what the old one still reads is nobody's any more
        version = old.state.version
        await old.read_all()
        assert old.state.version > version
        await pilot.pause(0.3)
        assert hosts_shown(app) == {"stage1"}
        await pilot.press("4")
        await until(pilot, lambda: app.view is not None and app.view.NAME == "hosts")
        fresh = app.view
        assert fresh is not None
        assert fresh is not view
        assert fresh.table is not None
        await until(pilot, lambda: fresh.table.shown == 1)
        assert fresh.table.where is None


async def test_keys_while_the_platform_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeHost, "closing", 10.0)
    async with console() as (app, pilot):
        for key in "2345671":
            await pilot.press(key)
        await until(pilot, lambda: app.view is not None and app.view.NAME == "overview")
        for name, key in (("staging", "2"), ("production", "4"), ("staging", "5")) * 3:
            assert app.switch_context(name) == ""
            app.action_go(ORDER[int(key) - 1])
            await app.action_back()
            app.read_now()
            await pilot.press(key, "escape", "1", key)
        await until(pilot, lambda: on(app, "staging") and hosts_shown(app) == {"stage1"})
        await until(pilot, lambda: app.view is not None and app.view.NAME == "bans")
        assert app.is_running
    assert app.return_code in (0, None)


async def test_read_now_on_the_overview_leaves_the_console_alive() -> None:
    async with console() as (app, pilot):
        await pilot.press("r", "2")
        await until(pilot, lambda: app.view is not None and app.view.NAME == "queues")


async def test_an_unknown_context_is_a_sentence() -> None:
    async with console() as (app, _):
        assert "expected production, staging" in app.switch_context("nowhere")
        assert app.switch_context("production") == ""
        assert on(app, "production")
