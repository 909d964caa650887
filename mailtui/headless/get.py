"""`mailtui get RESOURCE`: read once what it needs, print its rows."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from mailtui.headless import exits

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mailtui.collectors.platform import Platform
    from mailtui.headless.resources import Known
    from mailtui.model.reading import AnyReading
    from mailtui.resources.base import Column

FORMATS = ("table", "json", "jsonl", "csv")


def add(verbs: Any, options: argparse.ArgumentParser) -> None:
    """The parser of this verb."""
    verb = verbs.add_parser(
        "get",
        parents=[options],
        help="print rows of a resource: hosts, disks, queues, messages, bans, audit …",
        description="Read once what RESOURCE needs and print its rows. Without RESOURCE: list "
        "the resources and their columns.",
    )
    verb.add_argument("resource", metavar="RESOURCE", nargs="?", help="what to print")
    verb.add_argument("--where", metavar="EXPR", default="", help="filter, as in the console's /")
    verb.add_argument("--sort", metavar="[-]COLUMN", help="sort by a column, - for descending")
    verb.add_argument("--limit", metavar="N", type=_count, help="print at most N rows")
    verb.add_argument("--columns", metavar="A,B", help="these columns, in this order")
    verb.add_argument(
        "-o",
        "--output",
        metavar="FORMAT",
        choices=FORMATS,
        default="table",
        help=f"one of {', '.join(FORMATS)}",
    )
    verb.add_argument("--since", metavar="TIME", help="audit: from 15m, 2h ago (default 15m)")
    verb.add_argument("--query", metavar="Q", help="audit: query_string of Elasticsearch")


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError(text)
    return value


def run(args: argparse.Namespace) -> int:
    """Print the rows; 69 if no source that they need answered."""
    from mailtui.headless import session
    from mailtui.headless.errors import Refused
    from mailtui.headless.resources import one

    if args.resource is None:
        return _list()
    known = one(args.resource)
    if known.name != "audit" and (args.since is not None or args.query is not None):
        raise Refused("--since and --query belong to `get audit`; rows are filtered by --where")
    plan = Plan(known, args)
    return session.run(_get(args, plan))


def _list() -> int:
    from mailtui.headless.resources import known

    for name, entry in sorted(known().items()):
        print(f"{name:<20}{entry.resource.title}")
        print(f"{'':<20}{', '.join(column.name for column in entry.resource.columns)}")
    return exits.OK


class Plan:
    """What is to be done with the rows; everything is checked before anything is read."""

    def __init__(self, known: Known, args: argparse.Namespace) -> None:
        from mailtui.headless.errors import Refused
        from mailtui.model.where import WhereError, compile_where

        self.known = known
        resource = known.resource
        every = resource.columns
        try:
            self.where = compile_where(args.where, every) if args.where.strip() else None
        except WhereError as error:
            raise Refused(f"--where: {error}\n  {args.where}\n  {' ' * error.position}^") from None
        wanted = [part.strip() for part in (args.columns or "").split(",") if part.strip()]
        self.columns: Sequence[Column[Any]] = [self._column(name) for name in wanted] or every
        order: str = args.sort or resource.sort
        self.sort = self._column(order.removeprefix("-")) if order else None
        self.descending = order.startswith("-")
        self.limit: int | None = args.limit

    def _column(self, name: str) -> Column[Any]:
        from mailtui.headless.errors import Refused

        column = self.known.resource.column(name)
        if column is None:
            names = ", ".join(c.name for c in self.known.resource.columns)
            raise Refused(f"{self.known.name} has no column {name!r} (expected one of {names})")
        return column

    def chosen(self, rows: list[Any]) -> list[Any]:
        """The rows that match, in order; `limit` is not applied yet."""
        rows = self.where.filter(rows) if self.where is not None else list(rows)
        if self.sort is not None:
            from mailtui.widgets.table_order import drain, ordered

            rows = drain(ordered(rows, self.sort.value, self.descending))
        return rows


async def _get(args: argparse.Namespace, plan: Plan) -> int:
    from mailtui.headless import session, sources
    from mailtui.headless.errors import Refused
    from mailtui.model import clock

    known = plan.known
    async with session.opened(args, "get", known.sources) as platform:
        read_at = clock.now()
        if known.name == "audit":
            rows, more, readings = await _events(platform, args)
        else:
            await platform.read_all(known.sources)
            rows = list(known.rows(platform.state, platform.context))
            more = known.more(platform.state)
            # one source's settings may give more than one reading
            readings = platform.readings(known.sources) if known.sources else platform.state.all()
        if not readings:
            needs = " or ".join(known.sources) or "source"
            raise Refused(
                f"{known.name} needs {needs}, which this context does not have", exits.UNAVAILABLE
            )
        sources.warn("get", readings, clock.now())
        answer = Answer(plan, platform, rows, more, read_at)
        answer.write(args.output, readings)
        if not sources.answered(readings):
            return exits.UNAVAILABLE
        if args.output == "table":
            sys.stdout.flush()
            for note in answer.notes():
                print(note, file=sys.stderr)
    return exits.OK


async def _events(
    platform: Platform, args: argparse.Namespace
) -> tuple[list[Any], int | None, list[AnyReading]]:
    from mailtui.headless import audit
    from mailtui.headless.errors import say

    limit = args.limit or audit.LIMIT
    if args.where.strip():
        limit = max(limit, audit.FILTERED)
    since = args.since or audit.SINCE
    events, more, readings, notes = await audit.read(platform, args.query or "", since, limit)
    for note in notes:
        say("get", note)
    return list(events), more, readings


class Answer:
    """What was read, and how it is written."""

    def __init__(
        self, plan: Plan, platform: Platform, rows: list[Any], more: int | None, read_at: float
    ) -> None:
        self.plan, self.platform = plan, platform
        self.read, self.more, self.read_at = len(rows), more, read_at
        matched = plan.chosen(rows)
        self.matched, self.rows = len(matched), matched[: plan.limit]

    def write(self, form: str, readings: list[AnyReading]) -> None:
        """Write the rows to standard output."""
        import json

        from mailtui.headless import text
        from mailtui.resources import export

        out, columns = sys.stdout, self.plan.columns
        text.prepare(out, exact=form != "table")
        if form == "json":
            answer = self.as_object(readings)
            json.dump(answer, out, ensure_ascii=False, indent=1, allow_nan=False)
            out.write("\n")
        elif form == "jsonl":
            for row in self.rows:
                item = export.as_object(row, columns)
                out.write(json.dumps(item, ensure_ascii=False, allow_nan=False) + "\n")
        elif form == "csv":
            out.write(export.as_csv(self.plan.known.resource, self.rows, columns))
        elif self.rows:
            for line in text.table(columns, self.rows, out):
                out.write(line + "\n")

    def as_object(self, readings: list[AnyReading]) -> dict[str, Any]:
        """The documented JSON object."""
        from mailtui.headless import sources
        from mailtui.model import clock
        from mailtui.resources import export

        return {
            "context": self.platform.name,
            "simulation": self.platform.context.simulation,
            "resource": self.plan.known.name,
            "read_at": self.read_at,
            "count": len(self.rows),
            "matched": self.matched,
            "more": self.more,
            "sources": sources.as_objects(readings, clock.now()),
            "rows": [export.as_object(row, self.plan.columns) for row in self.rows],
        }

    def notes(self) -> Iterator[str]:
        """What a table does not say by itself."""
        if self.platform.context.simulation:
            yield f"SIMULATION {self.platform.context.label or self.platform.name}"
        if not self.matched:
            known = self.plan.known.resource
            yield f"none of {self.read:,} rows matches" if self.read else known.empty
        shown = len(self.rows)
        if self.plan.where is not None and self.matched < self.read:
            yield f"{self.matched:,} of {self.read:,} rows match"
        if shown < self.matched:
            yield f"{shown:,} of {self.matched:,} rows are shown"
        if self.more is None:
            yield f"{self.read:,} rows were read; how many more there are is not known"
        elif self.more:
            yield f"{self.read:,} rows of {self.read + self.more:,} were read"
