"""One run of a plan: its steps in the journal, what was sent, what was left, how far it is."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mailtui.model.operation import Left, Plan, Step, Target

if TYPE_CHECKING:
    from mailtui.access.journal import Journal


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is."""

    run: str
    title: str
    done: int
    total: int
    text: str = ""
    """What is being done now: `mx1: postsuper -h -`."""
    rate: float | None = None
    """Targets a second so far; None: not known yet."""

    @property
    def left(self) -> float | None:
        """Seconds until it is done at this rate; None: not known."""
        if not self.rate or self.done >= self.total:
            return None
        return (self.total - self.done) / self.rate


Watch = Callable[[Progress], None]


@dataclass
class Run:
    """A run of one plan, from its intent in the journal to its outcome."""

    plan: Plan
    journal: Journal
    who: str
    watch: Watch = lambda progress: None
    id: str = field(default_factory=lambda: secrets.token_hex(6))
    sent: dict[str, list[Target]] = field(default_factory=dict)
    """Step key → targets that the daemon was told to change."""
    left: list[Left] = field(default_factory=list)
    """Targets that were not touched, and why."""
    begun: set[str] = field(default_factory=set)
    ended: set[str] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)
    """What went wrong, as sentences."""
    counts: dict[str, int] = field(default_factory=dict)
    found: list[Any] = field(default_factory=list)
    """Records that the operation was to find (`Operation.gives`); in memory alone."""
    undoes: str = ""
    planned: int | None = None
    """The dry run whose frozen plan this is, by its number in the journal."""
    _stop: asyncio.Event = field(default_factory=asyncio.Event)
    _started: float = field(default_factory=time.monotonic)
    _done: int = 0

    @property
    def stopping(self) -> bool:
        """True once the operator asked to stop: end after what is being done now."""
        return self._stop.is_set()

    def stop(self) -> None:
        """Ask the run to end between two steps."""
        self._stop.set()

    async def begin(self, step: Step, does: str = "", **facts: Any) -> None:
        """Write to the journal that a step begins. Raises JournalError: then it must not."""
        self.begun.add(step.key)
        self.report(self._done, f"{step.place}: {does or step.does}")
        await self.record(
            "step", step=step.key, place=step.place, does=does or step.does, count=step.count,
            **facts,
        )  # fmt: skip

    async def end(self, step: Step, **facts: Any) -> None:
        """Write to the journal that a step ended, and how."""
        self.ended.add(step.key)
        await self.record("step-end", step=step.key, place=step.place, **facts)

    async def record(self, kind: str, **facts: Any) -> None:
        """Write a record of this run and wait until it is on disk. Raises JournalError."""
        told = {"run": self.id, "operation": self.plan.operation, **facts}
        await asyncio.to_thread(self.journal.append, kind, self.who, **told)

    def tell(self, step: Step, targets: Iterable[Target]) -> None:
        """The daemon is told to change these now."""
        self.sent.setdefault(step.key, []).extend(targets)

    def leave(self, targets: Iterable[Target], why: str) -> None:
        """These are not touched."""
        self.left.extend(Left(target.place, target.id, why) for target in targets)

    def report(self, done: int, text: str = "") -> None:
        """How many targets are done, and what is being done now."""
        self._done = done
        elapsed = time.monotonic() - self._started
        rate = done / elapsed if done and elapsed > 0.5 else None
        self.watch(Progress(self.id, self.plan.title, done, self.plan.count, text, rate))
