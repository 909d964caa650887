"""What AMQP connections consume and hold, as the management API tells it some seconds late."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from mailtui.collectors import rabbitmq_records
from mailtui.collectors.rabbitmq_queues import whole
from mailtui.connections.errors import SourceError
from mailtui.model.broker import BrokerConnection
from mailtui.operations import rabbitmq_broker as asked

if TYPE_CHECKING:
    from mailtui.connections.http import HttpClient

ASKED = 40
"""Connections whose channels are asked for at most: one request each."""
_CHANNELS = {"columns": "number,messages_unacknowledged"}


@dataclass(frozen=True)
class Holding:
    """What one connection has."""

    queues: tuple[str, ...] | None
    """Queues that it consumes; None: not known."""
    unacked: int | None
    """Messages that it has not acknowledged; None: not known."""
    channels: int | None

    @property
    def words(self) -> str:
        """`2 channels, consumes mail.scan, 47 unacknowledged go back`."""
        count = "?" if self.channels is None else f"{self.channels:,}"
        queues = "?" if self.queues is None else ", ".join(self.queues) or "nothing"
        held = "?" if self.unacked is None else f"{self.unacked:,}"
        noun = "channel" if self.channels == 1 else "channels"
        return f"{count} {noun}, consumes {queues}, {held} unacknowledged go back"


def path_of(name: str) -> str:
    """The resource of a connection."""
    return f"/api/connections/{quote(name, safe='')}"


async def holdings(http: HttpClient, rows: Sequence[BrokerConnection]) -> dict[str, Holding]:
    """Name → what it has; of more than ASKED connections, what the rest holds is not known."""
    consumed, *channels = await asyncio.gather(
        _consumed(http, {row.vhost for row in rows}),
        *(_channels(http, row.name) for row in rows[:ASKED]),
    )
    found = {}
    for row, told in zip(rows, channels + [None] * (len(rows) - len(channels)), strict=True):
        of_host = consumed[row.vhost]
        found[row.name] = Holding(
            row.consumes if of_host is None else of_host.get(row.name, ()),
            None if told is None else _sum(told),
            row.channels if told is None else len(told),
        )
    return found


async def limits(
    http: HttpClient, rows: Sequence[BrokerConnection], found: Mapping[str, Holding]
) -> list[str]:
    """Warnings: queues that drop or dead-letter what goes back too often."""
    api = asked.Broker(http)
    places = sorted({(row.vhost, queue) for row in rows for queue in found[row.name].queues or ()})
    warnings = [
        f"whether {len(places) - ASKED:,} more queues limit deliveries was not asked"
    ] if len(places) > ASKED else []  # fmt: skip
    places = places[:ASKED]
    try:
        version, *answers = await asyncio.gather(
            api.version(), *(api.queue(vhost, name) for vhost, name in places)
        )
    except SourceError as error:
        return [f"whether the queues limit deliveries is not known: {error}"]
    for (_, name), answer in zip(places, answers, strict=True):
        limit = None if answer is None else asked.limit_of(answer[0], version)
        if limit is not None:
            warnings.append(
                f"{name} drops or dead-letters a message after {limit:,} deliveries; what goes "
                "back counts as one"
            )
    return warnings


async def _consumed(
    http: HttpClient, vhosts: set[str]
) -> dict[str, dict[str, tuple[str, ...]] | None]:
    found: dict[str, dict[str, tuple[str, ...]] | None] = {}
    for vhost in vhosts:
        try:
            answer = await http.get_json(
                f"/api/consumers/{quote(vhost, safe='')}",
                {"columns": rabbitmq_records.CONSUMER_COLUMNS},
            )
        except SourceError:
            answer = None
        found[vhost] = rabbitmq_records.consumers(answer)
    return found


async def _channels(http: HttpClient, name: str) -> list[Any] | None:
    try:
        answer = await http.get_json(f"{path_of(name)}/channels", _CHANNELS)
    except SourceError:
        return None
    return answer if isinstance(answer, list) else None


def _sum(channels: list[Any]) -> int | None:
    """None if one of them does not say (its statistics are not there yet)."""
    counts = [whole(channel.get("messages_unacknowledged")) for channel in channels]
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None
