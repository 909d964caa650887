"""The gate: the one place where operations run, for the screens and for `mailtui do` alike.

read-only → operator, role, tenant → plan → confirmation, second factor, second person →
intent in the journal → apply → verify → outcome in the journal. A refusal is in it as well.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from mailtui.access import history
from mailtui.access.evidence import EvidenceError
from mailtui.access.history import Entry
from mailtui.access.journal import Journal, JournalError
from mailtui.access.locks import Busy, Held, Locks
from mailtui.access.plans import Plans
from mailtui.connections.errors import SourceError
from mailtui.model import clock
from mailtui.model.operation import KEPT_LEFT, Left, Outcome, Plan
from mailtui.operations import registry, rehearsed
from mailtui.operations.base import Desk, Operation, Refused, Request
from mailtui.operations.running import Run, Watch

if TYPE_CHECKING:
    from mailtui.collectors.platform import Platform
    from mailtui.operations.person import Person

Confirm = Literal["none", "dialog", "word"]


class NotPermitted(Refused):
    """The operator may not do this; the message says which role may."""


class NeedsApproval(Refused):
    """A second operator has to approve the plan first."""


class AtWork(Refused):
    """Somebody else is at work there now; the message says who."""


@dataclass(frozen=True)
class Demands:
    """What has to be given before a plan is run."""

    confirm: Confirm
    word: str = ""
    """To be typed, where `confirm` is "word"."""
    code: bool = False
    """A code of the second factor, because it is not armed now."""
    approval: bool = False
    """Another operator must approve it first."""
    refusal: str = ""
    """Why it is not run at all; empty if it can be."""


@dataclass(frozen=True)
class Consent:
    """What the operator gave for one plan."""

    confirmed: bool = False
    word: str = ""
    code: str = field(default="", repr=False)


def _nothing(_: Any) -> None:
    return None


class Gate:
    """Runs operations on one platform for one person."""

    def __init__(self, platform: Platform, person: Person, journal: Journal) -> None:
        self.platform = platform
        self.person = person
        self.journal = journal
        self.plans = Plans(journal.path)
        self.locks = Locks(journal.path)
        self.settings = platform.context.operations
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
        approval = any(fnmatchcase(operation.id, pattern) for pattern in self.settings.two_person)
        code, refusal = False, self.why_not(operation) or "; ".join(plan.blockers)
        if plan.danger == "destructive" and not self.person.armed:
            code = self.person.needs_code
            if code and not self.person.enrolled:
                refusal = refusal or (
                    "this needs a second factor, and you have none: mailtui operator enroll"
                )
        return Demands(confirm, word, code, approval and plan.danger != "safe", refusal)

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
        return await operation.plan(self.desk(operation.permission), request)

    async def rehearse(self, plan: Plan, *, undoes: str = "") -> int:
        """Write to the journal that this was planned and not run; the dry run's number."""
        digest = await self._keep(plan)
        record = await self._record("plan", **self._facts(plan), digest=digest, undoes=undoes)
        return int(record.seq)

    async def rehearsed(self, number: int) -> Entry:
        """A dry run of this person that may be run as it was frozen. Raises Refused."""
        return rehearsed.find(
            await self.entries(), number, who=self.person.name, context=self.context,
            longest=self.settings.approval,
        )  # fmt: skip

    # --- two persons ---

    async def ask_approval(self, plan: Plan, *, undoes: str = "") -> int:
        """Freeze the plan and ask for a second person; the request's number."""
        expires = clock.now() + self.settings.approval
        record = await self._record(
            "request", **self._facts(plan), digest=await self._keep(plan), expires=expires,
            undoes=undoes,
        )  # fmt: skip
        return int(record.seq)

    async def entries(self) -> list[Entry]:
        """Everything in the journal, newest first. Raises JournalError."""
        return await asyncio.to_thread(history.read, self.journal, self.locks)

    async def pending(self) -> list[Entry]:
        """Requests that wait for an approval, newest first."""
        return [entry for entry in await self.entries() if entry.state == "waiting"]

    async def frozen(self, entry: Entry) -> Plan:
        """The plan of an entry, checked against its digest. Raises JournalError."""
        return await asyncio.to_thread(self.plans.plan, entry.digest)

    async def approve(self, entry: Entry, consent: Consent, *, why: str = "") -> None:
        """Approve another operator's frozen plan. Raises Refused."""
        entry = await self._anew(entry)
        operation = registry.find(entry.operation)
        plan = await self.frozen(entry)
        await self.person.refresh()
        refusal = self.person.may("plan.approve", self.context) or self.person.may(
            operation.permission, self.context
        )
        if entry.state != "waiting":
            refusal = f"request {entry.id} is {entry.state}"
        elif self.person.name == entry.who:
            refusal = "a plan is approved by somebody else than the one who asks"
        elif plan.context != self.context:
            refusal = f"the plan is for {plan.context}, and this is {self.context}"
        if refusal:
            await self._record("refused", **self._facts(plan), why=refusal, request=entry.seq)
            raise NotPermitted(refusal)
        if self.person.needs_code and not self.person.armed:
            await self._check_code(plan, consent)
        await self._record(
            "approval", request=entry.seq, digest=entry.digest, verdict="approved", why=why,
            expires=clock.now() + self.settings.approval,
        )  # fmt: skip

    async def decline(self, entry: Entry, why: str = "") -> None:
        """Decline a frozen plan; also the one who asked may take it back. Raises Refused."""
        entry = await self._anew(entry)
        if entry.state != "waiting":
            raise Refused(f"request {entry.id} is {entry.state}")
        await self.person.refresh()
        refusal = self.person.may("plan.approve", self.context)
        if refusal and entry.who != self.person.name:
            raise NotPermitted(refusal)
        await self._record(
            "approval", request=entry.seq, digest=entry.digest, verdict="declined", why=why
        )

    # --- run ---

    def new_run(
        self, plan: Plan, watch: Watch = _nothing, *, undoes: str = "", planned: int | None = None
    ) -> Run:
        """A run of a plan, not begun; `run.stop()` ends it between two steps.

        `planned`: the number of the dry run that froze the plan, where that is what is run.
        """
        return Run(plan, self.journal, self.person.name, watch, undoes=undoes, planned=planned)

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
            approval = await self._approval(operation, plan)
            if run.undoes:
                await self._taken_back(run.undoes)
            digest = await self._keep(plan)
            if run.planned and (await self.rehearsed(run.planned)).digest != digest:
                raise Refused(f"dry run #{run.planned} froze another plan")
            await run.record(
                "intent",
                **self._facts(plan),
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
            return await self._carry_out(operation, run)
        finally:
            self.runs.pop(run.id, None)
            held.release()
            self.locks.forget(f"run {run.id}")

    async def settle(self, entry: Entry) -> Outcome:
        """Read back what an interrupted run made true, and write its outcome.

        Every step that was begun counts as sent: what is true on the daemon decides.
        """
        if entry.context != self.context:
            raise Refused(f"it ran on {entry.context}, and this is {self.context}")
        operation, plan = registry.find(entry.operation), await self.frozen(entry)
        run = Run(plan, self.journal, self.person.name, id=entry.id, undoes=entry.undoes)
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
            state = (await self._anew(entry)).state
            if state not in ("interrupted", "running"):
                raise Refused(f"run {entry.id} is {state}")
            outcome = await self._verified(operation, run)
            return await self._close(run, outcome)
        finally:
            held.release()
            self.locks.forget(f"run {run.id}")

    # --- undo ---

    async def undo(self, entry: Entry) -> Request:
        """What takes a run back, as a request to plan. Raises Refused, JournalError."""
        entry = await self._anew(entry)
        if entry.undone_by:
            raise Refused(f"run {entry.id} was taken back already by {entry.undone_by}")
        if not entry.can_undo:
            raise Refused(f"{entry.title or entry.id}: it has no inverse, or changed nothing")
        if entry.context != self.context:
            raise Refused(f"it ran on {entry.context}, and this is {self.context}")
        outcome = await asyncio.to_thread(self.plans.outcome, entry.id, entry.outcome_digest)
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

    async def _anew(self, entry: Entry) -> Entry:
        """The entry as the journal has it now: a screen may be behind. Raises JournalError."""
        return next((one for one in await self.entries() if one.id == entry.id), entry)

    async def _taken_back(self, run: str) -> None:
        """Raises Refused if a run was taken back already."""
        for entry in await self.entries():
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
            await self._record("refused", **self._facts(plan), why=refusal)
            raise NotPermitted(refusal)
        await self._approval(operation, plan)
        if demands.code:
            await self._check_code(plan, consent)

    async def _approval(self, operation: Operation, plan: Plan) -> Entry | None:
        """The approved request of this plan, None if it needs none. Raises NeedsApproval."""
        if not self.demands(operation, plan).approval:
            return None
        digest = plan.digest
        for entry in await self.entries():
            if entry.kind == "request" and entry.digest == digest:
                if entry.state == "approved" and entry.who == self.person.name:
                    return entry
                raise NeedsApproval(f"request {entry.id} is {entry.state}")
        raise NeedsApproval("a second operator must approve this plan: mailtui approve")

    async def _check_code(self, plan: Plan, consent: Consent) -> None:
        refusal = await self.person.check(consent.code)
        if refusal:
            await self._record("refused", **self._facts(plan), why=f"second factor: {refusal}")
            raise NotPermitted(refusal)

    def _reserve(self, run: Run) -> Held:
        source = run.plan.operation.partition(".")[0]
        names = {f"{self.context} {source} {step.place}" for step in run.plan.steps}
        since = clock.now()
        words = f"{self.person.name} runs {run.plan.title!r} there since {_time(since)}"
        if run.plan.danger == "safe":
            names = set()
        try:
            return self.locks.take([*names, f"run {run.id}"], words)
        except Busy as error:
            raise AtWork(f"{error}; wait for its end (Journal shows it)") from None

    async def _carry_out(self, operation: Operation, run: Run) -> Outcome:
        desk = self.desk(operation.permission)
        cancelled = False
        try:
            await operation.apply(desk, run.plan, run)
        except (SourceError, JournalError, EvidenceError, Refused) as error:
            run.faults.append(str(error))
        except asyncio.CancelledError:
            cancelled = True
            run.faults.append("the program was ended in the middle")
        except Exception as error:
            # a defect of ours must not hide what is true on the daemon now
            run.faults.append(f"mailtui broke: {type(error).__name__}")
            import logging

            logging.getLogger("mailtui.operations").exception("run %s", run.id)
        outcome = await self._verified(operation, run, desk)
        outcome = await self._close(run, outcome)
        if cancelled:
            raise asyncio.CancelledError
        return outcome

    async def _verified(self, operation: Operation, run: Run, desk: Desk | None = None) -> Outcome:
        planned = run.plan.count
        try:
            outcome = await operation.verify(desk or self.desk(operation.permission), run.plan, run)
        except (SourceError, Refused) as error:
            outcome = Outcome(
                "unknown", f"what became true could not be read back: {error}", planned,
                left=tuple(run.left[:KEPT_LEFT]), left_more=max(0, len(run.left) - KEPT_LEFT),
            )  # fmt: skip
        except Exception as error:
            outcome = Outcome("unknown", f"mailtui broke: {type(error).__name__}", planned)
            import logging

            logging.getLogger("mailtui.operations").exception("verify of %s", run.id)
        missing = [fault for fault in run.faults if fault not in outcome.notes]
        if missing:
            outcome = msgspec.structs.replace(outcome, notes=(*missing, *outcome.notes))
        return outcome

    async def _close(self, run: Run, outcome: Outcome) -> Outcome:
        """Write the outcome; if that fails, the outcome says so."""
        try:
            digest = await asyncio.to_thread(self.plans.keep_outcome, run.id, outcome)
            undo = None
            if outcome.undo is not None:
                undo = {"operation": outcome.undo.operation, "count": len(outcome.undo.targets)}
            await run.record(
                "outcome", state=outcome.state, sentence=outcome.sentence, planned=outcome.planned,
                done=outcome.done, counts=outcome.counts, notes=outcome.notes[:20],
                left=[_left(one) for one in outcome.left[:20]],
                left_more=outcome.left_more + max(0, len(outcome.left) - 20),
                undo=undo, digest=digest,
            )  # fmt: skip
        except JournalError as error:
            note = f"the outcome is not in the journal: {error}"
            return msgspec.structs.replace(outcome, notes=(note, *outcome.notes))
        return outcome

    async def _keep(self, plan: Plan) -> str:
        return await asyncio.to_thread(self.plans.keep, plan)

    async def _refuse(self, request: Request, why: str) -> None:
        with suppress(JournalError):  # a refusal that cannot be written is still a refusal
            await self._record(
                "refused", operation=request.operation, context=self.context,
                title=request.selection, count=len(request.rows) or len(request.targets), why=why,
            )  # fmt: skip

    async def _record(self, kind: str, **facts: Any) -> Any:
        return await asyncio.to_thread(self.journal.append, kind, self.person.name, **facts)

    def _facts(self, plan: Plan) -> dict[str, Any]:
        return {
            "operation": plan.operation, "context": plan.context, "title": plan.title,
            "danger": plan.danger, "count": plan.count, "selection": plan.selection,
            "parameters": plan.parameters, "blockers": plan.blockers,
        }  # fmt: skip


def _left(left: Left) -> dict[str, str]:
    return {"place": left.place, "id": left.id, "why": left.why}


def _time(at: float) -> str:
    import datetime

    return datetime.datetime.fromtimestamp(at).astimezone().strftime("%H:%M:%S")
