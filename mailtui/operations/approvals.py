"""The two-person rule: a frozen plan is approved or declined by another operator, and used once."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from mailtui.access.history import Entry
from mailtui.model import clock
from mailtui.operations import registry
from mailtui.operations.base import Operation, Refused
from mailtui.operations.consent import Consent
from mailtui.operations.ledger import Ledger, facts
from mailtui.operations.refusals import NeedsApproval, NotPermitted

if TYPE_CHECKING:
    from mailtui.config.acting import Operations
    from mailtui.model.operation import Plan
    from mailtui.operations.person import Person


class Approvals:
    """Requests for a second person on one platform, as one person sees them."""

    def __init__(self, ledger: Ledger, person: Person, context: str, settings: Operations) -> None:
        self._ledger = ledger
        self._person = person
        self._context = context
        self._settings = settings

    def needed(self, operation: Operation, plan: Plan) -> bool:
        """True if this plan needs a second person (`operations.two_person`)."""
        patterns = self._settings.two_person
        return plan.danger != "safe" and any(fnmatchcase(operation.id, p) for p in patterns)

    async def ask(self, plan: Plan, *, undoes: str = "") -> int:
        """Freeze the plan and ask for a second person; the request's number."""
        digest = await self._ledger.keep(plan)
        record = await self._ledger.record(
            "request", **facts(plan), digest=digest, undoes=undoes,
            expires=clock.now() + self._settings.approval,
        )  # fmt: skip
        return int(record.seq)

    async def pending(self) -> list[Entry]:
        """Requests that wait for an approval, newest first."""
        return [entry for entry in await self._ledger.entries() if entry.state == "waiting"]

    def why_not(self, entry: Entry, plan: Plan) -> str:
        """Why this person cannot approve it, or an empty string. Asks nobody."""
        if entry.state != "waiting":
            return f"request {entry.id} is {entry.state}"
        if self._person.name == entry.who:
            return "a plan is approved by somebody else than the one who asks"
        if plan.context != self._context:
            return f"the plan is for {plan.context}, and this is {self._context}"
        permission = registry.find(entry.operation).permission
        return self._person.may("plan.approve", self._context) or self._person.may(
            permission, self._context
        )

    async def approve(self, entry: Entry, consent: Consent, *, why: str = "") -> None:
        """Approve another operator's frozen plan. Raises Refused."""
        entry = await self._ledger.anew(entry)
        plan = await self._ledger.frozen(entry)
        await self._person.refresh()
        if refusal := self.why_not(entry, plan):
            await self._ledger.record("refused", **facts(plan), why=refusal, request=entry.seq)
            raise NotPermitted(refusal)
        if self._person.needs_code and not self._person.armed:
            await check_code(self._ledger, self._person, plan, consent)
        await self._ledger.record(
            "approval", request=entry.seq, digest=entry.digest, verdict="approved", why=why,
            expires=clock.now() + self._settings.approval,
        )  # fmt: skip

    async def decline(self, entry: Entry, why: str = "") -> None:
        """Decline a frozen plan; also the one who asked may take it back. Raises Refused."""
        entry = await self._ledger.anew(entry)
        if entry.state != "waiting":
            raise Refused(f"request {entry.id} is {entry.state}")
        await self._person.refresh()
        refusal = self._person.may("plan.approve", self._context)
        if refusal and entry.who != self._person.name:
            raise NotPermitted(refusal)
        await self._ledger.record(
            "approval", request=entry.seq, digest=entry.digest, verdict="declined", why=why
        )

    async def given(self, plan: Plan) -> Entry:
        """The approved and unused request of this plan. Raises NeedsApproval."""
        digest = plan.digest
        for entry in await self._ledger.entries():
            if entry.kind == "request" and entry.digest == digest:
                if entry.state == "approved" and entry.who == self._person.name:
                    return entry
                raise NeedsApproval(f"request {entry.id} is {entry.state}")
        raise NeedsApproval("a second operator must approve this plan: mailtui approve")


async def check_code(ledger: Ledger, person: Person, plan: Plan, consent: Consent) -> None:
    """Check a code of the second factor for a plan. Raises NotPermitted; it is in the journal."""
    if refusal := await person.check(consent.code):
        await ledger.record("refused", **facts(plan), why=f"second factor: {refusal}")
        raise NotPermitted(refusal)
