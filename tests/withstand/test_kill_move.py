"""The process that moves 5,000 dead letters is killed at every kind of step: nothing is lost, and
what exists twice is no more than its journal says."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from mailtui.access.evidence import Evidence
from mailtui.access.history import Entry
from mailtui.connections.amqp_table import split
from mailtui.model.operation import Plan
from mailtui.operations.gate import Gate
from mailtui.operations.rabbitmq_keep import parsed
from mailtui.operations.rabbitmq_outcome import last_facts
from mailtui.operations.running import Run
from tests.brokering import Queues, queues
from tests.contract import conftest as contract
from tests.withstand.mover import POINTS, gate_of

COUNT = 5000
WINDOW = 300
"""Small, so that a run has many confirms and acknowledgements."""
PASSES = {
    "record": (1, 1), "begin": (1, 3), "end": (1, 2), "publish": (2, 500), "_on_confirm": (2, 4),
    "ack": (2, 4), "cancel": (1, 1), "settle": (1, 1),
}  # fmt: skip
"""Which pass of a method it is, by the seed; the first of each is the canary's."""
LAST = (("before-cancel", 2), ("after-settle", 2), ("before-ack", 6))
"""At the end of the whole move, where the last window is acknowledged."""
END = "before-outcome"
"""Everything was moved."""
EVIDENCE = ("after-put", "before-flush", "after-flush")

sandbox_config = contract.sandbox_config
"""The broker is in another process than those that are killed, and than the test."""


@pytest.fixture
async def killed(sandbox_config: Path, tmp_path: Path) -> AsyncIterator[Killed]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.withstand.mover",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    gate = gate_of(str(sandbox_config), str(tmp_path))
    async with queues(sandbox_config) as made:
        await made.make("dead", "work", "other")
        try:
            yield Killed(process, gate, sandbox_config, tmp_path, made)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            await asyncio.wait_for(process.wait(), 20)
            await gate.platform.stop()


class Killed:
    """Runs on one queue, each in a process of its own; the broker is in a third one."""

    def __init__(
        self, process: asyncio.subprocess.Process, gate: Gate, config: Path, folder: Path,
        made: Queues,
    ) -> None:  # fmt: skip
        self.process, self.gate, self.made = process, gate, made
        self.config, self.folder = config, folder
        self.journal = gate.ledger.journal

    async def run(self, operation: str, **how: Any) -> tuple[int, Entry | None]:
        """(exit status, its entry in the journal; None if there is none)."""
        order = {
            "config": str(self.config), "folder": str(self.folder), "operation": operation,
            "queue": self.made.name("dead"), "window": WINDOW, **how,
        }  # fmt: skip
        before = len(await self.gate.ledger.entries())
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None and stdout is not None
        stdin.write(json.dumps(order).encode() + b"\n")
        status = int(await asyncio.wait_for(stdout.readline(), 60))
        entries = await self.gate.ledger.entries()
        return status, entries[0] if len(entries) > before else None

    def old(self, number: str) -> Run:
        """A run of before, as `settle` makes it."""
        plan = Plan("rabbitmq.requeue", "test", "tester", "", "destructive", 0.0, "")
        return Run(plan, self.journal, "tester", id=number)

    async def depths(self, least: int) -> dict[str, int]:
        """Ready messages of every queue, once the broker has given back what the dead one held."""
        end = time.monotonic() + 15

        def work(channel: object) -> dict[str, int]:
            return {
                short: channel.queue_declare(  # type: ignore[attr-defined]
                    self.made.name(short), passive=True
                ).method.message_count
                for short in ("dead", "work", "other")
            }

        before: dict[str, int] = {}
        while True:
            found: dict[str, int] = await self.made.do(work)
            if found == before and sum(found.values()) >= least:
                return found
            assert time.monotonic() < end, f"{found}: messages are lost, {least} were there"
            before = found
            await asyncio.sleep(0.15)

    async def settled(self, entry: Entry | None, there: dict[str, int], how: object) -> int:
        """What the journal shows and what settling says is true; how many exist twice by it."""
        now = await self.depths(sum(there.values()))
        doubled = sum(now.values()) - sum(there.values())
        if entry is None:
            # nothing is sent before it is in the journal
            assert now == there, how
            return 0
        begun = [
            r.facts for _, r in self.journal.records()
            if r.kind == "step" and r.facts["run"] == entry.id
        ]  # fmt: skip
        assert entry.state == "interrupted", (how, entry)
        assert [one.facts["batch"] for one in entry.steps] == [one["batch"] for one in begun]
        assert ("nothing ran" in entry.sentence) == (not begun), entry.sentence
        ended = [one.ended_at is not None for one in entry.steps]
        # batches end in their order
        assert ended == sorted(ended, reverse=True)
        outcome = await self.gate.settle(entry)
        copies = now["work"] + now["other"] - there["work"] - there["other"]
        bound = outcome.counts["doubled_at_most"]
        # what was confirmed is there, and no more than was announced
        assert outcome.done <= copies <= sum(one["size"] for one in begun), (how, outcome)
        assert doubled <= bound, (how, doubled, outcome)
        assert outcome.state == ("partly" if begun else "failed")
        if begun:
            assert outcome.counts["there"] == now["dead"]
        again = next(one for one in await self.gate.ledger.entries() if one.id == entry.id)
        assert (again.state, again.sentence) == (outcome.state, outcome.sentence)
        return doubled

    async def finished(self, doubled: int) -> None:
        """Run it until the dead letters are gone: 0 lost, and every double was told."""
        for _ in range(3):
            if not (await self.depths(COUNT))["dead"]:
                break
            status, entry = await self.run("rabbitmq.requeue")
            assert (status, entry is not None and entry.state) == (0, "done")
        assert not self.journal.verify().broken
        work, other = await self.made.numbers("work"), await self.made.numbers("other")
        assert set(work) == set(range(0, COUNT, 2)), "lost, or in the wrong queue"
        assert set(other) == set(range(1, COUNT, 2))
        twice = sum(count - 1 for count in Counter([*work, *other]).values())
        assert twice == doubled
        assert await self.made.numbers("dead") == []


