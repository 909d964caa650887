"""A message as a Letter, from what `rabbitmq-queues peek` prints or from an AMQP delivery, with a
fingerprint that both give.

Peek shows 64 bytes of the body and no size; so a fingerprint covers exchange, routing key,
properties, headers (of the broker's own only the last death) and these 64 bytes.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mailtui.connections import amqp_table as table
from mailtui.connections.clean import clean
from mailtui.connections.errors import SourceError
from mailtui.model.letters import Letter
from mailtui.operations.rabbitmq_erlang import BadTerm, parse
from mailtui.operations.rabbitmq_keep import identity

if TYPE_CHECKING:
    from mailtui.connections.amqp import Message

SHOWN = 64
"""Bytes of the body that peek shows."""
START = 4096
"""Bytes of the body of a delivered message that a Letter keeps."""
_PAYLOAD = "payload (max 64 bytes)"
_OWN = ("x-death", "x-delivery-count", "x-first-death", "x-last-death", "x-mailtui")
"""Headers, by their beginnings, that the broker or we change."""
_NUMBERS = ("delivery_mode", "priority", "timestamp")


_NO_TEXT = re.compile(r"<<[0-9,]*>>")


class _Pairs(list[tuple[str, Any]]):
    """A JSON object with its names in order, also those that stand twice."""


def of_peek(output: str, vhost: str, queue: str, position: int, limit: int | None) -> Letter:
    """A message as `rabbitmq-queues peek` printed it, as JSON or as an Erlang term.

    Raises SourceError("protocol").
    """
    text = output.strip()
    try:
        fields = _of_json(text) if text.startswith("{") else _of_term(text)
        body = str(fields.pop(_PAYLOAD))
    except (ValueError, BadTerm, KeyError, TypeError, RecursionError):
        raise SourceError(
            "protocol", f"rabbitmq-queues peek answers something else than a message: {text[:80]}"
        ) from None
    keys = fields.pop("routing_keys", None) or [""]
    exchange = str(fields.pop("exchange", ""))
    headers = {k.removeprefix("header."): v for k, v in fields.items() if k.startswith("header.")}
    properties = {k: v for k, v in fields.items() if not k.startswith("header.")}
    start = _bytes(body)
    return _letter(
        (vhost, queue, position, limit), (exchange, str(keys[0])), properties, headers, body,
        size=len(start) if len(start) < SHOWN else None, start=start,
    )  # fmt: skip


def of_message(
    message: Message, vhost: str, queue: str, position: int, limit: int | None
) -> Letter:
    """A delivered message. One whose properties cannot be read has them as one broken field."""
    try:
        fields = table.split(message.properties)
        headers = {text(k): plain(v) for k, v in table.decoded(table.table_of(fields)).items()}
        properties: dict[str, Any] = {
            name: table.number(part) if name in _NUMBERS else text(part[1:])
            for name, part in fields.items()
            if name != "headers"
        }
    except table.BadTable:
        headers, properties = {}, {"broken": message.properties.hex()}
    return _letter(
        (vhost, queue, position, limit), (message.exchange, message.routing_key),
        properties, headers, text(message.body[:SHOWN]), size=len(message.body),
        start=message.body[:START], redelivered=message.redelivered,
        digest=identity(message).hex()[:32],
    )  # fmt: skip


def text(value: bytes) -> str:
    """Bytes as text, or as Erlang writes what is no UTF-8."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return f"<<{','.join(map(str, value))}>>"


def _bytes(shown: str) -> bytes:
    """The inverse of `text`."""
    if _NO_TEXT.fullmatch(shown):
        return bytes(int(number) & 0xFF for number in shown[2:-2].split(",") if number)
    return shown.encode("utf-8", "surrogatepass")


