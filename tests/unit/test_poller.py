"""The poller: what it does with each outcome, and that no wish makes it spin or wait."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, ClassVar

import pytest

from mailtui.collectors.poller import Poller
from mailtui.collectors.state import State
from mailtui.connections.errors import SourceError, ToolMissing
from mailtui.model import clock
from mailtui.model.reading import Reading


class Source:
    """A collector that does what the test says at each read."""

    source: ClassVar[str] = "thing"
    overview: ClassVar[bool] = True
    target = "mx1"
    interval = 3600.0
    timeout = 5.0

    def __init__(self, *does: Callable[[], Any]) -> None:
        self.does = list(does)
        self.reads = 0
        self.read_again = asyncio.Event()

    async def read(self) -> Any:
        self.reads += 1
        self.read_again.set()
        do = self.does.pop(0) if len(self.does) > 1 else self.does[0]
        found = do()
        return await found if asyncio.iscoroutine(found) else found

    async def close(self) -> None:
        """Nothing is open."""


def fails(error: Exception) -> Callable[[], Any]:
    def do() -> Any:
        raise error

    return do


def poller(source: Source) -> tuple[Poller, State]:
    state = State()
    return Poller(source, state), state


async def reads(source: Source, count: int) -> None:
    """Wait until the source was read so often."""
    async with asyncio.timeout(10):
        while source.reads < count:
            source.read_again.clear()
            await source.read_again.wait()


@pytest.fixture
def times(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The wall clock's next answers; the last one stays."""
    values = [1000.0]
    monkeypatch.setattr(clock, "now", lambda: values.pop(0) if len(values) > 1 else values[0])
    return values


async def test_a_failure_keeps_the_value_and_its_age(times: list[float]) -> None:
    source = Source(lambda: "good", fails(SourceError("timeout", "late")))
    one, state = poller(source)
    await one.read_once()
    times[:] = [1010.0]
    await one.read_once()
    times[:] = [1020.0]
    found = await one.read_once()
    assert (found.value, found.read_at, found.status) == ("good", 1000.0, "stale")
    assert found.fault is not None
    assert (found.fault.since, found.fault.attempts) == (1010.0, 2)
    assert state.get("thing", "mx1") is found


async def test_a_good_read_ends_the_fault() -> None:
    one, _ = poller(Source(fails(SourceError("auth", "no")), lambda: 1))
    assert (await one.read_once()).status == "never"
    found = await one.read_once()
    assert (found.status, found.fault) == ("fresh", None)


async def test_a_tool_that_was_absent_is_no_value_and_no_beginning_of_a_fault(
    times: list[float],
) -> None:
    one, _ = poller(Source(fails(ToolMissing("postqueue", "mx1")), fails(SourceError("auth", "x"))))
    assert (await one.read_once()).status == "absent"
    times[:] = [2000.0]
    found = await one.read_once()
    assert found.status == "never"
    assert found.fault is not None
    assert found.fault.since == 2000.0


async def test_a_defect_of_a_collector_is_a_fault_and_names_no_value() -> None:
    one, _ = poller(Source(fails(KeyError("hunter2"))))
    found = await one.read_once()
    assert found.fault is not None
    assert found.fault.kind == "internal"
    assert "hunter2" not in found.fault.sentence()


async def test_a_read_that_hangs_is_given_up() -> None:
    source = Source(lambda: asyncio.sleep(3600))
    source.timeout = 0.01
    one, _ = poller(source)
    found = await one.read_once()
    assert found.fault is not None
    assert found.fault.kind == "timeout"


async def test_a_late_answer_never_replaces_a_newer_one() -> None:
    state = State()
    heard: list[tuple[str, str]] = []
    state.listen(heard.append)
    assert state.put(Reading("thing", "mx1", value="new", read_at=2.0, seq=2))
    assert not state.put(Reading("thing", "mx1", value="old", read_at=1.0, seq=1))
    assert state.get("thing", "mx1").value == "new"
    assert heard == [("thing", "mx1")]


async def test_who_stops_listening_hears_nothing() -> None:
    state = State()
    heard: list[tuple[str, str]] = []
    stop = state.listen(heard.append)
    stop()
    state.put(Reading("thing"))
    assert heard == []


async def test_a_wish_to_read_is_heard_while_it_sleeps_and_while_it_backs_off() -> None:
    source = Source(lambda: 1, fails(SourceError("timeout", "late")))
    one, _ = poller(source)
    task = asyncio.create_task(one.run())
    try:
        for count in (1, 2, 3):
            await reads(source, count)
            one.read_now()
        await reads(source, 4)
    finally:
        task.cancel()


async def test_a_wish_during_a_read_leads_to_another_one() -> None:
    gate = asyncio.Event()
    source = Source(gate.wait, lambda: 1)
    one, _ = poller(source)
    task = asyncio.create_task(one.run())
    try:
        await reads(source, 1)
        one.read_now()
        gate.set()
        await reads(source, 2)
    finally:
        task.cancel()


async def test_a_paused_poller_reads_once_when_asked_and_gives_way_to_others() -> None:
    source = Source(lambda: 1)
    one, _ = poller(source)
    one.pause(True)
    task = asyncio.create_task(one.run())
    try:
        one.read_now()
        await reads(source, 1)
        for _ in range(5):
            await asyncio.sleep(0)
        assert source.reads == 1
        one.pause(False)
        await reads(source, 2)
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_the_wait_after_failures_grows_and_has_a_limit() -> None:
    source = Source(fails(SourceError("timeout", "late")))
    source.interval = 5.0
    one, _ = poller(source)
    waits = []
    for _ in range(12):
        await one.read_once()
        waits.append(one.delay())
    assert 1.5 <= waits[0] <= 2.5
    assert waits[3] > waits[0]
    assert max(waits) <= 60.0 * 1.25
