"""systemd units: those that a host's roles ask for, and every one that failed."""

from __future__ import annotations

import msgspec

from mailtui.collectors.state import State
from mailtui.model import clock
from mailtui.model import format as fmt
from mailtui.model.host import HostFacts, Unit
from mailtui.resources.base import Column, Level, Resource

SOURCES = ("hosts",)


class UnitRow(msgspec.Struct, frozen=True, gc=False):
    """One unit of one host."""

    host: str
    unit: Unit

    @property
    def key(self) -> str:
        """Identity across polls."""
        return f"{self.host}/{self.unit.name}"


def level_of(unit: Unit) -> Level:
    """A unit that a role asks for must be active; another one must not have failed."""
    if unit.active == "failed":
        return "critical" if unit.expected else "warning"
    if not unit.expected:
        return ""
    if unit.active == "active":
        return "ok"
    return "warning" if unit.active in ("activating", "reloading") else "critical"


def _since(row: UnitRow) -> float | None:
    unit = row.unit
    return clock.now() - unit.since if unit.since is not None and unit.active == "active" else None


def _state(row: UnitRow) -> str:
    unit = row.unit
    if unit.load not in ("loaded", ""):
        return unit.load
    return unit.active if unit.active == unit.sub else f"{unit.active} ({unit.sub})"


RESOURCE: Resource[UnitRow] = Resource(
    name="units",
    title="units",
    columns=(
        Column("host", "host", lambda r: r.host, width=10),
        Column("unit", "unit", lambda r: r.unit.name, width=22, flex=2, truncate="middle"),
        Column("state", "state", _state, width=18, level=lambda r: level_of(r.unit)),
        Column(
            "since", "active for", _since, lambda r: fmt.age(_since(r)), "right", 10, priority=1
        ),
        Column(
            "restarts",
            "restarts",
            lambda r: r.unit.restarts,
            lambda r: fmt.count(r.unit.restarts),
            "right",
            8,
            priority=3,
            level=lambda r: "warning" if (r.unit.restarts or 0) > 3 else "",
        ),
        Column("result", "result", lambda r: r.unit.result, width=10, priority=4),
        Column(
            "expected",
            "role",
            lambda r: r.unit.expected,
            lambda r: "asked for" if r.unit.expected else "",
            width=9,
            priority=5,
        ),
    ),
    key=lambda r: r.key,
    empty="no unit is asked for by a role, and none has failed",
    tick=1.0,
)


def rows(state: State) -> list[UnitRow]:
    """What is wrong first, then by host."""
    ranks: dict[Level, int] = {"critical": 0, "warning": 1}
    found = [
        UnitRow(host, unit)
        for host, facts in state.values("hosts", HostFacts)
        for unit in facts.units
    ]
    return sorted(found, key=lambda r: ranks.get(level_of(r.unit), 2))
