"""The journal: a record on disk before anything runs, and a look at all of them.

The floors do the least that could do: a raw write and fsync of a line as long, and SHA-256 over the
file's lines.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter

from mailtui.access.journal import Journal
from tests.bench.figures import Figure, spread

APPENDS = 100
ROUNDS = 5
RECORDS = 10_000
FACTS = {
    "run": "0123456789ab", "operation": "postfix.hold", "step": "mx1", "place": "mx1",
    "does": "sudo -n -- postsuper -h - (queue IDs on standard input)", "count": 1000, "batch": 3,
}  # fmt: skip


def floor(path: Path, line: bytes) -> float:
    """Seconds of one write and fsync."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    start = perf_counter()
    for _ in range(APPENDS):
        os.write(descriptor, line)
        os.fsync(descriptor)
    taken = perf_counter() - start
    os.close(descriptor)
    return taken / APPENDS


def appends(journal: Journal) -> float:
    """Seconds of one record."""
    start = perf_counter()
    for _ in range(APPENDS):
        journal.append("step", "ops", **FACTS)
    return (perf_counter() - start) / APPENDS


def long_journal(path: Path) -> Journal:
    """RECORDS records, without waiting for the disk."""
    journal, sync = Journal(path), os.fsync
    os.fsync = lambda descriptor: None
    try:
        for _ in range(RECORDS):
            journal.append("step", "ops", **FACTS)
    finally:
        os.fsync = sync
    return journal


def hashes(path: Path) -> float:
    """Seconds to hash every line."""
    start = perf_counter()
    with path.open("rb") as file:
        for line in file:
            hashlib.sha256(line).hexdigest()
    return perf_counter() - start


def verifies(journal: Journal) -> float:
    """Seconds of one look at everything."""
    start = perf_counter()
    found = journal.verify()
    taken = perf_counter() - start
    assert found.records == RECORDS and not found.broken
    return taken


def main() -> list[Figure]:
    """Both, in turn with their floors: they share the noise of the disk."""
    # not /tmp, which may be memory: the state folder's disk is what counts
    with tempfile.TemporaryDirectory(dir=Path(__file__).parent) as name:
        folder = Path(name)
        journal = Journal(folder / "journal.jsonl")
        journal.append("step", "ops", **FACTS)
        line = journal.path.read_bytes()
        raw, own = [], []
        for _ in range(ROUNDS):
            raw.append(floor(folder / "raw", line))
            own.append(appends(journal))
        long = long_journal(folder / "long.jsonl")
        hashed, verified = [], []
        for _ in range(ROUNDS):
            hashed.append(hashes(long.path))
            verified.append(verifies(long))
        size = long.path.stat().st_size
    append, verify = median(own) / median(raw), median(verified) / median(hashed)
    return [
        Figure("journal: raw write + fsync of a line", spread(raw, 1e6, " us"), 1.0),
        Figure("journal: a record", spread(own, 1e6, " us"), append, "3 x raw", append <= 3),
        Figure(f"journal: SHA-256 of {RECORDS:,} lines, {size:,} B", spread(hashed, 1e3, " ms"), 1),
        Figure(f"journal: verify {RECORDS:,} records", spread(verified, 1e3, " ms"), verify,
               "10 x SHA-256", verify <= 10),
    ]  # fmt: skip


if __name__ == "__main__":
    from tests.bench.figures import table

    print(table(main()))
