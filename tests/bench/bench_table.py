"""The table against Textual's DataTable and against bare Python, in the same run.

Times are wall-clock until the screen is painted and idle. `worst pause` is the longest time
for which the event loop had no turn while the work ran.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from time import perf_counter

import msgspec
from textual.app import App, ComposeResult
from textual.widgets import DataTable

from mailtui.model.where import compile_where
from mailtui.resources.base import Column, Resource
from mailtui.widgets.table import RowTable

MANY = 100_000
MOST = 1_000_000
FEW = 2_000


class Mail(msgspec.Struct, frozen=True, gc=False):
    queue_id: str
    host: str
    age: float
    size: int
    sender: str
    recipient: str
    reason: str
    queue: str


RESOURCE: Resource[Mail] = Resource(
    "messages",
    "Messages",
    (
        Column("id", "queue id", lambda m: m.queue_id, width=15, truncate="never"),
        Column("host", "host", lambda m: m.host, width=4),
        Column("age", "age", lambda m: m.age, lambda m: f"{m.age:.0f}", align="right"),
        Column("size", "size", lambda m: m.size, align="right"),
        Column("sender", "sender", lambda m: m.sender, width=14, flex=1, truncate="middle"),
        Column("recipient", "recipient", lambda m: m.recipient, width=14, flex=1),
        Column("reason", "reason", lambda m: m.reason, width=14, flex=2),
        Column("queue", "queue", lambda m: m.queue),
    ),
    lambda m: m.queue_id,
    "no message is deferred",
)


def mails(count: int) -> list[Mail]:
    chance = random.Random(1)
    return [
        Mail(
            f"4bX{i:011d}",
            f"mx{i % 2 + 1}",
            chance.random() * 1e5,
            int(chance.random() * 1e6),
            f"news@dept{i % 40}.example.org",
            f"user{i % 997}@" + ("gmail.com", "example.net", "example.org")[i % 3],
            "421-4.7.0 unusual rate" if i % 3 else "451 try later",
            "deferred",
        )
        for i in range(count)
    ]


class Bare(App[None]):
    def __init__(self, table: RowTable | DataTable[str]) -> None:
        super().__init__()
        self.table = table

    def compose(self) -> ComposeResult:
        yield self.table


class Pulse:
    """Measures how long the event loop goes without a turn."""

    def __init__(self) -> None:
        self.worst = 0.0

    async def beat(self) -> None:
        last = perf_counter()
        while True:
            await asyncio.sleep(0)
            now = perf_counter()
            self.worst = max(self.worst, now - last)
            last = now


async def painted(table: RowTable) -> None:
    """Wait until the screen shows the present state."""
    done = asyncio.Event()
    table.call_after_refresh(done.set)
    await done.wait()


async def timed(work: Callable[[], object], table: RowTable) -> tuple[float, float]:
    """Seconds until `work` is done and painted, and the longest pause of the event loop."""
    pulse = Pulse()
    beat = asyncio.create_task(pulse.beat())
    await asyncio.sleep(0)
    start = perf_counter()
    work()
    while table.busy:
        await asyncio.sleep(0)
    await painted(table)
    taken = perf_counter() - start
    beat.cancel()
    return taken, pulse.worst


async def data_table(rows: list[Mail]) -> float:
    table: DataTable[str] = DataTable()
    async with Bare(table).run_test(size=(120, 40)) as pilot:
        start = perf_counter()
        for column in RESOURCE.columns:
            table.add_column(column.title)
        for row in rows:
            table.add_row(*(column.render(row) for column in RESOURCE.columns), key=row.queue_id)
        await pilot.pause()
        return perf_counter() - start


def report(what: str, seconds: float, floor: float, of: str, pause: float | None = None) -> None:
    line = f"table  {what:<44} {seconds * 1000:8.1f} ms  {seconds / floor:8.3f} of {of}"
    print(line if pause is None else f"{line}, worst pause {pause * 1000:.0f} ms")


def clock(work: Callable[[], object]) -> float:
    start = perf_counter()
    work()
    return perf_counter() - start


async def main() -> None:
    most = mails(MOST)
    many = most[:MANY]
    scaled = await data_table(most[:FEW]) * MANY / FEW
    print(f"table  floor: DataTable, {FEW:,} rows scaled to {MANY:,}     {scaled * 1000:8.1f} ms")
    table = RowTable(RESOURCE)
    async with Bare(table).run_test(size=(120, 40)):
        taken, _ = await timed(lambda: table.set_rows(many), table)
        report(f"load and paint {MANY:,} rows", taken, scaled, "DataTable")
        same = list(many)
        taken = clock(lambda: table.set_rows(same))
        copied = clock(lambda: list(many) == same)
        report(f"poll {MANY:,} equal rows", taken, copied, "list copy and ==")
        table.move_cursor(50_000)
        poll = [m if i % 100 else msgspec.structs.replace(m, age=0) for i, m in enumerate(many)]
        taken, pause = await timed(lambda: table.set_rows(poll[10:]), table)
        floor = clock(lambda: {m.queue_id: m for m in poll})
        report(f"poll {MANY:,} rows, 1 % changed", taken, floor, "dict by key", pause)

        table.set_resource(RESOURCE)
        taken, pause = await timed(lambda: table.set_rows(most), table)
        report(f"load and paint {MOST:,} rows", taken, scaled * 10, "DataTable", pause)
        where = compile_where("recipient:gmail.com reason:~421", RESOURCE.columns)
        floor = clock(lambda: [m for m in most if "gmail.com" in m.recipient and "421" in m.reason])
        taken, pause = await timed(lambda: table.set_filter(where), table)
        report(f"filter {MOST:,} rows", taken, floor, "list comprehension", pause)
        await timed(lambda: table.set_filter(None), table)
        for column in ("age", "sender"):
            floor = clock(lambda column=column: sorted(most, key=lambda m: getattr(m, column)))  # type: ignore[misc]
            taken, pause = await timed(
                lambda column=column: table.sort_by(column, reverse=True),  # type: ignore[misc]
                table,
            )
            report(f"sort {MOST:,} rows by {column}", taken, floor, "sorted()", pause)
        table.focus()
        pages = 50
        floor = 0.0
        for _ in range(pages):
            begin = perf_counter()
            table.refresh()
            await painted(table)
            floor += perf_counter() - begin
        begin = perf_counter()
        for _ in range(pages):
            table.action_page(1)
            await painted(table)
        page = (perf_counter() - begin) / pages
        floor /= pages
        report("page down, painted", page, floor, "repaint of a cached page")


if __name__ == "__main__":
    asyncio.run(main())
