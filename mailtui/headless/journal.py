"""`mailtui journal list|show|verify|settle|ship`: what was done, by whom, and that it is whole."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from mailtui.headless import acting_options, exits

if TYPE_CHECKING:
    from mailtui.access.history import Entry
    from mailtui.access.journal import Journal
    from mailtui.config.settings import Settings

ACTIONS = {
    "list": "runs, dry runs, requests, refusals, newest first",
    "show": "everything about one: its steps, its frozen plan, its outcome",
    "verify": "look at every record, and at the plans beside the journal",
    "settle": "read back what an interrupted run made true, and write its outcome",
    "ship": "send the audit index what it has not yet",
}


def add(verbs: Any, options: argparse.ArgumentParser) -> None:
    """The parser of this verb."""
    verb = verbs.add_parser(
        "journal",
        parents=[options],
        help="what was done and by whom: list, show, verify, settle, ship",
        description="; ".join(f"{name}: {words}" for name, words in ACTIONS.items()) + ".",
    )
    verb.add_argument("action", metavar="ACTION", choices=ACTIONS, help=", ".join(ACTIONS))
    verb.add_argument("run_id", metavar="RUN", nargs="?", help="show, settle: a run, or #NUMBER")
    verb.add_argument("--where", metavar="EXPR", help="list: filter, as in the console's /")
    verb.add_argument("--limit", metavar="N", type=int, help="list: at most N (default: all)")
    verb.add_argument("--audit", action="store_true", help="verify: compare with the audit index")
    acting_options.output(verb)


def run(args: argparse.Namespace) -> int:
    """Do it."""
    from mailtui.headless import session, text
    from mailtui.headless.errors import Refused

    text.prepare(sys.stdout, exact=args.output == "json")
    if (args.run_id is None) == (args.action in ("show", "settle")):
        words = (
            "needs a RUN: mailtui journal list shows them"
            if args.run_id is None
            else "takes no RUN"
        )
        raise Refused(f"journal {args.action} {words}")
    return session.run(_WORK[args.action](args))


def journal_of(settings: Settings) -> Journal:
    """The journal that the settings name."""
    from mailtui.access.journal import Journal

    return Journal(settings.journal.file())


def read(settings: Settings) -> list[Entry]:
    """Its entries, newest first; blocking. Raises headless Refused: it cannot be read."""
    from mailtui.access import history
    from mailtui.access.journal import JournalError
    from mailtui.access.locks import Locks
    from mailtui.headless.errors import Refused

    journal = journal_of(settings)
    try:
        return history.read(journal, Locks(journal.path))
    except JournalError as error:
        raise Refused(str(error), exits.UNAVAILABLE) from None


def find(entries: Iterable[Entry], name: str) -> Entry:
    """The entry called `name`: a run, the beginning of one, or `#NUMBER`. Raises Refused."""
    from difflib import get_close_matches

    from mailtui.headless.errors import Refused

    entries = list(entries)
    wanted = f"#{name}" if name.isdigit() and len(name) < 8 else name
    for entry in entries:
        if entry.id in (name, wanted):
            return entry
    begins = [entry for entry in entries if len(name) >= 4 and entry.id.startswith(name)]
    if len(begins) == 1:
        return begins[0]
    near = get_close_matches(name, [entry.id for entry in entries], n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    several = "several runs begin with" if begins else "there is no run"
    raise Refused(f"{several} {name!r}{hint} (mailtui journal list shows them)")


async def _list(args: argparse.Namespace) -> int:
    from mailtui.headless import session, text
    from mailtui.headless.errors import Refused
    from mailtui.headless.journal_text import entry_object
    from mailtui.model.where import WhereError, compile_where
    from mailtui.resources.journal_entries import RESOURCE

    try:
        where = compile_where(args.where or "", RESOURCE.columns)
    except WhereError as error:
        raise Refused(f"--where: {error}\n  {args.where}\n  {' ' * error.position}^") from None
    async with session.loaded(args, "journal list") as (_, settings):
        every = await session.on_thread(lambda: read(settings))
    matched = where.filter(every)
    shown = matched[: args.limit]
    if args.output == "json":
        answer = {
            "journal": str(settings.journal.file()), "count": len(shown), "matched": len(matched),
            "entries": [entry_object(entry) for entry in shown],
        }  # fmt: skip
        _print(answer)
        return exits.OK
    if shown:
        for line in text.table([c for c in RESOURCE.columns if c.name not in HIDDEN], shown):
            print(line)
    sys.stdout.flush()
    words = RESOURCE.empty if not every else f"{len(shown):,} of {len(every):,} entries"
    print(words, file=sys.stderr)
    return exits.OK


HIDDEN = ("age", "selection", "undo")
"""Columns that the table leaves to `show`."""


async def _show(args: argparse.Namespace) -> int:
    from mailtui.access.plans import Plans
    from mailtui.headless import session
    from mailtui.headless.journal_text import Shown

    async with session.loaded(args, "journal show") as (_, settings):

        def load() -> Shown:
            journal = journal_of(settings)
            return Shown(find(read(settings), args.run_id), journal, Plans(journal.path))

        shown = await session.on_thread(load)
    if args.output == "json":
        _print(shown.as_object())
    else:
        from mailtui.connections.clean import clean

        for line in shown.lines():
            print(clean(line))
    return exits.OK


async def _verify(args: argparse.Namespace) -> int:
    from mailtui.headless import journal_verify, session

    async with session.loaded(args, "journal verify") as (_, settings):
        journal = journal_of(settings)
        found = await session.on_thread(lambda: journal_verify.whole(journal))
        if args.audit:
            await journal_verify.compare(settings, journal, found)
    if args.output == "json":
        _print(found.as_object())
    else:
        for line in found.lines():
            print(line)
    return found.code


async def _settle(args: argparse.Namespace) -> int:
    from mailtui.headless import gated, plan_text
    from mailtui.headless.carrying_out import CODES
    from mailtui.operations.refusals import AtWork

    async with gated.opened(args, "journal settle") as acting:
        entry = find(await acting.gate.ledger.entries(), args.run_id)
        try:
            outcome = await acting.gate.settle(entry)
        except AtWork as error:
            from mailtui.headless.errors import Refused

            raise Refused(str(error), exits.TRY_LATER) from None
        if args.output == "json":
            _print(plan_text.outcome_object(outcome, entry.id))
        else:
            for line in plan_text.outcome_lines(outcome, entry.id):
                print(line)
    return CODES[outcome.state]


async def _ship(args: argparse.Namespace) -> int:
    from mailtui.headless import session
    from mailtui.headless.errors import Refused, say
    from mailtui.operations.shipping import Shipper

    async with session.loaded(args, "journal ship") as (_, settings):
        shipper = Shipper.of(settings, journal_of(settings))
        if shipper is None:
            missing = "no context has elasticsearch" if settings.journal.index else (
                "journal.index is not set in the configuration"
            )  # fmt: skip
            raise Refused(f"the journal is not shipped: {missing}", exits.UNAVAILABLE)
        try:
            shipped = await shipper.ship()
        finally:
            await shipper.close()
    if args.output == "json":
        answer = {"index": shipper.index, "shipped": shipped.count, "behind": shipped.behind,
                  "error": shipped.error or None}  # fmt: skip
        _print(answer)
    else:
        print(f"{shipped.count:,} records shipped to {shipper.index}, {shipped.behind:,} behind")
    if shipped.error:
        say("journal ship", shipped.error)
        return exits.UNAVAILABLE
    return exits.TRY_LATER if shipped.behind else exits.OK


def _print(answer: Any) -> None:
    import json

    json.dump(answer, sys.stdout, ensure_ascii=False, indent=1)
    print()


_WORK = {"list": _list, "show": _show, "verify": _verify, "settle": _settle, "ship": _ship}
