"""What Prometheus says: values now, and their course over one span."""

from __future__ import annotations

import msgspec


class Trend(msgspec.Struct, frozen=True, gc=False):
    """A course of values at a fixed step; None where there is no sample."""

    start: float
    """Epoch seconds of the first value."""
    step: float
    """Seconds."""
    values: tuple[float | None, ...] = ()

    @property
    def last(self) -> float | None:
        """The newest value, or None."""
        return self.values[-1] if self.values else None


class Forecast(msgspec.Struct, frozen=True, gc=False):
    """Where a file system goes if it goes on as in the last `base` seconds."""

    host: str
    target: str
    used_ratio: float | None = None
    inodes_ratio: float | None = None
    available: float | None = None
    """Bytes."""
    growth: float | None = None
    """Bytes a second, positive when it fills."""
    base: float = 3600.0
    """Seconds over which `growth` was measured."""

    @property
    def seconds_to_full(self) -> float | None:
        """Seconds until nothing is available; None if it does not fill, or is unknown."""
        if self.available is None or self.growth is None or self.growth <= 0:
            return None
        return self.available / self.growth


class Alert(msgspec.Struct, frozen=True, gc=False):
    """One alert of Prometheus' own rules (`/api/v1/alerts`)."""

    name: str
    state: str
    """firing or pending."""
    severity: str = ""
    active_at: float | None = None
    summary: str = ""
    description: str = ""
    labels: dict[str, str] = {}

    @property
    def key(self) -> str:
        """Identity across polls: an alert is its label set."""
        return self.name + "".join(f"\t{k}={v}" for k, v in sorted(self.labels.items()))


class ScrapeTarget(msgspec.Struct, frozen=True, gc=False):
    """A target that Prometheus scrapes (`/api/v1/targets`)."""

    job: str
    instance: str
    up: bool
    error: str = ""
    last_scrape: float | None = None


class MetricsReport(msgspec.Struct, frozen=True):
    """Prometheus in one read. A query that failed is in `faults`, not in the others."""

    version: str = ""
    values: dict[str, float | None] = {}
    """Query name → value now; None: the query has no series."""
    trends: dict[str, Trend] = {}
    by_host: dict[str, dict[str, float]] = {}
    """Query name → host → value, for queries by host."""
    forecasts: tuple[Forecast, ...] = ()
    alerts: tuple[Alert, ...] = ()
    targets: tuple[ScrapeTarget, ...] = ()
    faults: dict[str, str] = {}
    """Query name → why it has no answer."""
