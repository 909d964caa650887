"""`mailtui tail audit`: every audit event as it comes."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from mailtui.headless import exits

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailtui.headless.audit import Follower
    from mailtui.model.audit import AuditEvent

PATIENCE = 30.0
"""Seconds between tries at most while the source does not answer."""


def add(verbs: Any, options: argparse.ArgumentParser) -> None:
    """The parser of this verb."""
    verb = verbs.add_parser(
        "tail",
        parents=[options],
        help="follow the audit trail",
        description="Print audit events as they come, each once; begins with the last ten. "
        "Ctrl-C ends it.",
    )
    verb.add_argument("stream", metavar="STREAM", choices=("audit",), help="audit")
    verb.add_argument("--query", metavar="Q", default="", help="query_string of Elasticsearch")
    verb.add_argument("--since", metavar="TIME", help="begin with the events of the last 15m, 2h")
    verb.add_argument("--count", metavar="N", type=int, help="end after N events")
    verb.add_argument(
        "-o",
        "--output",
        metavar="FORMAT",
        choices=("text", "jsonl"),
        default="text",
        help="text or jsonl",
    )


def run(args: argparse.Namespace) -> int:
    """Follow until N events were printed, a signal comes or the reader goes away."""
    from mailtui.headless import session

    return session.run(_tail(args))


async def _tail(args: argparse.Namespace) -> int:
    from mailtui.config.sources.elasticsearch import Settings
    from mailtui.headless import audit, session, text

    since = audit.seconds(args.since) if args.since is not None else None
    text.prepare(sys.stdout, exact=args.output == "jsonl")
    printer = Printer(args.output, args.count)
    async with session.opened(args, "tail audit", ("audit",)) as platform:
        search = audit.search_of(platform)
        settings = platform.context.source("elasticsearch", Settings)
        assert settings is not None
        if platform.context.simulation:
            label = platform.context.label or platform.name
            print(f"SIMULATION {label}", file=sys.stderr, flush=True)
        follower = audit.Follower(search, args.query, settings.audit.overlap)
        await follow(follower, since, printer, settings.audit.interval, args.query)
    return exits.OK


async def follow(
    follower: Follower, since: float | None, printer: Printer, interval: float, query: str
) -> None:
    """Read again and again; an outage is said once, and its end. Raises Refused."""
    import asyncio

    from mailtui.collectors.audit_search import QueryError
    from mailtui.connections.errors import SourceError
    from mailtui.headless.audit import not_understood
    from mailtui.headless.errors import say

    begun, failures, said = False, 0, ""
    while True:
        try:
            if not begun:
                for event in await follower.begin(since):
                    if printer(event):
                        return
                begun = True
            async for event in follower.follow():
                if printer(event):
                    return
        except QueryError as error:
            raise not_understood(query, error) from None
        except SourceError as error:
            failures += 1
            if str(error) != said:
                said = str(error)
                say("tail", f"{said}; trying again")
            await asyncio.sleep(min(PATIENCE, interval * 2.0 ** min(failures - 1, 10)))
        else:
            if failures:
                say("tail", "the audit trail answers again; nothing is left out")
                failures, said = 0, ""
            await asyncio.sleep(interval)


class Printer:
    """Writes events, each flushed; true when enough were written."""

    def __init__(self, form: str, count: int | None) -> None:
        self._write: Callable[[AuditEvent], str] = as_jsonl if form == "jsonl" else as_text
        self._left = count

    def __call__(self, event: AuditEvent) -> bool:
        if self._left is not None:
            if self._left <= 0:
                return True
            self._left -= 1
        print(self._write(event), flush=True)
        return self._left == 0


def as_jsonl(event: AuditEvent) -> str:
    """The row of `get audit -o jsonl`."""
    import json

    from mailtui.resources.audit import RESOURCE
    from mailtui.resources.export import as_object

    return json.dumps(as_object(event, RESOURCE.columns), ensure_ascii=False, allow_nan=False)


def as_text(event: AuditEvent) -> str:
    """One line: time, host, service, action, outcome, user, address, message."""
    from mailtui.connections.clean import clean
    from mailtui.model import format as fmt

    parts = (
        event.host,
        event.service,
        event.action,
        event.outcome,
        event.user,
        event.source_ip,
        event.message,
    )
    return f"{fmt.date_time(event.time)}  {'  '.join(clean(part) or '-' for part in parts)}"
