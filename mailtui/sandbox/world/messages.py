"""Messages of the broker: a body, its AMQP properties, and what the broker knows about it."""

from __future__ import annotations

import datetime as dt
import struct
from dataclasses import dataclass, field
from typing import Any

Fields = dict[str, Any]

_FIXED = struct.Struct(">HHQ")
"""Class, weight and body size: what a content header holds before the properties."""


class Properties:
    """The properties of one message, by their names in AMQP 0-9-1 (`content_type`, `headers`…).

    They are kept as they came, by names or encoded, and turned into the other form when somebody
    asks for it: most messages only pass. Never change `fields` in place.
    """

    __slots__ = ("_fields", "_wire")

    def __init__(self, fields: Fields | None = None, wire: bytes | None = None) -> None:
        """`wire`: property flags and property list, as in a content header frame."""
        self._fields = {} if fields is None and wire is None else fields
        self._wire = wire

    def __eq__(self, other: object) -> bool:
        return self.fields == other.fields if isinstance(other, Properties) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    @property
    def fields(self) -> Fields:
        """Those that are set."""
        if self._fields is None:
            from pamqp.header import ContentHeader

            header = ContentHeader()
            header.unmarshal(_FIXED.pack(60, 0, 0) + (self._wire or b"\0\0"))
            self._fields = {
                name: value
                for name, value in header.properties  # its own order is that of the flags
                if value is not None and value != ""
            }
        return self._fields

    @property
    def wire(self) -> bytes:
        """Encoded as in a content header frame."""
        if self._wire is None:
            from pamqp.commands import Basic

            self._wire = Basic.Properties(**(self._fields or {})).marshal()
        return self._wire

    @property
    def headers(self) -> Fields:
        """The table `headers`; empty if there is none."""
        return self.fields.get("headers") or {}

    def replace(self, **changes: Any) -> Properties:
        """The same with some set anew; None takes one away."""
        fields = {**self.fields, **changes}
        return Properties({name: value for name, value in fields.items() if value is not None})


@dataclass(slots=True)
class Message:
    """One message in a queue."""

    body: bytes
    properties: Properties = field(default_factory=Properties)
    exchange: str = ""
    """The exchange that it was published to; a dead letter's is the dead-letter exchange."""
    routing_key: str = ""
    redelivered: bool = False
    deliveries: int = 0
    """How often it was given back: `x-delivery-count` of a quorum queue."""
    order: int = 0
    """Its place in the queue: of two messages the one with the lower number is older."""

    @property
    def reason(self) -> str:
        """Why it first became a dead letter (`rejected`, `expired`, …); empty if it is none."""
        return str(self.properties.headers.get("x-first-death-reason", ""))

    @property
    def deaths(self) -> list[Fields]:
        """Its header `x-death`, latest first."""
        found = self.properties.headers.get("x-death")
        return [death for death in found if isinstance(death, dict)] if found else []


def buried(message: Message, queue: str, reason: str, now: float) -> Properties:
    """The properties of a message that died in `queue` at epoch second `now`.

    As the broker's documentation of dead-letter exchanges has it: one entry of `x-death` for each
    pair of queue and reason, the latest first, and `x-first-death-*` of the first.
    """
    headers = message.properties.headers
    deaths = list(message.deaths)
    known = [d for d in deaths if (d.get("queue"), d.get("reason")) == (queue, reason)]
    if known:
        death = {**known[0], "count": int(known[0].get("count") or 0) + 1}
        deaths = [death, *(d for d in deaths if d is not known[0])]
    else:
        death = {
            "count": 1,
            "reason": reason,
            "queue": queue,
            "time": dt.datetime.fromtimestamp(int(now), dt.UTC),
            "exchange": message.exchange,
            "routing-keys": [message.routing_key],
        }
        expiration = message.properties.fields.get("expiration")
        if expiration is not None:
            death["original-expiration"] = expiration
        deaths = [death, *deaths]
    first = {
        "x-first-death-exchange": message.exchange,
        "x-first-death-queue": queue,
        "x-first-death-reason": reason,
    }
    return message.properties.replace(
        headers={**first, **headers, "x-death": deaths}, expiration=None
    )
