"""The objects of RabbitMQ's management API, as JSON, from the simulated broker.

Names and types are those that a RabbitMQ 3.10.8 answers; statistics that nothing in the world
moves (garbage collection, I/O) are left out.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from mailtui.sandbox.rabbitmq_links import Links, Object, rate
from mailtui.sandbox.world.broker import BrokerNode, Queue

if TYPE_CHECKING:
    from mailtui.sandbox.world import World

_TYPES = [
    {"name": name, "description": f"AMQP {name} exchange, as per the AMQP specification",
     "enabled": True}
    for name in ("direct", "fanout", "headers", "topic")
]  # fmt: skip
_MEAN_BYTES = 1_100
"""Payload of one message in the pipeline: a reference to a stored mail, not the mail."""


def _moving(name: str, total: float, per_second: float) -> Object:
    return {name: int(total), f"{name}_details": {"rate": rate(per_second)}}


def _moment(epoch: float) -> str:
    text = dt.datetime.fromtimestamp(epoch, dt.UTC).isoformat(timespec="milliseconds")
    return text.replace("Z", "+00:00")


class Objects:
    """Builds the answers; each call reads the world as it is."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._broker = world.broker
        self._links = Links(world)

    def _ports(self) -> list[Object]:
        node = self._broker.nodes[0].name
        plain = {"backlog": 128, "nodelay": True, "linger": [True, 0], "exit_on_close": False}
        listeners: list[tuple[str, int, Any]] = [
            ("amqp", 5672, plain),
            ("clustering", 25672, []),
            ("http", 15672, {"cowboy_opts": {"sendfile": False}, "port": 15672}),
            ("http/prometheus", 15692, {"cowboy_opts": {"sendfile": False}, "port": 15692}),
        ]
        return [
            {"node": node, "protocol": name, "ip_address": "::", "port": port, "socket_opts": opts}
            for name, port, opts in listeners
        ]

    def listening(self, port: int) -> bool:
        """Whether a listener has that port."""
        return any(listener["port"] == port for listener in self._ports())

    def protocol(self, name: str) -> bool:
        """Whether a listener speaks that protocol."""
        return any(listener["protocol"] == name for listener in self._ports())

    def overview(self) -> Object:
        """`/api/overview`."""
        broker = self._broker
        queues = list(broker.queues.values())
        return {
            "management_version": broker.version,
            "rates_mode": "basic",
            "sample_retention_policies": {
                "global": [600, 3600, 28800, 86400], "basic": [600, 3600], "detailed": [600],
            },
            "exchange_types": _TYPES,
            "product_version": broker.version,
            "product_name": "RabbitMQ",
            "rabbitmq_version": broker.version,
            "cluster_name": broker.cluster,
            "erlang_version": broker.erlang,
            "erlang_full_version": f"Erlang/OTP {broker.erlang.split('.', maxsplit=1)[0]}"
            " [erts-13.1.5] [source] [64-bit]",
            "release_series_support_status": "supported",
            "disable_stats": False,
            "enable_queue_totals": False,
            "message_stats": self._message_stats(queues, whole=True),
            "churn_rates": _churn(len(broker.connections), len(queues)),
            "queue_totals": _depth(queues),
            "object_totals": {
                "channels": sum(c.channels for c in broker.connections.values()),
                "connections": len(broker.connections),
                "consumers": sum(q.consumers for q in queues),
                "exchanges": len(broker.exchanges),
                "queues": len(queues),
            },
            "statistics_db_event_queue": 0,
            "node": broker.nodes[0].name,
            "listeners": self._ports(),
            "contexts": [
                {
                    "ssl_opts": [], "node": broker.nodes[0].name, "path": "/", "port": "15672",
                    "description": "RabbitMQ Management", "cowboy_opts": "[{sendfile,false}]",
                }
            ],
        }  # fmt: skip

    def _buried(self) -> set[tuple[str, str]]:
        """Queues that only dead letters reach: the broker counts no publishes for those."""
        broker = self._broker
        graves = {(q.vhost, q.dead_letter_exchange) for q in broker.queues.values()
                  if q.dead_letter_exchange}  # fmt: skip
        return {(b.vhost, b.destination) for b in broker.bindings if (b.vhost, b.source) in graves}

    def _message_stats(self, queues: list[Queue], *, whole: bool = False) -> Object:
        """`message_stats`, without what has never happened, as the broker does."""
        buried = self._buried()
        published = [q for q in queues if (q.vhost, q.name) not in buried]
        stats: Object = {}
        delivered = sum(q.delivered for q in queues)
        per_second = sum(q.deliver_rate for q in queues)
        if delivered or whole:
            redelivered = sum(q.redelivered for q in queues)
            stats |= _moving("ack", sum(q.acked for q in queues), sum(q.ack_rate for q in queues))
            stats |= _moving("deliver", delivered, per_second)
            stats |= _moving("deliver_get", delivered, per_second)
            for name in ("deliver_no_ack", "get", "get_empty", "get_no_ack"):
                stats |= _moving(name, 0, 0.0)
            stats |= _moving("redeliver", redelivered, sum(q.redeliver_rate for q in queues))
        incoming = sum(q.published for q in published)
        if incoming or whole:
            speed = sum(q.publish_rate for q in published)
            stats |= _moving("publish", incoming, speed)
            if whole:
                stats |= _moving("disk_writes", incoming, speed)
                for name in ("confirm", "disk_reads", "drop_unroutable", "return_unroutable"):
                    stats |= _moving(name, 0, 0.0)
        return dict(sorted(stats.items()))

    def nodes(self) -> list[Object]:
        """`/api/nodes`; one that is down says its name and no more."""
        return [self._node(node) for node in self._broker.nodes]

    def _node(self, node: BrokerNode) -> Object:
        if not node.running:
            return {"partitions": [], "name": node.name, "type": "disc", "running": False}
        return {
            "partitions": list(node.partitions),
            "os_pid": "812",
            "fd_total": node.fd_total,
            "sockets_total": node.sockets_total,
            "mem_limit": node.memory_limit,
            "mem_alarm": node.memory_alarm,
            "disk_free_limit": node.disk_free_limit,
            "disk_free_alarm": node.disk_alarm,
            "proc_total": node.processes_total,
            "rates_mode": "basic",
            "uptime": int((self._world.now - node.started) * 1000),
            "run_queue": 1,
            "processors": 4,
            "exchange_types": _TYPES,
            "log_files": [f"/var/log/rabbitmq/{node.name}.log"],
            "db_dir": f"/var/lib/rabbitmq/mnesia/{node.name}",
            "config_files": ["/etc/rabbitmq/rabbitmq.conf"],
            "net_ticktime": 60,
            "enabled_plugins": ["rabbitmq_management", "rabbitmq_prometheus"],
            "mem_calculation_strategy": "rss",
            "name": node.name,
            "type": "disc",
            "running": True,
            **_moving("mem_used", node.memory_used, 0.0),
            **_moving("fd_used", node.fd_used, 0.0),
            **_moving("sockets_used", node.sockets_used, 0.0),
            **_moving("proc_used", node.processes_used, 0.0),
            **_moving("disk_free", node.disk_free, 0.0),
            "cluster_links": [],
        }

    def queue(self, queue: Queue, *, stats: bool = True, totals: bool = True) -> Object:
        """One queue; without statistics it has no consumers, rates or policy."""
        quorum = queue.type == "quorum"
        base: Object = {
            "arguments": dict(queue.arguments),
            "auto_delete": queue.auto_delete,
            "durable": queue.durable,
            "exclusive": queue.exclusive,
            "name": queue.name,
            "node": queue.node,
            "state": queue.state if stats or totals else "live",
            "type": queue.type,
            "vhost": queue.vhost,
        }
        if quorum:
            members = [node.name for node in self._broker.nodes]
            online = [node.name for node in self._broker.nodes if node.running]
            base |= {"leader": queue.node, "members": members, "online": online}
        if not stats:
            if totals:
                ready, unacked = int(queue.ready), int(queue.unacked)
                if quorum:
                    # As the broker has it: not known without statistics.
                    base["exclusive"] = None
                base |= {
                    "messages": ready + unacked,
                    "messages_ready": ready,
                    "messages_unacknowledged": unacked,
                }
            return dict(sorted(base.items()))
        policy = next(
            (p for p in self._broker.policies if p.name == queue.policy and p.vhost == queue.vhost),
            None,
        )
        used = 1.0 if queue.consumers and not queue.ready else 0.92 if queue.consumers else 0
        if quorum and not self._broker.version.startswith("3."):
            base["delivery_limit"] = queue.delivery_limit or 20
        base |= {
            **_depth([queue]),
            "consumers": queue.consumers,
            "consumer_capacity": used,
            "consumer_utilisation": used,
            "effective_policy_definition": dict(policy.definition) if policy else {},
            "memory": queue.memory,
            "message_bytes": queue.messages * _MEAN_BYTES,
            "message_bytes_persistent": queue.messages * _MEAN_BYTES,
            "message_bytes_ram": 0 if quorum else queue.messages * _MEAN_BYTES,
            "message_bytes_ready": int(queue.ready) * _MEAN_BYTES,
            "message_bytes_unacknowledged": int(queue.unacked) * _MEAN_BYTES,
            "messages_persistent": queue.messages,
            "messages_ram": 0 if quorum else queue.messages,
            "operator_policy": None,
            "policy": queue.policy or None,
        }
        message_stats = self._message_stats([queue])
        if message_stats:
            base["message_stats"] = message_stats
        if queue.idle_since is not None:
            base["idle_since"] = _moment(queue.idle_since)
        if quorum:
            base["open_files"] = {queue.node: 1}
        else:
            base["head_message_timestamp"] = None
            base["exclusive_consumer_tag"] = None
        return dict(sorted(base.items()))

    def queue_details(self, queue: Queue) -> Object:
        """One queue with its consumers."""
        consumers = [
            {k: v for k, v in consumer.items() if k != "node"}
            for consumer in self._links.consumers()
            if consumer["queue"] == {"name": queue.name, "vhost": queue.vhost}
        ]
        return {"consumer_details": consumers, "deliveries": [], "incoming": [],
                **self.queue(queue)}  # fmt: skip

    def exchanges(self) -> list[Object]:
        """`/api/exchanges`."""
        return [
            {
                "arguments": {},
                "auto_delete": False,
                "durable": exchange.durable,
                "internal": exchange.internal,
                "name": exchange.name,
                "type": exchange.type,
                "user_who_performed_action": "rmq-internal"
                if exchange.name == "" or exchange.name.startswith("amq.")
                else "admin",
                "vhost": exchange.vhost,
            }
            for exchange in self._broker.exchanges
        ]

    def bindings(self) -> list[Object]:
        """`/api/bindings`: the default exchange's, then those that were made."""
        broker = self._broker
        found = [("", q.vhost, q.name, q.name) for q in broker.queues.values()]
        found += [(b.source, b.vhost, b.destination, b.routing_key) for b in broker.bindings]
        return [
            {
                "source": source,
                "vhost": vhost,
                "destination": destination,
                "destination_type": "queue",
                "routing_key": key,
                "arguments": {},
                "properties_key": quote(key, safe="*") or "~",
            }
            for source, vhost, destination, key in found
        ]

    def vhosts(self) -> list[Object]:
        """`/api/vhosts`."""
        broker = self._broker
        found = []
        for name in broker.vhosts:
            queues = [q for q in broker.queues.values() if q.vhost == name]
            stats = self._message_stats(queues)
            found.append(
                {
                    "cluster_state": {node.name: "running" for node in broker.nodes},
                    "default_queue_type": "undefined",
                    "description": "",
                    **({"message_stats": stats} if stats else {}),
                    **_depth(queues),
                    "metadata": {"description": "", "tags": []},
                    "name": name,
                    "tags": [],
                    "tracing": False,
                }
            )
        return found

    def policies(self) -> list[Object]:
        """`/api/policies`."""
        return [
            {
                "vhost": policy.vhost,
                "name": policy.name,
                "pattern": policy.pattern,
                "apply-to": policy.apply_to,
                "definition": dict(policy.definition),
                "priority": policy.priority,
            }
            for policy in self._broker.policies
        ]


def _depth(queues: list[Queue]) -> Object:
    """Counts of messages and how fast they change."""
    ready = sum(int(q.ready) for q in queues)
    unacked = sum(int(q.unacked) for q in queues)
    growth = sum(q.publish_rate - q.ack_rate for q in queues)
    return {
        **_moving("messages", ready + unacked, growth),
        **_moving("messages_ready", ready, growth),
        **_moving("messages_unacknowledged", unacked, 0.0),
    }


def _churn(connections: int, queues: int) -> Object:
    stats: Object = {}
    for name, total in (
        ("channel_closed", 0), ("channel_created", connections),
        ("connection_closed", 0), ("connection_created", connections),
        ("queue_created", queues), ("queue_declared", queues), ("queue_deleted", 0),
    ):  # fmt: skip
        stats |= _moving(name, total, 0.0)
    return stats
