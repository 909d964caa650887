"""`mailtui approve [REQUEST]`: the second operator looks at a frozen plan and says yes or no."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from mailtui.headless import acting_options, exits

if TYPE_CHECKING:
    from mailtui.access.history import Entry
    from mailtui.headless.gated import Acting


def add(verbs: Any, options: argparse.ArgumentParser) -> None:
    """The parser of this verb."""
    verb = verbs.add_parser(
        "approve",
        parents=[options],
        help="the second operator: list requests, approve or decline one",
        description="Without REQUEST: list the plans that wait for a second operator. With one: "
        "show its frozen plan, ask, and approve or decline it.",
    )
    verb.add_argument("request", metavar="REQUEST", nargs="?", type=acting_options.request_number)
    verb.add_argument("--decline", action="store_true", help="decline it")
    verb.add_argument("--why", metavar="TEXT", default="", help="the reason, for the journal")
    acting_options.consent(verb, plans=False)
    acting_options.output(verb)


def run(args: argparse.Namespace) -> int:
    """Do it."""
    from mailtui.headless import session, text
    from mailtui.headless.errors import Refused

    text.prepare(sys.stdout, exact=args.output == "json")
    if args.request is None:
        if args.decline or args.yes:
            raise Refused("approve which? `mailtui approve` alone lists the requests")
        return session.run(_list(args))
    if args.output == "json" and not args.yes:
        raise Refused("-o json asks nothing: it needs --yes")
    return session.run(_decide(args))


async def _list(args: argparse.Namespace) -> int:
    import json

    from mailtui.headless import gated, text
    from mailtui.headless.journal_text import entry_object
    from mailtui.model import clock
    from mailtui.model import format as fmt
    from mailtui.resources.journal_entries import RESOURCE

    async with gated.opened(args, "approve", ()) as acting:
        pending = await acting.gate.approvals.pending()
    if args.output == "json":
        json.dump([entry_object(entry) for entry in pending], sys.stdout, indent=1)
        print()
        return exits.OK
    names = ("id", "at", "who", "operation", "context", "count", "title")
    if pending:
        columns = [column for column in RESOURCE.columns if column.name in names]
        for line in text.table(columns, pending):
            print(line)
        soonest = min(entry.expires or 0.0 for entry in pending)
        print(f"the first expires in {fmt.age(soonest - clock.now())}", file=sys.stderr)
    else:
        print("no request waits for an approval", file=sys.stderr)
    return exits.OK


async def _decide(args: argparse.Namespace) -> int:
    import json

    from mailtui.connections.clean import clean
    from mailtui.headless import consent, gated, plan_text
    from mailtui.headless.do_frozen import request_entry
    from mailtui.headless.errors import Refused

    async with gated.opened(args, f"approve {args.request}") as acting:
        entry = await request_entry(acting, args.request)
        gate = acting.gate
        if entry.state != "waiting":
            raise Refused(f"request {entry.id} is {entry.state}: {entry.sentence}")
        plan = await gate.ledger.frozen(entry)
        if args.output == "text":
            print(clean(acting.label))
            print(clean(f"request {entry.id} of {entry.who}, plan {plan.digest}"))
            for line in plan_text.frozen_lines(plan):
                print(clean(line))
        verdict = "decline" if args.decline else "approve"
        if not args.yes:
            if not consent.on_terminal():
                raise Refused(f"this is no terminal, so nobody can be asked: --yes {verdict}s it")
            answer = await consent.prompt(f"{verdict} it? [y/N] ")
            if answer.strip().lower() not in ("y", "yes"):
                print("neither approved nor declined", file=sys.stderr)
                return exits.OK
        if args.decline:
            await gate.approvals.decline(entry, args.why)
        else:
            await _approve(args, acting, entry)
    if args.output == "json":
        answer_object = {"request": entry.seq, "digest": entry.digest, "verdict": f"{verdict}d"}
        json.dump(answer_object, sys.stdout, indent=1)
        print()
    else:
        print(f"request {entry.id} is {verdict}d")
        if not args.decline:
            print(f"{entry.who} runs it: mailtui do --approved {entry.seq}")
    return exits.OK


async def _approve(args: argparse.Namespace, acting: Acting, entry: Entry) -> None:
    from mailtui.headless import consent
    from mailtui.operations.consent import Consent

    person = acting.gate.person
    code = ""
    if person.needs_code and not person.armed:
        code = await consent.code_of(args)
    await acting.gate.approvals.approve(entry, Consent(confirmed=True, code=code), why=args.why)
