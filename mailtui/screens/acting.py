"""Acting from the console: selection → parameters → plan → confirmation → run → outcome.

It knows no operation by name; what can be done comes from the registry, and the gate decides.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from mailtui.access.history import Entry
from mailtui.collectors.journal import JournalReport
from mailtui.model import clock
from mailtui.model.operation import Plan
from mailtui.operations import registry
from mailtui.operations.base import Operation, Request
from mailtui.operations.consent import Consent, Demands
from mailtui.operations.gate import Gate
from mailtui.screens import acting_commands, listing, opening
from mailtui.screens.jobs import Job, Jobs
from mailtui.screens.opening import FAULTS
from mailtui.screens.outcome import OutcomeDialog
from mailtui.screens.parameters import ParametersDialog
from mailtui.screens.plan_dialog import PlanDialog
from mailtui.screens.selection import Selection

if TYPE_CHECKING:
    from mailtui.app import ConsoleApp
    from mailtui.collectors.platform import Platform
    from mailtui.config.settings import Settings

log = logging.getLogger("mailtui.acting")


class Acting:
    """The write side of one console: its gate, what is planned, what runs."""

    def __init__(self, app: ConsoleApp) -> None:
        self.app = app
        self.gate: Gate | None = None
        self.closed = "nothing is connected yet"
        """Why there is no gate."""
        self.jobs = Jobs()
        self.shipping = ""
        """How far the audit index is behind the journal, in words; empty: it is not shipped."""
        self.leaving = False
        """True for some seconds after quitting was asked for while something runs."""
        self._asking: list[str] = []
        """What the operator is being asked about, in words: one thing at a time."""
        self._counted: tuple[JournalReport | None, tuple[int, int]] = None, (0, 0)
        self._planning: asyncio.Task[Plan] | None = None

    # --- the gate ---

    def attach(self, platform: Platform, settings: Settings) -> None:
        """Open the gate of a platform in the background; until then nothing can be done."""
        self.use(None, "the journal and the operators are being opened")
        self.app.run_worker(
            opening.open_and_ship(self, platform, settings),
            group="gate",
            exclusive=True,
            exit_on_error=False,
        )

    def use(self, gate: Gate | None, why: str = "") -> None:
        """Act through this gate from now on."""
        self.gate, self.closed = gate, why
        self.app.acting_ready = self.app.acting_ready or gate is not None
        self.changed()

    # --- what is possible ---

    def why_not(self, operation: Operation) -> str:
        """Why it cannot be done at all now, or an empty string."""
        if self.gate is None:
            return self.closed
        return self.gate.why_not(operation)

    def why_not_here(self, operation: Operation, selection: Selection) -> str:
        """The same for what is chosen on the screen."""
        if why := self.why_not(operation):
            return why
        if operation.scope == "platform":
            return ""
        if selection.refusal:
            return selection.refusal
        rows = selection.rows
        if not rows:
            return "nothing is selected: an empty selection means nothing, never everything"
        if operation.scope == "one" and len(rows) > 1:
            return f"{operation.label} works on one row, and {len(rows):,} are chosen"
        return operation.why_not_row(rows[0]) if len(rows) == 1 else ""

    @property
    def waiting(self) -> tuple[int, int]:
        """(interrupted runs of this machine, requests that this operator could approve)."""
        platform, gate = self.app.platform, self.gate
        report = platform.state.value("journal", JournalReport) if platform is not None else None
        if report is None or gate is None:
            return 0, 0
        if self._counted[0] is not report:
            interrupted = sum(entry.state == "interrupted" for entry in report.entries)
            asked = sum(
                entry.state == "waiting"
                and entry.who != gate.person.name
                and entry.context == gate.context
                for entry in report.entries
            )
            self._counted = report, (interrupted, asked)
        return self._counted[1]

    # --- from a key, a command, the palette ---

    def busy(self) -> str:
        """Why nothing new can be begun now, or an empty string."""
        if self.gate is None:
            return self.closed
        return f"one thing at a time: {self._asking[0]}" if self._asking else ""

    def start(
        self,
        operation: Operation,
        selection: Selection,
        parameters: Mapping[str, str] | None = None,
    ) -> str:
        """Begin with an operation; why not, as a sentence, or an empty string."""
        if why := self.why_not_here(operation, selection) or self.busy():
            return why
        request = Request(
            operation.id,
            rows=selection.rows,
            selection=selection.words,
            parameters=dict(parameters or {}),
        )
        self.spawn(self._ask(operation, request), operation.title)
        return ""

    def undo_last(self) -> str:
        """Plan to take back the last run of this operator that can be taken back."""
        why = self.busy()
        if self.gate is not None and not why:
            self.spawn(self._undo_last(self.gate), "undo")
        return why

    def undo(self, entry: Entry) -> str:
        """Plan to take this run back."""
        why = self.busy()
        if self.gate is not None and not why:
            self.spawn(self._undo(self.gate, entry), f"undo of {entry.id}")
        return why

    def stop(self) -> str:
        """Give up what is being planned, else stop the last run between two steps."""
        if self._planning is not None:
            self._planning.cancel()
            return ""
        running = [job for job in self.jobs.running if job.run and not job.run.stopping]
        if not running:
            return "nothing runs that could be stopped"
        run = running[-1].run
        assert run is not None
        run.stop()
        self.changed()
        return ""

    def show_outcome(self) -> str:
        """The last outcome in full; then it is put away."""
        if not self.jobs.told:
            return "nothing has ended lately; the Journal has everything"
        self.app.run_worker(self._outcome(self.jobs.told[-1]), exit_on_error=False)
        return ""

    # --- one after the other ---

    def spawn(self, work: Awaitable[None], words: str) -> None:
        """Do it in the background; nothing else is begun before its dialogs are answered."""
        asking = self._asking = [words]

        async def guarded() -> None:
            try:
                await work
            except FAULTS as error:
                self.tell(str(error))
            except Exception as error:
                # other runs are under way: a defect here must not end them
                log.exception("acting: %s", words)
                self.tell(f"mailtui broke: {type(error).__name__}; the log has it")
            finally:
                if self._asking is asking:
                    self._asking = []
                self.changed()

        self.app.run_worker(guarded(), group="acting", exclusive=False, exit_on_error=False)

    async def _ask(self, operation: Operation, request: Request) -> None:
        values, said = dict(request.parameters), ""
        while True:
            if operation.parameters:
                dialog = ParametersDialog(operation, values, request.selection, said)
                answer = await dialog.answer(self.app)
                if answer is None:
                    return
                values = answer
                request = replace(request, parameters=values)
            try:
                plan = await self._plan(request, operation.title)
            except FAULTS as error:
                if not operation.parameters:
                    raise
                said = str(error)
                continue
            if plan is not None:
                await self.confirm(operation, plan, request.undoes)
            return

    async def _plan(self, request: Request, words: str) -> Plan | None:
        """None: given up."""
        assert self.gate is not None
        self._planning = asyncio.ensure_future(self.gate.plan(request))
        self.jobs.planning = f"{words}, {request.selection}" if request.selection else words
        self.changed()
        try:
            return await self._planning
        except asyncio.CancelledError:
            self.tell(f"given up: {words}")
            return None
        finally:
            self._planning = None
            self.jobs.planning = ""
            self.changed()

    async def confirm(
        self, operation: Operation, plan: Plan, undoes: str = "", *, approved: bool = False
    ) -> None:
        """Show a plan; run it if the operator consents. `approved`: a second person did."""
        gate, said = self.gate, ""
        assert gate is not None
        label = f"{operation.label.capitalize()} {plan.count:,}"
        while True:
            demands = gate.demands(operation, plan)
            if approved:
                demands = replace(demands, approval=False)
            answer: object = Consent(confirmed=True)
            if said or not _goes_without_saying(demands):
                dialog = PlanDialog(plan, demands, label, self.app.glyphs, said=said)
                answer = await dialog.answer(self.app)
            if answer == "ask":
                number = await gate.approvals.ask(plan, undoes=undoes)
                self.tell(f"request #{number} waits for a second operator (mailtui approve)")
                return
            if not isinstance(answer, Consent):
                return
            try:
                await self._run(gate, operation, plan, answer, undoes)
            except FAULTS as error:  # nothing was done: the same plan can be tried again
                said = str(error)
                continue
            return

    async def _run(
        self, gate: Gate, operation: Operation, plan: Plan, consent: Consent, undoes: str
    ) -> None:
        job = Job(operation, plan)
        job.run = gate.new_run(plan, job.watch, undoes=undoes)
        self.jobs.forget_told()
        self.jobs.every.append(job)
        self._asking = []
        self.changed()
        timer = self.app.set_interval(0.25, self.changed)
        try:
            job.outcome = await gate.run(job.run, consent)
            job.ended_at = clock.now()
        finally:
            timer.stop()
            if job.outcome is None:
                self.jobs.every.remove(job)
            self.read_again(operation)
            self.changed()
        if isinstance(view := self.app.view, listing.Listing):
            view.acted(operation.resource, plan.title)
        if job.outcome.state != "done":
            self.app.bell()  # for those who listen rather than look at the line
        if operation.gives:
            await self._list_found(operation, job)

    async def _list_found(self, operation: Operation, job: Job) -> None:
        """What a run was to find, in front of who waits for it; not over another dialog."""
        resource = acting_commands.resource_of(operation.gives)
        if resource is None or job.run is None or not job.run.found:
            return
        if self.app.screen is self.app.view:
            fetch = listing.Found(operation.gives, job.run.found)
            await self.app.push_screen(listing.Listing(resource, fetch, job.plan.title))

    async def _outcome(self, job: Job) -> None:
        assert job.outcome is not None
        answer = await OutcomeDialog(job.plan, job.outcome, self.app.glyphs).answer(self.app)
        self.jobs.forget_told()
        self.changed()
        if answer == "undo" and self.gate is not None:
            entry = next((e for e in await self.gate.ledger.entries() if e.id == job.id), None)
            if entry is not None and (why := self.undo(entry)):
                self.tell(why)

    async def _undo_last(self, gate: Gate) -> None:
        taken_back = False
        for entry in await gate.ledger.entries():
            mine = entry.who == gate.person.name and entry.context == gate.context
            # what took something back is not taken back by the same key: it would go to and fro
            if mine and entry.can_undo and not entry.undoes:
                await self._undo(gate, entry)
                return
            taken_back = taken_back or (mine and entry.can_undo)
        more = "; what an undo did is taken back in the Journal" if taken_back else ""
        self.tell(f"you have no run here that could be taken back{more}")

    async def _undo(self, gate: Gate, entry: Entry) -> None:
        request = await gate.undo(entry)
        operation = registry.find(request.operation)
        plan = await self._plan(request, f"undo of {entry.title}")
        if plan is not None:
            await self.confirm(operation, plan, request.undoes)

    # --- the console ---

    def read_journal(self) -> None:
        """Now: something was written to it."""
        if self.app.platform is not None:
            self.app.platform.read_now(("journal",))

    def read_again(self, operation: Operation) -> None:
        """Its sources, and the journal, now."""
        platform = self.app.platform
        if platform is not None:
            platform.read_now((*operation.sources, "journal"))

    def tell(self, words: str) -> None:
        """Say something in passing."""
        self.app.notify(words, markup=False, timeout=8)

    def changed(self) -> None:
        """Show it on the screen in view."""
        self.app.acting_changed()


def _goes_without_saying(demands: Demands) -> bool:
    """True for what changes nothing and is refused by nobody."""
    return demands.confirm == "none" and not (demands.refusal or demands.code or demands.approval)
