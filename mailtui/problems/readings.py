"""What is not known: every source that could not be read, one line a host at most.

"No answer" is no fault of the mail platform, and no proof that it is well: severity unknown.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from mailtui.collectors.state import State
from mailtui.model import format as fmt
from mailtui.model.problem import Problem
from mailtui.model.reading import AnyReading, Fault
from mailtui.model.where_parse import exactly
from mailtui.problems import fail2ban, postfix

if TYPE_CHECKING:
    from mailtui.config.settings import Context

HOST_SOURCES = ("hosts", "postfix", "fail2ban", "postfix_suspended")
"""Sources that share a host's connection; the first that fails speaks for the host."""
_CONNECTION = frozenset({"timeout", "unreachable", "host-key", "auth", "config", "protocol"})
"""Faults that a connection has, and then every source behind it."""
_SCREENS = {
    "hosts": "hosts",
    "postfix": "queues",
    "postfix_suspended": "queues",
    "fail2ban": "bans",
    "rabbitmq": "broker",
    "elasticsearch": "audit",
    "audit": "audit",
}
_BEHIND = {"audit": "elasticsearch", "broker_connections": "rabbitmq"}
"""Sources that are read only while a screen looks at them → the source that speaks for them."""
_LATE = 3.0
"""Intervals after which a reading that did not fail is late all the same."""


def find(state: State, context: Context, now: float) -> Iterable[Problem]:
    """One problem for each source that failed; for each host that cannot be reached, one."""
    told: set[tuple[str, str]] = set()
    for host in context.hosts:
        readings = [r for r in state.all() if r.target == host and r.source in HOST_SOURCES]
        failed = [r for r in readings if _unreachable(r)]
        # one source alone that fails, while others answer, is that source's own matter
        if failed and not any(_answers(r, now) for r in readings):
            first = min(failed, key=lambda r: HOST_SOURCES.index(r.source))
            told.update((r.source, r.target) for r in failed)
            heard = max((r.read_at for r in readings if not r.absent), default=0.0)
            yield _host(first, heard, now)
    for reading in state.all():
        if (reading.source, reading.target) in told:
            continue
        if (speaker := _BEHIND.get(reading.source)) and state.get(speaker).fault is not None:
            continue
        if postfix.explains(reading) or fail2ban.explains(reading):
            continue
        yield from _source(reading, now)


def _unreachable(reading: AnyReading) -> bool:
    return reading.fault is not None and not reading.absent and reading.fault.kind in _CONNECTION


def _answers(reading: AnyReading, now: float) -> bool:
    """True if the host answered lately, be it that it does not have the tool."""
    if reading.absent:
        # looked at every few minutes only: says nothing of now
        return False
    if reading.fault is not None:
        return reading.fault.kind in ("server", "missing-tool")
    return reading.status == "fresh"


def _host(reading: AnyReading, read_at: float, now: float) -> Problem:
    fault = reading.fault
    assert fault is not None
    return Problem(
        key=f"reading/host/{reading.target}",
        severity="unknown",
        hosts=(reading.target,),
        text=_words(fault, reading.target, read_at, now),
        screen="hosts",
        where=exactly("host", reading.target),
        since=fault.since,
        read_at=read_at,
        weight=100,
        source="hosts",
    )


def _source(reading: AnyReading, now: float) -> Iterator[Problem]:
    if reading.absent:
        return
    name = reading.source
    fault = reading.fault
    if fault is not None:
        text = f"{name}: {_words(fault, reading.target or name, reading.read_at, now)}"
    elif _is_late(reading, now):
        text = (
            f"{name}: not read for {fmt.age(reading.age(now))}, every {reading.interval:g} s is due"
        )
    else:
        return
    yield Problem(
        key=f"reading/{name}/{reading.target}",
        severity="unknown",
        hosts=(reading.target,) if reading.target else (),
        text=text,
        screen=_SCREENS.get(name, "overview"),
        where=exactly("host", reading.target) if name == "hosts" else "",
        since=fault.since if fault is not None else reading.read_at,
        read_at=reading.read_at,
        weight=50 if not reading.target else 10,
        source=name,
    )


def _is_late(reading: AnyReading, now: float) -> bool:
    if reading.status != "fresh" or not reading.interval or reading.source in _BEHIND:
        return False
    return now - reading.read_at > _LATE * reading.interval + 60.0


def _words(fault: Fault, name: str, read_at: float, now: float) -> str:
    """`no answer for 2 m 10 s (SSH connect timed out after 10 s)`."""
    said = fault.message.removeprefix(f"{name}: ")
    begin = read_at or fault.since
    span = fmt.age(max(0.0, now - begin))
    if fault.kind in ("timeout", "unreachable"):
        never = "" if read_at else "never read; "
        text = f"{never}no answer for {span} ({said})"
    else:
        text = f"not read for {span}: {said}" if read_at else f"never read: {said}"
    return f"{text}; {fault.hint}" if fault.hint else text
