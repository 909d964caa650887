"""What a move is asked for, what became of it, and how much it has in hand."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mailtui.operations.rabbitmq_session import Order, Tally

if TYPE_CHECKING:
    from mailtui.config.sources.rabbitmq import Settings

WINDOW = 2000
"""Messages taken and not acknowledged at most."""
WINDOW_BYTES = 64 * 1024 * 1024
"""The same in bytes, by the average size of the queue's messages."""


@dataclass(frozen=True)
class Job:
    """What is to be moved."""

    settings: Settings
    vhost: str
    order: Order
    count: int
    """Messages at most."""
    window: int
    rate: float
    """Messages a second; 0: no limit."""
    watch: float
    """Seconds that the canary is watched; 0: no canary."""
    operator: str


@dataclass
class Report:
    """What became of it."""

    tally: Tally = field(default_factory=Tally)
    there: int = 0
    """Messages that were ready at the start, at most `count`."""
    ready_before: int = 0
    """All messages that were ready at the start."""
    returned: int = 0
    """Taken and given back."""
    taken: int = 0
    """Of `there`: what somebody else took before we could."""
    reasons: Counter[str] = field(default_factory=Counter)
    doubled_at_most: int = 0
    stopped: str = ""
    """Why it ended before everything was moved."""
    notes: list[str] = field(default_factory=list)
    before: dict[str, int] = field(default_factory=dict)
    """Ready messages of the destinations, when each was first asked for."""


def window_of(size: float | None, rate: float, count: int) -> int:
    """How many messages are in hand at most; `size`: bytes of one on the average."""
    most = WINDOW if not rate else max(1, min(WINDOW, int(rate)))
    if size and size > 0:
        most = min(most, max(1, int(WINDOW_BYTES / size)))
    return max(1, min(most, count))
