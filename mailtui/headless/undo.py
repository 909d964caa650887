"""`mailtui undo [RUN]`: take a run back, as a plan of its own."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from mailtui.headless import acting_options

if TYPE_CHECKING:
    from mailtui.access.history import Entry
    from mailtui.headless.gated import Acting


def add(verbs: Any, options: argparse.ArgumentParser) -> None:
    """The parser of this verb."""
    verb = verbs.add_parser(
        "undo",
        parents=[options],
        help="take back what was done",
        description="Take a run back: plan its inverse for what it really changed, show it, ask, "
        "run it, read back. Without RUN: your last run on this platform that has an inverse.",
    )
    verb.add_argument("run_id", metavar="RUN", nargs="?", help="as `mailtui journal list` has it")
    acting_options.consent(verb)
    acting_options.expect(verb)
    acting_options.output(verb)


def run(args: argparse.Namespace) -> int:
    """Take it back."""
    from mailtui.headless import session, text
    from mailtui.headless.carrying_out import check

    text.prepare(sys.stdout, exact=args.output == "json")
    check(args)
    return session.run(_undo(args))


async def _undo(args: argparse.Namespace) -> int:
    from mailtui.headless import gated
    from mailtui.headless.carrying_out import Answer, carry_out

    async with gated.opened(args, "undo") as acting:
        answer = Answer(acting, "", args.output == "json", args.dry_run, verb="undo")
        try:
            entry = await entry_of(acting, args.run_id)
            request = await acting.gate.undo(entry)
            answer.operation = request.operation
            plan = await acting.gate.plan(request)
            return await carry_out(args, answer, plan, undoes=request.undoes)
        except Exception as error:
            code = gated.code_of(error)
            if code is None:
                raise
            return answer.done(code, str(error))


async def entry_of(acting: Acting, run: str | None) -> Entry:
    """The run of this number, or this operator's last on this platform that can be taken back."""
    from mailtui.headless.journal import find
    from mailtui.operations.base import Refused

    entries = await acting.gate.ledger.entries()
    if run is not None:
        return find(entries, run)
    for entry in entries:
        own = entry.who == acting.gate.person.name and entry.context == acting.gate.context
        if own and entry.can_undo and not entry.undoes:
            return entry
    raise Refused(
        f"no run of {acting.gate.person.name} on {acting.gate.context} can be taken back: "
        "mailtui journal list shows them"
    )
