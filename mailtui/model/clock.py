"""The time of day, in one place, so that it can be frozen."""

from __future__ import annotations

import time
from collections.abc import Callable

Clock = Callable[[], float]

_clock: Clock = time.time


def now() -> float:
    """Epoch seconds."""
    return _clock()


def set_clock(clock: Clock | None) -> None:
    """Replace the clock (snapshot tests freeze it); None restores the system's."""
    global _clock
    _clock = clock or time.time
