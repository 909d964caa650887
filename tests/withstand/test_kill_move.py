"""The process that moves 5,000 dead letters is killed at every kind of step: nothing is lost, and
what exists twice is no more than its journal says."""

from __future__ import annotations

import asyncio
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mailtui.access.evidence import Evidence
from mailtui.access.journal import Journal
from mailtui.connections.amqp_table import split
from mailtui.model.operation import Plan
from mailtui.operations.rabbitmq_keep import parsed
from mailtui.operations.rabbitmq_outcome import from_journal, last_facts
from mailtui.operations.running import Run
from tests.brokering import Queues, queues
from tests.contract import conftest as contract
from tests.withstand.mover import POINTS

COUNT = 5000
WINDOW = 300
"""Small, so that a run has many confirms and acknowledgements."""
PASSES = {
    "begin": (1, 3), "end": (1, 2), "publish": (2, 500), "_on_confirm": (2, 4), "ack": (2, 4),
    "cancel": (1, 1), "settle": (1, 1),
}  # fmt: skip
"""Which pass of a method it is, by the seed; the first of each is the canary's."""
LAST = (("before-cancel", 2), ("after-settle", 2), ("before-ack", 6))
"""At the end of the whole move, where the last window is acknowledged."""
EVIDENCE = ("after-put", "before-flush", "after-flush")

sandbox_config = contract.sandbox_config
"""The broker is in another process than those that are killed, and than the test."""


@pytest.fixture
async def made(sandbox_config: Path) -> AsyncIterator[Queues]:
    async with queues(sandbox_config) as found:
        await found.make("dead", "work", "other")
        yield found


class Killed:
    """Runs of one operation on one queue, each in a process of its own."""

    def __init__(self, config: Path, folder: Path, made: Queues) -> None:
        self.config, self.folder, self.made = config, folder, made
        self.journal = Journal(folder / "journal.jsonl")

    async def run(self, operation: str, point: str, passes: int) -> tuple[int, str]:
        """(exit status, its run's number)."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.withstand.mover", str(self.config), str(self.folder),
            operation, self.made.name("dead"), point, str(passes), str(WINDOW),
        )  # fmt: skip
        status = await asyncio.wait_for(process.wait(), 60)
        number = [r.facts["run"] for _, r in self.journal.records() if r.kind == "intent"][-1]
        return status, number

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


def moving_points(seed: int) -> list[tuple[str, int]]:
    """Every point once, each at a pass that the seed chooses."""
    chance = random.Random(seed)
    found = [
        (point, chance.randint(*PASSES[method]))
        for point, (_, method, _) in POINTS.items()
        if point not in EVIDENCE
    ]
    chance.shuffle(found)
    return [*found, chance.choice(LAST)]


@pytest.mark.parametrize("seed", [1, 2])
async def test_a_killed_move_loses_nothing(
    seed: int, sandbox_config: Path, tmp_path: Path, made: Queues
) -> None:
    await made.fill("dead", range(0, COUNT, 2), "work")
    await made.fill("dead", range(1, COUNT, 2), "other")
    killed = Killed(sandbox_config, tmp_path, made)
    there, doubled = COUNT, 0
    for point, passes in moving_points(seed):
        status, number = await killed.run("rabbitmq.requeue", point, passes)
        depths = await killed.depths(there)
        assert status == -signal.SIGKILL, (point, passes, depths)
        moved, bound = from_journal(killed.old(number))
        now = sum(depths.values())
        # this kill's doubles are what there is more of, and the journal bounds them
        assert now - there <= bound, (point, passes, now - there, bound)
        assert moved <= depths["work"] + depths["other"]
        doubled += now - there
        there = now
    for _ in range(3):
        if not (await killed.depths(there))["dead"]:
            break
        status, _ = await killed.run("rabbitmq.requeue", "none", 0)
        assert status == 0
    assert not killed.journal.verify().broken
    work, other = await made.numbers("work"), await made.numbers("other")
    assert set(work) == set(range(0, COUNT, 2)), "lost, or in the wrong queue"
    assert set(other) == set(range(1, COUNT, 2))
    twice = sum(count - 1 for count in Counter([*work, *other]).values())
    # the kills were no gentle ones
    assert twice == doubled > 0
    assert await made.numbers("dead") == []


@pytest.mark.parametrize("point", [*EVIDENCE, "before-ack", "after-ack", "after-end"])
async def test_a_killed_purge_destroys_nothing_that_is_not_kept(
    point: str, sandbox_config: Path, tmp_path: Path, made: Queues
) -> None:
    await made.fill("dead", range(1500), "work")
    killed = Killed(sandbox_config, tmp_path, made)
    passes = random.Random(point).randint(1, 2 if "flush" in point or "end" in point else 700)
    status, number = await killed.run("rabbitmq.purge", point, passes)
    assert status == -signal.SIGKILL
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
