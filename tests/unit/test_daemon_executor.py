"""Blocking calls: one after the other, given up when late, never made when nobody waits."""

from __future__ import annotations

import asyncio
import threading

import pytest

from mailtui.connections.daemon_executor import DaemonExecutor
from mailtui.connections.errors import SourceError


async def test_results_and_errors_come_back() -> None:
    executor = DaemonExecutor("thing")
    assert await executor.call(lambda: 1 + 1, 5.0) == 2
    with pytest.raises(ZeroDivisionError):
        await executor.call(lambda: 1 / 0, 5.0)
    executor.close()


async def test_a_call_that_hangs_lets_nobody_meet_it() -> None:
    executor = DaemonExecutor("thing")
    go_on, made, running, most = threading.Event(), [], [0], [0]

    def hang() -> None:
        running[0] += 1
        most[0] = max(most[0], running[0])
        go_on.wait(20)
        running[0] -= 1

    def second() -> None:
        made.append("second")

    with pytest.raises(SourceError, match="no answer"):
        await executor.call(hang, 0.01)
    with pytest.raises(SourceError, match="no answer"):
        await executor.call(second, 0.01)
    with pytest.raises(SourceError, match="still hangs"):
        await executor.call(hang, 5.0)
    go_on.set()
    async with asyncio.timeout(20):
        while True:
            try:
                assert await executor.call(lambda: 3, 5.0) == 3
                break
            except SourceError:
                await asyncio.sleep(0.01)
    assert made == []  # it was given up before it began
    assert most == [1]
    executor.close()
