"""Messages of one broker queue, looked at on request: they are in no reading."""

from __future__ import annotations

from mailtui.model import clock
from mailtui.model import format as fmt
from mailtui.model.letters import Letter
from mailtui.resources.base import Column, Level, Resource

SOURCES = ()


def _age(letter: Letter) -> float | None:
    return None if letter.died_at is None else max(0.0, clock.now() - letter.died_at)


def _died_at(letter: Letter) -> str:
    return "" if letter.died_at is None else fmt.date_time(letter.died_at)


def _left_level(letter: Letter) -> Level:
    left = letter.remaining
    if left is None:
        return ""
    return "critical" if left == 0 else "warning" if left <= 2 else ""


def _left(letter: Letter) -> str:
    return "" if letter.limit is None else fmt.count(letter.remaining)


def _returned(letter: Letter) -> str:
    """How often it was given back, of how often its queue allows."""
    count = fmt.count(letter.deliveries)
    return count if letter.limit is None else f"{count} of {fmt.count(letter.limit)}"


def _published_to(letter: Letter) -> str:
    if letter.origin is None:
        return ""
    return "?" if letter.origin_exchange is None else letter.origin_exchange or "(default)"


def _redelivered(letter: Letter) -> str:
    return "?" if letter.redelivered is None else "yes" if letter.redelivered else "no"


def _pairs(pairs: tuple[tuple[str, str], ...]) -> str:
    return " ".join(f"{name}={value}" for name, value in pairs)


RESOURCE: Resource[Letter] = Resource(
    name="letters",
    title="messages",
    columns=(
        Column("position", "#", lambda m: m.position, lambda m: fmt.count(m.position), "right", 5),
        Column("origin", "died in", lambda m: m.origin, lambda m: m.origin or "", width=10, flex=1),
        Column("reason", "because", lambda m: m.reason, lambda m: m.reason or "", width=9),
        Column("age", "died ago", _age, lambda m: "" if m.died_at is None else fmt.age(_age(m)),
               "right", 8, priority=1),
        Column("deaths", "deaths", lambda m: m.deaths, lambda m: _count(m.deaths), "right", 6,
               priority=4),
        Column("deliveries", "returned", lambda m: m.deliveries, _returned, "right", 8,
               priority=3, level=_left_level),
        Column("body", "body", lambda m: m.body, lambda m: m.body + ("…" if m.cut else ""),
               width=32, flex=4),
        Column("size", "bytes", lambda m: m.size, lambda m: fmt.size(m.size), "right", 7,
               priority=5),
        Column("routing_key", "routing key", lambda m: m.routing_key, width=12, flex=1, priority=5),
        Column("headers", "headers", lambda m: _pairs(m.headers), width=20, flex=2, priority=6),
        Column("properties", "properties", lambda m: _pairs(m.properties), width=16, flex=1,
               priority=7),
        Column("redelivered", "redelivered", lambda m: m.redelivered, _redelivered, width=11,
               priority=8),
        Column("remaining", "returns left", lambda m: m.remaining, _left, "right", 12, priority=8,
               level=_left_level),
        Column("exchange", "exchange", lambda m: m.exchange, lambda m: m.exchange or "(default)",
               width=12, priority=9),
        Column("origin_exchange", "published to", lambda m: m.origin_exchange, _published_to,
               width=12, priority=9),
        Column("died_at", "died at", lambda m: m.died_at, _died_at, width=19, priority=9),
        Column("cut", "all of it", lambda m: m.cut, lambda m: "no" if m.cut else "yes", width=9,
               priority=9),
        Column("fingerprint", "fingerprint", lambda m: m.fingerprint, width=12, priority=9),
        Column("queue", "queue", lambda m: m.queue, width=12, priority=9),
        Column("vhost", "vhost", lambda m: m.vhost, width=8, priority=9),
    ),
    key=lambda m: m.key,
    empty="no message is ready there",
    sort="position",
    tick=5.0,
)  # fmt: skip


def _count(value: int | None) -> str:
    return "" if value is None else fmt.count(value)
