"""The figures of the overview."""

from __future__ import annotations

from mailtui.collectors.state import State
from mailtui.model.mail import QueueListing
from mailtui.model.metrics import MetricsReport, Trend
from mailtui.model.reading import Reading
from mailtui.resources import flow

NOW = 1_795_528_800.0


def tile(state: State) -> flow.Tile:
    return next(t for t in flow.tiles(state, NOW) if t.name == "deferred")


def platform() -> State:
    state = State()
    trend = Trend(NOW - 3600, 60, (900.0,) * 60)
    metrics = MetricsReport(values={"deferred": 900.0}, trends={"deferred": trend})
    state.put(Reading("prometheus", value=metrics, read_at=NOW, seq=1))
    listing = QueueListing((), 400, {"deferred": 400})
    state.put(Reading("postfix", "mx1", value=listing, read_at=NOW, seq=1))
    return state


def test_growth_is_told_when_every_host_is_read() -> None:
    assert tile(platform()).note == "-500 in 20 min"


def test_a_sum_without_a_host_says_so_and_tells_no_growth() -> None:
    state = platform()
    state.expect("postfix", "mx2")
    found = tile(state)
    assert found.amount == 400
    assert found.note == "without mx2, never read"
    assert found.level == "unknown"


def test_a_host_without_postfix_is_not_missing() -> None:
    state = platform()
    state.put(Reading("postfix", "db1", read_at=NOW, seq=1, absent=True))
    assert tile(state).note == "-500 in 20 min"
