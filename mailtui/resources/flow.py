"""Does mail flow? The figures of the overview, each with its course, its meaning and its level.

Levels follow what an operator would call it: mail that comes in and does not go out is a warning,
and so is a deferred queue that grew by half within 20 minutes.
"""

from __future__ import annotations

import msgspec

from mailtui.collectors.state import State
from mailtui.model import format as fmt
from mailtui.model.broker import BrokerReport
from mailtui.model.mail import Message, QueueListing
from mailtui.model.metrics import MetricsReport, Trend
from mailtui.resources.base import Level

GROWTH_SPAN = 20 * 60.0
"""Seconds over which the growth of the deferred queue is told."""


_oldest_held: dict[str, tuple[QueueListing, Message | None]] = {}
"""Host → its last listing and the oldest deferred message of it."""


class Tile(msgspec.Struct, frozen=True):
    """One figure."""

    name: str
    value: str
    """As painted, right-aligned; `?` if unknown."""
    unit: str = ""
    trend: Trend | None = None
    note: str = ""
    level: Level = ""
    amount: float | None = None
    """The value as a number, for scripts; None if unknown."""


def tiles(state: State, now: float) -> list[Tile]:
    """The figures, in reading order: in, deferred, out, oldest, logins, pipeline."""
    metrics = state.value("prometheus", MetricsReport) or MetricsReport()
    return [
        _in(metrics),
        _deferred(state, metrics),
        _out(metrics),
        _oldest(state, now),
        _logins(metrics),
        _pipeline(state),
    ]


def _ratio(part: float | None, whole: float | None) -> float | None:
    return part / whole if part is not None and whole else None


def _rate(name: str, key: str, metrics: MetricsReport, note: str, level: Level) -> Tile:
    value = metrics.values.get(key)
    shown = "?" if value is None else fmt.count(value)
    return Tile(name, shown, "/min", metrics.trends.get(key), note, level, value)


def _in(metrics: MetricsReport) -> Tile:
    accepted, refused = metrics.values.get("mail_in"), metrics.values.get("mail_rejected")
    whole = accepted + refused if accepted is not None and refused is not None else None
    share = _ratio(refused, whole)
    note = "" if share is None else f"refused {fmt.percent(share, 1)}"
    return _rate("in", "mail_in", metrics, note, "")


def _out(metrics: MetricsReport) -> Tile:
    share = _ratio(metrics.values.get("mail_out"), metrics.values.get("mail_in"))
    if share is None:
        return _rate("out", "mail_out", metrics, "", "")
    low = share < 0.6
    note = f"{fmt.percent(share)} of what came in" + (" ▼" if low else "")
    return _rate("out", "mail_out", metrics, note, "warning" if low else "")


def _logins(metrics: MetricsReport) -> Tile:
    good, bad = metrics.values.get("logins"), metrics.values.get("login_failures")
    whole = good + bad if good is not None and bad is not None else None
    share = _ratio(bad, whole)
    high = share is not None and share > 0.2
    note = "" if share is None else f"failed {fmt.percent(share, 1)}"
    return _rate("logins", "logins", metrics, note, "warning" if high else "")


def _deferred(state: State, metrics: MetricsReport) -> Tile:
    listings = [listing for _, listing in state.values("postfix", QueueListing)]
    count: float | None
    if listings:
        count = sum(listing.counts.get("deferred", 0) for listing in listings)
    else:
        count = metrics.values.get("deferred")
    trend = metrics.trends.get("deferred")
    # a sum without a host is no sum, and compared with the whole platform's past it would lie
    unread = [r.target for r in state.of("postfix") if r.status == "never"] if listings else []
    growth = None if unread else _growth(trend, count)
    note, level = "", ""
    if unread:
        names = unread[0] if len(unread) == 1 else f"{len(unread)} hosts"
        note, level = f"without {names}, never read", "unknown"
    if growth is not None and count is not None and abs(growth) >= max(10.0, 0.05 * count):
        note = f"{growth:+,.0f} in {int(GROWTH_SPAN // 60)} min"
        if growth > 0 and growth >= 0.5 * (count - growth) and growth >= 100:
            note, level = f"▲ {note}", "warning"
    shown = "?" if count is None else fmt.count(count)
    return Tile("deferred", shown, "", trend, note, level, count)  # type: ignore[arg-type]


def _growth(trend: Trend | None, now_value: float | None) -> float | None:
    if trend is None or now_value is None or trend.step <= 0:
        return None
    back = round(GROWTH_SPAN / trend.step)
    if len(trend.values) <= back or (then := trend.values[-1 - back]) is None:
        return None
    return now_value - then


def _oldest_of(host: str, listing: QueueListing) -> Message | None:
    """The oldest deferred message of a host, looked for once per listing."""
    held = _oldest_held.get(host)
    if held is None or held[0] is not listing:
        deferred = (m for m in listing.messages if m.queue_name == "deferred")
        oldest = min(deferred, key=lambda m: m.arrival_time, default=None)
        held = _oldest_held[host] = listing, oldest
    return held[1]


def _oldest(state: State, now: float) -> Tile:
    oldest: Message | None = None
    for host, listing in state.values("postfix", QueueListing):
        found = _oldest_of(host, listing)
        if found is not None and (oldest is None or found.arrival_time < oldest.arrival_time):
            oldest = found
    if oldest is None:
        known = any(True for _ in state.values("postfix", QueueListing))
        return Tile("oldest", "-" if known else "?", note="no message is deferred" if known else "")
    age = max(0.0, now - oldest.arrival_time)
    return Tile("oldest", fmt.age(age), "", None, oldest.destination, "", age)


def _pipeline(state: State) -> Tile:
    report = state.value("rabbitmq", BrokerReport)
    if report is None:
        return Tile("pipeline", "?")
    live = [queue for queue in report.queues if not queue.is_dead_letter]
    dead = [queue for queue in report.queues if queue.is_dead_letter]
    # what waits matters; of what is empty, the names alone would fill the line
    live.sort(key=lambda queue: -(queue.total or 0))
    parts = [f"{queue.name} {fmt.short(queue.total)}" for queue in live]
    dead_count = sum(queue.total or 0 for queue in dead)
    if dead:
        parts.insert(0, f"dead {fmt.count(dead_count)}")
    level: Level = "warning" if any((queue.growth or 0) >= 10 for queue in dead) else ""
    total = sum(queue.total or 0 for queue in live)
    return Tile("pipeline", "", "", None, "  ".join(parts) or "no queue", level, total)
