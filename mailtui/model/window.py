"""The stretch of time that a screen shows: one that slides with the clock, or one that stays."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass

from mailtui.model import format as fmt
from mailtui.model.timerange import TimeRangeError, parse_range


@dataclass(frozen=True, slots=True)
class Window:
    """Either `span` seconds back from now, or from `start` to `end` (None: now, and on)."""

    text: str
    """As an operator would type it."""
    span: float | None = None
    start: float = 0.0
    end: float | None = None

    def at(self, now: float) -> tuple[float, float | None]:
        """(start, end) in epoch seconds; an end of None is now, and goes on."""
        return (self.start, self.end) if self.span is None else (now - self.span, None)

    @property
    def live(self) -> bool:
        """True if it goes on with the clock."""
        return self.span is not None or self.end is None

    @property
    def label(self) -> str:
        """`last 15 m`, `14:03:15..14:03:30`."""
        if self.span is None:
            return self.text
        parts = re.findall(r"([\d.]+)([a-z])", self.text.lower())
        return "last " + " ".join(f"{number} {unit}" for number, unit in parts)


def parse_window(text: str, now: float) -> Window:
    """The window that `text` writes. Raises TimeRangeError."""
    text = " ".join(text.split())
    first = parse_range(text, now)
    if first.end is None:
        # what begins so much later an hour later slides with the clock; 13:00 does not
        try:
            later = parse_range(text, now + 3600.0)
        except TimeRangeError:
            later = first
        if later.end is None and abs(later.start - first.start - 3600.0) < 1.0:
            return Window(text, span=now - first.start)
    return Window(text, start=first.start, end=first.end)


def between(start: float, end: float, now: float) -> Window:
    """The window from `start` to `end`, epoch seconds."""
    days = [time.strftime("%Y-%m-%d", time.localtime(at)) for at in (start, end, now)]
    first, last = fmt.clock_time(start), fmt.clock_time(end)
    if days[1] != days[0]:
        last = f"{days[1]} {last}"
    if not days[0] == days[1] == days[2]:
        first = f"{days[0]} {first}"
    return Window(f"{first}..{last}", start=start, end=end)
