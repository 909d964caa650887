"""The gate: the one place where operations run, for the screens and for `mailtui do` alike.

read-only → operator, role, tenant → plan → confirmation, second factor, second person →
intent in the journal → apply → verify → outcome in the journal. A refusal is in it as well.
"""

from __future__ import annotations

import datetime
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec

from mailtui.access.history import Entry
from mailtui.access.journal import Journal, JournalError
from mailtui.access.locks import Busy, Held
from mailtui.model import clock
from mailtui.model.operation import Outcome, Plan
from mailtui.operations import carrying_out, registry, rehearsed
from mailtui.operations.approvals import Approvals, check_code
from mailtui.operations.base import Desk, Operation, Refused, Request
from mailtui.operations.consent import Confirm, Consent, Demands
from mailtui.operations.ledger import Ledger, facts
from mailtui.operations.refusals import AtWork, NotPermitted
from mailtui.operations.running import Run, Watch

if TYPE_CHECKING:
    from mailtui.collectors.platform import Platform
    from mailtui.operations.person import Person


def _nothing(_: Any) -> None:
    return None


class Gate:
    """Runs operations on one platform for one person."""

    def __init__(self, platform: Platform, person: Person, journal: Journal) -> None:
        self.platform = platform
        self.person = person
        self.settings = platform.context.operations
        self.ledger = Ledger(journal, person.name)
        self.approvals = Approvals(self.ledger, person, platform.name, self.settings)
        self.runs: dict[str, Run] = {}
        """Those that run now."""

    @property
    def context(self) -> str:
        """The platform's name."""
        return self.platform.name

    def desk(self, permission: str = "") -> Desk:
        """What operations work with, limited to the tenants of this person's grants."""
        return Desk(
            platform=self.platform,
            settings=self.settings,
            operator=self.person.name,
            evidence=self.person.evidence,
            tenants=self.person.tenants(permission, self.context) if permission else None,
        )

    # --- may it be done ---

    def why_not(self, operation: Operation) -> str:
        """Why this person cannot do it on this platform, or an empty string. Asks nobody."""
        if operation.danger != "safe" and self.platform.context.read_only:
            return "this context is read-only (read_only: false in its configuration allows acting)"
        if refusal := self.person.may(operation.permission, self.context):
            return refusal
        return operation.why_not(self.desk())

    def demands(self, operation: Operation, plan: Plan) -> Demands:
        """What running this plan needs."""
        confirm: Confirm = "none" if plan.danger == "safe" else "dialog"
        word = ""
        if plan.danger == "destructive":
            confirm, word = "word", plan.word
        refusal = self.why_not(operation) or self._narrowed(operation, plan)
        refusal = refusal or "; ".join(plan.blockers)
        code = False
        if plan.danger == "destructive" and not self.person.armed:
            code = self.person.needs_code
            if code and not self.person.enrolled:
                refusal = refusal or (
                    "this needs a second factor, and you have none: mailtui operator enroll"
                )
        return Demands(confirm, word, code, self.approvals.needed(operation, plan), refusal)

    # --- plan ---

    async def plan(self, request: Request) -> Plan:
        """The frozen plan of a request. Raises Refused, SourceError; a refusal is in the journal.

        A blocker does not raise: it is shown with the plan, which then cannot be run.
        """
        operation = registry.find(request.operation)
        await self.person.refresh()
        if refusal := self.why_not(operation):
            await self._refuse(request, refusal)
            raise NotPermitted(refusal)
        missing = [p.name for p in operation.parameters
                   if p.required and not request.parameters.get(p.name)]  # fmt: skip
        unknown = set(request.parameters) - {p.name for p in operation.parameters}
        if missing or unknown:
            words = f"{operation.id} needs {', '.join(missing)}" if missing else (
                f"{operation.id} has no parameter {', '.join(sorted(unknown))}"
            )  # fmt: skip
            raise Refused(words)
        if not request.rows and not request.targets and operation.scope != "platform":
            raise Refused("nothing is selected: an empty selection means nothing, never everything")
        if operation.scope == "one" and (count := len(request.rows or request.targets)) != 1:
            raise Refused(f"{operation.id} acts on exactly one row, and {count:,} are selected")
        desk = self.desk(operation.permission)
        try:
            plan = await operation.plan(desk, request)
        except NotPermitted as error:
            await self._refuse(request, str(error))
            raise
        tenants = None if desk.tenants is None else tuple(sorted(desk.tenants))
        return msgspec.structs.replace(plan, tenants=tenants)

    async def rehearse(self, plan: Plan, *, undoes: str = "") -> int:
        """Write to the journal that this was planned and not run; the dry run's number."""
        digest = await self.ledger.keep(plan)
        record = await self.ledger.record("plan", **facts(plan), digest=digest, undoes=undoes)
        return int(record.seq)

    async def rehearsed(self, number: int) -> Entry:
        """A dry run of this person that may be run as it was frozen. Raises Refused."""
        return rehearsed.find(
            await self.ledger.entries(), number, who=self.person.name, context=self.context,
            longest=self.settings.approval,
        )  # fmt: skip

    # --- run ---

    def new_run(
        self, plan: Plan, watch: Watch = _nothing, *, undoes: str = "", planned: int | None = None
    ) -> Run:
        """A run of a plan, not begun; `run.stop()` ends it between two steps.

        `planned`: the number of the dry run that froze the plan, where that is what is run.
        """
        return Run(
            plan, self.ledger.journal, self.person.name, watch, undoes=undoes, planned=planned
        )

    async def run(self, run: Run, consent: Consent) -> Outcome:
        """Run it. Raises Refused (nothing was done), JournalError (the same).

        After the intent is in the journal nothing raises: the outcome says what became true.
        """
        plan = run.plan
        operation = registry.find(plan.operation)
        await self._admit(operation, plan, consent)
        held = self._reserve(run)
        try:
            # under the lock: of two that run one approved plan, the second finds it used
            approval = None
            if self.approvals.needed(operation, plan):
                approval = await self.approvals.given(plan)
            if run.undoes:
                await self._taken_back(run.undoes)
            digest = await self.ledger.keep(plan)
            if run.planned and (await self.rehearsed(run.planned)).digest != digest:
                raise Refused(f"dry run #{run.planned} froze another plan")
            await run.record(
                "intent",
                **facts(plan),
                digest=digest,
                approved_by=approval.approved_by if approval is not None else "",
                request=approval.seq if approval is not None else None,
                undoes=run.undoes,
                planned=run.planned,
                armed=self.person.armed,
                machine=self.person.machine,
                login=self.person.login,
                process=os.getpid(),
                steps=[{"place": s.place, "does": s.does, "count": s.count} for s in plan.steps],
                samples=plan.samples[:5],
            )
            self.runs[run.id] = run
            desk = self.desk(operation.permission)
            return await carrying_out.carry_out(operation, run, desk, self.ledger)
        finally:
            self.runs.pop(run.id, None)
            held.release()
            self.ledger.locks.forget(f"run {run.id}")

    async def settle(self, entry: Entry) -> Outcome:
        """Read back what an interrupted run made true, and write its outcome.

        Every step that was begun counts as sent: what is true on the daemon decides.
        """
        if entry.context != self.context:
            raise Refused(f"it ran on {entry.context}, and this is {self.context}")
        operation, plan = registry.find(entry.operation), await self.ledger.frozen(entry)
        run = Run(plan, self.ledger.journal, self.person.name, id=entry.id, undoes=entry.undoes)
        places = {trace.place for trace in entry.steps}
        for step in plan.steps:
            if step.place in places:
                run.begun.add(step.key)
                run.tell(step, step.targets)
            else:
                run.leave(step.targets, "the run ended before this")
        held = self._reserve(run)
        try:
            # it has no outcome, and the lock that a living run holds is now ours
            state = (await self.ledger.anew(entry)).state
            if state not in ("interrupted", "running"):
                raise Refused(f"run {entry.id} is {state}")
            desk = self.desk(operation.permission)
            outcome = await carrying_out.verified(operation, run, desk)
            return await carrying_out.close(run, outcome, self.ledger)
        finally:
            held.release()
            self.ledger.locks.forget(f"run {run.id}")

    # --- undo ---

    async def undo(self, entry: Entry) -> Request:
        """What takes a run back, as a request to plan. Raises Refused, JournalError."""
        entry = await self.ledger.anew(entry)
        if entry.undone_by:
            raise Refused(f"run {entry.id} was taken back already by {entry.undone_by}")
        if not entry.can_undo:
            raise Refused(f"{entry.title or entry.id}: it has no inverse, or changed nothing")
        if entry.context != self.context:
            raise Refused(f"it ran on {entry.context}, and this is {self.context}")
        outcome = await self.ledger.outcome(entry)
        assert outcome.undo is not None
        undo = outcome.undo
        return Request(
            undo.operation,
            targets=undo.targets,
            selection=f"undo of run {entry.id}: {entry.title}",
            parameters=undo.parameters,
            undoes=entry.id,
        )

    # --- inside ---

    def _narrowed(self, operation: Operation, plan: Plan) -> str:
        """Why not: his tenants are fewer than when the plan was frozen."""
        now = self.person.tenants(operation.permission, self.context)
        if now is None:
            return ""
        if plan.tenants is None:
            return "it was planned for all tenants, and you may act on some only: plan it again"
        if lost := sorted(set(plan.tenants) - now):
            return f"you may no longer act for tenant {', '.join(lost)}: plan it again"
        return ""

    async def _taken_back(self, run: str) -> None:
        """Raises Refused if a run was taken back already."""
        for entry in await self.ledger.entries():
            if entry.id == run and entry.undone_by:
                raise Refused(f"run {run} was taken back already by {entry.undone_by}")

    async def _admit(self, operation: Operation, plan: Plan, consent: Consent) -> None:
        """Raises Refused if something is missing; the refusal is in the journal."""
        await self.person.refresh()
        demands = self.demands(operation, plan)
        refusal = demands.refusal
        if not refusal and plan.context != self.context:
            refusal = f"the plan is for {plan.context}, and this is {self.context}"
        if not refusal and plan.operator != self.person.name:
            refusal = f"the plan is {plan.operator}'s"
        if not refusal and demands.confirm != "none" and not consent.confirmed:
            refusal = "it was not confirmed"
        if not refusal and demands.confirm == "word" and consent.word.strip() != demands.word:
            refusal = f"the word to type was {demands.word!r}"
        if refusal:
            await self.ledger.record("refused", **facts(plan), why=refusal)
            raise NotPermitted(refusal)
        if demands.approval:
            await self.approvals.given(plan)
        if demands.code:
            await check_code(self.ledger, self.person, plan, consent)

    def _reserve(self, run: Run) -> Held:
        source = run.plan.operation.partition(".")[0]
        names = {f"{self.context} {source} {step.place}" for step in run.plan.steps}
        since = datetime.datetime.fromtimestamp(clock.now()).astimezone().strftime("%H:%M:%S")
        words = f"{self.person.name} runs {run.plan.title!r} there since {since}"
        if run.plan.danger == "safe":
            names = set()
        try:
            return self.ledger.locks.take([*names, f"run {run.id}"], words)
        except Busy as error:
            raise AtWork(f"{error}; wait for its end (Journal shows it)") from None

    async def _refuse(self, request: Request, why: str) -> None:
        with suppress(JournalError):  # a refusal that cannot be written is still a refusal
            await self.ledger.record(
                "refused", operation=request.operation, context=self.context,
                title=request.selection, count=len(request.rows) or len(request.targets), why=why,
            )  # fmt: skip
