"""Hosts: what runs full, what does not run, which certificate ends."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from mailtui.collectors.state import State
from mailtui.config.sources.hosts import Settings
from mailtui.model import format as fmt
from mailtui.model.host import Certificate, HostFacts, Mount, Unit
from mailtui.model.problem import Problem, Severity
from mailtui.model.reading import AnyReading
from mailtui.model.where_parse import exactly

if TYPE_CHECKING:
    from mailtui.config.settings import Context

LOAD_EXTREME = 8.0
"""Runnable tasks a CPU, over one and over five minutes."""
MEMORY_WARNING, MEMORY_CRITICAL = 0.04, 0.015
"""Shares of the memory that are still available."""
SERVED_DIFFERS = 86400.0
"""Seconds by which two ends of one certificate differ before it counts."""


def find(state: State, context: Context, now: float) -> Iterable[Problem]:
    """The problems of every host that was read at least once."""
    settings = context.source("hosts", Settings)
    if settings is None:
        return
    for reading in state.of("hosts"):
        facts = reading.value
        if isinstance(facts, HostFacts):
            about = _About(reading)
            for mount in facts.mounts:
                yield from _mount(about, mount, settings)
            for unit in facts.units:
                yield from _unit(about, unit, now)
            for certificate in facts.certificates:
                yield from _certificate(about, certificate, settings, now)
            yield from _differs(about, facts.certificates, now)
            yield from _memory(about, facts)
            yield from _load(about, facts)


class _About:
    """Makes the problems of one host's reading."""

    def __init__(self, reading: AnyReading) -> None:
        self.host = reading.target
        self._read_at = reading.read_at

    def problem(
        self,
        key: str,
        severity: Severity,
        text: str,
        where: str,
        *,
        weight: float,
        since: float | None = None,
    ) -> Problem:
        """One problem; `where` is put behind the host's own filter."""
        return Problem(
            key=key,
            severity=severity,
            hosts=(self.host,),
            text=text,
            screen="hosts",
            where=f"{exactly('host', self.host)} {where}".strip(),
            since=since,
            read_at=self._read_at,
            weight=weight,
            source="hosts",
        )


def _mount(about: _About, mount: Mount, settings: Settings) -> Iterator[Problem]:
    space, inodes = mount.used_ratio or 0.0, mount.inodes_ratio or 0.0
    worst = max(space, inodes)
    if (severity := settings.of_share(worst)) is None:
        return
    if space >= inodes:
        text = f"{mount.target} {fmt.used(space)}, {fmt.size(mount.available)} free"
    else:
        left = fmt.count(mount.inodes - mount.inodes_used)
        text = f"{mount.target} {fmt.used(inodes)} of its inodes, {left} free"
    yield about.problem(
        f"disk/{about.host}/{mount.target}",
        severity,
        text,
        exactly("mount", mount.target),
        weight=100 * worst,
    )


def _unit(about: _About, unit: Unit, now: float) -> Iterator[Problem]:
    key = f"unit/{about.host}/{unit.name}"
    where = exactly("unit", unit.name)
    if unit.active == "failed":
        why = f" ({unit.result})" if unit.result not in ("", "success") else ""
        severity: Severity = "critical" if unit.expected else "warning"
        yield about.problem(
            key, severity, f"{unit.name} failed{why}", where, weight=90 if unit.expected else 20
        )
    elif not unit.expected or unit.active == "active":
        return
    elif unit.load in ("not-found", "masked", "error", "bad-setting"):
        what = "is not installed" if unit.load == "not-found" else f"is {unit.load}"
        yield about.problem(
            key,
            "warning",
            f"{unit.name} {what}, and a role of this host asks for it",
            where,
            weight=30,
        )
    elif unit.active in ("activating", "reloading", "deactivating"):
        restarts = f", restarted {unit.restarts} times" if unit.restarts else ""
        yield about.problem(
            key, "warning", f"{unit.name} is {unit.active}{restarts}", where, weight=60
        )
    else:
        yield about.problem(key, "critical", f"{unit.name} does not run", where, weight=85)


def _certificate(
    about: _About, certificate: Certificate, settings: Settings, now: float
) -> Iterator[Problem]:
    place = f"{certificate.service} ({certificate.port})"
    key = f"certificate/{about.host}/{certificate.port}"
    where = f"port:={certificate.port}"
    if certificate.error:
        text = f"{place} serves no certificate: {certificate.error}"
        yield about.problem(key, "warning", text, where, weight=40)
        return
    left = certificate.not_after - now
    subject = certificate.subject
    if left <= 0:
        text = f"{place}: the certificate of {subject} expired {fmt.age(-left)} ago"
        yield about.problem(key, "critical", text, where, weight=95, since=certificate.not_after)
    elif certificate.not_before > now:
        begins = fmt.age(certificate.not_before - now)
        text = f"{place}: the certificate of {subject} is not valid before {begins} from now"
        yield about.problem(key, "critical", text, where, weight=80)
    elif (severity := settings.of_certificate(left)) is not None:
        text = f"{place}: the certificate of {subject} expires in {fmt.age(left)}"
        weight = 50 if severity == "critical" else 25
        yield about.problem(key, severity, text, where, weight=weight)


def _differs(about: _About, found: tuple[Certificate, ...], now: float) -> Iterator[Problem]:
    """A daemon that was not reloaded after a renewal serves the old certificate."""
    newest: dict[tuple[str, ...], Certificate] = {}
    good = [c for c in found if not c.error and c.names]
    for certificate in good:
        names = tuple(sorted(certificate.names))
        held = newest.get(names)
        if held is None or certificate.not_after > held.not_after:
            newest[names] = certificate
    for certificate in good:
        other = newest[tuple(sorted(certificate.names))]
        if other.not_after - certificate.not_after > SERVED_DIFFERS:
            yield about.problem(
                f"certificate-differs/{about.host}/{certificate.port}",
                "warning",
                f"{certificate.service} ({certificate.port}) serves an older certificate than "
                f"{other.service} ({other.port}): reload its daemon",
                f"port:={certificate.port}|={other.port}",
                weight=35,
            )


def _memory(about: _About, facts: HostFacts) -> Iterator[Problem]:
    total, available = facts.memory_total, facts.memory_available
    if not total or available is None:
        return
    share = available / total
    swap_total, swap_free = facts.swap_total or 0, facts.swap_free or 0
    if share > MEMORY_WARNING or (swap_total and swap_free / swap_total > 0.5):
        return
    text = f"memory is exhausted: {fmt.size(available)} of {fmt.size(total)} available"
    if swap_total:
        text += f", swap {fmt.percent(1 - swap_free / swap_total)}"
    severity: Severity = "critical" if share <= MEMORY_CRITICAL else "warning"
    yield about.problem(f"memory/{about.host}", severity, text, "", weight=70)


def _load(about: _About, facts: HostFacts) -> Iterator[Problem]:
    if facts.load is None or not facts.cpus:
        return
    one, five, _ = facts.load
    if min(one, five) >= LOAD_EXTREME * facts.cpus:
        text = f"load {one:.0f} on {facts.cpus} CPUs for more than 5 min"
        yield about.problem(f"load/{about.host}", "warning", text, "", weight=45)
