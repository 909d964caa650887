"""Courses over time: what a rate or a level was at any moment, and its integral.

The past of the world (its first three hours) is not simulated: a signal's past is a function of
time, evaluated when somebody asks; from `World.start` on, the signal is what the simulation does.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_right
from collections.abc import Sequence

_TABLE_SIZE = 4096
_SOURCE = random.Random(20_231)
_TABLE = [_SOURCE.random() for _ in range(_TABLE_SIZE)]


def noise(key: int, index: int) -> float:
    """A repeatable number in [0, 1) for a series `key` at a step `index`."""
    return _TABLE[(key * 2_654_435_761 + index * 40_503 + (index >> 12) * 977) & (_TABLE_SIZE - 1)]


class Course:
    """A piecewise linear function of time, constant before its first and after its last point."""

    __slots__ = ("_areas", "_times", "_values")

    def __init__(self, points: Sequence[tuple[float, float]] | float) -> None:
        """Points are (epoch seconds, value) in order of time; a number is a constant."""
        if isinstance(points, int | float):
            points = [(0.0, float(points))]
        self._times = [t for t, _ in points]
        self._values = [v for _, v in points]
        self._areas = [0.0]
        for i in range(1, len(points)):
            width = self._times[i] - self._times[i - 1]
            mean = (self._values[i] + self._values[i - 1]) / 2
            self._areas.append(self._areas[-1] + width * mean)

    def at(self, t: float) -> float:
        """Its value at epoch second t."""
        i = bisect_right(self._times, t)
        if i == 0:
            return self._values[0]
        if i == len(self._times):
            return self._values[-1]
        t0, t1 = self._times[i - 1], self._times[i]
        v0, v1 = self._values[i - 1], self._values[i]
        return v0 + (v1 - v0) * (t - t0) / (t1 - t0)

    def _area(self, t: float) -> float:
        i = bisect_right(self._times, t)
        if i == 0:
            return (t - self._times[0]) * self._values[0]
        if i == len(self._times):
            return self._areas[-1] + (t - self._times[-1]) * self._values[-1]
        width = t - self._times[i - 1]
        return self._areas[i - 1] + width * (self._values[i - 1] + self.at(t)) / 2

    def integral(self, start: float, end: float) -> float:
        """The area below it from `start` to `end` (value times seconds)."""
        return self._area(end) - self._area(start)


def swell(t: float, key: int) -> float:
    """A slow relative swing around 1 (±8 %), different for each `key`."""
    return 1.0 + 0.05 * math.sin(t / 271.0 + key) + 0.03 * math.sin(t / 83.0 + 1.7 * key)


def poisson(source: random.Random, mean: float) -> int:
    """A Poisson-distributed count; above 30 by the normal approximation."""
    if mean <= 0.0:
        return 0
    if mean > 30.0:
        return max(0, round(source.gauss(mean, math.sqrt(mean))))
    limit, product, count = math.exp(-mean), source.random(), 0
    while product > limit:
        product *= source.random()
        count += 1
    return count
