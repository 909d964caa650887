"""PromQL functions over a range of samples (promql/functions.go of Prometheus 2.42)."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import mul


@dataclass(slots=True)
class Window:
    """The samples of one series in the range that ends at one step; there is at least one."""

    times: array[int]
    values: array[float] | list[float]
    low: int
    high: int
    """The samples are times[low:high]."""
    now: int
    """The step's time (milliseconds), without offset."""
    start: int
    end: int
    """The range (milliseconds), with the offset taken into account."""

    def samples(self) -> Sequence[float]:
        """The values in the range."""
        return self.values[self.low : self.high]


RangeFunction = Callable[[Window, list[float]], float | None]
"""(window, scalar arguments) → value, or None: no sample."""


def _extrapolated(window: Window, counter: bool, per_second: bool) -> float | None:
    if window.high - window.low < 2:
        return None
    values, times = window.values, window.times
    first, last = values[window.low], values[window.high - 1]
    result = last - first
    if counter:
        previous = first
        for value in values[window.low + 1 : window.high]:
            if value < previous:
                result += previous
            previous = value
    to_start = (times[window.low] - window.start) / 1000.0
    to_end = (window.end - times[window.high - 1]) / 1000.0
    sampled = (times[window.high - 1] - times[window.low]) / 1000.0
    average = sampled / (window.high - window.low - 1)
    if counter and result > 0 and first >= 0:
        # a counter cannot have been below zero
        to_start = min(to_start, sampled * (first / result))
    threshold = average * 1.1
    extended = sampled
    extended += to_start if to_start < threshold else average / 2
    extended += to_end if to_end < threshold else average / 2
    factor = extended / sampled
    if per_second:
        factor /= (window.end - window.start) / 1000.0
    return result * factor


def _rate(window: Window, arguments: list[float]) -> float | None:
    return _extrapolated(window, counter=True, per_second=True)


def _increase(window: Window, arguments: list[float]) -> float | None:
    return _extrapolated(window, counter=True, per_second=False)


def _delta(window: Window, arguments: list[float]) -> float | None:
    return _extrapolated(window, counter=False, per_second=False)


def _last_two(window: Window, rate: bool) -> float | None:
    if window.high - window.low < 2:
        return None
    last, before = window.values[window.high - 1], window.values[window.high - 2]
    step = window.times[window.high - 1] - window.times[window.high - 2]
    if step == 0:
        return None
    if not rate:
        return last - before
    return (last if last < before else last - before) / (step / 1000.0)


def _irate(window: Window, arguments: list[float]) -> float | None:
    return _last_two(window, rate=True)


def _idelta(window: Window, arguments: list[float]) -> float | None:
    return _last_two(window, rate=False)


def _regression(window: Window, intercept_at: int) -> tuple[float, float]:
    """(slope a second, value at `intercept_at`) of the least-squares line."""
    ys = list(window.samples())
    if all(y == ys[0] for y in ys):
        return (math.nan, math.nan) if math.isinf(ys[0]) else (0.0, ys[0])
    xs = [(t - intercept_at) / 1000.0 for t in window.times[window.low : window.high]]
    n = float(len(xs))
    sum_x, sum_y = math.fsum(xs), math.fsum(ys)
    covariance = math.fsum(map(mul, xs, ys)) - sum_x * sum_y / n
    variance = math.fsum(map(mul, xs, xs)) - sum_x * sum_x / n
    slope = covariance / variance if variance else math.nan
    return slope, sum_y / n - slope * sum_x / n


def _deriv(window: Window, arguments: list[float]) -> float | None:
    if window.high - window.low < 2:
        return None
    return _regression(window, window.times[window.low])[0]


def _predict_linear(window: Window, arguments: list[float]) -> float | None:
    if window.high - window.low < 2:
        return None
    slope, intercept = _regression(window, window.now)
    return slope * arguments[0] + intercept


def _avg(window: Window, arguments: list[float]) -> float:
    return total(window.samples()) / (window.high - window.low)


def total(values: Sequence[float]) -> float:
    """Their sum, also with infinities."""
    try:
        return math.fsum(values)
    except (OverflowError, ValueError):
        return sum(values)


def greatest(values: Sequence[float]) -> float:
    """The maximum; NaN only if there is nothing else."""
    return max((v for v in values if not math.isnan(v)), default=math.nan)


def least(values: Sequence[float]) -> float:
    """The minimum; NaN only if there is nothing else."""
    return min((v for v in values if not math.isnan(v)), default=math.nan)


def quantile(q: float, values: Sequence[float]) -> float:
    """Linear interpolation between the closest ranks (promql/quantile.go)."""
    if not values or math.isnan(q):
        return math.nan
    if q < 0:
        return -math.inf
    if q > 1:
        return math.inf
    ordered = sorted(values, key=lambda v: (not math.isnan(v), v))
    rank = q * (len(ordered) - 1)
    low = max(0, math.floor(rank))
    high = min(len(ordered) - 1, low + 1)
    weight = rank - math.floor(rank)
    return ordered[low] * (1 - weight) + ordered[high] * weight


def variance(values: Sequence[float]) -> float:
    """Population variance."""
    mean = total(values) / len(values)
    return total([(v - mean) ** 2 for v in values]) / len(values)


def _changes(window: Window, arguments: list[float]) -> float:
    values = window.samples()
    pairs = pairwise(values)
    return float(sum(1 for a, b in pairs if a != b and not (math.isnan(a) and math.isnan(b))))


def _resets(window: Window, arguments: list[float]) -> float:
    values = window.samples()
    return float(sum(1 for a, b in pairwise(values) if b < a))


RANGE_FUNCTIONS: dict[str, RangeFunction] = {
    "rate": _rate,
    "increase": _increase,
    "delta": _delta,
    "irate": _irate,
    "idelta": _idelta,
    "deriv": _deriv,
    "predict_linear": _predict_linear,
    "avg_over_time": _avg,
    "sum_over_time": lambda w, _: total(w.samples()),
    "min_over_time": lambda w, _: least(w.samples()),
    "max_over_time": lambda w, _: greatest(w.samples()),
    "count_over_time": lambda w, _: float(w.high - w.low),
    "last_over_time": lambda w, _: w.values[w.high - 1],
    "present_over_time": lambda w, _: 1.0,
    "stddev_over_time": lambda w, _: math.sqrt(variance(w.samples())),
    "stdvar_over_time": lambda w, _: variance(w.samples()),
    "quantile_over_time": lambda w, a: quantile(a[0], w.samples()),
    "changes": _changes,
    "resets": _resets,
}
KEEPS_NAME = frozenset({"last_over_time"})
