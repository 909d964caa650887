"""What Prometheus has scraped from the platform: targets, and their series since three hours.

Each target has its own offset inside the scrape interval, as a real server spreads its scrapes.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mailtui.sandbox.tsdb import Function, Metadata, Series, Store, Timeline
from mailtui.sandbox.world.clock import Course, noise
from mailtui.sandbox.world.hosts import Host

if TYPE_CHECKING:
    from mailtui.sandbox.world import World

INTERVAL = 15
"""Seconds between scrapes of one target."""
KEPT = 4 * 3600 // INTERVAL
"""Scrapes that are kept of each target."""
_HISTORY = 3 * 3600

Live = Callable[[], float]


@dataclass(slots=True)
class Target:
    """One scrape target. `add` gives it series."""

    job: str
    instance: str
    host: Host | None
    offset: int
    """Milliseconds within the interval."""
    store: Store
    start: float
    timeline: Timeline = field(default_factory=Timeline)
    before: list[Callable[[], None]] = field(default_factory=list)
    """Called before each scrape."""

    @property
    def up(self) -> bool:
        """True if it answers."""
        return self.host is None or self.host.reachable

    def add(
        self, metric: str, past: Function | float, live: Live | None = None, /, **labels: str
    ) -> Series:
        """A series. `past` is its course up to the start; without `live`, for ever. A number is
        constant.
        """
        course = past if callable(past) else _constant(float(past))
        named = {"__name__": metric, "job": self.job, "instance": self.instance, **labels}
        return self.store.add(Series(named, self.timeline, course, live))

    def counted(
        self,
        name: str,
        now: float,
        parts: Iterable[tuple[Course, float]],
        everlasting: bool = False,
    ) -> Function:
        """The course of a counter that is `now` at the start, whole and never falling."""
        key = zlib.crc32(f"{self.instance}{name}".encode())
        courses = list(parts)
        # by its slowest time, so that the swing below never makes it fall
        a_second = min(
            abs(sum(c.at(self.start - ago) * s for c, s in courses))
            for ago in range(0, 10_801, 600)
        )
        a_scrape = a_second * INTERVAL
        jitter = min(0.5 * a_scrape, 2.0 * a_scrape**0.5)
        start = self.start

        def past(t: float) -> float:
            left = sum(c.integral(t, start) * s for c, s in courses)
            lag = jitter * noise(key, int(t) // INTERVAL)
            # a slow swing of ±6 %, which never lifts the past above the present
            lag += a_second * 6.0 * (1.0 - math.sin(t / 97.0 + key))
            return float(max(0, int(now - left - lag)))

        return past


def _constant(value: float) -> Function:
    return lambda t: value


class Scraper:
    """All targets; call `step` as time goes on."""

    def __init__(self, world: World) -> None:
        """Makes the targets and their past. The world must be complete."""
        from mailtui.sandbox.world import series_mail, series_node, series_services

        self.store = Store()
        self.targets: list[Target] = []
        self._world = world
        self._start = world.start
        for host in world.hosts.values():
            series_node.add(self.target("node", host, 9100), world, host)
            if "mx" in host.roles:
                series_mail.add_postfix(self.target("postfix", host, 9154), world, host)
            if "store" in host.roles:
                series_mail.add_dovecot(self.target("dovecot", host, 9900), world, host)
            if "db" in host.roles:
                series_services.add_patroni(self.target("patroni", host, 8008), world, host)
            if "mon" in host.roles:
                series_services.add_rabbitmq(self.target("rabbitmq", host, 15692), world)
                series_services.add_search(self.target("elasticsearch", host, 9114), world)
                series_services.add_prometheus(self.target("prometheus", None, 9090), world)
        for target in self.targets:
            up = target.add("up", 1.0, lambda t=target: float(t.up))  # type: ignore[misc]
            up.always = True
            samples = float(len(target.timeline.series) + 3)
            target.add("scrape_samples_scraped", samples)
            key = target.offset
            target.add(
                "scrape_duration_seconds",
                lambda t, key=key: 0.004 + 0.02 * noise(key, int(t) // INTERVAL),  # type: ignore[misc]
            )
        for name, (kind, text) in HELP.items():
            self.store.metadata[name] = Metadata(kind, text)

    def target(self, job: str, host: Host | None, port: int) -> Target:
        """A new target with the times of its past scrapes."""
        name = host.name if host is not None else "localhost"
        instance = f"{name}:{port}"
        offset = zlib.crc32(f"{self._world.seed}/{job}/{instance}".encode()) % (INTERVAL * 1000)
        target = Target(job, instance, host, offset, self.store, self._start)
        first = (int(self._start) - _HISTORY) // INTERVAL * INTERVAL * 1000 + offset
        times = range(first, int(self._start) * 1000 + 1, INTERVAL * 1000)
        target.timeline.times.extend(times)
        target.timeline.ok.extend(b"\x01" * len(times))
        self.targets.append(target)
        return target

    def step(self, now: float) -> None:
        """Scrape the targets that are due by epoch second `now`."""
        millis = int(now * 1000)
        for target in self.targets:
            due = target.timeline.times[-1] + INTERVAL * 1000
            if due > millis:
                continue
            for prepare in target.before:
                prepare()
            while due <= millis:
                target.timeline.scrape(due, target.up)
                due += INTERVAL * 1000
            if len(target.timeline.times) > KEPT + 240:
                target.timeline.trim(KEPT)


HELP: dict[str, tuple[str, str]] = {
    "up": ("gauge", "1 if the target answered its last scrape."),
    "node_load1": ("gauge", "1m load average."),
    "node_load5": ("gauge", "5m load average."),
    "node_load15": ("gauge", "15m load average."),
    "node_cpu_seconds_total": ("counter", "Seconds the CPUs spent in each mode."),
    "node_memory_MemAvailable_bytes": ("gauge", "Memory information field MemAvailable_bytes."),
    "node_memory_MemTotal_bytes": ("gauge", "Memory information field MemTotal_bytes."),
    "node_filesystem_avail_bytes": (
        "gauge",
        "Filesystem space available to non-root users in bytes.",
    ),
    "node_filesystem_free_bytes": ("gauge", "Filesystem free space in bytes."),
    "node_filesystem_size_bytes": ("gauge", "Filesystem size in bytes."),
    "node_filesystem_files": ("gauge", "Filesystem total file nodes."),
    "node_filesystem_files_free": ("gauge", "Filesystem total free file nodes."),
    "postfix_up": ("gauge", "Whether scraping Postfix's metrics was successful."),
    "postfix_showq_message_age_seconds": (
        "histogram",
        "Age of messages in Postfix's message queue, in seconds",
    ),
    "postfix_showq_message_size_bytes": (
        "histogram",
        "Size of messages in Postfix's message queue, in bytes",
    ),
    "postfix_smtp_status_deferred": ("counter", "Total number of messages deferred."),
    "postfix_smtpd_connects_total": ("counter", "Total number of incoming connections."),
    "postfix_smtpd_messages_processed_total": ("counter", "Total number of messages processed."),
    "postfix_smtpd_messages_rejected_total": ("counter", "Total number of NOQUEUE rejects."),
    "postfix_smtpd_sasl_authentication_failures_total": (
        "counter",
        "Total number of SASL authentication failures.",
    ),
    "postfix_qmgr_messages_removed_total": (
        "counter",
        "Total number of messages removed from mail queues.",
    ),
    "rabbitmq_queue_messages": (
        "gauge",
        "Sum of ready and unacknowledged messages - total queue depth",
    ),
    "rabbitmq_queue_messages_ready": ("gauge", "Messages ready to be delivered to consumers"),
    "rabbitmq_queue_messages_unacked": (
        "gauge",
        "Messages delivered to consumers but not yet acknowledged",
    ),
    "rabbitmq_queue_consumers": ("gauge", "Consumers on a queue"),
    "patroni_primary": ("gauge", "Value is 1 if this node is the leader, 0 otherwise."),
    "patroni_cluster_unlocked": ("gauge", "Value is 1 if the cluster is unlocked, 0 if locked."),
    "elasticsearch_cluster_health_status": (
        "gauge",
        "Whether all primary and replica shards are allocated.",
    ),
}
