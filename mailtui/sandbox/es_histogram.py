"""Where the buckets of a `date_histogram` begin."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mailtui.sandbox import es_dates
from mailtui.sandbox.es_errors import illegal, parsing

_UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_CALENDAR = {
    "minute": "m", "1m": "m", "hour": "h", "1h": "h", "day": "d", "1d": "d", "week": "w",
    "1w": "w", "month": "M", "1M": "M", "quarter": "q", "1q": "q", "year": "y", "1y": "y",
    "second": "s", "1s": "s",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rounding:
    """Epoch milliseconds to the start of their bucket, and from one bucket to the next."""

    key: Callable[[int], int]
    following: Callable[[int], int]
    zone: dt.tzinfo


def duration(text: Any) -> int:
    """A time value such as `30s` in milliseconds; EsError (400) if it is none."""
    match = re.fullmatch(r"([+-]?\d+)(ms|s|m|h|d)", str(text))
    if match is None:
        raise illegal(
            f"failed to parse setting [date_histogram.fixedInterval] with value [{text}] as a time"
            " value: unit is missing or unrecognized"
        )
    return int(match[1]) * _UNITS[match[2]]


def bucket_keys(body: dict[str, Any]) -> Rounding:
    """The rounding that a `date_histogram` asks for."""
    zone = es_dates.zone(body.get("time_zone"))
    offset = duration(body["offset"]) if body.get("offset") else 0
    fixed, calendar = body.get("fixed_interval"), body.get("calendar_interval")
    if (fixed is None) == (calendar is None):
        raise illegal(
            "Invalid interval specified, must be non-null and non-empty"
            if fixed is None
            else "Cannot use [fixed_interval] with [calendar_interval] configuration option."
        )
    if calendar is not None:
        unit = _CALENDAR.get(str(calendar))
        if unit is None:
            raise illegal(
                f"The supplied interval [{calendar}] could not be parsed as a calendar interval."
            )
        return _by_calendar(unit, offset, zone)
    step = duration(fixed)
    if step <= 0:
        raise illegal("Zero or negative time interval not supported")
    if zone is dt.UTC:
        return Rounding(
            lambda value: (value - offset) // step * step + offset, lambda key: key + step, zone
        )

    def local(value: int) -> int:
        moment = es_dates.from_millis(value, zone)
        shift = int((moment.utcoffset() or dt.timedelta()).total_seconds() * 1000) - offset
        return (value + shift) // step * step - shift

    return Rounding(local, lambda key: local(key + step), zone)


def _by_calendar(unit: str, offset: int, zone: dt.tzinfo) -> Rounding:
    # Events come in order, so the bucket of the last one is most often that of the next.
    last = (0, 0)

    def key(value: int) -> int:
        nonlocal last
        if not last[0] <= value < last[1]:
            start = es_dates.floor(es_dates.from_millis(value - offset, zone), unit)
            end = es_dates.add(start, 1, unit)
            last = (es_dates.to_millis(start) + offset, es_dates.to_millis(end) + offset)
        return last[0]

    def following(start: int) -> int:
        moment = es_dates.add(es_dates.from_millis(start - offset, zone), 1, unit)
        return es_dates.to_millis(moment) + offset

    return Rounding(key, following, zone)


def fill_gaps(found: list[int], rounding: Rounding, body: dict[str, Any], now: int) -> list[int]:
    """The keys to show: all between the first and the last, and up to the bounds, if empty
    buckets are wanted."""
    bounds = body.get("extended_bounds") or {}
    hard = body.get("hard_bounds") or {}

    def edge(spec: dict[str, Any], end: str) -> int | None:
        value = spec.get(end)
        if value is None:
            return None
        moment = es_dates.parse(value, now=now, formats=body.get("format"), tz=rounding.zone)
        return rounding.key(moment)

    first, last = edge(hard, "min"), edge(hard, "max")
    found = [k for k in found if (first is None or k >= first) and (last is None or k <= last)]
    if int(body.get("min_doc_count", 0)) > 0:
        return found
    low, high = edge(bounds, "min"), edge(bounds, "max")
    if low is not None and high is not None and low > high:
        raise parsing("[extended_bounds.min] cannot be greater than [extended_bounds.max]")
    edges = [*found[:1], *found[-1:], *(e for e in (low, high) if e is not None)]
    if not edges:
        return found
    keys = [min(edges)]
    while keys[-1] < max(edges) and len(keys) <= 65_536:
        keys.append(rounding.following(keys[-1]))
    return keys
