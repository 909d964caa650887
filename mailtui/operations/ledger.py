"""What one person's gate writes and reads back: the journal, frozen plans, kept outcomes, locks."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from mailtui.access import history
from mailtui.access.history import Entry
from mailtui.access.locks import Locks
from mailtui.access.plans import Plans

if TYPE_CHECKING:
    from mailtui.access.journal import Journal, Record
    from mailtui.model.operation import Outcome, Plan


class Ledger:
    """The journal and what lies beside it. Everything raises JournalError; nothing blocks."""

    def __init__(self, journal: Journal, who: str) -> None:
        self.journal = journal
        self.who = who
        """The system user in whose name is written."""
        self.plans = Plans(journal.path)
        self.locks = Locks(journal.path)

    async def record(self, kind: str, **facts: Any) -> Record:
        """Append one record, on the disk when this returns."""
        return await asyncio.to_thread(self.journal.append, kind, self.who, **facts)

    async def entries(self) -> list[Entry]:
        """Everything in the journal, newest first."""
        return await asyncio.to_thread(history.read, self.journal, self.locks)

    async def anew(self, entry: Entry) -> Entry:
        """The entry as the journal has it now: a screen may be behind."""
        return next((one for one in await self.entries() if one.id == entry.id), entry)

    async def keep(self, plan: Plan) -> str:
        """Keep a plan as it is frozen; its digest."""
        return await asyncio.to_thread(self.plans.keep, plan)

    async def frozen(self, entry: Entry) -> Plan:
        """The plan of an entry, checked against its digest."""
        return await asyncio.to_thread(self.plans.plan, entry.digest)

    async def keep_outcome(self, run: str, outcome: Outcome) -> str:
        """Keep how a run ended; its digest."""
        return await asyncio.to_thread(self.plans.keep_outcome, run, outcome)

    async def outcome(self, entry: Entry) -> Outcome:
        """How a run ended, checked against its digest."""
        return await asyncio.to_thread(self.plans.outcome, entry.id, entry.outcome_digest)


def facts(plan: Plan) -> dict[str, Any]:
    """What every record about a plan says of it."""
    return {
        "operation": plan.operation, "context": plan.context, "title": plan.title,
        "danger": plan.danger, "count": plan.count, "selection": plan.selection,
        "parameters": plan.parameters, "blockers": plan.blockers,
    }  # fmt: skip
