"""`mailtui do --planned` and `--approved`: run a plan as it was frozen, not one made anew."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from mailtui.headless import exits

if TYPE_CHECKING:
    from mailtui.access.history import Entry
    from mailtui.headless.gated import Acting


async def carried_out(args: argparse.Namespace) -> int:
    """Run the plan that the options name; the exit code."""
    from mailtui.headless import gated
    from mailtui.headless.carrying_out import Answer, carry_out
    from mailtui.operations import registry

    async with gated.opened(args, "do") as acting:
        answer = Answer(acting, args.operation or "", args.output == "json", args.dry_run)
        try:
            if args.planned is not None:
                entry = await acting.gate.rehearsed(args.planned)
                refusal = _another(entry, f"dry run {entry.id}", args.operation)
            else:
                entry = await request_entry(acting, args.approved)
                refusal = _another(entry, f"request {entry.id}", args.operation)
                refusal = refusal or _not_ready(acting, entry)
            answer.operation = entry.operation
            if refusal is not None:
                return answer.done(*refusal)
            registry.find(entry.operation)
            plan = await acting.gate.ledger.frozen(entry)
            undoes = str(entry.facts.get("undoes") or "")
            return await carry_out(args, answer, plan, undoes=undoes, frozen=entry)
        except Exception as error:
            code = gated.code_of(error)
            if code is None:
                raise
            return answer.done(code, str(error))


def _another(entry: Entry, name: str, operation: str | None) -> tuple[int, str] | None:
    """(exit code, why) if it is for another operation than the one that was named."""
    if operation and operation != entry.operation:
        return exits.USAGE, f"{name} is for {entry.operation}, not {operation}"
    return None


async def request_entry(acting: Acting, number: int) -> Entry:
    """The request of this number. Raises Refused."""
    from mailtui.operations.base import Refused

    for entry in await acting.gate.ledger.entries():
        if entry.seq == number and entry.kind == "request":
            return entry
    raise Refused(f"#{number} is no request for an approval: mailtui journal list shows them")


def _not_ready(acting: Acting, entry: Entry) -> tuple[int, str] | None:
    """(exit code, why) if this request cannot be run by this operator now."""
    if entry.who != acting.gate.person.name:
        return exits.NO_PERMISSION, f"request {entry.id} is {entry.who}'s"
    if entry.state == "waiting":
        return exits.TRY_LATER, f"request {entry.id} still waits: mailtui approve {entry.seq}"
    if entry.state != "approved":
        words = f": {entry.sentence}" if entry.sentence else ""
        code = exits.USAGE if entry.state == "done" else exits.NO_PERMISSION
        return code, f"request {entry.id} is {entry.state}{words}; nothing was run"
    return None
