"""Processor time of one poll of each collector, on the sandbox (in a process of its own)."""

from __future__ import annotations

import asyncio
from statistics import median
from time import process_time

from mailtui.collectors.platform import Platform
from mailtui.loading import demo
from tests.bench.figures import Figure, spread

ROUNDS = 12


async def _measure(rounds: int) -> dict[str, list[float]]:
    loading = demo("quiet")
    taken: dict[str, list[float]] = {}
    try:
        settings = await asyncio.to_thread(loading.load)
        platform = Platform(*settings.choose(None))
        # connections, imports and first pages are no part of a poll
        await platform.read_all()
        for _ in range(rounds):
            for poller in platform.pollers:
                begin = process_time()
                reading = await poller.read_once()
                if reading.fault is None:
                    source = poller.collector.source
                    taken.setdefault(source, []).append(process_time() - begin)
        await platform.stop()
    finally:
        loading.stop()
    return taken


def main(rounds: int = ROUNDS) -> list[Figure]:
    """Milliseconds of a poll: median, least and most."""
    taken = asyncio.run(_measure(rounds))
    return [
        Figure(f"one poll of {source}", spread(values, 1000, " ms CPU"))
        for source, values in sorted(taken.items(), key=lambda item: -median(item[1]))
    ]


if __name__ == "__main__":
    from tests.bench.figures import table

    print(table(main()))
