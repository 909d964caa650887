"""Every screen at three sizes in four states, as pictures."""

from __future__ import annotations

from typing import Any

import pytest

from mailtui.screens import ORDER
from tests.snapshots.still import StillApp

SIZES = ((80, 24), (120, 40), (200, 60))
STATES = ("quiet", "incident", "stale", "empty")


@pytest.mark.parametrize("size", SIZES, ids=lambda s: f"{s[0]}x{s[1]}")
@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("screen", ORDER)
def test_screen(snap_compare: Any, screen: str, state: str, size: tuple[int, int]) -> None:
    """The screen as it opens."""
    assert snap_compare(StillApp(state, screen), terminal_size=size, run_before=settled)


async def settled(pilot: Any) -> None:
    """Until every table is arranged and nothing is left to do."""
    from mailtui.widgets.table import RowTable

    for _ in range(50):
        await pilot.pause()
        tables = list(pilot.app.screen.query(RowTable))
        if tables and not any(table.busy for table in tables):
            break
    await pilot.pause()
