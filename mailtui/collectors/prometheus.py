"""Prometheus: numbers now at each read; trends, file systems and targets less often."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from mailtui.collectors import prometheus_queries as asked
from mailtui.collectors import prometheus_records as records
from mailtui.collectors.base import Collector
from mailtui.config.queries import QUERIES
from mailtui.connections import credentials
from mailtui.connections.daemon_executor import DaemonExecutor
from mailtui.connections.errors import SourceError
from mailtui.connections.prometheus import PrometheusClient, QueryFailed, failed
from mailtui.model import clock
from mailtui.model.metrics import Forecast, MetricsReport, ScrapeTarget, Trend

if TYPE_CHECKING:
    from mailtui.config.settings import Context
    from mailtui.config.sources.prometheus import Settings
    from mailtui.connections.pool import Connections

POINTS = 60
"""Steps of a trend."""

_FAST = ("value", "trend", "by_label", "by_host")


def collectors(context: Context, connections: Connections) -> list[Collector]:
    """The one collector of Prometheus."""
    from mailtui.config.sources.prometheus import Settings

    settings = context.source("prometheus", Settings)
    return [] if settings is None else [PrometheusCollector(settings, records.hosts(context))]


@dataclass(slots=True)
class _Slow:
    """What is read at `slow_interval`."""

    version: str = ""
    trends: dict[str, Trend] = field(default_factory=dict)
    forecasts: tuple[Forecast, ...] = ()
    targets: tuple[ScrapeTarget, ...] = ()
    faults: dict[str, str] = field(default_factory=dict)


class PrometheusCollector:
    """Reads a MetricsReport."""

    source: ClassVar[str] = "prometheus"
    overview: ClassVar[bool] = True
    target = ""

    def __init__(self, settings: Settings, hosts: Mapping[str, str]) -> None:
        """`hosts`: `instance` without its port → name of the host."""
        self.interval = settings.interval
        self.timeout = settings.timeout
        self._settings = settings
        self._hosts = hosts
        self._executor = DaemonExecutor("prometheus")
        self._client: PrometheusClient | None = None
        self._texts = asked.texts(settings)
        self._broken: dict[str, str] = {}
        """Query that failed → why. It is asked alone, so that it spoils no pack."""
        self._slow = _Slow()
        self._slow_at = float("-inf")
        self._down: float | None = None

    async def read(self) -> MetricsReport:
        """One read. Raises SourceError when no query was answered."""
        if self._client is None:
            headers = await credentials.headers(self._settings)
            self._client = PrometheusClient(self._settings, headers.get("Authorization", ""))
        client, now = self._client, clock.now()
        try:
            return await self._executor.call(lambda: self._read(client, now), self.timeout)
        except SourceError as error:
            if error.kind == "auth":  # the secret may have changed: read it anew
                client.close()
                self._client = None
            raise

    async def close(self) -> None:
        """Drop the connections; a read that hangs is left behind."""
        self._executor.close()
        if self._client is not None:
            self._client.close()

    def _read(self, client: PrometheusClient, now: float) -> MetricsReport:
        """On a thread of the executor."""
        due = time.monotonic() - self._slow_at >= self._settings.slow_interval
        answers = self._ask(client.query, self._of(*_FAST), again=due)
        values, by_host = records.numbers(answers, self._hosts)
        down = values.get("targets_down")
        if due:
            self._slow = self._read_slow(client, now)
            self._slow_at = time.monotonic()
        elif down != self._down:
            self._read_targets(client, self._slow)
        self._down = down
        try:
            alerts = records.alerts(client.get("/api/v1/alerts"))
            self._slow.faults.pop("alerts", None)
        except QueryFailed as error:
            alerts, self._slow.faults["alerts"] = (), str(error)
        return MetricsReport(
            version=self._slow.version,
            values=values,
            trends=records.extended(self._slow.trends, values, now),
            by_host=by_host,
            forecasts=self._slow.forecasts,
            alerts=alerts,
            targets=self._slow.targets,
            faults={**self._broken, **self._slow.faults},
        )

    def _read_slow(self, client: PrometheusClient, now: float) -> _Slow:
        slow = _Slow()
        try:
            slow.version = str(client.get("/api/v1/status/buildinfo").get("version", ""))
        except (QueryFailed, SourceError):
            # Thanos, Mimir and proxies do not all have it; nothing depends on it
            slow.version = ""
        self._read_targets(client, slow)
        mounts = self._ask(client.query, self._of("by_mount"), again=True)
        slow.forecasts = records.forecasts(mounts, self._hosts, self._settings.forecast_base)
        step = max(1.0, float(round(self._settings.span / POINTS)))
        # on a fixed grid, so that the same sample stands in the same place at each read
        end = now // step * step
        start = end - (POINTS - 1) * step
        courses = self._ask(
            lambda text: client.query_range(text, start, end, step), self._of("trend"), again=False
        )
        slow.trends = {
            name: Trend(start, step, asked.course(series, start, step, POINTS))
            for name, series in courses.items()
        }
        return slow

    def _read_targets(self, client: PrometheusClient, slow: _Slow) -> None:
        slow.faults.pop("targets", None)
        try:
            slow.targets = records.targets(client.targets())
        except QueryFailed as error:
            slow.faults["targets"] = str(error)

    def _of(self, *kinds: str) -> dict[str, str]:
        """Name → PromQL of the queries of these kinds that are not turned off."""
        names = (name for name, query in QUERIES.items() if query.kind in kinds)
        return {name: self._texts[name] for name in names if name in self._texts}

    def _ask(
        self, ask: Callable[[str], Any], queries: dict[str, str], *, again: bool
    ) -> dict[str, Any]:
        """Query name → its result, for those that Prometheus could evaluate.

        `again`: also ask those that failed before. Raises SourceError if all of them fail.
        """
        answers: dict[str, Any] = {}
        alone = [name for name in queries if name in self._broken] if again else []
        sound = {name: text for name, text in queries.items() if name not in self._broken}
        for names, text in asked.packed(sound):
            try:
                found = asked.unpacked(ask(text))
            except QueryFailed:
                alone += names
            else:
                answers |= {name: found.get(name, []) for name in names}
        last: QueryFailed | None = None
        for name in alone:
            try:
                answers[name] = ask(queries[name])
                self._broken.pop(name, None)
            except QueryFailed as error:
                last = error
                self._broken[name] = str(error)
        if last is not None and not answers:
            raise failed(last)
        return answers
