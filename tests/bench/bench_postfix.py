"""100,000 queued messages: decoded as the collector does, against json.loads; then grouped."""

from __future__ import annotations

import json
from time import process_time

from mailtui.model.groups import BY, group
from tests.bench.bench_queue import COUNT, NOW, listing, made
from tests.bench.figures import Figure


def main() -> list[Figure]:
    """Processor seconds of each."""
    lines = made(COUNT)
    begin = process_time()
    for line in lines:
        json.loads(line)
    floor = process_time() - begin
    begin = process_time()
    read = listing(lines).result()
    decode = process_time() - begin
    figures = [
        Figure(f"json.loads of {COUNT:,} lines of postqueue -j", f"{floor * 1000:.0f} ms", 1.0),
        Figure("decoded by the collector", f"{decode * 1000:.0f} ms", decode / floor),
    ]
    for by in BY:
        begin = process_time()
        group(read.messages, by, NOW)  # type: ignore[arg-type]
        taken = process_time() - begin
        figures.append(Figure(f"grouped by {by}", f"{taken * 1000:.0f} ms", taken / floor))
    return figures


if __name__ == "__main__":
    from tests.bench.figures import table

    print(table(main()))
