"""What RabbitMQ's prometheus plugin, Patroni, the Elasticsearch exporter and Prometheus say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailtui.sandbox.world.broker import Queue
from mailtui.sandbox.world.clock import Course, noise
from mailtui.sandbox.world.hosts import Host
from mailtui.sandbox.world.search import SearchNode

if TYPE_CHECKING:
    from mailtui.sandbox.world import World
    from mailtui.sandbox.world.series import Live, Target

_WAL_RATE = 41_000.0
"""Bytes of WAL a second."""


def add_rabbitmq(target: Target, world: World) -> None:
    """The plugin with per-object metrics."""
    broker = world.broker
    for queue in broker.queues.values():
        _queue(target, world, queue)
    node = broker.nodes[0]
    arrivals = [(world.rates.arrivals, 1.0)]
    scan = broker.queue("scan")
    for name, attribute in (("received", "published"), ("acknowledged", "acked")):
        metric = f"rabbitmq_global_messages_{name}_total"
        past = target.counted(metric, getattr(scan, attribute), arrivals)
        target.add(
            metric,
            past,
            lambda a=attribute: float(int(getattr(scan, a))),  # type: ignore[misc]
            protocol="amqp091",
        )
    gauges: dict[str, Live] = {
        "rabbitmq_process_resident_memory_bytes": lambda: float(node.memory_used),
        "rabbitmq_resident_memory_limit_bytes": lambda: float(node.memory_limit),
        "rabbitmq_disk_space_available_bytes": lambda: float(node.disk_free),
        "rabbitmq_disk_space_available_limit_bytes": lambda: float(node.disk_free_limit),
        "rabbitmq_alarms_memory_used_watermark": lambda: float(node.memory_alarm),
        "rabbitmq_alarms_free_disk_space_watermark": lambda: float(node.disk_alarm),
        "rabbitmq_alarms_file_descriptor_limit": lambda: 0.0,
        "rabbitmq_process_open_fds": lambda: float(node.fd_used),
        "rabbitmq_process_max_fds": lambda: float(node.fd_total),
        "rabbitmq_connections": lambda: float(len(broker.connections)),
        "rabbitmq_channels": lambda: float(sum(c.channels for c in broker.connections.values())),
        "rabbitmq_consumers": lambda: float(sum(q.consumers for q in broker.queues.values())),
        "rabbitmq_queues": lambda: float(len(broker.queues)),
    }
    for name, live in gauges.items():
        target.add(name, live(), live)
    target.add("rabbitmq_erlang_uptime_seconds", lambda t: t - node.started)
    target.add(
        "rabbitmq_build_info",
        1.0,
        rabbitmq_version=broker.version,
        prometheus_plugin_version=broker.version,
        prometheus_client_version="4.9.1",
        erlang_version=broker.erlang,
    )
    target.add(
        "rabbitmq_identity_info",
        1.0,
        rabbitmq_node=node.name,
        rabbitmq_cluster=broker.cluster,
        rabbitmq_cluster_permanent_id="rabbitmq-cluster-id-2q7QxtFkR6uzgeIQ7zhgLw",
    )


def _queue(target: Target, world: World, queue: Queue) -> None:
    rates = world.rates
    courses = {"scan": rates.scan_depth, "index": rates.index_depth, "dead": rates.dead_depth}
    course = courses.get(queue.name, Course(0.0 if queue.vhost == "/" else 0.6))
    key = sum(map(ord, queue.name))
    usual = queue.unacked

    def ready(t: float) -> float:
        depth = course.at(t)
        if queue.name == "dead":
            return float(round(depth))
        # queues breathe by about the square root of their depth
        return float(round(max(0.0, depth + depth**0.5 * 2.0 * (noise(key, int(t) // 15) - 0.5))))

    def unacked(t: float) -> float:
        return float(round(usual * 2.0 * noise(key + 1, int(t) // 15)))

    def consumers(t: float) -> float:
        if queue.name == "scan":
            return float(round(rates.scan_consumers.at(t)))
        return float(queue.consumers)

    labels = {"queue": queue.name, "vhost": queue.vhost}
    prefix = "rabbitmq_queue_"
    target.add(f"{prefix}messages_ready", ready, lambda: float(int(queue.ready)), **labels)
    target.add(f"{prefix}messages_unacked", unacked, lambda: float(int(queue.unacked)), **labels)
    target.add(
        f"{prefix}messages",
        lambda t: ready(t) + unacked(t),
        lambda: float(queue.messages),
        **labels,
    )
    target.add(f"{prefix}consumers", consumers, lambda: float(queue.consumers), **labels)
    target.add(
        f"{prefix}process_memory_bytes", float(queue.memory), lambda: float(queue.memory), **labels
    )


def add_patroni(target: Target, world: World, host: Host) -> None:
    """Patroni's `/metrics` of one member; the first database host leads."""
    members = [h.name for h in world.hosts.values() if "db" in h.roles]
    leader = members[0] == host.name
    labels = {"scope": "mail", "name": host.name}
    started = host.units["patroni.service"].since

    begin = world.hosts[members[0]].boot_time

    def position(t: float) -> float:
        return float(0x3_0000_0000 + int((t - begin) * _WAL_RATE))

    def replayed(t: float) -> float:
        return position(t) - int(6_000 * noise(host.key, int(t) // 15))

    constants = {
        "patroni_version": 30_002.0,
        "patroni_postgres_running": 1.0,
        "patroni_postmaster_start_time": started,
        "patroni_primary": float(leader),
        "patroni_master": float(leader),
        "patroni_standby_leader": 0.0,
        "patroni_replica": float(not leader),
        "patroni_xlog_paused": 0.0,
        "patroni_postgres_server_version": 150_014.0,
        "patroni_cluster_unlocked": 0.0,
        "patroni_postgres_timeline": 7.0,
        "patroni_pending_restart": 0.0,
        "patroni_is_paused": 0.0,
    }
    for name, value in constants.items():
        target.add(name, value, **labels)
    target.add("patroni_dcs_last_seen", lambda t: float(int(t) // 10 * 10), **labels)
    target.add("patroni_xlog_location", position if leader else 0.0, **labels)
    target.add("patroni_xlog_received_location", 0.0 if leader else position, **labels)
    target.add("patroni_xlog_replayed_location", 0.0 if leader else replayed, **labels)
    target.add("patroni_xlog_replayed_timestamp", 0.0 if leader else (lambda t: t), **labels)


def add_search(target: Target, world: World) -> None:
    """The Elasticsearch exporter (prometheus-community)."""
    search = world.search
    labels = {"cluster": search.cluster}
    since = world.audit.stopped_at
    healthy_before = since is not None

    def before(now: float, value: float, otherwise: float) -> float:
        """What a gauge was at `now`: the cluster was well until `since`."""
        return otherwise if healthy_before and since is not None and now < since else value

    for color in ("green", "yellow", "red"):

        def live_color(color: str = color) -> float:
            return float(search.health == color)

        now = live_color()
        otherwise = float(color == "green")
        target.add(
            "elasticsearch_cluster_health_status",
            lambda t, now=now, o=otherwise: before(t, now, o),  # type: ignore[misc]
            live_color,
            color=color,
            **labels,
        )
    unassigned = float(search.unassigned)
    target.add(
        "elasticsearch_cluster_health_unassigned_shards",
        lambda t: before(t, unassigned, 0.0),
        lambda: float(search.unassigned),
        **labels,
    )
    active = float(len(search.shards()))
    target.add(
        "elasticsearch_cluster_health_active_shards",
        lambda t: before(t, active - unassigned, active),
        lambda: float(len(search.shards()) - search.unassigned),
        **labels,
    )
    target.add("elasticsearch_cluster_health_number_of_nodes", float(len(search.nodes)), **labels)
    for node in search.nodes:
        _search_node(target, world, node)


def _search_node(target: Target, world: World, node: SearchNode) -> None:
    labels = {"cluster": world.search.cluster, "name": node.name, "mount": "/var/lib/elasticsearch"}
    start, used, growth = world.start, node.disk_used, node.growth

    def available(t: float) -> float:
        return float(int(node.disk_total - used + growth * (start - t)))

    target.add(
        "elasticsearch_filesystem_data_available_bytes",
        available,
        lambda: float(node.disk_available),
        **labels,
    )
    target.add("elasticsearch_filesystem_data_size_bytes", float(node.disk_total), **labels)


def add_prometheus(target: Target, world: World) -> None:
    """Prometheus of itself."""
    target.add(
        "prometheus_build_info",
        1.0,
        branch="debian/sid",
        goversion="go1.19.8",
        revision="2.42.0+ds-5+deb12u1",
        version="2.42.0+ds",
    )
    target.add("prometheus_tsdb_head_series", lambda t: float(len(target.store)))
    target.add("prometheus_config_last_reload_successful", 1.0)
    target.add("prometheus_rule_evaluation_failures_total", 0.0, rule_group="mail")
    target.add("process_start_time_seconds", world.start - 31 * 86400.0)
