"""Reads one collector again and again, and never gives up.

No overlap; a hard timeout; after a failure, capped exponential backoff with jitter; a wish to
read now is heard at any time; the wall clock only dates readings, so a jump of it does no harm.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from contextlib import suppress

import msgspec

from mailtui.collectors.base import Collector
from mailtui.collectors.state import State
from mailtui.connections.errors import SourceError, ToolMissing
from mailtui.model import clock
from mailtui.model.reading import AnyReading, Fault, Reading

log = logging.getLogger("mailtui.poller")

BACKOFF_CAP = 60.0
"""Seconds between reads of a source that keeps failing, unless its interval is longer."""
ABSENT_INTERVAL = 300.0
"""Seconds between looks whether a missing tool has come."""


class Poller:
    """The schedule of one collector."""

    def __init__(self, collector: Collector, state: State) -> None:
        self.collector = collector
        self._state = state
        self._wake = asyncio.Event()
        self._paused = False
        self._failures = 0
        self._seq = 0
        state.expect(collector.source, collector.target, collector.interval)

    async def run(self) -> None:
        """Poll until cancelled. The first reads of many sources are spread by a little jitter."""
        await self._sleep(random.uniform(0, 0.05))
        while True:
            if self._wake.is_set() or not self._paused:
                await self.read_once()
            await self._sleep(self.delay())

    def read_now(self) -> None:
        """Read at once (after the read in progress, if there is one)."""
        self._wake.set()

    def pause(self, paused: bool) -> None:
        """A paused poller reads only when asked to (`read_now`); when resumed it reads at once."""
        if self._paused and not paused:
            self._wake.set()
        self._paused = paused

    async def read_once(self) -> AnyReading:
        """One read; its outcome, good or bad, is put into the state and returned."""
        collector = self.collector
        self._wake.clear()
        self._seq += 1
        asked, started = clock.now(), time.monotonic()
        held = self._state.get(collector.source, collector.target)
        try:
            async with asyncio.timeout(collector.timeout):
                value = await collector.read()
        except ToolMissing as error:
            self._failures = 0
            reading = self._absent(error, asked)
        except TimeoutError:
            place = f"{collector.target}: " if collector.target else ""
            reading = self._failed(
                held,
                SourceError(
                    "timeout",
                    f"{place}{collector.source} gave no answer within {collector.timeout:g} s",
                ),
                asked,
            )
        except SourceError as error:
            reading = self._failed(held, error, asked)
        except Exception as error:  # a defect in a collector must not end the console
            log.exception("collector %s %s", collector.source, collector.target)
            reading = self._failed(
                held,
                SourceError(
                    "internal", f"{collector.source}: {type(error).__name__} while reading"
                ),
                asked,
            )
        else:
            self._failures = 0
            reading = Reading(
                source=collector.source,
                target=collector.target,
                value=value,
                read_at=asked,
                took=time.monotonic() - started,
                seq=self._seq,
                interval=collector.interval,
            )
        self._state.put(reading)
        return reading

    def _failed(self, held: AnyReading, error: SourceError, asked: float) -> AnyReading:
        self._failures += 1
        # that a tool was absent is no fault, and no value to be stale
        since = asked if held.fault is None or held.absent else held.fault.since
        fault = Fault(error.kind, error.message, error.hint, since, self._failures)
        read_at = 0.0 if held.absent else held.read_at
        return msgspec.structs.replace(
            held, fault=fault, seq=self._seq, absent=False, read_at=read_at
        )

    def _absent(self, error: ToolMissing, asked: float) -> AnyReading:
        return Reading(
            source=self.collector.source,
            target=self.collector.target,
            read_at=asked,
            seq=self._seq,
            fault=Fault("missing-tool", error.message, since=asked),
            absent=True,
            interval=self.collector.interval,
        )

    def delay(self) -> float:
        """Seconds until the next read: the interval, or longer after failures, with jitter."""
        interval = self.collector.interval
        held = self._state.get(self.collector.source, self.collector.target)
        if held.absent:
            return max(interval, ABSENT_INTERVAL)
        if self._failures == 0:
            return interval * random.uniform(0.95, 1.05)
        # the first retry comes soon: most faults are short
        wait: float = min(2.0 * 2.0 ** min(self._failures - 1, 10), max(BACKOFF_CAP, interval))
        return wait * random.uniform(0.75, 1.25)

    async def _sleep(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()
