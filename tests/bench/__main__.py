"""`make bench`: every bench, and one table of figures, ratios and targets.

A bench is a module `bench_NAME` with `main()`, which returns Figures or prints lines of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import inspect
import os
import sys
from pathlib import Path

from tests.bench.figures import Figure, table

NAMES = sorted(path.stem.removeprefix("bench_") for path in Path(__file__).parent.glob("bench_*"))


def run(name: str) -> list[Figure]:
    """The figures of one bench; lines that it prints go straight out."""
    result = importlib.import_module(f"tests.bench.bench_{name}").main()
    if inspect.iscoroutine(result):
        result = asyncio.run(result)
    return result or []


def main() -> int:
    """Run the benches; 1 if a target was missed."""
    options = argparse.ArgumentParser(prog="python -m tests.bench")
    options.add_argument("--only", choices=NAMES, action="append", metavar="NAME")
    names = options.parse_args().only or NAMES
    figures: list[Figure] = []
    for name in names:
        print(f"… {name}", file=sys.stderr, flush=True)
        figures += run(name)
    print(table(figures))
    print(f"load of the machine at the end: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    return int(any(figure.met is False for figure in figures))


if __name__ == "__main__":
    sys.exit(main())
