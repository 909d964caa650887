"""Ranges of time as an operator writes them; local time unless it says `Z` or an offset.

::

    15m  2h  1d  2h30m        the last so long
    today  yesterday          whole days
    2026-11-24                that day
    13:00                     from 13:00 of today until now
    13:00..14:00              of today; the end may also be 13:00..+30m
    2026-11-24 13:00..14:00   an end without a date is of the same day
    2026-11-24..2026-11-26    from the first day to the end of the last
    2h..1h                    from two hours ago to one hour ago
    2026-11-24 13:00..        until now, and on
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import NamedTuple

_SPAN = re.compile(r"(?:\d+(?:\.\d+)?[wdhms])+", re.IGNORECASE)
_PART = re.compile(r"(\d+(?:\.\d+)?)([wdhms])", re.IGNORECASE)
_SECONDS = {"w": 604800.0, "d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0}
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_TIME = re.compile(r"\d{1,2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?")
_MOMENT = re.compile(
    rf"(?:(?P<date>{_DATE.pattern}|today|yesterday)[ T]?)?(?P<time>{_TIME.pattern})?"
    r"(?P<zone>Z|[+-]\d{2}:?\d{2})?",
    re.IGNORECASE,
)


class TimeRange(NamedTuple):
    """start ≤ time < end in epoch seconds; an end of None is now, and goes on."""

    start: float
    end: float | None


class TimeRangeError(ValueError):
    """A range that cannot be understood; `position` is the index of the piece at fault."""

    def __init__(self, message: str, position: int = 0) -> None:
        super().__init__(message)
        self.position = position


class _Moment(NamedTuple):
    """A point, or a whole day."""

    at: float
    whole_day: bool
    day: datetime | None
    """A moment of its day if a date was written."""

    @property
    def end(self) -> float:
        """What is after it if it ends a range."""
        if not self.whole_day or self.day is None:
            return self.at
        return _local(_next(self.day)).timestamp()


def parse_range(text: str, now: float) -> TimeRange:
    """The range that `text` writes; `now` in epoch seconds. Raises TimeRangeError."""
    stripped = text.strip()
    offset = len(text) - len(text.lstrip())
    if not stripped:
        raise TimeRangeError("expected a time, like 15m, today or 13:00..14:00")
    head, dots, tail = stripped.partition("..")
    if not dots:
        return _single(stripped, now, offset)
    begin, end = head.rstrip(), tail.strip()
    end_at = offset + stripped.find("..") + 2 + (len(tail) - len(tail.lstrip()))
    if not begin:
        raise TimeRangeError("a range needs a start before the ..", offset)
    first = _moment(begin, now, offset, None)
    if not end:
        return TimeRange(first.at, None)
    if end.startswith("+"):
        return TimeRange(first.at, first.at + _span(end[1:], end_at + 1))
    last = _moment(end, now, end_at, first.day)
    if last.end <= first.at:
        raise TimeRangeError("the end is before the start", end_at)
    return TimeRange(first.at, last.end)


def _single(text: str, now: float, offset: int) -> TimeRange:
    if _SPAN.fullmatch(text):
        return TimeRange(now - _span(text, offset), None)
    moment = _moment(text, now, offset, None)
    if moment.whole_day:
        end = moment.end
        return TimeRange(moment.at, end if end <= now else None)
    if moment.at > now:
        raise TimeRangeError("that time is still to come", offset)
    return TimeRange(moment.at, None)


def _span(text: str, position: int) -> float:
    if not _SPAN.fullmatch(text):
        raise TimeRangeError(f"{text!r} is not a span like 30m or 2h30m", position)
    parts = _PART.findall(text)
    seconds = sum(float(number) * _SECONDS[unit.lower()] for number, unit in parts)
    if not 0 < seconds <= 100 * 365 * 86400:
        raise TimeRangeError(f"{text!r} is not a span of time", position)
    return seconds


def _moment(text: str, now: float, position: int, day: datetime | None) -> _Moment:
    if text.lower() == "now":
        return _Moment(now, False, None)
    if _SPAN.fullmatch(text):
        return _Moment(now - _span(text, position), False, None)
    match = _MOMENT.fullmatch(text)
    if match is None or not (match["date"] or match["time"]):
        raise TimeRangeError(
            f"{text!r} is not a time (15m, today, 13:00, 2026-11-24 13:00)", position
        )
    try:
        today = datetime.fromtimestamp(now)
        base = _day(match["date"], today) if match["date"] else day or today
        clock = match["time"]
        naive = datetime(base.year, base.month, base.day)
        if clock:
            hours, minutes, *rest = clock.split(":")
            second = float(rest[0]) if rest else 0.0
            naive += timedelta(hours=int(hours), minutes=int(minutes), seconds=second)
            if int(hours) > 24 or int(minutes) > 59 or second >= 60 or naive > _next(base):
                raise ValueError("a day has 24 hours")
        at = _zoned(naive, match["zone"])
    except (ValueError, OverflowError) as error:
        raise TimeRangeError(f"{text!r}: {error}", position) from None
    dated = base if match["date"] or day is not None else None
    return _Moment(at.timestamp(), not clock, dated)


def _day(word: str, today: datetime) -> datetime:
    if word.lower() == "today":
        return today
    if word.lower() == "yesterday":
        return today - timedelta(days=1)
    return datetime.strptime(word, "%Y-%m-%d")


def _next(day: datetime) -> datetime:
    return datetime(day.year, day.month, day.day) + timedelta(days=1)


def _zoned(naive: datetime, zone: str | None) -> datetime:
    if not zone:
        return _local(naive)
    offset = "+00:00" if zone.upper() == "Z" else zone
    return datetime.fromisoformat(f"{naive.isoformat()}{offset}")


def _local(naive: datetime) -> datetime:
    """In the console's time zone (TZ)."""
    return naive.astimezone()
