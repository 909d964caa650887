"""A clock that jumps; a terminal of any size, with prompts and dialogs open."""

from __future__ import annotations

import re
import time

import pytest

from mailtui.model import clock
from mailtui.screens import ORDER
from tests.snapshots.still import StillApp
from tests.withstand.console import (
    SandboxThread,
    all_fresh,
    console,
    faults,
    go,
    reading,
    screen_text,
    until,
)

NEGATIVE = re.compile(r"(?<![\w.:/-])-\d+(?:\.\d+)? ?(?:s|m|h|d)\b")
SOURCES = ("prometheus", "rabbitmq", "elasticsearch")


async def test_clock_jumps(sandbox: SandboxThread) -> None:
    """Forward and back by hours: polls go on, no age is negative, all is fresh again."""
    async with console(sandbox.config()) as (app, pilot):
        await until(lambda: all_fresh(app), lambda: faults(app))
        for jump in (5 * 3600.0, -5 * 3600.0, -30 * 86400.0, 0.0, 400 * 86400.0, 0.0):
            clock.set_clock(lambda jump=jump: time.time() + jump)
            seq = {name: reading(app, name).seq for name in SOURCES}
            for name in ORDER:
                await go(app, pilot, name)
                app._tick()
                await pilot.pause()
                text = screen_text(app)
                assert not NEGATIVE.search(text), (jump, name, NEGATIVE.search(text), text)
            await until(
                lambda seq=seq: all(reading(app, n).seq > s + 1 for n, s in seq.items()),
                lambda jump=jump: f"polls stop after {jump}: {faults(app)}",
            )
            assert all(
                (age := r.age(clock.now())) is None or age >= 0
                for r in (app.platform.state.all() if app.platform else ())
            )
            await until(lambda: all_fresh(app), lambda jump=jump: f"{jump}: {faults(app)}")
            await until(
                lambda: all((reading(app, n).age(clock.now()) or 0) < 20 for n in SOURCES),
                lambda: faults(app),
            )


@pytest.mark.parametrize("name", ORDER)
async def test_resize(name: str) -> None:
    """40x10 and back, 1x1, 300x100: alone, with the prompt open, with a dialog open."""
    app = StillApp("incident", name)
    async with app.run_test(size=(100, 30)) as pilot:
        await until(lambda: app.platform is not None and app.view is not None, "opened")
        await pilot.pause()
        before = screen_text(app)

        async def sizes(*more: tuple[int, int]) -> None:
            for size in ((40, 10), (1, 1), *more, (100, 30)):
                await pilot.resize_terminal(*size)
                await pilot.pause()
                lines = screen_text(app).splitlines()
                assert len(lines) <= size[1]
                app._tick()
                await pilot.pause()

        await sizes((300, 100), (20, 3), (2, 50))
        assert screen_text(app).splitlines()[0] == before.splitlines()[0]
        assert len(screen_text(app)) == len(before)
        for keys in (
            ["slash", "m"],
            ["colon", "h"],
            ["question_mark"],
            ["enter"],
            ["C"],
            ["e"],
            ["ctrl+p"],
        ):
            await pilot.press(*keys)
            await sizes()
            await pilot.press("escape", "escape")
            await pilot.pause()
            if app.view is None or name != app.view.NAME:
                app.go_to(name)
                await pilot.pause()
        if name == "audit":
            for keys in (["Q"], ["T"], ["f"], ["left_square_bracket"]):
                await pilot.press(*keys)
                await sizes()
                await pilot.press("escape")
                await pilot.pause()
        # smallest first: everything is opened without room
        await pilot.resize_terminal(1, 1)
        for keys in (["slash", "m"], ["question_mark"], ["down", "enter"], ["s", "end"]):
            await pilot.press(*keys)
            await pilot.pause()
            await pilot.press("escape")
            await pilot.pause()
