"""What Prometheus says is wrong: alerts of its rules, targets, disks that fill, the database."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mailtui.collectors import prometheus_records
from mailtui.collectors.state import State
from mailtui.model import format as fmt
from mailtui.model.metrics import Alert, Forecast, MetricsReport, ScrapeTarget
from mailtui.model.problem import Problem, Severity, worse
from mailtui.model.where_parse import exactly

if TYPE_CHECKING:
    from mailtui.config.settings import Context
    from mailtui.config.sources.hosts import Settings as HostSettings

_CRITICAL = frozenset(("critical", "page", "emergency", "fatal", "high"))
_NOTHING = frozenset(("info", "none", "debug", "notice"))
"""Severities of alerts that are there to be seen, not to be acted upon (Watchdog)."""
_LAG = 64 * 1024 * 1024
"""Bytes of WAL that a replica may be behind: four segments."""


def find(state: State, context: Context, now: float) -> Iterator[Problem]:
    """Problems of the last MetricsReport."""
    reading = state.get("prometheus")
    report = reading.value
    if not isinstance(report, MetricsReport):
        return
    read_at = reading.read_at
    yield from _alerts(report, context, read_at)
    yield from _targets(report, context, read_at)
    yield from _disks(report, context, read_at)
    yield from _database(report, read_at)
    if report.faults:
        names = ", ".join(report.faults)
        first = next(iter(report.faults.values()))
        count = len(report.faults)
        text = (
            f"{count} {'queries have' if count > 1 else 'query has'} no answer ({names}): {first}"
        )
        yield _problem("faults", "unknown", text, screen="sources", read_at=read_at, weight=0.5)


def _alerts(report: MetricsReport, context: Context, read_at: float) -> Iterator[Problem]:
    known = prometheus_records.hosts(context)
    groups: dict[tuple[str, Severity], list[Alert]] = {}
    for alert in report.alerts:
        if alert.state == "firing" and alert.severity.lower() not in _NOTHING:
            critical = alert.severity.lower() in _CRITICAL
            groups.setdefault((alert.name, "critical" if critical else "warning"), []).append(alert)
    for (name, severity), alerts in groups.items():
        oldest = min(alerts, key=lambda a: a.active_at or float("inf"))
        said = oldest.summary or oldest.description
        more = f" (and {len(alerts) - 1} more)" if len(alerts) > 1 else ""
        text = f"alert {name}{more}: {said}" if said else f"alert {name}{more}"
        hosts = dict.fromkeys(
            prometheus_records.host_of(alert.labels["instance"], known)
            for alert in alerts
            if alert.labels.get("instance")
        )
        yield _problem(
            f"alert/{name}/{severity}",
            severity,
            text,
            screen="sources",
            where=exactly("alert", name),
            read_at=read_at,
            weight=2.0 + len(alerts) / 100,
            hosts=tuple(hosts),
            since=oldest.active_at,
        )


def _targets(report: MetricsReport, context: Context, read_at: float) -> Iterator[Problem]:
    down = [target for target in report.targets if not target.up]
    if not down:
        return
    known = prometheus_records.hosts(context)
    hosts = tuple(dict.fromkeys(prometheus_records.host_of(t.instance, known) for t in down))
    if len(down) == 1:
        text = (
            f"{_target(down[0])} does not answer Prometheus: {down[0].error or 'no reason given'}"
        )
    else:
        shown = ", ".join(_target(target) for target in down[:3])
        more = f" and {len(down) - 3} more" if len(down) > 3 else ""
        text = f"{len(down)} of {len(report.targets)} targets do not answer: {shown}{more}"
    yield _problem(
        "targets",
        "warning",
        text,
        screen="sources",
        where="up:=down",
        read_at=read_at,
        weight=3.0 + len(down),
        hosts=hosts,
    )


def _target(target: ScrapeTarget) -> str:
    return f"{target.job} on {target.instance}"


def _disks(report: MetricsReport, context: Context, read_at: float) -> Iterator[Problem]:
    from mailtui.config.sources.hosts import Settings

    limits = context.source("hosts", Settings) or Settings()
    for forecast in report.forecasts:
        yield from _disk(forecast, limits, read_at)


def _disk(forecast: Forecast, limits: HostSettings, read_at: float) -> Iterator[Problem]:
    used, left = forecast.used_ratio, forecast.seconds_to_full
    severity = worse(limits.of_share(used), limits.of_full_in(left))
    if severity is not None:
        words = [f"{forecast.target} {fmt.used(used)}"]
        if left is not None and left <= 30 * 86400 and forecast.growth is not None:
            pace = fmt.size(forecast.growth * 3600)
            words.append(f"full in {fmt.age(left)} at +{pace}B/h (last {_span(forecast.base)})")
        yield _problem(
            f"disk/{forecast.host}/{forecast.target}",
            severity,
            ", ".join(words),
            screen="hosts",
            where=_place(forecast),
            read_at=read_at,
            # the host itself reports the same disk by 100 × used: a forecast says more than that,
            # and without one the host's own account is the newer
            weight=100.0 * (used or 0.0) + (10.0 if left is not None else -1.0),
            hosts=(forecast.host,),
        )
    inodes = forecast.inodes_ratio
    if (severity := limits.of_share(inodes)) is not None:
        yield _problem(
            f"inodes/{forecast.host}/{forecast.target}",
            severity,
            f"{forecast.target} {fmt.used(inodes)} of the inodes used",
            screen="hosts",
            where=_place(forecast),
            read_at=read_at,
            weight=55.0,
            hosts=(forecast.host,),
        )


def _place(forecast: Forecast) -> str:
    return f"{exactly('host', forecast.host)} {exactly('mount', forecast.target)}"


def _span(seconds: float) -> str:
    return f"{seconds / 3600:g} h" if seconds >= 3600 else f"{seconds / 60:g} min"


def _database(report: MetricsReport, read_at: float) -> Iterator[Problem]:
    if report.values.get("patroni_unlocked"):
        text = "the database cluster has no leader"
        yield _problem("leader", "critical", text, screen="hosts", read_at=read_at, weight=80.0)
    for host, lag in report.by_host.get("patroni_lag", {}).items():
        if lag >= _LAG:
            yield _problem(
                f"lag/{host}",
                "warning",
                f"replica is {fmt.size(lag)}B behind its leader",
                screen="hosts",
                where=exactly("host", host),
                read_at=read_at,
                weight=8.0,
                hosts=(host,),
            )


def _problem(
    key: str,
    severity: Severity,
    text: str,
    *,
    screen: str,
    where: str = "",
    read_at: float,
    weight: float,
    hosts: tuple[str, ...] = (),
    since: float | None = None,
) -> Problem:
    return Problem(
        key=key if key.startswith(("disk/", "inodes/")) else f"prometheus/{key}",
        severity=severity,
        hosts=hosts,
        text=text,
        screen=screen,
        where=where,
        since=since,
        read_at=read_at,
        weight=weight,
        source="prometheus",
    )
