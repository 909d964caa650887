"""Postfix: what dominates the deferred mail, what our own platform refuses, what is down."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from mailtui.collectors.state import State
from mailtui.config.sources.postfix import Settings
from mailtui.model import format as fmt
from mailtui.model.mail import QueueListing
from mailtui.model.problem import Problem, Severity
from mailtui.model.reading import AnyReading
from mailtui.model.where_parse import exactly
from mailtui.problems.queue_summary import Summary, deferred

if TYPE_CHECKING:
    from mailtui.config.settings import Context

DOWN = "mail system is down"
OURS_FROM = 5
"""Messages from which a reason that lies in our own platform is a problem."""
_OURS = re.compile(
    r"no space left|table lookup problem|mail transport unavailable|queue file write error"
    r"|insufficient system storage|address resolver failure|loops back to myself"
    r"|milter|content filter|scan(?:ner)? (?:error|failed|unavailable)",
    re.IGNORECASE,
)
_REASON_WIDTH = 160
_LEAST_SENDER = 100
"""Messages from which a sender that dominates is a problem."""


def find(state: State, context: Context, now: float) -> Iterable[Problem]:
    """The problems of all hosts' queues together, and of each host's."""
    settings = context.source("postfix", Settings)
    if settings is None:
        return
    readings = state.of("postfix")
    for reading in readings:
        yield from _host(reading)
    summary = deferred(state.values("postfix", QueueListing))
    if not summary.total:
        return
    read_at = min((r.read_at for r in readings if r.read_at and not r.absent), default=0.0)
    yield from _destination(summary, settings, now, read_at)
    yield from _sender(summary, settings, read_at)
    yield from _ours(summary, read_at)


def explains(reading: AnyReading) -> bool:
    """True if the fault of this reading is told here already."""
    return reading.source == "postfix" and reading.fault is not None and _is_down(reading)


def _is_down(reading: AnyReading) -> bool:
    if reading.fault is not None:
        return reading.fault.kind == "server" and DOWN in reading.fault.message.lower()
    listing = reading.value
    return isinstance(listing, QueueListing) and any(DOWN in note for note in listing.notes)


def _host(reading: AnyReading) -> Iterator[Problem]:
    listing = reading.value if isinstance(reading.value, QueueListing) else None
    host = reading.target
    if _is_down(reading):
        waiting = f"; {fmt.count(listing.total)} messages wait in its queue" if listing else ""
        since = reading.fault.since if reading.fault is not None else None
        yield _problem(
            f"postfix/down/{host}",
            "critical",
            (host,),
            f"the {DOWN}{waiting}",
            exactly("host", host),
            read_at=reading.read_at,
            weight=1000,
            since=since,
        )
    if listing is None:
        return
    if corrupt := listing.counts.get("corrupt", 0):
        yield _problem(
            f"postfix/corrupt/{host}",
            "warning",
            (host,),
            f"{fmt.count(corrupt)} messages in the corrupt queue",
            f"queue:=corrupt {exactly('host', host)}",
            read_at=reading.read_at,
            weight=30,
        )
    if listing.malformed:
        yield _problem(
            f"postfix/malformed/{host}",
            "unknown",
            (host,),
            f"{fmt.count(listing.malformed)} lines of postqueue -j could not be understood",
            exactly("host", host),
            read_at=reading.read_at,
            weight=1,
        )


def _destination(
    summary: Summary, settings: Settings, now: float, read_at: float
) -> Iterator[Problem]:
    if summary.total < settings.deferred_warning or not summary.destinations:
        return
    destination, count = summary.destinations.most_common(1)[0]
    oldest = f", oldest {fmt.age(now - summary.oldest)}" if summary.oldest is not None else ""
    if count < settings.dominates * summary.total:
        hosts = tuple(host for host in summary.hosts if summary.hosts[host])
        yield _problem(
            "postfix/deferred",
            "warning",
            hosts,
            f"{fmt.count(summary.total)} messages are deferred{oldest}; most go to "
            f"{destination or 'no domain'} ({fmt.count(count)})",
            "queue:=deferred",
            read_at=read_at,
            weight=summary.total,
        )
        return
    reasons = [(key, n) for key, n in summary.reasons.items() if key[0] == destination]
    key, most = max(reasons, key=lambda part: (part[1], part[0]))
    since = min(summary.begins[key])
    text = (
        f"{fmt.count(count)} of {fmt.count(summary.total)} deferred go to "
        f"{destination or 'no domain'}"
    )
    if key[1]:
        text += f": {_short(key[1])}"
        if most < 0.9 * count:
            text += f" ({fmt.count(most)})"
    yield _problem(
        f"postfix/destination/{destination}",
        "warning",
        summary.hosts_of(destination),
        text,
        f"queue:=deferred {exactly('destination', destination)}"
        if destination
        else "queue:=deferred",
        read_at=read_at,
        weight=count,
        since=since,
    )


def _short(reason: str) -> str:
    """A reason that leaves room for the rest of the sentence."""
    if len(reason) <= _REASON_WIDTH:
        return reason
    return reason[: reason.rfind(" ", 0, _REASON_WIDTH)].rstrip(" :;,.-(") + " …"


def _sender(summary: Summary, settings: Settings, read_at: float) -> Iterator[Problem]:
    sender, count = summary.senders.most_common(1)[0] if summary.senders else ("", 0)
    least = max(_LEAST_SENDER, settings.deferred_warning // 2)
    if count < least or count < settings.dominates * summary.total:
        return
    share = f"{fmt.count(count)} of {fmt.count(summary.total)} deferred"
    if sender:
        text = f"{share} come from {sender}: is this account ours to send so much?"
    else:
        text = f"{share} are bounces (MAILER-DAEMON): backscatter to forged senders?"
    yield _problem(
        f"postfix/sender/{sender or 'MAILER-DAEMON'}",
        "warning",
        summary.hosts_from(sender),
        text,
        f"queue:=deferred {exactly('sender', sender or 'MAILER-DAEMON')}",
        read_at=read_at,
        weight=count,
    )


def _ours(summary: Summary, read_at: float) -> Iterator[Problem]:
    """Reasons that lie with us: nobody else will mend them."""
    found: dict[str, list[tuple[str, int]]] = {}
    for (destination, reason), count in summary.reasons.items():
        if _OURS.search(reason):
            found.setdefault(reason, []).append((destination, count))
    for reason, parts in found.items():
        count = sum(n for _, n in parts)
        if count < OURS_FROM:
            continue
        hosts = dict.fromkeys(h for d, _ in parts for h in summary.hosts_of(d))
        since = min(min(summary.begins[destination, reason]) for destination, _ in parts)
        words = reason.removesuffix("…").strip().replace('"', '\\"')
        yield _problem(
            f"postfix/reason/{reason}",
            "warning",
            tuple(hosts),
            f"{fmt.count(count)} deferred by our own platform: {reason}",
            f'queue:=deferred reason:"{words}"',
            read_at=read_at,
            weight=count,
            since=since,
        )


def _problem(
    key: str,
    severity: Severity,
    hosts: tuple[str, ...],
    text: str,
    where: str,
    *,
    read_at: float,
    weight: float,
    since: float | None = None,
) -> Problem:
    return Problem(
        key=key,
        severity=severity,
        hosts=hosts,
        text=text,
        screen="queues",
        where=where,
        since=since,
        read_at=read_at,
        weight=weight,
        source="postfix",
    )
