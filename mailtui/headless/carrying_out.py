"""A plan is shown, consented to, run with progress, and its outcome printed; the exit code."""

from __future__ import annotations

import argparse
import asyncio
import json
import shlex
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mailtui.headless import consent, exits, found, plan_text
from mailtui.headless.errors import Refused, say

if TYPE_CHECKING:
    from mailtui.access.history import Entry
    from mailtui.headless.gated import Acting
    from mailtui.model.operation import Outcome, Plan
    from mailtui.operations.consent import Consent, Demands
    from mailtui.operations.running import Progress, Run

CODES = {
    "done": exits.OK, "partly": exits.WARNING, "failed": exits.CRITICAL, "unknown": exits.UNKNOWN,
}  # fmt: skip
GRACE = 2.0
"""Seconds that a run which is abandoned has to write down how it ended."""
PAINTS = 0.1
"""Seconds between two paintings of the progress."""


@dataclass
class Answer:
    """What the verb says in the end, as text on the way or as one JSON object."""

    acting: Acting
    operation: str
    json: bool
    dry_run: bool
    verb: str = "do"
    known: dict[str, Any] = field(default_factory=dict)
    """What was read to make the plan; of `do` with rows only."""
    plan: Plan | None = None
    demands: Demands | None = None
    outcome: Outcome | None = None
    run: str = ""
    planned: int | None = None
    """The dry run's number in the journal."""
    request: int | None = None
    why: str = ""

    def line(self, text: str = "") -> None:
        """Print a line for a reader."""
        from mailtui.connections.clean import clean

        if not self.json:
            print(clean(text))

    def done(self, code: int, why: str = "") -> int:
        """Print the object, or why on standard error; the exit code."""
        if why:
            self.why = why
            if not self.json:
                sys.stdout.flush()
            say(self.verb, why)
        if self.json:
            json.dump(self.as_object(code), sys.stdout, ensure_ascii=False, indent=1)
            print()
        return code

    def as_object(self, code: int) -> dict[str, Any]:
        """The documented JSON object."""
        plan, demands, outcome = self.plan, self.demands, self.outcome
        return {
            "context": self.acting.gate.context,
            "simulation": self.acting.context.simulation,
            "operation": self.operation,
            "dry_run": self.dry_run,
            "exit_code": code,
            "why": self.why or None,
            **self.known,
            "plan": plan_text.plan_object(plan) if plan is not None else None,
            "needs": plan_text.demands_object(demands) if demands is not None else None,
            "planned": self.planned,
            "request": self.request,
            "outcome": plan_text.outcome_object(outcome, self.run) if outcome is not None else None,
        }


def check(args: argparse.Namespace) -> None:
    """Raises Refused, before anything is read: nobody has said whether to run it."""
    if args.yes or args.dry_run:
        return
    if args.output == "json":
        raise Refused("-o json asks nothing: it needs --yes or --dry-run")
    if not consent.on_terminal():
        raise Refused("no terminal, so nobody can be asked: --yes runs it, --dry-run shows it")


async def carry_out(
    args: argparse.Namespace,
    answer: Answer,
    plan: Plan,
    *,
    undoes: str = "",
    frozen: Entry | None = None,
) -> int:
    """Show the plan, then run it as the options and the operator say. Raises what the gate does.

    `frozen`: the dry run or the approved request whose plan it is.
    """
    from mailtui.model import format as fmt
    from mailtui.operations import registry

    gate = answer.acting.gate
    operation = registry.find(plan.operation)
    demands = gate.demands(operation, plan)
    answer.plan, answer.demands = plan, demands
    answer.line(answer.acting.label)
    for line in plan_text.plan_lines(plan, demands):
        answer.line(line)
    expected = args.expect is None or args.expect == plan.count
    blocked = "; ".join(plan.blockers)
    if not expected:
        blocked = f"--expect {args.expect}: the plan has {plan.count:,}"
    if args.dry_run:
        answer.planned = await gate.rehearse(plan, undoes=undoes)
        refusal = gate.why_not(operation)
        code = exits.NO_PERMISSION if refusal else exits.UNAVAILABLE if blocked else exits.OK
        answer.line()
        answer.line("dry run: nothing was changed")
        if code == exits.OK and not demands.refusal and not getattr(args, "demo", False):
            within = fmt.age(gate.settings.approval)
            answer.line(f"to run exactly this, within {within}:")
            named = ("--planned", answer.planned)
            if frozen is not None and frozen.kind == "request":
                named = ("--approved", frozen.seq)
            answer.line(f"  {command(args, named, demands)}")
        return answer.done(code, refusal or blocked)
    if blocked:
        return answer.done(exits.UNAVAILABLE, f"{blocked}; nothing was run")
    planned = frozen.seq if frozen is not None and frozen.kind == "plan" else None
    if demands.approval and (frozen is None or planned):
        return await ask_a_second(args, answer, plan, demands, undoes)
    given = await (consent.given if args.yes else consent.asked)(args, demands)
    if given is None:
        return answer.done(exits.OK, "not confirmed: nothing was run")
    return await run_now(answer, plan, given, undoes, planned)


