"""What opens over a screen, and screens on unusual terminals, as pictures."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from mailtui.config.problems import ConfigError, ConfigProblem
from mailtui.screens.trouble import Trouble
from tests.snapshots.still import StillApp
from tests.snapshots.test_screens import settled

SMALL = (80, 24)
Before = Callable[[Any], Awaitable[None]]


def pressing(*keys: str) -> Before:
    """Press keys, each when the one before has had its effect."""

    async def before(pilot: Any) -> None:
        await settled(pilot)
        for key in keys:
            await pilot.press(key)
            await settled(pilot)

    return before


@pytest.mark.parametrize(
    ("screen", "keys"),
    [
        pytest.param("overview", ("question_mark",), id="help"),
        pytest.param("queues", ("tab", "enter"), id="message"),
        pytest.param("audit", ("enter",), id="event"),
        pytest.param("audit", ("f",), id="fields"),
        pytest.param("queues", ("tab", "space", "space", "slash", *"sender:"), id="filter"),
        pytest.param("queues", ("slash", *"nosuch:1", "enter"), id="filter-wrong"),
        pytest.param("hosts", ("colon", *"qu"), id="command"),
        pytest.param("hosts", ("right", "right"), id="units"),
        pytest.param("bans", ("right",), id="addresses"),
    ],
)
def test_over_a_screen(snap_compare: Any, screen: str, keys: tuple[str, ...]) -> None:
    """A dialog, a prompt or another list, at the smallest usual size."""
    app = StillApp("incident", screen)
    assert snap_compare(app, terminal_size=SMALL, run_before=pressing(*keys))


def test_trouble(snap_compare: Any) -> None:
    """A configuration with problems."""
    app = StillApp("empty", "overview")

    async def before(pilot: Any) -> None:
        await settled(pilot)
        file = Path("/home/alice/.config/mailtui/config.yaml")
        problems = [
            ConfigProblem(file, 4, "contexts.prod.colour", "unknown key; did you mean color?"),
            ConfigProblem(file, 9, "contexts.prod.sources.rabbitmq.password", "[red]never[/red]"),
        ]
        await app.push_screen(Trouble(ConfigError(problems)))
        await pilot.pause()

    assert snap_compare(app, terminal_size=SMALL, run_before=before)


@pytest.mark.parametrize("screen", ["overview", "queues", "audit"])
def test_linux_console(snap_compare: Any, monkeypatch: pytest.MonkeyPatch, screen: str) -> None:
    """ASCII signs where the font has no others."""
    monkeypatch.setenv("TERM", "linux")
    app = StillApp("incident", screen)
    assert snap_compare(app, terminal_size=SMALL, run_before=settled)


@pytest.mark.parametrize("screen", ["overview", "queues", "audit"])
def test_no_color(snap_compare: Any, monkeypatch: pytest.MonkeyPatch, screen: str) -> None:
    """Everything is said without colour too."""
    monkeypatch.setenv("NO_COLOR", "1")
    app = StillApp("incident", screen)
    assert snap_compare(app, terminal_size=SMALL, run_before=settled)


@pytest.mark.parametrize("screen", ["overview", "queues", "hosts"])
def test_tiny(snap_compare: Any, screen: str) -> None:
    """A terminal of 40 columns and 10 lines."""
    app = StillApp("incident", screen)
    assert snap_compare(app, terminal_size=(40, 10), run_before=settled)
