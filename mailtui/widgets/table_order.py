"""Filtering, sorting and following rows in slices short enough for the event loop.

Every long piece of work is a generator that yields between slices of a few milliseconds and
returns its result. `drain` runs one at once, `drive` lets the event loop breathe. (A thread
would not help: `list.sort` holds the GIL from its start to its end.)
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import Callable, Generator, Sequence
from itertools import repeat
from operator import indexOf, is_
from time import perf_counter
from typing import Any, TypeVar

from mailtui.model.where import Where

Row = TypeVar("Row")
Result = TypeVar("Result")
Steps = Generator[None, None, Result]
Key = Callable[[Any], str]

SLICE = 5_000
"""Rows worked on between two yields: about 2 ms."""
TURN = 0.008
"""Seconds of work before the event loop has its turn."""
NEIGHBOURS = 10_000
"""How far from a vanished row a row that is left is looked for, each way."""


def drain(steps: Steps[Result]) -> Result:
    """Run `steps` to their end and return the result."""
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]


async def drive(steps: Steps[Result]) -> Result:
    """Run `steps` to their end, giving way to other tasks every few milliseconds."""
    started = perf_counter()
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]
        if perf_counter() - started > TURN:
            await asyncio.sleep(0)
            started = perf_counter()


def filtered(rows: list[Row], where: Where) -> Steps[list[Row]]:
    """The rows that match, in their order."""
    found: list[Row] = []
    for start in range(0, len(rows), SLICE):
        found += where.filter(rows[start : start + SLICE])
        yield
    return found


def kept(view: list[Row], fresh: list[Row], key: Key) -> Steps[tuple[list[Row], int]]:
    """The rows of `view` that are still in `fresh`, in the order of `view`, each replaced by
    its fresh record; and the number of fresh rows that `view` does not have."""
    by_key: dict[str, Row] = {}
    for start in range(0, len(fresh), SLICE):
        part = fresh[start : start + SLICE]
        by_key.update(zip(map(key, part), part, strict=True))
        yield
    found: list[Row] = []
    for start in range(0, len(view), SLICE):
        for row in view[start : start + SLICE]:
            new = by_key.pop(key(row), None)
            if new is not None:
                found.append(new)
        yield
    return found, len(by_key)


def chosen(rows: list[Row], wanted: set[str], key: Key) -> Steps[dict[str, Row]]:
    """The rows with these keys."""
    found: dict[str, Row] = {}
    for start in range(0, len(rows), SLICE):
        part = rows[start : start + SLICE]
        found.update((k, row) for k, row in zip(map(key, part), part, strict=True) if k in wanted)
        yield
    return found


def ordered(rows: list[Row], value: Callable[[Row], Any], reverse: bool) -> Steps[list[Row]]:
    """`rows` sorted by `value`: text without regard to case, unknown (None, NaN) always last,
    equal rows in the order they had."""
    keys: list[Any] = []
    kinds: set[type] = set()
    for start in range(0, len(rows), SLICE):
        slice_ = rows[start : start + SLICE]
        try:
            part = [value(row) for row in slice_]
        except Exception:  # a column that breaks on one row: that row's value is unknown
            part = [_value(value, row) for row in slice_]
        kinds.update(map(type, part))
        keys += part
        yield
    normal = _normaliser(kinds)
    if normal is not None:
        for start in range(0, len(keys), SLICE):
            keys[start : start + SLICE] = map(normal, keys[start : start + SLICE])
            yield
    known: list[int] = []
    unknown: list[int] = []
    for start in range(0, len(keys), SLICE * 4):
        part = keys[start : start + SLICE * 4]
        known += [start + i for i, k in enumerate(part) if k is not None]
        unknown += [start + i for i, k in enumerate(part) if k is None]
        yield
    order = yield from _sorted_indices(known, keys, reverse)
    order += unknown
    result: list[Row] = []
    for start in range(0, len(order), SLICE * 4):
        result += [rows[i] for i in order[start : start + SLICE * 4]]
        yield
    return result


def _value(value: Callable[[Row], Any], row: Row) -> Any:
    try:
        return value(row)
    except Exception:
        return None


def _normaliser(kinds: set[type]) -> Callable[[Any], Any] | None:
    """What makes values of these types comparable with each other, None if they are."""
    kinds = kinds - {type(None)}
    if kinds <= {int, bool}:
        return None
    if kinds <= {int, bool, float}:
        return lambda v: v if v == v else None  # noqa: PLR0124 - NaN
    if kinds == {str}:
        return lambda v: None if v is None else v.casefold()
    return _mixed


def _mixed(value: Any) -> tuple[int, Any] | None:
    if value is None or value != value:  # noqa: PLR0124 - NaN
        return None
    if isinstance(value, (int, float)):
        return 0, value
    if isinstance(value, (tuple, list)):
        return 1, ", ".join(map(str, value)).casefold()
    return 1, str(value).casefold()


def _sorted_indices(known: list[int], keys: list[Any], reverse: bool) -> Steps[list[int]]:
    """Indices by key. Long lists are sorted as runs, then merged bucket by bucket: no single
    step is long, however many rows there are."""
    at = keys.__getitem__
    size = SLICE * 2
    if len(known) <= size:
        known.sort(key=at, reverse=reverse)
        return known
    # Descending is ascending on the list turned round, turned round: equal keys keep their order.
    sign = -1 if reverse else 1
    if reverse:
        known.reverse()
    runs: list[list[int]] = []
    for start in range(0, len(known), size):
        run = known[start : start + size]
        run.sort(key=at)
        runs.append(run)
        yield

    def place(index: int) -> tuple[Any, int]:
        return keys[index], sign * index

    sample = sorted((place(i) for run in runs for i in run[:: size // 16]), key=lambda p: p)
    splitters = sample[:: max(1, len(sample) // len(runs))][1:]
    result: list[int] = []
    starts = [0] * len(runs)
    for splitter in [*splitters, None]:
        bucket: list[int] = []
        for number, run in enumerate(runs):
            start = starts[number]
            end = len(run) if splitter is None else bisect_left(run, splitter, start, key=place)
            bucket += run[start:end]
            starts[number] = end
        bucket.sort(key=at)
        result += bucket
        yield
    if reverse:
        result.reverse()
    return result


def position(rows: Sequence[Row], row: Row, key: Key) -> int:
    """Index of `row` in `rows`, found by identity or by key; -1 if it is not there."""
    try:
        return indexOf(map(is_, rows, repeat(row)), True)
    except ValueError:
        return position_of_key(rows, key(row), key)


def position_of_key(rows: Sequence[Row], wanted: str, key: Key) -> int:
    """Index of the row with this key; -1 if it is not there."""
    try:
        return indexOf(map(key, rows), wanted)
    except ValueError:
        return -1


def located(rows: list[Row], wanted: str, key: Key) -> Steps[int]:
    """Index of the row with this key; -1 if it is not there."""
    for start in range(0, len(rows), SLICE * 4):
        found = position_of_key(rows[start : start + SLICE * 4], wanted, key)
        if found >= 0:
            return start + found
        yield
    return -1


def follow(old: list[Row], at: int, new: list[Row], key: Key, guess: int = -1) -> tuple[int, bool]:
    """Where the row `old[at]` is in `new` (perhaps at `guess`), and whether it vanished.

    If it vanished, the place of the nearest row that followed it, or else of the nearest
    before it. -1 if `new` is empty.
    """
    if not new:
        return -1, bool(old) and at >= 0
    if not old or not 0 <= at < len(old):
        return 0, False
    wanted = key(old[at])
    for place in (guess, at):
        if 0 <= place < len(new) and key(new[place]) == wanted:
            return place, False
    found = position(new, old[at], key)
    if found >= 0:
        return found, False
    after = old[at + 1 : at + 1 + NEIGHBOURS]
    before = old[max(0, at - NEIGHBOURS) : at][::-1]
    for neighbours in (after, before):
        rank = {key(row): number for number, row in enumerate(neighbours)}
        hits = [(rank[k], i) for i, k in enumerate(map(key, new)) if k in rank]
        if hits:
            return min(hits)[1], True
    return min(at, len(new) - 1), True
