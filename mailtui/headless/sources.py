"""What the sources said: for the JSON object, for standard error, for the exit code."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mailtui.headless.errors import say
from mailtui.model import format as fmt
from mailtui.model.reading import AnyReading


def as_objects(readings: Iterable[AnyReading], now: float) -> list[dict[str, Any]]:
    """One object a reading; `age` in seconds, null if never read; `error` null without one."""
    return [
        {
            "source": r.source,
            "target": r.target,
            "status": r.status,
            "age": None if (age := r.age(now)) is None else round(age, 3),
            "error": r.fault.sentence() if r.fault is not None else None,
        }
        for r in readings
    ]


def name(reading: AnyReading) -> str:
    """`postfix mx1`, `rabbitmq`."""
    return f"{reading.source} {reading.target}".rstrip()


def failed(readings: Iterable[AnyReading]) -> list[AnyReading]:
    """Those that gave no answer now; a tool that a host does not have is an answer."""
    return [r for r in readings if r.fault is not None and not r.absent]


def answered(readings: Iterable[AnyReading]) -> bool:
    """True if any of them has something to say."""
    return any(r.status != "never" for r in readings)


def warn(verb: str, readings: Iterable[AnyReading], now: float) -> None:
    """Say on standard error which sources gave no answer."""
    for reading in failed(readings):
        assert reading.fault is not None
        age = reading.age(now)
        last = f" (last read {fmt.age(age)} ago)" if age is not None else ""
        say(verb, f"{name(reading)}: {reading.fault.sentence()}{last}")
