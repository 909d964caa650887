"""What this console runs now, and what it ran last: the lines above the last line."""

from __future__ import annotations

from dataclasses import dataclass, field

from mailtui.model import clock
from mailtui.model import format as fmt
from mailtui.model.operation import Outcome, Plan
from mailtui.operations.base import Operation
from mailtui.operations.running import Progress, Run
from mailtui.screens.outcome import LEVELS
from mailtui.widgets.run_line import Kind, RunText

TOLD_FOR = 180.0
"""Seconds for which an outcome stays on screen if nobody puts it away."""
OWN = 10.0
"""Seconds after a run within which its own effect is read again."""
SHOWN = 3
"""Lines at most."""


@dataclass
class Job:
    """One run of this console."""

    operation: Operation
    plan: Plan
    run: Run | None = None
    run_id: str = ""
    """Of a run that another program began."""
    progress: Progress | None = None
    outcome: Outcome | None = None
    ended_at: float = 0.0

    @property
    def id(self) -> str:
        """The run's number in the journal."""
        return self.run.id if self.run is not None else self.run_id

    def watch(self, progress: Progress) -> None:
        """Called from wherever the operation works, a thread too: it keeps the newest."""
        self.progress = progress

    def text(self) -> RunText:
        """Its line."""
        if self.outcome is not None:
            kinds: dict[str, Kind] = {"ok": "ok", "warning": "warning", "critical": "critical"}
            kind = kinds.get(LEVELS[self.outcome.state], "unknown")
            return RunText(kind, self.outcome.sentence, key="o", label="more", action="app.outcome")
        if self.run is not None and self.run.stopping:
            return RunText("running", self.plan.title, self._counted(), "stopping after this step")
        tail = self.progress.text if self.progress is not None else "beginning"
        return RunText(
            "running", self.plan.title, self._counted(), tail, ".", "stop", "app.stop_run"
        )

    def _counted(self) -> str:
        progress = self.progress
        if progress is None:
            return f"0 of {self.plan.count:,}"
        facts = f"{progress.done:,} of {progress.total:,}"
        if progress.rate:
            facts += (
                f"  {progress.rate:,.0f}/s" if progress.rate >= 1 else f"  {progress.rate:.1f}/s"
            )
        if progress.left is not None:
            facts += f"  {fmt.age(progress.left)} left"
        return facts


@dataclass
class Jobs:
    """All of them, the newest last."""

    every: list[Job] = field(default_factory=list)
    planning: str = ""
    """What is being planned, in words; empty: nothing."""

    @property
    def running(self) -> list[Job]:
        """Those without an outcome."""
        return [job for job in self.every if job.outcome is None]

    @property
    def told(self) -> list[Job]:
        """Those that ended and are still on screen."""
        return [job for job in self.every if job.outcome is not None]

    @property
    def at_hand(self) -> bool:
        """True while rows may go by the operator's own hand: a run goes, or has just ended."""
        since = clock.now() - OWN
        return any(job.outcome is None or job.ended_at > since for job in self.every)

    def lines(self) -> tuple[RunText, ...]:
        """What is on screen: what is planned, what runs, the last that ended."""
        now = clock.now()
        self.every = [j for j in self.every if j.outcome is None or now - j.ended_at < TOLD_FOR]
        found = [job.text() for job in (*self.told[-1:], *self.running)]
        if self.planning:
            found.append(
                RunText("running", f"planning: {self.planning}…", key=".", label="give up",
                        action="app.stop_run")
            )  # fmt: skip
        if len(found) > SHOWN:
            more = len(found) - SHOWN + 1
            found = [RunText("running", f"{more} more: the Journal has them"), *found[more:]]
        return tuple(found)

    def forget_told(self) -> None:
        """Put away what has ended."""
        self.every = self.running
