"""What 5,000 audit events a second cost the audit screen, against a RichLog that only writes them.

CPU time of the process per second of the stream, the tail being read four times a second (that is
as often as the console shows changes; the tail itself reads every 2 s). Making the events, which
is the network's and the collector's part, is not counted.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections import deque
from time import process_time
from types import SimpleNamespace
from typing import Any

from textual.app import App, ComposeResult
from textual.widgets import RichLog

from mailtui.app import ConsoleApp
from mailtui.collectors.state import State
from mailtui.config.settings import Context
from mailtui.loading import Loading
from mailtui.model import clock
from mailtui.model.audit import AuditEvent, AuditPage, AuditTail, Bucket, Histogram
from mailtui.model.reading import Reading

RATE = 5_000
READS = 4
SECONDS = 5
KEPT = 5_000
SIZE = (120, 40)


def events(first: int, count: int) -> list[AuditEvent]:
    now = clock.now()
    return [
        AuditEvent(
            f"audit/{n}",
            now + n * 1e-6,
            "user-login",
            "failure" if n % 7 == 0 else "success",
            f"user{n % 997}@dept{n % 40}.example.org",
            f"192.0.2.{n % 250}",
            "mx1",
            "smtp",
            "acme",
            f"user{n % 997} logged in over smtp",
            json.dumps({"user": {"name": f"user{n % 997}"}, "event": {"sequence": n}}),
        )
        for n in range(first, first + count)
    ]


class Search:
    async def search(self, *_: Any) -> AuditPage:
        return AuditPage((), RATE * 900, True)

    async def histogram(self, query: str, start: float, end: float, buckets: int) -> Histogram:
        bars = tuple(Bucket(start + n * 10, RATE * 10, n % 9) for n in range(90))
        return Histogram(10.0, bars, RATE * 900)


class Platform:
    name = "bench"

    def __init__(self) -> None:
        self.context = Context.model_validate(
            {"label": "BENCH", "sources": {"elasticsearch": {"urls": ["http://127.0.0.1:9"]}}}
        )
        self.state = State()
        self.collectors: list[Any] = []
        self.state.expect("audit", "", 2.0)

    def find(self, *_: Any) -> Any:
        return SimpleNamespace(search=Search())

    def look_at(self, _: Any) -> None: ...

    def readings(self, _: Any = ()) -> list[Any]:
        return self.state.all()

    async def stop(self, patience: float = 0.2) -> None: ...


class Console(ConsoleApp):
    def __init__(self, platform: Platform) -> None:
        super().__init__(Loading("bench", load=lambda: None), start="audit")  # type: ignore[arg-type, return-value]
        self.bench = platform

    def begin(self) -> None:
        self.attach(self.bench)  # type: ignore[arg-type]


async def screen(prepare: list[str], quiet: bool = False) -> float:
    """CPU seconds per second of the stream; `quiet`: the same reads, but nothing new in them."""
    platform = Platform()
    app = Console(platform)
    kept: deque[AuditEvent] = deque(maxlen=KEPT)
    number = 0
    used = 0.0
    async with app.run_test(size=SIZE) as pilot:
        kept.extend(events(0, KEPT))
        number = KEPT
        platform.state.put(Reading("audit", "", AuditTail(tuple(kept), number), clock.now(), seq=1))
        await pilot.pause(1.0)
        await pilot.press(*prepare)
        await pilot.pause(0.3)
        for seq in range(2, 2 + READS * SECONDS):
            if not quiet:
                kept.extend(events(number, RATE // READS))
                number += RATE // READS
            value = AuditTail(tuple(kept), number, number - KEPT)
            begun = process_time()
            platform.state.put(
                Reading("audit", "", value, clock.now(), seq=seq, interval=1 / READS)
            )
            await asyncio.sleep(1 / READS)
            used += process_time() - begun
    return used / SECONDS


class Log(App[None]):
    def compose(self) -> ComposeResult:
        yield RichLog(max_lines=KEPT)


async def log() -> float:
    app = Log()
    used = 0.0
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause(0.5)
        widget = app.query_one(RichLog)
        for part in range(READS * SECONDS):
            some = events(part * RATE // READS, RATE // READS)
            begun = process_time()
            for e in some:
                widget.write(
                    f"{e.time:.3f} {e.outcome} {e.action} {e.user} {e.source_ip} {e.message}"
                )
            await asyncio.sleep(1 / READS)
            used += process_time() - begun
    return used / SECONDS


async def main() -> None:
    os.environ.setdefault("TERM", "xterm-256color")
    floor = await log()
    print(f"RichLog, one line an event      {floor * 1000:7.1f} ms/s")
    for name, keys, quiet in (
        ("audit screen, following", [], False),
        ("audit screen, cursor inside", ["down", "down"], False),
        ("audit screen, paused", ["p"], False),
        ("audit screen, nothing new", [], True),
    ):
        cost = await screen(keys, quiet)
        print(f"{name:<31} {cost * 1000:7.1f} ms/s   {cost / floor:6.2f} of RichLog")


if __name__ == "__main__":
    asyncio.run(main())
