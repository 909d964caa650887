"""A series of numbers as one line of characters."""

from __future__ import annotations

import math
from collections.abc import Sequence

BLOCKS = "▁▂▃▄▅▆▇█"
RAMP = "_.-=+*#"


def spark(
    values: Sequence[float | None],
    width: int,
    lo: float | None = None,
    hi: float | None = None,
    ascii: bool = False,
) -> str:
    """`values`, oldest first, as exactly `width` characters, each one cell wide.

    A longer series is resampled by the greatest of each stretch, so that a peak is never
    lost; a shorter one stands at the right, where now is. An unknown value (None, not finite)
    is a gap. `lo` and `hi` fix the scale; by default it reaches from 0, or the least value if that
    is negative, to the greatest. A flat line of zeros lies at the bottom; any other flat line
    stands at the top of its scale.
    """
    if width <= 0:
        return ""
    finite = [v if v is not None and math.isfinite(v) else None for v in values]
    series = _resampled(finite, width)
    known = [v for v in series if v is not None]
    ramp = RAMP if ascii else BLOCKS
    if not known:
        return " " * width
    low = min(0.0, *known) if lo is None else lo
    high = max(known) if hi is None else hi
    return "".join(" " if v is None else ramp[_step(v, low, high, len(ramp))] for v in series)


def _step(value: float, low: float, high: float, steps: int) -> int:
    """Index into a ramp: only the lowest value is at 0, so that a little is not nothing."""
    if value <= low or high <= low:
        return 0
    share = min(1.0, (value - low) / (high - low))
    return max(1, min(steps - 1, round(share * (steps - 1))))


def _resampled(values: list[float | None], width: int) -> list[float | None]:
    count = len(values)
    if count <= width:
        return [None] * (width - count) + values
    result: list[float | None] = []
    for i in range(width):
        part = values[i * count // width : (i + 1) * count // width]
        result.append(max((v for v in part if v is not None), default=None))
    return result
