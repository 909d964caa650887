"""For how long a second factor is not asked for again: in this process's memory alone."""

from __future__ import annotations

import time


def monotonic() -> float:
    """Seconds on a clock that nobody sets and that goes on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Armed:
    """Armed for `seconds` after a code was accepted; another process is not."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._until = 0.0

    def arm(self, now: float | None = None) -> None:
        """From now on; `now` as `monotonic` gives it."""
        self._until = (monotonic() if now is None else now) + self.seconds

    def disarm(self) -> None:
        """Ask again."""
        self._until = 0.0

    def remaining(self, now: float | None = None) -> float:
        """Seconds left; 0: not armed."""
        return max(0.0, self._until - (monotonic() if now is None else now))

    def __bool__(self) -> bool:
        return self.remaining() > 0
