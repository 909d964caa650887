"""RabbitMQ by its management API: cluster, nodes, alarms, queues; connections while looked at."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from mailtui.collectors import rabbitmq_queues as queues
from mailtui.collectors import rabbitmq_records as records
from mailtui.collectors.base import Collector
from mailtui.collectors.rabbitmq_history import SAMPLES, History
from mailtui.connections.errors import SourceError
from mailtui.connections.http import HttpClient, gather_all
from mailtui.model import clock
from mailtui.model.broker import BrokerConnections, BrokerNode, BrokerQueue, BrokerReport

if TYPE_CHECKING:
    from mailtui.config.settings import Context
    from mailtui.config.sources.rabbitmq import Settings
    from mailtui.connections.pool import Connections

BINDINGS_INTERVAL = 300.0
"""Seconds between reads of the bindings: they change with deployments."""
_REFUSED = (401, 403)
"""Both mean a missing tag: 3.x answers 401 with "Not monitor user"."""
_MONITORING = (
    "this user lacks the tag `monitoring` (rabbitmqctl set_user_tags USER monitoring): "
    "nodes are unknown, and only virtual hosts that it may see are shown"
)


def collectors(context: Context, connections: Connections) -> list[Collector]:
    """The broker, and its connections as a source of their own."""
    from mailtui.config.sources.rabbitmq import Settings

    settings = context.source("rabbitmq", Settings)
    if settings is None:
        return []
    client = HttpClient("rabbitmq", settings.url, settings)
    return [RabbitmqCollector(settings, client), BrokerConnectionsCollector(settings, client)]


class RabbitmqCollector:
    """Reads a BrokerReport."""

    source: ClassVar[str] = "rabbitmq"
    overview: ClassVar[bool] = True
    target = ""

    def __init__(self, settings: Settings, client: HttpClient) -> None:
        self.interval = settings.interval
        self.timeout = settings.timeout
        self._settings = settings
        self._client = client
        self._bindings: queues.Bindings = {}
        self._bindings_at = float("-inf")
        self._workers: set[tuple[str, str]] = set()
        self._history = History()

    async def read(self) -> BrokerReport:
        """One read. Raises SourceError if the broker itself does not answer."""
        overview = _object(await self._client.get_json("/api/overview"), "/api/overview")
        notes: list[str] = []
        counted = (overview.get("object_totals") or {}).get("queues")
        nodes, alarms, found = await gather_all(
            self._nodes(notes), self._alarms(notes), self._queues(counted, notes)
        )
        for part in (nodes, alarms, found):
            if isinstance(part, Exception):
                raise part
        listed, total = found
        up = min((node.uptime for node in nodes if node.uptime is not None), default=None)
        items = {one.key: one for one in (queues.record(item, up) for item in listed)}.values()
        await self._read_bindings(items, notes)
        marked = queues.marked(items, self._bindings, self._workers)
        totals, stats = overview.get("queue_totals") or {}, overview.get("message_stats") or {}
        if overview.get("disable_stats"):
            notes.append("statistics are off on the broker (management.disable_stats)")
        return BrokerReport(
            cluster=str(overview.get("cluster_name", "")),
            version=str(overview.get("rabbitmq_version") or overview.get("product_version") or ""),
            erlang=str(overview.get("erlang_version", "")),
            ready=queues.whole(totals.get("messages_ready")),
            unacked=queues.whole(totals.get("messages_unacknowledged")),
            publish_rate=queues.rate(stats, "publish"),
            deliver_rate=queues.rate(stats, "deliver_get"),
            ack_rate=queues.rate(stats, "ack"),
            nodes=nodes,
            alarms=alarms,
            queues=self._history.told(marked, clock.now()),
            queues_total=total,
            connections_total=queues.whole((overview.get("object_totals") or {}).get("connections"))
            if nodes
            else None,  # without the tag `monitoring` it counts the user's own only
            notes=tuple(notes),
        )

    async def close(self) -> None:
        """Close the HTTP session."""
        await self._client.close()

    async def _nodes(self, notes: list[str]) -> tuple[BrokerNode, ...]:
        answer = await self._client.get_json(
            "/api/nodes", {"columns": records.NODE_COLUMNS}, accept=_REFUSED
        )
        if not isinstance(answer, list):
            notes.append(_MONITORING)
            return ()
        return tuple(records.node(item) for item in answer)

    async def _alarms(self, notes: list[str]) -> tuple[str, ...]:
        try:
            answer = await self._client.get_json(
                "/api/health/checks/alarms", accept=(*_REFUSED, 404, 503)
            )
        except SourceError as error:
            notes.append(f"alarms are unknown: {error}")
            return ()
        if isinstance(answer, dict) and "status" not in answer:
            said = answer.get("reason") or answer.get("error")
            notes.append(f"alarms are unknown: the broker does not say ({said})")
        return records.alarms(answer)

    async def _queues(self, counted: Any, notes: list[str]) -> tuple[list[Any], int]:
        """(queues as answered, how many there are); paged, as large brokers need it."""
        settings = self._settings
        params = {"columns": queues.COLUMNS, "page_size": str(settings.page_size)}
        if isinstance(counted, int) and counted > settings.queue_limit:
            # totals only, the fullest first: statistics of very many queues are dear to the broker
            params |= {"disable_stats": "true", "enable_queue_totals": "true"}
            params |= {"sort": "messages", "sort_reverse": "true"}
            notes.append(
                f"{counted:,} queues are more than queue_limit: "
                f"the fullest {settings.queue_limit:,} are shown, without rates and consumers"
            )
        else:
            params |= SAMPLES
        return await _pages(self._client, "/api/queues", params, settings.queue_limit)

    async def _read_bindings(self, found: Iterable[BrokerQueue], notes: list[str]) -> None:
        """Once in a while, and only if some queue dead-letters through a named exchange."""
        due = time.monotonic() - self._bindings_at >= BINDINGS_INTERVAL
        if not due or not any(queue.dead_letter_exchange for queue in found):
            return
        try:
            answer = await self._client.get_json(
                "/api/bindings",
                {"columns": "source,vhost,destination,destination_type,routing_key"},
            )
        except SourceError as error:
            notes.append(f"dead-letter queues are known by name only: {error}")
            return
        self._bindings = queues.bindings(answer if isinstance(answer, list) else ())
        self._bindings_at = time.monotonic()


class BrokerConnectionsCollector:
    """Reads BrokerConnections; paused while no screen looks at them."""

    source: ClassVar[str] = "broker_connections"
    overview: ClassVar[bool] = False
    target = ""

    def __init__(self, settings: Settings, client: HttpClient) -> None:
        self.interval = settings.interval
        self.timeout = settings.timeout
        self._settings = settings
        self._client = client

    async def read(self) -> BrokerConnections:
        """One read. Raises SourceError."""
        limit = self._settings.connection_limit
        size = min(self._settings.page_size, limit)
        params = {"columns": records.CONNECTION_COLUMNS, "page_size": str(size)}
        items, total = await _pages(self._client, "/api/connections", params, limit)
        notes: list[str] = []
        consumed = await self._consumers(notes)
        unique = {one.key: one for one in (records.connection(item, consumed) for item in items)}
        return BrokerConnections(tuple(unique.values()), total, tuple(notes))

    async def _consumers(self, notes: list[str]) -> dict[str, tuple[str, ...]] | None:
        try:
            answer = await self._client.get_json(
                "/api/consumers", {"columns": records.CONSUMER_COLUMNS}
            )
        except SourceError as error:
            notes.append(f"what connections consume is unknown: {error}")
            return None
        return records.consumers(answer)

    async def close(self) -> None:
        """Close the HTTP session, which is the broker collector's too."""
        await self._client.close()


async def _pages(
    client: HttpClient, path: str, params: Mapping[str, str], limit: int
) -> tuple[list[Any], int]:
    """(up to `limit` items, how many there are) of a paged listing."""
    items: list[Any] = []
    page, total = 1, 0
    while len(items) < limit:
        # 400: the last page went away meanwhile
        accept = () if page == 1 else (400,)
        answer = _object(
            await client.get_json(path, {**params, "page": str(page)}, accept=accept), path
        )
        if "items" not in answer:
            break
        items += answer["items"]
        total = int(answer.get("filtered_count") or answer.get("total_count") or len(items))
        page += 1
        if page > int(answer.get("page_count") or 1):
            break
    return items[:limit], max(total, len(items))


def _object(answer: Any, path: str) -> dict[str, Any]:
    """A JSON object, or SourceError("protocol")."""
    if not isinstance(answer, dict):
        raise SourceError("protocol", f"rabbitmq: {path} answers something else than an object")
    return answer
