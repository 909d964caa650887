"""fail2ban: a burst of bans and the network behind it; a fail2ban that does not run."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from mailtui.collectors.state import State
from mailtui.config.sources.fail2ban import Settings
from mailtui.model import format as fmt
from mailtui.model.bans import Ban, BanReport
from mailtui.model.problem import Problem
from mailtui.model.reading import AnyReading
from mailtui.model.where_parse import exactly

if TYPE_CHECKING:
    from mailtui.config.settings import Context

_DOMINATES = 0.5
"""Share of a burst from which its network is named."""


def find(state: State, context: Context, now: float) -> Iterable[Problem]:
    """The problems of every host's fail2ban."""
    settings = context.source("fail2ban", Settings)
    if settings is None:
        return
    for reading in state.of("fail2ban"):
        if explains(reading):
            yield _down(reading)
        if isinstance(reading.value, BanReport):
            yield from _burst(reading, reading.value, settings, now)


def explains(reading: AnyReading) -> bool:
    """True if the fault of this reading is told here already."""
    fault = reading.fault
    return (
        reading.source == "fail2ban"
        and fault is not None
        and fault.kind == "server"
        and "fail2ban does not run" in fault.message
    )


def network(address: str) -> str | None:
    """The /24 (IPv4) or /64 (IPv6) that an address is in; None if it is no address."""
    try:
        found = ipaddress.ip_network(address, strict=False)
    except ValueError:
        return None
    least = 24 if found.version == 4 else 64
    return str(found.supernet(new_prefix=least)) if found.prefixlen > least else str(found)


def _burst(
    reading: AnyReading, report: BanReport, settings: Settings, now: float
) -> Iterator[Problem]:
    begin = now - settings.burst_window
    recent = [ban for ban in report.bans if ban.banned_at is not None and ban.banned_at >= begin]
    if len(recent) < settings.burst_warning:
        return
    text = f"{fmt.count(len(recent))} bans in {_span(settings.burst_window)}"
    networks = Counter(net for ban in recent if (net := network(ban.address)) is not None)
    net, count = networks.most_common(1)[0] if networks else ("", 0)
    if count >= _DOMINATES * len(recent):
        text += f", {fmt.count(count)} of them {net}"
    jails = Counter(ban.jail for ban in recent)
    jail, most = jails.most_common(1)[0]
    text += f", jail {jail}" if most == len(recent) else f", most in jail {jail}"
    yield Problem(
        key=f"fail2ban/burst/{reading.target}",
        severity="warning",
        hosts=(reading.target,),
        text=text,
        screen="bans",
        where=f"{exactly('host', reading.target)} age:<{int(settings.burst_window)}s",
        since=_begin(recent),
        read_at=reading.read_at,
        weight=len(recent),
        source="fail2ban",
    )


def _span(seconds: float) -> str:
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes == int(minutes) else fmt.age(seconds)


def _begin(bans: Iterable[Ban]) -> float | None:
    return min((ban.banned_at for ban in bans if ban.banned_at is not None), default=None)


def _down(reading: AnyReading) -> Problem:
    fault = reading.fault
    return Problem(
        key=f"fail2ban/down/{reading.target}",
        severity="warning",
        hosts=(reading.target,),
        text="fail2ban does not run: nothing is banned any more",
        screen="bans",
        since=fault.since if fault is not None else None,
        read_at=reading.read_at,
        weight=50,
        source="fail2ban",
    )