def moving_points(seed: int) -> list[tuple[str, int]]:
    """Every point once, each at a pass that the seed chooses."""
    chance = random.Random(seed)
    found = [
        (name, chance.randint(*PASSES[point.method]))
        for name, point in POINTS.items()
        if name not in (*EVIDENCE, END)
    ]
    chance.shuffle(found)
    return [*found, chance.choice(LAST), (END, 1)]


@pytest.mark.parametrize("seed", [1, 2])
async def test_a_killed_move_loses_nothing(seed: int, killed: Killed) -> None:
    made = killed.made
    await made.fill("dead", range(0, COUNT, 2), "work")
    await made.fill("dead", range(1, COUNT, 2), "other")
    there = await killed.depths(COUNT)
    doubled = 0
    for point, passes in moving_points(seed):
        if not there["dead"]:
            break
        status, entry = await killed.run("rabbitmq.requeue", point=point, passes=passes)
        assert status == -signal.SIGKILL, (point, passes, there)
        assert (entry is None) == (point == "before-intent")
        doubled += await killed.settled(entry, there, (point, passes))
        there = await killed.depths(sum(there.values()))
    assert point == END
    assert doubled, "the kills were gentle ones"
    await killed.finished(doubled)


@pytest.mark.parametrize("seed", [3, 4])
async def test_a_move_killed_at_any_time_loses_nothing(seed: int, killed: Killed) -> None:
    chance = random.Random(seed)
    made = killed.made
    await made.fill("dead", range(0, COUNT, 2), "work")
    await made.fill("dead", range(1, COUNT, 2), "other")
    there = await killed.depths(COUNT)
    doubled, kills = 0, 0
    while kills < 6 and there["dead"]:
        after = chance.uniform(0.0, 1.2)
        status, entry = await killed.run("rabbitmq.requeue", after=after)
        if status:
            assert status == -signal.SIGKILL
            doubled += await killed.settled(entry, there, after)
            kills += 1
        there = await killed.depths(sum(there.values()))
    assert kills
    await killed.finished(doubled)


@pytest.mark.parametrize("point", [*EVIDENCE, "before-ack", "after-ack", "after-end"])
async def test_a_killed_purge_destroys_nothing_that_is_not_kept(
    point: str, tmp_path: Path, killed: Killed
) -> None:
    made = killed.made
    await made.fill("dead", range(1500), "work")
    passes = random.Random(point).randint(1, 2 if "flush" in point or "end" in point else 700)
    status, entry = await killed.run("rabbitmq.purge", point=point, passes=passes)
    assert status == -signal.SIGKILL and entry is not None and entry.state == "interrupted"
    number = entry.id
    await killed.depths(0)
    left = await made.numbers("dead")
    store = Evidence(tmp_path / "evidence", b"k" * 32, keep=3600.0, limit=1 << 30)
    items = list(store.items(number)) if store.path(number).exists() else []
    kept = [int(item.body.split(b",")[0].rpartition(b" ")[2]) for item in items]
    assert set(left) | set(kept) == set(range(1500)), "neither in the queue nor in the evidence"
    for item in items:
        assert "headers" in split(bytes.fromhex(item.meta["properties"]))
    # what undo restores is nothing that is still there
    told = last_facts(killed.old(number), ("items", "destroyed", "window"))
    sure = {
        kept[one]
        for text in told["items"].values()
        for first, last in parsed(text)
        for one in range(first, last + 1)
    }
    assert not sure & set(left)
    # and of the others no more than the journal says may be gone
    uncertain = set(kept) - sure
    assert len(uncertain) <= sum(told["window"].values())
