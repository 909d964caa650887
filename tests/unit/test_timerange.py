"""Ranges of time as they are written."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from mailtui.model.timerange import TimeRangeError, parse_range


@pytest.fixture(autouse=True)
def _berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(os.environ, "TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def utc(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


NOW = utc("2026-11-24T13:03:27")  # 14:03:27 in Berlin


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("15m", NOW - 900, None),
        (" 2h30m ", NOW - 9000, None),
        ("1d", NOW - 86400, None),
        ("1.5h", NOW - 5400, None),
        ("today", utc("2026-11-23T23:00"), None),
        ("yesterday", utc("2026-11-22T23:00"), utc("2026-11-23T23:00")),
        ("2026-11-20", utc("2026-11-19T23:00"), utc("2026-11-20T23:00")),
        ("13:00", utc("2026-11-24T12:00"), None),
        ("13:00..14:00", utc("2026-11-24T12:00"), utc("2026-11-24T13:00")),
        ("13:00:30..+30m", utc("2026-11-24T12:00:30"), utc("2026-11-24T12:30:30")),
        ("2026-11-20 13:00..14:00", utc("2026-11-20T12:00"), utc("2026-11-20T13:00")),
        ("2026-11-20T13:00Z..14:00Z", utc("2026-11-20T13:00"), utc("2026-11-20T14:00")),
        ("2026-11-20 13:00+0200 .. 24:00", utc("2026-11-20T11:00"), utc("2026-11-20T23:00")),
        ("2026-11-20..2026-11-21", utc("2026-11-19T23:00"), utc("2026-11-21T23:00")),
        ("yesterday 22:00..today 02:00", utc("2026-11-23T21:00"), utc("2026-11-24T01:00")),
        ("2h..1h", NOW - 7200, NOW - 3600),
        ("2h..now", NOW - 7200, NOW),
        ("2026-11-24 13:00..", utc("2026-11-24T12:00"), None),
    ],
)
def test_range(text: str, start: float, end: float | None) -> None:
    assert parse_range(text, NOW) == (start, end)


def test_the_day_of_the_change_to_summer_time_has_23_hours() -> None:
    start, end = parse_range("2026-03-29", NOW)
    assert end is not None
    assert end - start == 23 * 3600


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("", 0),
        ("soon", 0),
        ("..14:00", 0),
        ("14:00..13:00", 7),
        ("13:00..soon", 7),
        ("13:00..+soon", 8),
        ("25:00", 0),
        ("13:61", 0),
        ("2026-02-30", 0),
        ("23:00", 0),
        ("0m", 0),
        ("99999999w", 0),
    ],
)
def test_error(text: str, position: int) -> None:
    with pytest.raises(TimeRangeError) as caught:
        parse_range(text, NOW)
    assert caught.value.position == position
