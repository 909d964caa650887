"""Records from what Prometheus answers: numbers, trends, forecasts, alerts, targets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from mailtui.collectors.prometheus_queries import Series, number, one_number
from mailtui.config.queries import QUERIES
from mailtui.model.metrics import Alert, Forecast, ScrapeTarget, Trend

if TYPE_CHECKING:
    from mailtui.config.settings import Context


def hosts(context: Context) -> dict[str, str]:
    """`instance` without its port → host, from each host's `instance`, name and address."""
    found: dict[str, str] = {}
    for name, host in context.hosts.items():
        for instance in (host.address, name, host.instance):
            if instance:
                found[instance] = name
    return found


def host_of(instance: str, known: Mapping[str, str]) -> str:
    """The host that `instance` means: `mx1:9100` → mx1; one that is not configured by its name."""
    head, _, port = instance.rpartition(":")
    bare = head.strip("[]") if head and port.isdigit() else instance
    return known.get(bare, bare)


def numbers(
    answers: Mapping[str, Any], known: Mapping[str, str]
) -> tuple[dict[str, float | None], dict[str, dict[str, float]]]:
    """(values, by_host) of a MetricsReport; `answers`: query name → its result."""
    values: dict[str, float | None] = {}
    by_host: dict[str, dict[str, float]] = {}
    for name, result in answers.items():
        query = QUERIES[name]
        if query.kind == "by_host":
            by_host[name] = _by(result, "instance", lambda text: host_of(text, known))
        elif query.kind == "by_label":
            for label, value in _by(result, query.label, str).items():
                values[f"{name}.{label}" if label else name] = value
        else:
            values[name] = one_number(result)
    return values, by_host


def _by(result: Iterable[Series], label: str, name: Callable[[str], str]) -> dict[str, float]:
    """Sums by what `name` makes of the label's value (two exporters of a host are one host)."""
    found: dict[str, float] = {}
    for one in result:
        if (value := number(one)) is not None:
            key = name(one["metric"].get(label, ""))
            found[key] = found.get(key, 0.0) + value
    return found


def extended(
    trends: Mapping[str, Trend], values: Mapping[str, float | None], now: float
) -> dict[str, Trend]:
    """Each trend with its value of now in the step that `now` falls in; the span stays."""
    found: dict[str, Trend] = {}
    for name, trend in trends.items():
        held = trend.values
        slot = max(len(held) - 1, int((now - trend.start) // trend.step))
        missing = (None,) * max(0, slot - len(held))
        head = held[:-1] if slot == len(held) - 1 else held + missing
        course = (*head, values.get(name))[-len(held) :] if held else ()
        start = trend.start + (slot + 1 - len(held)) * trend.step
        found[name] = Trend(start, trend.step, course)
    return found


def forecasts(
    answers: Mapping[str, Iterable[Series]], known: Mapping[str, str], base: float
) -> tuple[Forecast, ...]:
    """One per host and mount point, ordered by both. `answers` of the by_mount queries."""
    found: dict[tuple[str, str], dict[str, float]] = {}
    for name, result in answers.items():
        for one in result:
            labels, value = one["metric"], number(one)
            if value is not None:
                place = (host_of(labels.get("instance", ""), known), labels.get("mountpoint", ""))
                found.setdefault(place, {})[name] = value
    return tuple(_forecast(*place, found[place], base) for place in sorted(found))


def _forecast(host: str, target: str, of: Mapping[str, float], base: float) -> Forecast:
    size, free, available = (of.get(f"disk_{part}") for part in ("size", "free", "available"))
    ratio = None
    if size is not None and free is not None and available is not None:
        used = size - free
        # as df counts it: what only root can use is neither used nor available
        ratio = used / (used + available) if used + available > 0 else None
    return Forecast(
        host=host,
        target=target,
        used_ratio=ratio,
        inodes_ratio=of.get("inodes_used"),
        available=available,
        growth=of.get("disk_growth"),
        base=base,
    )


def alerts(data: Any) -> tuple[Alert, ...]:
    """Of `/api/v1/alerts`."""
    found = []
    for one in data.get("alerts") or ():
        labels = {str(k): str(v) for k, v in (one.get("labels") or {}).items()}
        notes = one.get("annotations") or {}
        found.append(
            Alert(
                name=labels.get("alertname", ""),
                state=str(one.get("state", "")),
                severity=labels.get("severity", ""),
                active_at=epoch(one.get("activeAt")),
                summary=str(notes.get("summary", "")),
                description=str(notes.get("description", "")),
                labels={k: v for k, v in labels.items() if k != "alertname"},
            )
        )
    return tuple(sorted(found, key=lambda alert: alert.key))


def targets(data: Any) -> tuple[ScrapeTarget, ...]:
    """The active targets of `/api/v1/targets`; `unknown` health (not scraped yet) is not down."""
    found = []
    for one in data.get("activeTargets") or ():
        labels = one.get("labels") or {}
        found.append(
            ScrapeTarget(
                job=str(labels.get("job", "")),
                instance=str(labels.get("instance", "")),
                up=one.get("health") != "down",
                error=str(one.get("lastError", "")),
                last_scrape=epoch(one.get("lastScrape")),
            )
        )
    return tuple(sorted(found, key=lambda t: (t.job, t.instance)))


def epoch(text: Any) -> float | None:
    """Epoch seconds of an RFC 3339 time; None for Go's zero time or what is no time."""
    if not isinstance(text, str) or text.startswith("0001-"):
        return None
    head, dot, rest = text.partition(".")
    if dot:
        digits = len(rest) - len(rest.lstrip("0123456789"))
        # nanoseconds are more digits than datetime reads
        text = f"{head}.{rest[: min(digits, 6)]}{rest[digits:]}"
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return None
