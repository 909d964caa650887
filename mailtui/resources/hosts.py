"""Hosts: load, memory, the fullest disk, units, certificates; one row a configured host."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from mailtui.collectors.state import State
from mailtui.model import clock
from mailtui.model import format as fmt
from mailtui.model.host import HostFacts
from mailtui.model.reading import AnyReading
from mailtui.resources import units
from mailtui.resources.base import Column, Level, Resource
from mailtui.resources.disks import Disk, graded

if TYPE_CHECKING:
    from mailtui.config.settings import Context

SOURCES = ("hosts",)


class HostRow(msgspec.Struct, frozen=True):
    """One host: its reading, and what it last said (nothing if it was never read)."""

    name: str
    reading: AnyReading
    facts: HostFacts
    disks: tuple[Disk, ...] = ()
    """Its file systems, the fullest first."""
    certificate_level: Level = ""
    """How bad it is that the certificate which ends first ends then."""
    roles: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    """As configured."""

    @property
    def fullest(self) -> Disk | None:
        """Its file system with the largest share in use."""
        return self.disks[0] if self.disks else None

    @property
    def known(self) -> bool:
        """True if it was read at least once."""
        return self.reading.read_at > 0


def state_of(row: HostRow) -> str:
    """never, fresh, stale, and why."""
    return row.reading.status


_STATE_LEVELS: dict[str, Level] = {"fresh": "ok", "stale": "stale", "absent": "muted"}


def _state_level(row: HostRow) -> Level:
    return _STATE_LEVELS.get(state_of(row), "unknown")


def _age(row: HostRow) -> float | None:
    return row.reading.age(clock.now())


def _load(row: HostRow) -> float | None:
    return row.facts.load[0] if row.facts.load else None


def _loads(row: HostRow) -> str:
    load = row.facts.load
    return "?" if load is None else " ".join(f"{value:.2f}" for value in load)


def _load_level(row: HostRow) -> Level:
    load, cpus = row.facts.load, row.facts.cpus
    if load is None or not cpus:
        return ""
    return "warning" if load[1] >= 4 * cpus else ""


def _memory(row: HostRow) -> float | None:
    total, available = row.facts.memory_total, row.facts.memory_available
    return 1 - available / total if total and available is not None else None


def _memory_level(row: HostRow) -> Level:
    used = _memory(row)
    return "warning" if used is not None and used >= 0.95 else ""


def _disk(row: HostRow) -> float | None:
    return row.fullest.used_ratio if row.fullest else None


def _disk_text(row: HostRow) -> str:
    disk = row.fullest
    return f"{fmt.used(disk.used_ratio)} {disk.target}" if disk else "?"


def _bad_units(row: HostRow) -> int | None:
    return (
        sum(units.level_of(unit) == "critical" for unit in row.facts.units) if row.known else None
    )


def _units_text(row: HostRow) -> str:
    bad = [
        u.name.removesuffix(".service")
        for u in row.facts.units
        if units.level_of(u) in ("critical", "warning")
    ]
    if not row.known:
        return "?"
    if bad:
        return " ".join(bad)
    return f"{len(row.facts.units)} ok" if row.facts.units else "-"


def certificate_left(facts: HostFacts) -> float | None:
    """Seconds that the certificate which ends first has left; None if none was read."""
    ends = [c.not_after for c in facts.certificates if not c.error]
    return min(ends) - clock.now() if ends else None


def _certificate(row: HostRow) -> float | None:
    return certificate_left(row.facts)


def _certificate_text(row: HostRow) -> str:
    left = _certificate(row)
    if left is None:
        return "?" if not row.known or row.facts.certificates else "-"
    return "expired" if left < 0 else f"{int(left // 86400)} d"


def _error(row: HostRow) -> str:
    return row.reading.fault.sentence() if row.reading.fault else ""


RESOURCE: Resource[HostRow] = Resource(
    name="hosts",
    title="hosts",
    columns=(
        Column("host", "host", lambda h: h.name, width=10, flex=1),
        Column("state", "state", state_of, width=7, level=_state_level),
        Column(
            "disk",
            "fullest disk",
            _disk,
            _disk_text,
            width=16,
            flex=4,
            level=lambda h: h.fullest.used_level if h.fullest else "",
            truncate="middle",
        ),
        Column("load", "load 1 5 15", _load, _loads, "right", 15, priority=2, level=_load_level),
        Column(
            "memory",
            "memory",
            _memory,
            lambda h: fmt.used(_memory(h)),
            "right",
            7,
            priority=3,
            level=_memory_level,
        ),
        Column(
            "units",
            "units",
            _bad_units,
            _units_text,
            width=12,
            flex=1,
            priority=1,
            level=lambda h: "critical" if _bad_units(h) else "",
        ),
        Column(
            "certificate",
            "cert",
            _certificate,
            _certificate_text,
            "right",
            8,
            priority=2,
            level=lambda h: h.certificate_level,
        ),
        Column(
            "uptime",
            "up",
            lambda h: h.facts.uptime,
            lambda h: fmt.age(h.facts.uptime),
            "right",
            9,
            priority=4,
        ),
        Column("os", "system", lambda h: h.facts.os, width=14, flex=1, priority=5),
        Column("age", "read", _age, lambda h: fmt.age(_age(h)), "right", 8, priority=1),
        Column("error", "error", _error, width=12, flex=2, priority=3),
        # for filters and scripts: they leave before anything else is squeezed
        Column(
            "roles", "roles", lambda h: h.roles, lambda h: " ".join(h.roles), width=60, priority=6
        ),
        Column("tags", "tags", lambda h: h.tags, lambda h: " ".join(h.tags), width=60, priority=7),
    ),
    key=lambda h: h.name,
    empty="no host is configured",
    tick=1.0,
)


def rows_in(state: State, context: Context) -> list[HostRow]:
    """Every configured host, as configured; one that was never read says so."""
    return [_row(reading, context) for reading in state.of("hosts")]


def _row(reading: AnyReading, context: Context) -> HostRow:
    from mailtui.config.settings import Host
    from mailtui.config.sources.hosts import Settings

    name = reading.target
    facts = reading.value if isinstance(reading.value, HostFacts) else HostFacts()
    limits = context.source("hosts", Settings) or Settings()
    host = context.hosts.get(name) or Host()
    left = certificate_left(facts)
    found = graded((Disk(name, mount) for mount in facts.mounts), context)
    return HostRow(
        name,
        reading,
        facts,
        disks=tuple(sorted(found, key=lambda d: -(d.used_ratio or 0.0))),
        certificate_level="" if left is None else limits.of_certificate(left) or "ok",
        roles=host.roles,
        tags=host.tags,
    )
