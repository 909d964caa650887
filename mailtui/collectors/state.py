"""What is known: one reading per source and target, and who wants to hear of changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from mailtui.model.reading import AnyReading, Reading

T = TypeVar("T")
Key = tuple[str, str]
"""(source, target)."""
Listener = Callable[[Key], None]


class State:
    """Readings by key. Used on one thread, the event loop's."""

    def __init__(self) -> None:
        self._readings: dict[Key, AnyReading] = {}
        self._listeners: list[Listener] = []
        self.version = 0
        """Grows with every change."""

    def expect(self, source: str, target: str = "", interval: float = 0.0) -> None:
        """Make a reading known that nothing was read of yet."""
        self._readings.setdefault((source, target), Reading(source, target, interval=interval))

    def put(self, reading: AnyReading) -> bool:
        """Store a reading and tell the listeners; False if a newer one is there already."""
        key = (reading.source, reading.target)
        held = self._readings.get(key)
        if held is not None and held.seq > reading.seq:
            return False
        self._readings[key] = reading
        self.version += 1
        for listener in tuple(self._listeners):
            listener(key)
        return True

    def get(self, source: str, target: str = "") -> AnyReading:
        """The reading; one that nobody reads is never-read."""
        return self._readings.get((source, target)) or Reading(source, target)

    def value(self, source: str, kind: type[T], target: str = "") -> T | None:
        """The last good value if it is of this kind, or None."""
        value = self.get(source, target).value
        return value if isinstance(value, kind) else None

    def of(self, source: str) -> list[AnyReading]:
        """All readings of a source, ordered by target as configured."""
        return [r for (name, _), r in self._readings.items() if name == source]

    def values(self, source: str, kind: type[T]) -> Iterator[tuple[str, T]]:
        """(target, last good value) of every reading of a source that has one."""
        for reading in self.of(source):
            if isinstance(reading.value, kind):
                yield reading.target, reading.value

    def all(self) -> list[AnyReading]:
        """Every reading."""
        return list(self._readings.values())

    def has(self, source: str) -> bool:
        """True if somebody reads this source."""
        return any(name == source for name, _ in self._readings)

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` with the key after each change; the result stops it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)
