"""How long a verb takes to start: `mailtui --version` against the bare interpreter."""

from __future__ import annotations

import subprocess
import sys
from statistics import median
from time import perf_counter

from tests.bench.figures import Figure, spread
from tests.bench.terminal import MAILTUI

ROUNDS = 9


def _timed(*argv: str) -> float:
    begin = perf_counter()
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
    return perf_counter() - begin


def main(rounds: int = ROUNDS) -> list[Figure]:
    """Ratio of the medians, alternating."""
    floor, version = [], []
    for _ in range(rounds):
        floor.append(_timed(sys.executable, "-c", "pass"))
        version.append(_timed(*MAILTUI, "--version"))
    return [
        Figure("python -c pass", spread(floor, 1000, " ms"), 1.0),
        Figure("mailtui --version", spread(version, 1000, " ms"), median(version) / median(floor)),
    ]


if __name__ == "__main__":
    from tests.bench.figures import table

    print(table(main()))