def plain(value: Any) -> Any:
    """A decoded AMQP value with text for bytes."""
    if isinstance(value, bytes):
        return text(value)
    if isinstance(value, dict):
        return {text(name): plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def _letter(
    place: tuple[str, str, int, int | None],
    way: tuple[str, str],
    properties: Mapping[str, Any],
    headers: Mapping[str, Any],
    body: str,
    *,
    size: int | None,
    start: bytes,
    redelivered: bool | None = None,
    digest: str = "",
) -> Letter:
    vhost, queue, position, limit = place
    deaths = headers.get("x-death")
    death = deaths[0] if isinstance(deaths, list) and deaths else {}
    death = death if isinstance(death, dict) else {}
    known = [[k, v] for k, v in sorted(headers.items()) if not k.startswith(_OWN)]
    last = [str(death.get(name, "")) for name in ("queue", "reason", "time")]
    seen = [way, sorted(properties.items()), known, last, body]
    mark = hashlib.sha256(json.dumps(_canonical(seen)).encode()).hexdigest()[:24]
    deliveries = headers.get("x-delivery-count")
    shown = clean(start.decode("utf-8", "replace"))
    return Letter(
        vhost,
        queue,
        position,
        mark,
        digest,
        routing_key=clean(way[1]),
        exchange=clean(way[0]),
        origin=_text(death.get("queue")) or _text(headers.get("x-first-death-queue")),
        origin_exchange=_text(death.get("exchange")),
        reason=_text(death.get("reason")),
        died_at=_number(death.get("time")),
        deaths=_whole(death.get("count")),
        properties=_listed(properties),
        headers=_listed(headers),
        size=size,
        body=shown,
        cut=size is None or size > len(start),
        redelivered=redelivered,
        # a quorum queue says nothing of a message that was never given back
        deliveries=0 if deliveries is None else _whole(deliveries),
        limit=limit,
    )


def _canonical(value: Any) -> Any:
    """One form for what JSON, Erlang and AMQP tell in their own."""
    if isinstance(value, dict):
        pairs = sorted(value.items())
        return [[name, _canonical(item)] for name, item in pairs]
    if isinstance(value, list | tuple):
        return [_canonical(item) for item in value]
    if value is None:
        return "undefined"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.12g}"
    return clean(str(value))


def _of_json(output: str) -> dict[str, Any]:
    answer = json.loads(output, object_pairs_hook=_Pairs)
    message = dict(answer)["message"]
    return {name: _tagged(value) for name, value in message}


def _tagged(value: Any) -> Any:
    """A value as peek's JSON writes it: arrays are objects by type, tables lists of
    [name, type, value]."""
    if isinstance(value, _Pairs):
        return [_tagged(item) for _, item in value]
    if isinstance(value, list):
        if value and all(isinstance(item, list) and len(item) == 3 for item in value):
            return {str(name): _tagged(item) for name, _, item in value}
        return [_tagged(item) for item in value]
    return value


def _of_term(output: str) -> dict[str, Any]:
    rows = parse(output)
    return {_term(row[0][1]): _term(row[1][1]) for row in rows}


def _term(value: Any) -> Any:
    """A value as Erlang writes it: tables are lists of triples, arrays of pairs."""
    if isinstance(value, bytes):
        return text(value)
    if isinstance(value, list):
        if value and all(isinstance(item, tuple) and len(item) == 3 for item in value):
            return {_term(name): _term(item) for name, _, item in value}
        if value and all(isinstance(item, tuple) and len(item) == 2 for item in value):
            return [_term(item) for _, item in value]
        return [_term(item) for item in value]
    return value


def _listed(pairs: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple((clean(name), clean(_shown(value))) for name, value in sorted(pairs.items()))


def _shown(value: Any) -> str:
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, default=str)
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _text(value: Any) -> str | None:
    return clean(value) if isinstance(value, str) else None


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _number(value: Any) -> float | None:
    # no calendar has a later second than this
    return float(value) if isinstance(value, int | float) and 0 <= value < 2.5e11 else None
