"""Applies a run whose intent is in the journal, reads back what became true, writes the outcome.

Nothing here raises for what a source or a disk does: the outcome says it.
"""

from __future__ import annotations

import asyncio
import logging

import msgspec

from mailtui.access.evidence import EvidenceError
from mailtui.access.journal import JournalError
from mailtui.connections.errors import SourceError
from mailtui.model.operation import KEPT_LEFT, Left, Outcome
from mailtui.operations.base import Desk, Operation, Refused
from mailtui.operations.ledger import Ledger
from mailtui.operations.running import Run

IN_RECORD = 20
"""Notes and targets left alone that the journal's record names; the kept outcome has them all."""

_log = logging.getLogger("mailtui.operations")


async def carry_out(operation: Operation, run: Run, desk: Desk, ledger: Ledger) -> Outcome:
    """Apply, verify, close. Raises CancelledError only, after the outcome was written."""
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
        _log.exception("run %s", run.id)
    outcome = await close(run, await verified(operation, run, desk), ledger)
    if cancelled:
        raise asyncio.CancelledError
    return outcome


async def verified(operation: Operation, run: Run, desk: Desk) -> Outcome:
    """What became true, read back from the source; `unknown` if that fails."""
    planned = run.plan.count
    try:
        outcome = await operation.verify(desk, run.plan, run)
    except (SourceError, Refused) as error:
        outcome = Outcome(
            "unknown", f"what became true could not be read back: {error}", planned,
            left=tuple(run.left[:KEPT_LEFT]), left_more=max(0, len(run.left) - KEPT_LEFT),
        )  # fmt: skip
    except Exception as error:
        outcome = Outcome("unknown", f"mailtui broke: {type(error).__name__}", planned)
        _log.exception("verify of %s", run.id)
    missing = [fault for fault in run.faults if fault not in outcome.notes]
    if missing:
        outcome = msgspec.structs.replace(outcome, notes=(*missing, *outcome.notes))
    return outcome


async def close(run: Run, outcome: Outcome, ledger: Ledger) -> Outcome:
    """Write the outcome; if that fails, the outcome says so."""
    try:
        digest = await ledger.keep_outcome(run.id, outcome)
        undo = None
        if outcome.undo is not None:
            undo = {"operation": outcome.undo.operation, "count": len(outcome.undo.targets)}
        await run.record(
            "outcome", state=outcome.state, sentence=outcome.sentence, planned=outcome.planned,
            done=outcome.done, counts=outcome.counts, notes=outcome.notes[:IN_RECORD],
            left=[_left(one) for one in outcome.left[:IN_RECORD]],
            left_more=outcome.left_more + max(0, len(outcome.left) - IN_RECORD),
            undo=undo, digest=digest,
        )  # fmt: skip
    except JournalError as error:
        note = f"the outcome is not in the journal: {error}"
        return msgspec.structs.replace(outcome, notes=(note, *outcome.notes))
    return outcome


def _left(left: Left) -> dict[str, str]:
    return {"place": left.place, "id": left.id, "why": left.why}
