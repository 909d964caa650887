"""`mailtui do OPERATION`: plan, show, confirm, run, read back; without a name: what can be done."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mailtui.headless import acting_options, exits

if TYPE_CHECKING:
    from mailtui.headless.gated import Acting
    from mailtui.headless.resources import Known
    from mailtui.model.where import Where
    from mailtui.operations.base import Operation

OWN = "parameter "
"""Before the name of an operation's parameter, among the parsed options."""


def add(verbs: Any, options: argparse.ArgumentParser) -> None:
    """The parser of this verb."""
    verb = verbs.add_parser(
        "do",
        parents=[options],
        help="act: hold, release, requeue, delete, move …; alone: list the operations",
        description="Act on the rows that --where chooses: show the plan, ask, run it, read back. "
        "Without OPERATION: list what you may do, and why not the rest. "
        "`mailtui do OPERATION --help` shows its parameters.",
    )
    verb.late = own_options
    verb.add_argument("operation", metavar="OPERATION", nargs="?", help="as `mailtui do` lists it")
    verb.add_argument("--where", metavar="EXPR", help="the rows: a filter, as in the console's /")
    frozen = verb.add_mutually_exclusive_group()
    frozen.add_argument(
        "--planned", metavar="N", type=acting_options.request_number,
        help="run the plan that your dry run froze, as it is",
    )  # fmt: skip
    frozen.add_argument(
        "--approved", metavar="REQUEST", type=acting_options.request_number,
        help="run the frozen plan that a second operator has approved",
    )  # fmt: skip
    acting_options.consent(verb)
    acting_options.expect(verb)
    acting_options.output(verb)


def own_options(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    """Add the parameters of the operation that the words name, if they name one."""
    names = [word for word in argv if "." in word and not word.startswith("-")]
    if not names:
        return
    from mailtui.operations import registry

    operation = next((o for o in registry.every() if o.id in names), None)
    if operation is None or not operation.parameters:
        return
    group = parser.add_argument_group(f"parameters of {operation.id}")
    given = {word.partition("=")[0] for word in argv}
    asks = given.isdisjoint(("-h", "--help", "--approved", "--planned"))
    for one in operation.parameters:
        words = one.help.replace("%", "%%")
        if one.default:
            words += f" (default: {one.default})".replace("%", "%%")
        group.add_argument(
            f"--{one.name.replace('_', '-')}",
            dest=f"{OWN}{one.name}",
            metavar=(one.example or "VALUE").split()[0],
            required=one.required and asks,
            choices=one.choices or None,
            help=words,
        )


def parameters(args: argparse.Namespace) -> dict[str, str]:
    """The parameters that were given."""
    return {
        name.removeprefix(OWN): str(value)
        for name, value in vars(args).items()
        if name.startswith(OWN) and value is not None
    }


def run(args: argparse.Namespace) -> int:
    """Do it."""
    from mailtui.headless import session, text
    from mailtui.headless.carrying_out import check
    from mailtui.headless.errors import Refused

    text.prepare(sys.stdout, exact=args.output == "json")
    if args.approved is not None or args.planned is not None:
        if args.where is not None or parameters(args):
            option = "--planned" if args.approved is None else "--approved"
            raise Refused(f"{option} runs a frozen plan: it takes no --where and no parameters")
        check(args)
        from mailtui.headless.do_frozen import carried_out

        return session.run(carried_out(args))
    if args.operation is None:
        if args.where is not None or args.yes or args.dry_run:
            raise Refused("do what? `mailtui do` alone lists the operations")
        from mailtui.headless.do_list import listed

        return session.run(listed(args))
    from mailtui.operations import registry

    operation = registry.find(args.operation)
    if operation.hidden:
        raise Refused(f"{operation.id} is done by undo only: mailtui undo RUN")
    selection = Selection(operation, args.where)
    check(args)
    return session.run(_do(args, operation, selection))


class Selection:
    """Which rows; checked before anything is read."""

    def __init__(self, operation: Operation, expression: str | None) -> None:
        from mailtui.headless.errors import Refused

        self.operation = operation
        self.known: Known | None = None
        self.where: Where | None = None
        text = (expression or "").strip()
        if operation.scope == "platform":
            if text:
                raise Refused(f"{operation.id} takes no rows, so no --where")
            return
        from mailtui.headless.resources import one
        from mailtui.model.where import WhereError, compile_where

        self.known = one(operation.resource)
        try:
            self.where = compile_where(text, self.known.resource.columns)
        except WhereError as error:
            raise Refused(f"--where: {error}\n  {text}\n  {' ' * error.position}^") from None
        if self.where.empty:
            raise Refused(
                f"{operation.id} needs --where: an empty filter means nothing, never everything; "
                f"`mailtui get {self.known.name} --where …` shows what a filter matches"
            )

    @property
    def words(self) -> str:
        """For the plan and the journal."""
        return f"filter {self.where.text}" if self.where is not None else ""


async def _do(args: argparse.Namespace, operation: Operation, selection: Selection) -> int:
    from mailtui.headless import gated
    from mailtui.headless.carrying_out import Answer, carry_out
    from mailtui.operations.base import Request

    known = selection.known
    needed = gated.sources_of(operation, known.sources if known is not None else ())
    async with gated.opened(args, f"do {operation.id}", needed) as acting:
        answer = Answer(acting, operation.id, args.output == "json", args.dry_run)
        try:
            if acting.gate.why_not(operation):
                # the refusal goes into the journal before anything is read
                await acting.gate.plan(Request(operation.id, selection=selection.words))
            rows: tuple[Any, ...] = ()
            if known is not None:
                read = await _rows(acting, answer, selection)
                if isinstance(read, int):
                    return read
                rows = read
            request = Request(
                operation.id, rows=rows, selection=selection.words, parameters=parameters(args)
            )
            plan = await acting.gate.plan(request)
            return await carry_out(args, answer, plan)
        except Exception as error:
            code = gated.code_of(error)
            if code is None:
                raise
            return answer.done(code, str(error))


async def _rows(acting: Acting, answer: Any, selection: Selection) -> tuple[Any, ...] | int:
    """The rows that match, or an exit code: no source answered, or nothing matches."""
    from mailtui.headless import sources
    from mailtui.model import clock

    known, platform = selection.known, acting.gate.platform
    assert known is not None and selection.where is not None
    await platform.read_all(known.sources)
    state = platform.state
    readings = [r for r in state.all() if not known.sources or r.source in known.sources]
    sources.warn("do", readings, clock.now())
    rows = list(known.rows(state, platform.context))
    more = known.more(state)
    matched = tuple(selection.where.filter(rows))
    answer.known = {
        "resource": known.name, "where": selection.where.text, "read": len(rows),
        "matched": len(matched), "more": more,
        "sources": sources.as_objects(readings, clock.now()),
    }  # fmt: skip
    if not readings:
        needs = " or ".join(known.sources) or "source"
        words = f"{known.name} needs {needs}, which this context does not have"
        return int(answer.done(exits.UNAVAILABLE, words))
    if not sources.answered(readings):
        return int(answer.done(exits.UNAVAILABLE, "no source answered; nothing was run"))
    if more is None or more:
        beyond = "how many more there are is not known" if more is None else f"{more:,} more exist"
        answer.line(f"{len(rows):,} rows were read, and {beyond}: those are not in the plan")
    if not matched:
        words = f"none of {len(rows):,} {known.resource.title} matches: there is nothing to do"
        return int(answer.done(exits.OK, words))
    return matched
