"""The sources' readings as a file, and back: what a screen showed can be shown again."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from typing import Any

import msgspec

import mailtui.model
from mailtui.collectors.state import State
from mailtui.model.reading import Fault, Reading

VERSION = 1


class Entry(msgspec.Struct):
    """One reading as recorded; `value` is a record of the class `kind` in `mailtui.model`."""

    source: str
    target: str
    kind: str
    read_at: float
    took: float
    interval: float
    absent: bool = False
    fault: Fault | None = None
    value: msgspec.Raw = msgspec.Raw(b"null")


class Recording(msgspec.Struct):
    """All readings of one moment."""

    version: int
    time: float
    """Epoch seconds."""
    readings: list[Entry]


def dump(state: State, time: float) -> bytes:
    """The readings of `state` as indented JSON."""
    entries = [
        Entry(
            source=r.source,
            target=r.target,
            kind=type(r.value).__name__ if r.value is not None else "",
            read_at=r.read_at,
            took=round(r.took, 4),
            interval=r.interval,
            absent=r.absent,
            fault=r.fault,
            value=msgspec.Raw(msgspec.json.encode(r.value)),
        )
        for r in state.all()
    ]
    data = msgspec.json.encode(Recording(VERSION, time, entries))
    return msgspec.json.format(data, indent=1)


def load(data: bytes) -> tuple[State, float]:
    """A state with these readings, and their time. Raises ValueError if it is no recording."""
    try:
        recording = msgspec.json.decode(data, type=Recording)
    except msgspec.MsgspecError as error:
        raise ValueError(f"not a recording: {error}") from None
    if recording.version != VERSION:
        raise ValueError(f"a recording of version {recording.version}; expected {VERSION}")
    state = State()
    for entry in recording.readings:
        state.put(
            Reading(
                source=entry.source,
                target=entry.target,
                value=_value(entry),
                read_at=entry.read_at,
                took=entry.took,
                seq=1,
                fault=entry.fault,
                absent=entry.absent,
                interval=entry.interval,
            )
        )
    return state, recording.time


def _value(entry: Entry) -> Any:
    if not entry.kind:
        return None
    kind = _records().get(entry.kind)
    if kind is None:
        raise ValueError(f"a recording with an unknown record {entry.kind!r}")
    try:
        return msgspec.json.decode(bytes(entry.value), type=kind)
    except msgspec.MsgspecError as error:
        raise ValueError(f"{entry.source} {entry.target}: {error}") from None


@cache
def _records() -> dict[str, type[msgspec.Struct]]:
    found: dict[str, type[msgspec.Struct]] = {}
    for module in pkgutil.iter_modules(mailtui.model.__path__):
        loaded = importlib.import_module(f"{mailtui.model.__name__}.{module.name}")
        for name, item in vars(loaded).items():
            if isinstance(item, type) and issubclass(item, msgspec.Struct):
                found[name] = item
    return found