def command(args: argparse.Namespace, named: tuple[str, int], demands: Demands) -> str:
    """What runs a frozen plan on the same platform; `named`: its option and number."""
    words = ["mailtui"]
    for option, value in (("-c", getattr(args, "config", None)),
                          ("--context", getattr(args, "context", None))):  # fmt: skip
        if value is not None:
            words += [option, str(value)]
    if getattr(args, "this_host", False):
        words.append("--this-host")
    option, number = named
    words += ["do", option, str(number), "--yes"]
    if demands.confirm == "word":
        words += ["--confirm", demands.word]
    return shlex.join(words)


async def ask_a_second(
    args: argparse.Namespace, answer: Answer, plan: Plan, demands: Demands, undoes: str
) -> int:
    """Freeze the plan for a second operator."""
    if not args.yes:
        answer.line()
        words = "a second operator must approve this; ask for it? [y/N] "
        if (await consent.prompt(words)).strip().lower() not in ("y", "yes"):
            return answer.done(exits.OK, "not asked for: nothing was run")
    if (word := getattr(args, "confirm", "")) and word.strip() != plan.word:
        return answer.done(exits.USAGE, f"the word to confirm was {plan.word!r}: nothing was asked")
    number = await answer.acting.gate.approvals.ask(plan, undoes=undoes)
    answer.request = number
    return answer.done(
        exits.TRY_LATER,
        f"request {number} waits for a second operator: mailtui approve {number}; "
        f"then: mailtui do --approved {number}",
    )


async def run_now(
    answer: Answer, plan: Plan, given: Consent, undoes: str, planned: int | None = None
) -> int:
    """Run it with progress on a terminal; Ctrl-C stops it between steps, twice ends it at once."""
    from mailtui.operations.refusals import NotPermitted

    progress = ProgressLine()
    run = answer.acting.gate.new_run(plan, progress, undoes=undoes, planned=planned)
    answer.run = run.id
    try:
        outcome = await _run(answer, run, given, progress)
    except NotPermitted as error:
        wrong = answer.demands is not None and answer.demands.confirm == "word" and (
            given.word.strip() != answer.demands.word
        )  # fmt: skip
        return answer.done(exits.USAGE if wrong else exits.NO_PERMISSION, str(error))
    if isinstance(outcome, int):
        return answer.done(128 + outcome, await _abandoned(answer, run))
    answer.outcome = outcome
    answer.known |= found.objects(plan.operation, run.found)
    if not answer.json:
        found.show(plan.operation, run.found)
    answer.line()
    for line in plan_text.outcome_lines(outcome, run.id):
        answer.line(line)
    return answer.done(CODES[outcome.state])


async def _run(answer: Answer, run: Run, given: Consent, progress: ProgressLine) -> Outcome | int:
    """The outcome, or the number of the signal that ended it at once."""
    from mailtui.headless import session

    work = asyncio.create_task(answer.acting.gate.run(run, given))
    abandoned: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def interrupt(number: int) -> bool:
        if number == signal.SIGINT and not run.stopping:
            progress.say("stopping after what is being done now; Ctrl-C again ends it at once")
        elif not abandoned.done():
            abandoned.set_result(number)
        run.stop()
        return True

    session.catches = interrupt
    try:
        both: set[asyncio.Future[Any]] = {work, abandoned}
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            # the gate reads back what became true, for as long as there is time
            work.cancel()
            await asyncio.wait({work}, timeout=GRACE)
            work.cancel()
            await asyncio.wait({work}, timeout=0.2)
            return abandoned.result()
        return work.result()
    finally:
        session.catches = None
        progress.clear()


async def _abandoned(answer: Answer, run: Run) -> str:
    """What the journal has of a run that was ended at once."""
    from mailtui.access.journal import JournalError

    answer.acting.gate.runs.pop(run.id, None)
    try:
        entries = await answer.acting.gate.ledger.entries()
    except JournalError as error:
        return f"ended at once, and the journal cannot be read: {error}"
    entry = next((entry for entry in entries if entry.id == run.id), None)
    if entry is None:
        return "ended at once, before it was in the journal: nothing was run"
    words = f"ended at once; run {run.id} is {entry.state}: {entry.sentence}"
    if entry.ended_at is None:
        words += f"; mailtui journal settle {run.id} reads back what became true"
    return words


class ProgressLine:
    """One line on standard error, painted anew; nothing where that is no terminal."""

    def __init__(self) -> None:
        self._live = sys.stderr.isatty()
        self._painted_at = float("-inf")
        self._shown = False

    def __call__(self, progress: Progress) -> None:
        """Paint it, some times a second at most."""
        import shutil
        import time

        from mailtui.connections.clean import clean
        from mailtui.model import format as fmt

        now = time.monotonic()
        if not self._live or now - self._painted_at < PAINTS:
            return
        self._painted_at = now
        words = f"{progress.done:,} of {progress.total:,}"
        if progress.rate is not None:
            words += f"  {progress.rate:,.0f}/s"
        if progress.left is not None:
            words += f"  {fmt.age(progress.left)} left"
        line = clean(f"{words}  {progress.text}")[: shutil.get_terminal_size().columns - 1]
        print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)
        self._shown = True

    def say(self, words: str) -> None:
        """A line of its own."""
        self.clear()
        print(words, file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Take the line away."""
        if self._shown:
            with suppress(OSError):
                print("\r\x1b[K", end="", file=sys.stderr, flush=True)
            self._shown = False
