"""Samples in memory, by series, as a Prometheus server holds what it scraped.

Series of one target share one timeline: a scrape gives all of them a sample at the same time.
A series whose past is a function of time computes it when somebody asks for the first time.
"""

from __future__ import annotations

import math
import re
from array import array
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

NAN = math.nan

Labels = dict[str, str]
Function = Callable[[float], float]
"""Epoch seconds → value; NaN: no sample."""


@dataclass(slots=True)
class Timeline:
    """The times at which one target was scraped."""

    times: array[int] = field(default_factory=lambda: array("q"))
    """Epoch milliseconds, ascending."""
    ok: bytearray = field(default_factory=bytearray)
    """1 where the scrape worked; without it every series has a gap there (stale marker)."""
    series: list[Series] = field(default_factory=list)

    def scrape(self, millis: int, ok: bool = True) -> None:
        """One more scrape: every series that is recorded live reads its value."""
        self.times.append(millis)
        self.ok.append(ok)
        for series in self.series:
            if series.live is not None:
                series.record(series.live() if ok or series.always else NAN)

    def trim(self, keep: int) -> None:
        """Forget all but the newest `keep` scrapes."""
        drop = len(self.times) - keep
        if drop <= 0:
            return
        for series in self.series:
            series.trim(drop)
        del self.times[:drop], self.ok[:drop]


class Series:
    """One series: its labels (with `__name__`), and a value or NaN for each time."""

    __slots__ = (
        "_gaps", "_past", "_points", "_ready", "_values", "always", "labels", "live", "past",
        "timeline",
    )  # fmt: skip

    def __init__(
        self,
        labels: Labels,
        timeline: Timeline,
        past: Function | None = None,
        live: Callable[[], float] | None = None,
        always: bool = False,
    ) -> None:
        """`past` is the value before the series began to be recorded (None: there was none).
        Without `live` it is never recorded, and `past` is true for the future, too. `always`: a
        sample in spite of a failed scrape (`up`).
        """
        self.labels = dict(sorted(labels.items()))
        self.timeline = timeline
        self.past = past
        self.live = live
        self.always = always
        self._past = len(timeline.times) if live is not None else 0
        """How many of the timeline's oldest times are before the recording."""
        self._ready = live is None
        """True once the past of a recorded series was computed and stands in `_values`."""
        self._values: array[float] = array("d")
        self._gaps = False
        self._points: tuple[array[int], array[float]] | None = None
        timeline.series.append(self)

    def record(self, value: float) -> None:
        """The value at the timeline's newest time."""
        self._values.append(value)
        self._points = None
        if math.isnan(value):
            self._gaps = True

    def _computed(self, first: int, last: int) -> array[float]:
        """The past at some of the timeline's times."""
        past, timeline, always = self.past, self.timeline, self.always
        if past is None:
            values = array("d", [NAN] * (last - first))
        else:
            times, ok = timeline.times, timeline.ok
            values = array(
                "d",
                [past(times[i] / 1000.0) if ok[i] or always else NAN for i in range(first, last)],
            )
        self._gaps = self._gaps or any(map(math.isnan, values))
        return values

    @property
    def values(self) -> array[float]:
        """One value for each of `timeline.times`; NaN: no sample."""
        if not self._ready:
            self._values = self._computed(0, self._past) + self._values
            self._ready = True
        elif self.live is None and len(self._values) < len(self.timeline.times):
            self._values += self._computed(len(self._values), len(self.timeline.times))
            self._points = None
        return self._values

    def points(self) -> tuple[array[int], array[float]]:
        """Times and values without gaps. Series without gaps share the array of times."""
        values = self.values
        if not self._gaps:
            return self.timeline.times, values
        if self._points is None:
            times = self.timeline.times
            there = [i for i, v in enumerate(values) if not math.isnan(v)]
            self._points = (
                array("q", [times[i] for i in there]),
                array("d", [values[i] for i in there]),
            )
        return self._points

    def trim(self, drop: int) -> None:
        """Forget the oldest `drop` values; a past that nobody asked for is not computed for it."""
        self._points = None
        if self._ready:
            del self._values[:drop]
        elif drop <= self._past:
            self._past -= drop
        else:
            del self._values[: drop - self._past]
            self._past = 0


@dataclass(slots=True, frozen=True)
class Matcher:
    """A label matcher: `=`, `!=`, `=~` or `!~`."""

    name: str
    op: str
    value: str
    pattern: re.Pattern[str] | None = None

    @classmethod
    def make(cls, name: str, op: str, value: str) -> Matcher:
        """Compiles the anchored pattern; ValueError if it is not a regular expression."""
        pattern = None
        if op in ("=~", "!~"):
            try:
                pattern = re.compile(value)
            except re.error as error:
                raise ValueError(f"error parsing regexp: {error}") from error
        return cls(name, op, value, pattern)

    def matches(self, labels: Labels) -> bool:
        """True if a series with these labels is chosen; a missing label is the empty string."""
        value = labels.get(self.name, "")
        if self.pattern is not None:
            return (self.pattern.fullmatch(value) is not None) == (self.op == "=~")
        return (value == self.value) == (self.op == "=")


@dataclass(slots=True)
class Metadata:
    """What a target says of a metric."""

    type: str
    """counter, gauge, histogram, summary, unknown."""
    help: str


class Store:
    """Series by name."""

    def __init__(self) -> None:
        """An empty store."""
        self._names: dict[str, list[Series]] = {}
        self.metadata: dict[str, Metadata] = {}

    def add(self, series: Series) -> Series:
        """Add a series; its labels must be unique."""
        self._names.setdefault(series.labels["__name__"], []).append(series)
        return series

    def __len__(self) -> int:
        return sum(len(group) for group in self._names.values())

    def select(self, matchers: Iterable[Matcher]) -> list[Series]:
        """The series that all matchers choose, ordered by labels."""
        wanted = list(matchers)
        exact = next((m for m in wanted if m.name == "__name__" and m.op == "="), None)
        if exact is not None:
            wanted.remove(exact)
            candidates = self._names.get(exact.value, [])
        else:
            names = [m for m in wanted if m.name == "__name__"]
            candidates = [
                series
                for name, group in self._names.items()
                if all(m.matches({"__name__": name}) for m in names)
                for series in group
            ]
        chosen = [s for s in candidates if all(m.matches(s.labels) for m in wanted)]
        return sorted(chosen, key=lambda s: list(s.labels.items()))

    def names(self) -> list[str]:
        """Every metric name."""
        return sorted(self._names)
