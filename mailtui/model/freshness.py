"""How old a view is and what it lacks, worked out from the readings behind it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from mailtui.model import format as fmt
from mailtui.model.reading import AnyReading

LATE = 3.0
"""A reading older than this many intervals is late, even if no read failed."""


class Freshness(msgspec.Struct, frozen=True):
    """What to say beside the data."""

    oldest: float | None
    """Seconds since the oldest value was read; None if there is no value."""
    never: int
    stale: int
    absent: int
    total: int
    text: str
    """`3 s`, `mx2 stale 2 m 10 s: …`, `reading…`."""

    @property
    def nothing(self) -> bool:
        """True if there is no value at all to show."""
        return self.total > 0 and self.never + self.absent == self.total

    @property
    def is_stale(self) -> bool:
        """True if anything shown is older than its last failed read."""
        return self.stale > 0

    @property
    def wrong(self) -> bool:
        """True if a reader has to know that something is missing or old."""
        return self.stale > 0 or ": " in self.text


def summarise(readings: Sequence[AnyReading], now: float) -> Freshness:
    """The freshness of a view made of these readings."""
    ages = [a for r in readings if not r.absent and (a := r.age(now)) is not None]
    stale = [r for r in readings if r.status == "stale" or _late(r, now)]
    failed = [r for r in readings if r.status == "never" and r.fault is not None]
    never = [r for r in readings if r.status == "never"]
    absent = [r for r in readings if r.absent]
    parts: list[str] = []
    if stale:
        parts.append(_say("stale", stale, now))
    if failed:
        parts.append(_say("never read", failed, now))
    waiting = len(never) - len(failed)
    if not parts:
        if not readings:
            parts.append("not configured")
        elif len(absent) == len(readings):
            parts.append(_only_absent(absent))
        elif waiting and not ages:
            parts.append("reading…")
        elif waiting:
            parts.append(f"{fmt.age(max(ages))}, {waiting} of {len(readings)} not yet read")
        else:
            parts.append(fmt.age(max(ages)))
    return Freshness(
        oldest=max(ages) if ages else None,
        never=len(never),
        stale=len(stale),
        absent=len(absent),
        total=len(readings),
        text=" · ".join(parts),
    )


def _late(reading: AnyReading, now: float) -> bool:
    age = reading.age(now)
    return bool(
        reading.interval
        and not reading.absent
        and age is not None
        and age > LATE * reading.interval + 10
    )


def _say(word: str, readings: list[AnyReading], now: float) -> str:
    first = readings[0]
    places = list(dict.fromkeys(r.target or r.source for r in readings))
    names = " ".join(places[:3])
    if len(places) > 3:
        names += f" and {len(places) - 3} more"
    age = max((a for r in readings if (a := r.age(now)) is not None), default=None)
    since = f" {fmt.age(age)}" if word == "stale" and age is not None else ""
    fault = first.fault
    why = fault.sentence() if fault is not None else "the poll is late"
    why = why.removeprefix(f"{first.target or first.source}: ")  # the name stands before it
    return f"{names} {word}{since}: {why}"


def _only_absent(readings: list[AnyReading]) -> str:
    fault = readings[0].fault
    if len(readings) == 1 and fault is not None:
        return fault.message
    return f"{readings[0].source} is on none of {len(readings)} hosts"
