"""A reading: what is known of one source at one target, how old it is, what went wrong."""

from __future__ import annotations

from typing import Any, Generic, Literal, TypeVar

import msgspec

T = TypeVar("T")

Status = Literal["never", "fresh", "stale", "absent"]
FaultKind = Literal[
    "timeout",
    "unreachable",
    "host-key",
    "auth",
    "refused",
    "protocol",
    "server",
    "rate-limited",
    "missing-tool",
    "config",
    "internal",
]


class Fault(msgspec.Struct, frozen=True):
    """Why a read failed: what happened, in the words of the field, and what to do next."""

    kind: FaultKind
    message: str
    hint: str = ""
    since: float = 0.0
    """Epoch seconds of the first failure in a row."""
    attempts: int = 1

    def sentence(self) -> str:
        """Message and hint as one line."""
        return f"{self.message}; {self.hint}" if self.hint else self.message


class Reading(msgspec.Struct, Generic[T], frozen=True):
    """The last good value of a source at a target, and the error since, if any.

    never:  nothing was read yet (`fault` says why, if a read failed).
    fresh:  the last read succeeded.
    stale:  the last read failed; `value` is the last good one.
    absent: the target answered that it does not have this tool; not an error.
    """

    source: str
    target: str = ""
    value: T | None = None
    read_at: float = 0.0
    """Epoch seconds at which `value` was asked for; 0 if never."""
    took: float = 0.0
    """Seconds that the last good read took."""
    seq: int = 0
    """Number of the poll that produced this; a late answer never replaces a newer one."""
    fault: Fault | None = None
    absent: bool = False
    interval: float = 0.0
    """Seconds between polls, so that a reader can tell late from fresh."""

    @property
    def status(self) -> Status:
        """Which of the four states this reading is in."""
        if self.absent:
            return "absent"
        if self.read_at == 0.0:
            return "never"
        return "stale" if self.fault else "fresh"

    def age(self, now: float) -> float | None:
        """Seconds since the value was read; None if never. Never negative (clocks jump)."""
        return None if self.read_at == 0.0 else max(0.0, now - self.read_at)


AnyReading = Reading[Any]
