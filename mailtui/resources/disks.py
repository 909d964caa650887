"""File systems of all hosts, with Prometheus' forecast where it has one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec

from mailtui.collectors.state import State
from mailtui.model import format as fmt
from mailtui.model.host import HostFacts, Mount
from mailtui.model.metrics import Forecast, MetricsReport
from mailtui.resources.base import Column, Level, Resource

if TYPE_CHECKING:
    from mailtui.config.settings import Context

SOURCES = ("hosts", "prometheus")


class Disk(msgspec.Struct, frozen=True, gc=False):
    """One file system: `df` on the host, a forecast by Prometheus, or one of them."""

    host: str
    mount: Mount | None
    forecast: Forecast | None = None
    used_level: Level = ""
    inodes_level: Level = ""
    full_level: Level = ""
    """How bad each figure is by the limits of `sources.hosts`."""

    @property
    def target(self) -> str:
        """Where it is mounted."""
        if self.mount is not None:
            return self.mount.target
        return self.forecast.target if self.forecast is not None else ""

    @property
    def key(self) -> str:
        """Identity across polls."""
        return f"{self.host}{self.target}"

    @property
    def used_ratio(self) -> float | None:
        """Used share, 0 to 1."""
        if self.mount is not None:
            return self.mount.used_ratio
        return self.forecast.used_ratio if self.forecast is not None else None

    @property
    def inodes_ratio(self) -> float | None:
        """Used share of the inodes; None without a limit."""
        if self.mount is not None:
            return self.mount.inodes_ratio
        return self.forecast.inodes_ratio if self.forecast is not None else None

    @property
    def available(self) -> float | None:
        """Bytes."""
        if self.mount is not None:
            return self.mount.available
        return self.forecast.available if self.forecast is not None else None

    @property
    def growth(self) -> float | None:
        """Bytes an hour."""
        if self.forecast is None or self.forecast.growth is None:
            return None
        return self.forecast.growth * 3600

    @property
    def full_in(self) -> float | None:
        """Seconds until it is full; None if it does not fill, or unknown."""
        return self.forecast.seconds_to_full if self.forecast is not None else None


def _full_text(disk: Disk) -> str:
    if disk.full_in is not None:
        return fmt.age(disk.full_in) if disk.full_in < 30 * 86400 else "> 30 d"
    return "?" if disk.growth is None else "-"


def _growth_text(disk: Disk) -> str:
    growth = disk.growth
    if growth is None:
        return "?"
    return f"{'+' if growth > 0 else ''}{fmt.size(growth)}/h"


def _inodes_text(disk: Disk) -> str:
    if disk.mount is not None and not disk.mount.inodes:
        return "-"
    return fmt.used(disk.inodes_ratio)


RESOURCE: Resource[Disk] = Resource(
    name="disks",
    title="disks",
    columns=(
        Column("host", "host", lambda d: d.host, width=10),
        Column("mount", "mounted on", lambda d: d.target, width=14, flex=2, truncate="middle"),
        Column(
            "used",
            "used",
            lambda d: d.used_ratio,
            lambda d: fmt.used(d.used_ratio),
            "right",
            6,
            level=lambda d: d.used_level,
        ),
        Column(
            "full",
            "full in",
            lambda d: d.full_in,
            _full_text,
            "right",
            9,
            level=lambda d: d.full_level,
            priority=1,
        ),
        Column("growth", "growth", lambda d: d.growth, _growth_text, "right", 9, priority=2),
        Column(
            "free",
            "free B",
            lambda d: d.available,
            lambda d: fmt.size(d.available),
            "right",
            7,
        ),
        Column(
            "size",
            "size B",
            lambda d: d.mount.size if d.mount else None,
            lambda d: fmt.size(d.mount.size if d.mount else None),
            "right",
            7,
            priority=2,
        ),
        Column(
            "inodes",
            "inodes",
            lambda d: d.inodes_ratio,
            _inodes_text,
            "right",
            7,
            priority=1,
            level=lambda d: d.inodes_level,
        ),
        Column(
            "type",
            "type",
            lambda d: d.mount.fstype if d.mount else None,
            width=8,
            priority=3,
        ),
        Column(
            "device",
            "device",
            lambda d: d.mount.source if d.mount else None,
            width=14,
            flex=1,
            priority=4,
            truncate="middle",
        ),
    ),
    key=lambda d: d.key,
    empty="no file system was read",
    sort="-used",
)


def rows_in(state: State, context: Context) -> list[Disk]:
    """The file systems of every host, with those that only Prometheus knows."""
    report = state.value("prometheus", MetricsReport)
    forecasts = {(f.host, f.target): f for f in report.forecasts} if report else {}
    found = [
        Disk(host, mount, forecasts.pop((host, mount.target), None))
        for host, facts in state.values("hosts", HostFacts)
        for mount in facts.mounts
    ]
    read = {disk.host for disk in found}
    found += [Disk(f.host, None, f) for f in forecasts.values() if f.host not in read]
    return graded(found, context)


def graded(disks: Iterable[Disk], context: Context) -> list[Disk]:
    """`disks` with their levels."""
    from mailtui.config.sources.hosts import Settings

    limits = context.source("hosts", Settings) or Settings()
    return [
        msgspec.structs.replace(
            disk,
            used_level=limits.of_share(disk.used_ratio) or "",
            inodes_level=limits.of_share(disk.inodes_ratio) or "",
            full_level=limits.of_full_in(disk.full_in) or "",
        )
        for disk in disks
    ]
