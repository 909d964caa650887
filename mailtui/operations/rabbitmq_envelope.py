"""What changes on a message that is published anew, and where it came from.

Kept byte for byte: body, properties, headers. Changed: `delivery_mode` is persistent; `expiration`
goes (a dead letter would expire again at once); `user_id` goes where it is another user's (the
broker refuses it); the headers `CC` and `BCC` go (the broker would route copies by them,
rabbitmq.com/docs/sender-selected), `x-delivery-count` too (it is the queue's own). Our own header
`x-mailtui` is a table: `run`, `attempt` (how often it was moved by mailtui), and `n`, the message's
number on its channel, by which a returned message is known again.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import Any, NamedTuple

from mailtui.connections import amqp_table as table

OWN = b"x-mailtui"
_DROPPED = {b"CC": "CC", b"BCC": "BCC", b"x-delivery-count": "", OWN: ""}
_TELLING = (b"x-death", b"x-first-death-queue", b"x-delivery-count", OWN)
_NUMBER = table.long_integer(0)
_LONGEST = 255
"""Bytes of a queue's name at most (a short string of AMQP)."""
_REPLIES = b"amq.rabbitmq.reply-to"
"""No queue although it can be declared passively: it sends to a consumer, at most once."""
_MOST = 2**31
"""More attempts or deliveries than this were counted by nobody."""


class Origin(NamedTuple):
    """Where a message came from, as its properties tell."""

    queue: str | None
    """The queue that it died in last, other than by waiting in a delay queue; None: not known."""
    why: str
    """Why it is not known."""
    deliveries: int
    """How often it was delivered and given back (`x-delivery-count`)."""
    attempt: int
    """How often mailtui moved it before."""
    run: str
    """The run that moved it last; empty: none did."""


class Envelope(NamedTuple):
    """A message's new properties, around its number."""

    origin: Origin
    head: bytes
    tail: bytes
    dropped: tuple[str, ...]
    """What went, by the field's names."""

    def numbered(self, number: int) -> bytes:
        """The properties of message `number` of a channel."""
        return self.head + struct.pack(">q", number) + self.tail


def origin(headers: dict[bytes, Any]) -> Origin:
    """What a decoded header table tells. Never raises: a stranger made it."""
    deliveries = headers.get(b"x-delivery-count")
    own = headers.get(OWN)
    attempt = own.get(b"attempt") if isinstance(own, dict) else 0
    run = own.get(b"run") if isinstance(own, dict) else b""
    queue, why = None, "it has no x-death header: it is no dead letter, or its origin is not known"
    deaths = headers.get(b"x-death")
    for death in reversed(deaths if isinstance(deaths, list) else []):
        name = death.get(b"queue") if isinstance(death, dict) else None
        if isinstance(name, bytes) and (queue is None or death.get(b"reason") != b"expired"):
            queue = name
    if queue is None and isinstance(headers.get(b"x-first-death-queue"), bytes):
        queue = headers[b"x-first-death-queue"]
    known = None
    if queue is not None:
        try:
            known = queue.decode()
        except UnicodeDecodeError:
            why = "its x-death header names a queue that is not UTF-8"
        if not 0 < len(queue) <= _LONGEST or queue.startswith(_REPLIES):
            known, why = None, "its x-death header names something that can be no queue"
    return Origin(
        known,
        "" if known is not None else why,
        _count(deliveries),
        _count(attempt),
        run.decode("ascii", "replace") if isinstance(run, bytes) else "",
    )


def _count(told: Any) -> int:
    """A number that a header tells, 0 if it can be none."""
    return told if isinstance(told, int) and 0 <= told < _MOST else 0


class _Headers(NamedTuple):
    origin: Origin
    table: bytes
    """The new header table, which ends with the message's number."""
    dropped: tuple[str, ...]


@lru_cache(maxsize=1024)
def _headers(raw: bytes, run: str) -> _Headers:
    """Messages that died of one cause within a second often have the same headers."""
    seen: dict[bytes, Any] = {}
    dropped, kept = [], []
    for name, start, end in table.entries(raw):
        if name in _TELLING:
            seen[name] = table.value(raw, start + 1 + len(name))
        if name not in _DROPPED:
            kept.append(raw[start:end])
        elif _DROPPED[name]:
            dropped.append(_DROPPED[name])
    came = origin(seen)
    own = table.nested(
        table.entry("run", table.long_string(run))
        + table.entry("attempt", table.long_integer(came.attempt + 1))
        + table.entry("n", _NUMBER)
    )
    return _Headers(came, b"".join(kept) + table.entry(OWN.decode(), own), tuple(dropped))


def envelope(properties: bytes, run: str, user: str) -> Envelope:
    """The new properties of a message that `run` publishes as `user`.

    Raises amqp_table.BadTable: its properties cannot be taken apart, so it must stay.
    """
    fields = table.split(properties)
    came, headers, dropped = _headers(table.table_of(fields), run)
    if fields.pop("expiration", None) is not None:
        dropped = (*dropped, "expiration")
    if "user_id" in fields and table.short(fields["user_id"]) != user:
        del fields["user_id"]
        dropped = (*dropped, "user_id")
    fields["delivery_mode"] = b"\x02"
    joined = table.joined(table.with_table(fields, headers))
    before = len(fields.get("content_type", b"")) + len(fields.get("content_encoding", b""))
    # flags, the fields before, the table's length; the number is the table's last value
    end = 2 + before + 4 + len(headers)
    return Envelope(came, joined[: end - 8], joined[end:], dropped)


def number(properties: bytes) -> int | None:
    """The number that a returned message was published with; None: not one of ours."""
    try:
        headers = table.decoded(table.table_of(table.split(properties)))
    except table.BadTable:
        return None
    own = headers.get(OWN)
    found = own.get(b"n") if isinstance(own, dict) else None
    return found if isinstance(found, int) else None
