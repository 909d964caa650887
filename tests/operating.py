"""Drives an operation as the gate does, against a sandbox in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mailtui.access.evidence import Evidence
from mailtui.access.journal import Journal
from mailtui.collectors.platform import Platform
from mailtui.config.load import load
from mailtui.connections.errors import SourceError
from mailtui.model.mail import Message, QueueListing
from mailtui.model.operation import Outcome, Plan, Target
from mailtui.operations import registry
from mailtui.operations.base import Desk, Request
from mailtui.operations.running import Run

NOW = 1_795_000_000


@dataclass
class Bench:
    """A platform, a journal and an evidence store for one test."""

    platform: Platform
    desk: Desk
    journal: Journal
    folder: Path
    sandbox: Any = None

    @property
    def world(self) -> Any:
        """The sandbox's world."""
        return self.sandbox.world

    def spool(self, host: str = "mx1") -> Any:
        """A host's queues in the world."""
        return self.world.mail.spools[host]

    async def read(self) -> list[Message]:
        """Every message of every host, read now."""
        await self.platform.read_all(["postfix"])
        return [
            message
            for _, listing in self.platform.state.values("postfix", QueueListing)
            for message in listing.messages
        ]

    async def plan(
        self,
        operation: str,
        rows: Iterable[Any] = (),
        *,
        targets: Iterable[Target] = (),
        given: Mapping[str, str] | None = None,
        **parameters: str,
    ) -> Plan:
        """A frozen plan; `given` has parameters that are no names in Python."""
        parameters.update(given or {})
        request = Request(operation, tuple(rows), tuple(targets), "test", parameters)
        return await registry.find(operation).plan(self.desk, request)

    def run(self, plan: Plan, watch: Callable[..., None] = lambda progress: None) -> Run:
        """A run of a plan, not begun."""
        return Run(plan, self.journal, "tester", watch)

    async def carry_out(self, plan: Plan, run: Run | None = None) -> Outcome:
        """Apply and verify."""
        run = run or self.run(plan)
        operation = registry.find(plan.operation)
        self.desk.notes.clear()
        try:
            await operation.apply(self.desk, plan, run)
        except SourceError as error:
            run.faults.append(str(error))
        return await operation.verify(self.desk, plan, run)

    async def undo(self, outcome: Outcome) -> Outcome:
        """Take an outcome back."""
        assert outcome.undo is not None
        undo = outcome.undo
        request = Request(undo.operation, (), undo.targets, "undo", undo.parameters)
        plan = await registry.find(undo.operation).plan(self.desk, request)
        return await self.carry_out(plan)

    def steps(self) -> list[tuple[str, str]]:
        """(kind, command) of every step in the journal."""
        return [
            (r.kind, str(r.facts.get("does", "")))
            for _, r in self.journal.records()
            if r.kind in ("step", "step-end")
        ]


@asynccontextmanager
async def bench(folder: Path, config: Path, sandbox: Any = None) -> AsyncIterator[Bench]:
    """A bench on the platform of a configuration."""
    _, context = load(config).choose()
    platform = Platform("test", context)
    evidence = Evidence(folder / "evidence", b"k" * 32, keep=3600.0, limit=1 << 30)
    desk = Desk(platform, context.operations, "tester", evidence)
    try:
        yield Bench(platform, desk, Journal(folder / "journal.jsonl"), folder, sandbox)
    finally:
        await platform.stop()


@asynccontextmanager
async def sandbox_bench(folder: Path, scenario: str = "destination-deferred") -> Any:
    """A bench on a sandbox whose time stands still."""
    from mailtui.sandbox.platform import Platform as Sandbox
    from mailtui.sandbox.world import World

    sandbox = Sandbox(World(7, scenario, now=NOW, frozen=True), folder / "sandbox")
    config = await sandbox.start()
    try:
        async with bench(folder, config, sandbox) as found:
            yield found
    finally:
        await sandbox.stop()
