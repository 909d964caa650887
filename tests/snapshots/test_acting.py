"""Acting, as pictures: confirmations, forms, what runs, how it ended, the Journal."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Input

from mailtui.model.operation import Left
from mailtui.operations.running import Run
from tests.snapshots import double
from tests.snapshots.double import Double, Somebody, armed
from tests.snapshots.journals import fill
from tests.snapshots.still import StillApp
from tests.snapshots.test_screens import settled

SIZES = ((80, 24), (120, 40), (200, 60))
GMAIL = "queue:=deferred destination:=gmail.com"
doubles = double.doubles
sizes = pytest.mark.parametrize("size", SIZES, ids=lambda s: f"{s[0]}x{s[1]}")


@pytest.fixture(autouse=True)
def numbered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs have the same numbers each time, and take no time."""
    made = Run.__init__

    def init(self: Run, *args: Any, **facts: Any) -> None:
        made(self, *args, **{"id": "0123456789ab", **facts})
        self._started = float("inf")  # no rate is known

    monkeypatch.setattr(Run, "__init__", init)


async def pressed(pilot: Any, *keys: str) -> None:
    """Press keys, each when the one before has had its effect."""
    await settled(pilot)
    for key in keys:
        await pilot.press(key)
        for _ in range(3):
            await settled(pilot)


@sizes
@pytest.mark.parametrize(
    ("keys", "code"),
    [
        pytest.param("h", "", id="hold"),
        pytest.param("D", "zz98zz", id="delete"),
        pytest.param("R", "", id="blocked"),
        pytest.param("x", "", id="parameters"),
    ],
)
def test_dialog(
    snap_compare: Any, doubles: type[Double], tmp_path: Path, keys: str, code: str, size: Any
) -> None:
    """On a whole group, from a problem's line."""
    app = StillApp("incident", "queues", GMAIL)
    armed(app, tmp_path, Somebody(code=code))

    async def before(pilot: Any) -> None:
        await pressed(pilot, *keys)
        await _until(pilot, lambda: app.screen is not app.view)
        for field in app.screen.query(Input):
            field.cursor_blink = False
        await pressed(pilot)

    assert snap_compare(app, terminal_size=size, run_before=before)


@pytest.mark.parametrize("width", [80, 120])
def test_last_line(snap_compare: Any, doubles: type[Double], tmp_path: Path, width: int) -> None:
    """Keys of what can be done; what cannot is dimmed."""
    app = StillApp("incident", "queues")
    armed(app, tmp_path, Somebody(denied="mail.delete"))

    async def before(pilot: Any) -> None:
        await pressed(pilot, "tab")

    assert snap_compare(app, terminal_size=(width, 24), run_before=before)


@sizes
def test_while_it_runs(
    snap_compare: Any, doubles: type[Double], tmp_path: Path, monkeypatch: Any, size: Any
) -> None:
    """A line with its count; the console goes on."""
    app = StillApp("incident", "queues", GMAIL)
    armed(app, tmp_path)
    monkeypatch.setattr(Double, "hurdle", asyncio.Event())

    async def before(pilot: Any) -> None:
        await _hold(pilot, app)
        await _until(pilot, lambda: app.acting.jobs.running[0].progress is not None)
        app.acting.changed()
        await pressed(pilot)

    assert snap_compare(app, terminal_size=size, run_before=before)


@sizes
@pytest.mark.parametrize("keys", [(), ("o",)], ids=["line", "full"])
def test_outcome(
    snap_compare: Any, doubles: type[Double], tmp_path: Path, monkeypatch: Any,
    keys: tuple[str, ...], size: Any,
) -> None:  # fmt: skip
    """Read back, with what was left and why."""
    app = StillApp("incident", "queues", GMAIL)
    armed(app, tmp_path)
    apply = Double.apply

    async def partly(self: Double, desk: Any, plan: Any, run: Run) -> None:
        await apply(self, desk, plan, run)
        run.left += [
            Left("mx1", t.id, "was delivered meanwhile") for t in plan.steps[0].targets[:30]
        ]

    monkeypatch.setattr(Double, "apply", partly)

    async def before(pilot: Any) -> None:
        await _hold(pilot, app)
        await _until(pilot, lambda: bool(app.acting.jobs.told))
        await pressed(pilot, *keys)

    assert snap_compare(app, terminal_size=size, run_before=before)


@sizes
@pytest.mark.parametrize(
    "keys", [(), ("end", "enter"), ("down", "down", "down", "down", "a")],
    ids=["list", "entry", "request"],
)  # fmt: skip
def test_journal(
    snap_compare: Any, doubles: type[Double], tmp_path: Path, monkeypatch: Any,
    keys: tuple[str, ...], size: Any,
) -> None:  # fmt: skip
    """Entries of every kind; one in full; a request that can be approved."""
    app = StillApp("incident", "journal")
    gate = armed(app, tmp_path, Somebody(code="zz98zz"))

    async def before(pilot: Any) -> None:
        await fill(app, gate)
        app._show_changes()
        await _until(pilot, lambda: "whole" in str(pilot.app.view.query_one("#chain").render()))
        pilot.app.view.action_verify()
        await _until(pilot, lambda: "15 rec" in str(pilot.app.view.query_one("#chain").render()))
        await pressed(pilot, *keys)
        if "enter" in keys:
            await _until(pilot, lambda: len(app.screen.query("#middle > *")) > 6)
            await pressed(pilot)

    assert snap_compare(app, terminal_size=size, run_before=before)


async def _hold(pilot: Any, app: StillApp) -> None:
    await pressed(pilot, "h")
    await _until(pilot, lambda: app.screen is not app.view)
    await pressed(pilot, "right", "enter")
    await _until(pilot, lambda: bool(app.acting.jobs.every))


async def _until(pilot: Any, holds: Any) -> None:
    async with asyncio.timeout(20.0):
        while not holds():
            await pilot.pause(0.01)
