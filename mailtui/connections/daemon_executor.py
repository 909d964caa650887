"""A daemon thread for each source that blocks: one that hangs neither starves other sources nor
delays quitting. One thread, so that what a late call still does never meets the next one.

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


MOST_WAITING = 2
"""Calls of one source at a time, the one that runs among them."""


class DaemonExecutor:
    """Runs blocking calls of one source one after the other, on a thread of its own."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._waiting = 0
        """Calls that have not ended."""

    async def call(self, function: Callable[[], T], timeout: float) -> T:
        """The result of `function`, on a thread. Raises SourceError("timeout") when it is late.

        A late call goes on in its thread and its result is dropped; one that did not begin in
        time is never made. While a call hangs, one waits behind it and a further one fails at once.
        """
        if self._waiting >= MOST_WAITING:
            raise SourceError("timeout", f"{self._name}: an earlier call still hangs")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._waiting += 1
        self._jobs.put((function, loop, future))
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
            self._thread.start()
        try:
            async with asyncio.timeout(timeout):
                return await future
        except TimeoutError:
            raise SourceError("timeout", f"{self._name}: no answer within {timeout:g} s") from None

    def close(self) -> None:
        """Let the thread end; one that hangs ends with the process."""
        self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            function, loop, future = job
            outcome: tuple[Any, BaseException | None] = None, None
            try:
                if not future.cancelled():
                    outcome = function(), None
            except BaseException as error:
                outcome = None, error
            with suppress(RuntimeError):  # the loop is closed: nobody waits
                loop.call_soon_threadsafe(self._deliver, future, *outcome)

    def _deliver(
        self, future: asyncio.Future[Any], result: Any, error: BaseException | None
    ) -> None:
        self._waiting -= 1
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)
