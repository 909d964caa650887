"""Queries compiled for one segment of an index, and what they are compiled against."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from mailtui.sandbox.es_fields import Get, Mapping, typed
from mailtui.sandbox.es_segments import Segment

Test = Callable[[Any], bool]


@dataclass(slots=True)
class Compiled:
    """A query for one segment: a time range (epoch ms, inclusive) and a test for its rows."""

    low: int | None = None
    high: int | None = None
    test: Test | None = None
    """None: every row of the range matches."""
    never: bool = False

    def as_test(self) -> Test:
        """Range and test together."""
        if self.never:
            return lambda row: False
        low, high, test = self.low, self.high, self.test
        if low is None and high is None:
            return test or (lambda row: True)
        floor = -(2**62) + 1 if low is None else low
        ceiling = 2**62 if high is None else high
        if test is None:
            return lambda row: floor <= row.millis <= ceiling
        return lambda row: floor <= row.millis <= ceiling and test(row)


ALL = Compiled()


NEVER = Compiled(never=True)


@dataclass(slots=True)
class Context:
    """What a query is compiled against."""

    mapping: Mapping
    segment: Segment
    now: int
    """Epoch milliseconds: what `now` in date math means."""
    index: str = ""
    _getters: dict[str, Get] = field(default_factory=dict)

    def get(self, name: str) -> Get:
        """The comparable values of a mapped field."""
        getter = self._getters.get(name)
        if getter is None:
            kind = self.mapping.kind(name) or "keyword"
            raw = self.segment.raw(self.mapping.source_path(name))
            getter = raw if name == "@timestamp" and kind == "date" else typed(kind, raw)
            self._getters[name] = getter
        return getter

    def raw(self, name: str) -> Get:
        """The values of a field as the source has them."""
        return self.segment.raw(self.mapping.source_path(name))


def any_of(get: Get, one: Callable[[Any], bool]) -> Test:
    """A test that holds if it holds for one of the field's values."""

    def test(row: Any) -> bool:
        value = get(row)
        if value is None:
            return False
        if type(value) is list:
            return any(one(item) for item in value)
        return one(value)

    return test


def equals(get: Get, wanted: Any) -> Test:
    """A test for one exact value."""

    def test(row: Any) -> bool:
        value = get(row)
        return value == wanted or (type(value) is list and wanted in value)

    return test
