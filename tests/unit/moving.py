"""A sandbox in this process with queues of its own, for tests of operations on the broker."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from mailtui.model.operation import Outcome, Plan
from mailtui.operations import rabbitmq_mover, rabbitmq_outcome, rabbitmq_purge
from tests.brokering import Queues, queues
from tests.operating import Bench, sandbox_bench


class On:
    """A bench, and queues with short names on its broker."""

    def __init__(self, bench: Bench, queues: Queues) -> None:
        self.bench, self.queues = bench, queues
        self.faults = bench.sandbox.faults.broker
        self.node = bench.world.broker.nodes[0]

    async def plan(self, operation: str, short: str = "dead", **parameters: str) -> Plan:
        """A frozen plan for one queue."""
        return await self.bench.plan(operation, [self.queues.row(short)], **parameters)

    async def run(self, operation: str, short: str = "dead", **parameters: str) -> Outcome:
        """Plan, apply, verify."""
        return await self.bench.carry_out(await self.plan(operation, short, **parameters))


def quicken(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sandbox's queues have a leader at once."""
    for module in (rabbitmq_mover, rabbitmq_purge):
        monkeypatch.setattr(module, "SETTLED", 0.4)
    monkeypatch.setattr(rabbitmq_outcome, "BELIEVED", 0.2)


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[On]:
    """With the queues `dead` and `work`."""
    async with (
        sandbox_bench(folder) as found,
        queues(folder / "sandbox" / "config.yaml") as made,
    ):
        await made.make("dead", "work")
        yield On(found, made)


async def adds_up(on: On, outcome: Outcome, count: int) -> None:
    """In = moved + kept + returned; every number is there, doubles are no more than is said.

    Empties both queues.
    """
    counts = outcome.counts
    assert counts["in"] == counts["moved"] + counts["kept"] + counts["returned"]
    dead, work = await on.queues.numbers("dead"), await on.queues.numbers("work")
    assert set(dead) | set(work) == set(range(count)), "lost"
    assert len(dead) + len(work) - count <= counts["doubled_at_most"]
