"""What one answer of the broker cannot say: how a queue grew, since when consumers are stuck."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from mailtui.model.broker import BrokerQueue

SPAN = 1200.0
"""Seconds over which growth is told."""
_EVERY = 60.0
"""Seconds between the marks of our own measurement."""
SAMPLES = {"lengths_age": str(int(SPAN)), "lengths_incr": str(int(SPAN / 2))}
"""Parameters by which the broker sends the lengths of the last SPAN seconds itself."""


def sampled(item: Mapping[str, Any], uptime: float | None) -> tuple[float, float] | None:
    """(messages by which the queue grew, seconds), of its `messages_details.samples`.

    None without them, and where the broker is not up for that long: it gives zeros then.
    """
    samples: list[Any] = (item.get("messages_details") or {}).get("samples") or []
    total = item.get("messages")
    if len(samples) < 2 or not isinstance(total, int) or uptime is None:
        return None
    newest, oldest = samples[0], samples[-1]
    span = (newest["timestamp"] - oldest["timestamp"]) / 1000.0
    if span <= 0 or uptime < span + 60.0:
        return None
    return float(total - oldest["sample"]), span


class History:
    """What earlier reads said of each queue."""

    def __init__(self) -> None:
        self._marks: dict[str, deque[tuple[float, int]]] = {}
        self._stuck: dict[str, tuple[int, float]] = {}
        """Queue → (unacked, epoch seconds since when nothing of it was acknowledged)."""

    def told(self, queues: Iterable[BrokerQueue], now: float) -> tuple[BrokerQueue, ...]:
        """`queues` with growth (where the broker did not send it) and `stuck_since`."""
        found = tuple(self._one(queue, now) for queue in queues)
        known = {queue.key for queue in found}
        for gone in [key for key in self._marks if key not in known]:
            del self._marks[gone]
        for gone in [key for key in self._stuck if key not in known]:
            del self._stuck[gone]
        return found

    def _one(self, queue: BrokerQueue, now: float) -> BrokerQueue:
        stuck = self._stuck_since(queue, now)
        growth, span = queue.growth, queue.growth_span
        if growth is None and queue.total is not None:
            growth, span = self._growth(queue.key, queue.total, now)
        if (growth, span, stuck) == (queue.growth, queue.growth_span, queue.stuck_since):
            return queue
        return msgspec.structs.replace(queue, growth=growth, growth_span=span, stuck_since=stuck)

    def _growth(self, key: str, total: int, now: float) -> tuple[float | None, float]:
        marks = self._marks.setdefault(key, deque(maxlen=int(SPAN / _EVERY) + 1))
        if marks and now < marks[-1][0]:  # the clock went back
            marks.clear()
        if not marks or now - marks[-1][0] >= _EVERY:
            marks.append((now, total))
        while len(marks) > 1 and now - marks[0][0] > SPAN + _EVERY:
            marks.popleft()
        began, first = marks[0]
        if now - began < _EVERY:
            return None, 0.0
        return float(total - first), now - began

    def _stuck_since(self, queue: BrokerQueue, now: float) -> float | None:
        # a rate that is unknown proves nothing
        idle = queue.ack_rate == 0 and not queue.deliver_rate
        if not (queue.unacked and queue.consumers and idle):
            self._stuck.pop(queue.key, None)
            return None
        held = self._stuck.get(queue.key)
        if held is None or held[0] != queue.unacked or now < held[1]:
            held = self._stuck[queue.key] = (queue.unacked, now)
        return held[1]
