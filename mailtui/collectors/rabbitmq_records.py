"""Nodes, connections and alarms of RabbitMQ's management API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mailtui.collectors.rabbitmq_queues import rate, whole
from mailtui.model.broker import BrokerConnection, BrokerNode

NODE_COLUMNS = (
    "name,running,mem_alarm,disk_free_alarm,mem_used,mem_limit,disk_free,disk_free_limit,"
    "fd_used,fd_total,sockets_used,uptime,partitions"
)
CONNECTION_COLUMNS = (
    "name,vhost,user,peer_host,peer_port,state,channels,connected_at,client_properties.product,"
    "client_properties.version,client_properties.connection_name,recv_oct_details.rate,"
    "send_oct_details.rate"
)

CONSUMER_COLUMNS = "queue.name,channel_details.connection_name"


def node(item: Mapping[str, Any]) -> BrokerNode:
    """One node of `/api/nodes`; a node that is down has little more than its name."""
    uptime = whole(item.get("uptime"))
    return BrokerNode(
        name=str(item.get("name", "")),
        running=item.get("running") is True,
        memory_alarm=item.get("mem_alarm") is True,
        disk_alarm=item.get("disk_free_alarm") is True,
        memory_used=whole(item.get("mem_used")),
        memory_limit=whole(item.get("mem_limit")),
        disk_free=whole(item.get("disk_free")),
        disk_free_limit=whole(item.get("disk_free_limit")),
        fd_used=whole(item.get("fd_used")),
        fd_total=whole(item.get("fd_total")),
        sockets_used=whole(item.get("sockets_used")),
        uptime=None if uptime is None else uptime / 1000.0,
        partitions=tuple(str(name) for name in item.get("partitions") or ()),
    )


def consumers(answer: Any) -> dict[str, tuple[str, ...]] | None:
    """Connection → queues that it consumes, sorted, of `/api/consumers`; None: no such list."""
    if not isinstance(answer, list):
        return None
    found: dict[str, set[str]] = {}
    for item in answer:
        channel, queue = item.get("channel_details"), item.get("queue")
        # a channel that ended meanwhile is an empty list
        if isinstance(channel, dict) and isinstance(queue, dict):
            name = str(channel.get("connection_name", ""))
            found.setdefault(name, set()).add(str(queue.get("name", "")))
    return {name: tuple(sorted(names)) for name, names in found.items()}


def connection(
    item: Mapping[str, Any], consumed: Mapping[str, tuple[str, ...]] | None = None
) -> BrokerConnection:
    """One connection of `/api/connections`; `consumed`: see `consumers`."""
    client = item.get("client_properties") or {}
    since = whole(item.get("connected_at"))
    port = item.get("peer_port")
    name = str(client.get("connection_name") or "")
    product = " ".join(str(client[part]) for part in ("product", "version") if client.get(part))
    return BrokerConnection(
        name=str(item.get("name", "")),
        vhost=str(item.get("vhost", "")),
        user=str(item.get("user", "")),
        peer=f"{item.get('peer_host', '')}:{port}" if port else str(item.get("peer_host", "")),
        state=str(item.get("state", "")),
        channels=whole(item.get("channels")),
        connected_at=None if since is None else since / 1000.0,
        receive_rate=rate(item, "recv_oct"),
        send_rate=rate(item, "send_oct"),
        client=f"{name} ({product})" if name and product else name or product,
        consumes=None if consumed is None else consumed.get(str(item.get("name", "")), ()),
    )


def alarms(answer: Any) -> tuple[str, ...]:
    """Alarms in effect, as sentences, of `/api/health/checks/alarms` (its 503 names them)."""
    if not isinstance(answer, dict) or answer.get("status") != "failed":
        return ()
    found = []
    for alarm in answer.get("alarms") or ():
        resource = str(alarm.get("resource") or "resource").replace("_", " ")
        found.append(f"{resource} alarm on {alarm.get('node', '?')}: publishers are blocked")
    return tuple(found) or (str(answer.get("reason") or "an alarm is in effect"),)
