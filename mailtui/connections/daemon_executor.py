"""A bounded pool of daemon threads: a hung call neither starves other sources nor delays quit.

`concurrent.futures.ThreadPoolExecutor` joins its threads at interpreter exit, so a source that
hangs would keep the console from ending.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from mailtui.connections.errors import SourceError

T = TypeVar("T")
_Job = tuple[Callable[[], Any], asyncio.AbstractEventLoop, "asyncio.Future[Any]"]


class DaemonExecutor:
    """Runs blocking calls of one source on at most `workers` threads."""

    def __init__(self, name: str, workers: int = 2) -> None:
        self._name = name
        self._workers = workers
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._busy = 0

    async def call(self, function: Callable[[], T], timeout: float) -> T:
        """The result of `function`, on a thread. Raises SourceError("timeout") when it is late.

        A late call goes on in its thread and its result is dropped; while every thread hangs,
        a further call fails at once instead of waiting behind them.
        """
        if self._busy >= self._workers * 2:
            raise SourceError("timeout", f"{self._name}: every earlier call still hangs")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._busy += 1
        self._jobs.put((function, loop, future))
        if len(self._threads) < self._workers:
            thread = threading.Thread(
                target=self._work, name=f"{self._name}-{len(self._threads)}", daemon=True
            )
            self._threads.append(thread)
            thread.start()
        try:
            async with asyncio.timeout(timeout):
                return await future
        except TimeoutError:
            raise SourceError("timeout", f"{self._name}: no answer within {timeout:g} s") from None

    def close(self) -> None:
        """Let idle threads end; a hung one ends with the process."""
        for _ in self._threads:
            self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            function, loop, future = job
            try:
                outcome: tuple[Any, BaseException | None] = (function(), None)
            except BaseException as error:
                outcome = (None, error)
            with suppress(RuntimeError):  # the loop is closed: nobody waits
                loop.call_soon_threadsafe(self._deliver, future, *outcome)

    def _deliver(
        self, future: asyncio.Future[Any], result: Any, error: BaseException | None
    ) -> None:
        self._busy -= 1
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)
