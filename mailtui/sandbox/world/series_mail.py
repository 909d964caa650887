"""What the Postfix exporter (kumina, as in Debian) and Dovecot's own listener say."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from typing import TYPE_CHECKING

from mailtui.sandbox.world.clock import Course, noise
from mailtui.sandbox.world.hosts import Host
from mailtui.sandbox.world.mail import Spool

if TYPE_CHECKING:
    from mailtui.sandbox.world import World
    from mailtui.sandbox.world.series import Target

_QUEUES = ("active", "deferred", "hold", "incoming", "maildrop")
_AGES = (1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8)
_SIZES = (1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9)
_SIZE_SHARES = (0.06, 0.66, 0.97, 0.999, 1.0, 1.0, 1.0)
_BOUND_NAMES = {1e6: "1e+06", 1e7: "1e+07", 1e8: "1e+08", 1e9: "1e+09"}
_DELAYS = ("0.001", "0.01", "0.1", "1", "10", "60", "3600", "86400", "172800", "+Inf")
_DELAY_SHARES = (0.2, 0.35, 0.55, 0.83, 0.97, 0.985, 0.996, 0.999, 1.0, 1.0)


def _bound(value: float) -> str:
    return _BOUND_NAMES.get(value, f"{value:g}")


class _Showq:
    """What the exporter reads from showq(8) at one scrape."""

    def __init__(self, world: World, spool: Spool) -> None:
        self._world = world
        self._spool = spool
        self.ages: dict[str, list[float]] = {}
        self.sizes: dict[str, list[float]] = {}
        self.read()

    def read(self) -> None:
        """Sorted ages and sizes of each queue."""
        now = self._world.now
        self.ages = {name: [] for name in _QUEUES}
        self.sizes = {name: [] for name in _QUEUES}
        for message in self._spool.messages.values():
            self.ages[message.queue_name].append(now - message.arrival_time)
            self.sizes[message.queue_name].append(float(message.size))
        for name in _QUEUES:
            self.ages[name].sort()
            self.sizes[name].sort()


def add_postfix(target: Target, world: World, host: Host) -> None:
    """The exporter's series of one mx host."""
    spool = world.mail.spools[host.name]
    showq = _Showq(world, spool)
    target.before.append(showq.read)
    target.add("postfix_up", 1.0, path="/var/spool/postfix/public/showq")
    for queue in _QUEUES:
        _showq(target, world, showq, host.name, queue)
    _counters(target, world, spool)


def _showq(target: Target, world: World, showq: _Showq, host: str, queue: str) -> None:
    arrivals = sorted(
        [*world.traffic.population.stationary[host], *world.traffic.population.incident[host]]
    )
    held = len(showq.ages[queue])
    usual = 10.0 / len(world.mail.spools)
    key = sum(map(ord, host + queue))

    def count(t: float) -> float:
        if queue == "deferred":
            return float(world.traffic.deferred_at(host, t))
        if queue == "active":
            return float(round(2.0 * usual * noise(key, int(t) // 15)))
        return float(held)

    def younger(t: float, bound: float) -> float:
        """Messages at most `bound` seconds old at t."""
        total = count(t)
        if queue != "deferred":
            return total if bound >= 1e4 or queue == "active" else 0.0
        known = bisect_right(arrivals, t)
        old = bisect_right(arrivals, t - bound)
        # those that have left since then were young: greylisted, a slow server
        return max(0.0, float(known - old) + (total - known if bound >= 1e3 else 0.0))

    def age_sum(t: float) -> float:
        if queue != "deferred":
            return count(t) * (7200.0 if queue == "hold" else 1.4)
        known = arrivals[: bisect_right(arrivals, t)]
        return t * len(known) - sum(known) + 200.0 * (count(t) - len(known))

    name = "postfix_showq_message_age_seconds"
    for bound in _AGES:
        target.add(
            f"{name}_bucket",
            lambda t, b=bound: younger(t, b),  # type: ignore[misc]
            lambda b=bound: float(bisect_right(showq.ages[queue], b)),  # type: ignore[misc]
            queue=queue,
            le=_bound(bound),
        )
    total = _length(showq, queue)
    target.add(f"{name}_bucket", count, total, queue=queue, le="+Inf")
    target.add(f"{name}_count", count, total, queue=queue)
    target.add(f"{name}_sum", age_sum, lambda: sum(showq.ages[queue]), queue=queue)
    name = "postfix_showq_message_size_bytes"
    for bound, share in zip(_SIZES, _SIZE_SHARES, strict=True):
        target.add(
            f"{name}_bucket",
            lambda t, s=share: float(round(count(t) * s)),  # type: ignore[misc]
            lambda b=bound: float(bisect_right(showq.sizes[queue], b)),  # type: ignore[misc]
            queue=queue,
            le=_bound(bound),
        )
    target.add(f"{name}_bucket", count, total, queue=queue, le="+Inf")
    target.add(f"{name}_count", count, total, queue=queue)
    target.add(
        f"{name}_sum", lambda t: count(t) * 16_800, lambda: sum(showq.sizes[queue]), queue=queue
    )


def _length(showq: _Showq, queue: str) -> Callable[[], float]:
    return lambda: float(len(showq.ages[queue]))


def _counters(target: Target, world: World, spool: Spool) -> None:
    rates, counters = world.rates, spool.counters
    share = 1.0 / len(world.mail.spools)

    def counter(
        name: str,
        attribute: str,
        parts: list[tuple[Course, float]],
        part: float = 1.0,
        **labels: str,
    ) -> None:
        now = getattr(counters, attribute) * part
        past = target.counted(name + str(labels), now, [(c, s * part) for c, s in parts])
        target.add(name, past, lambda: float(int(getattr(counters, attribute) * part)), **labels)

    arrivals = [(rates.arrivals, share)]
    incidents = [c for c in world.traffic.causes.values() if c.rate.at(0.0) == 0.0]
    deferrals = [(c.rate, 2.0 * share) for c in incidents] + [(Course(0.06), share)]
    kept = [(c.rate, -share) for c in incidents]
    counter("postfix_smtpd_messages_processed_total", "received", arrivals, 0.55, sasl_method="")
    counter(
        "postfix_smtpd_messages_processed_total", "received", arrivals, 0.45, sasl_method="PLAIN"
    )
    counter("postfix_cleanup_messages_processed_total", "received", arrivals)
    target.add("postfix_cleanup_messages_rejected_total", 0.0)
    target.add("postfix_cleanup_messages_not_accepted_total", 0.0)
    counter("postfix_qmgr_messages_removed_total", "removed", arrivals + kept)
    counter("postfix_smtp_status_deferred", "deferred", deferrals)
    target.add("postfix_smtp_deferred_messages_total", 0.0)
    counter("postfix_smtp_connection_timed_out_total", "deferred", deferrals, 0.04)
    connects = [(rates.connects, share)]
    counter("postfix_smtpd_connects_total", "connects", connects)
    counter("postfix_smtpd_disconnects_total", "connects", connects)
    target.add("postfix_smtpd_forward_confirmed_reverse_dns_errors_total", 0.0)
    rejected = [(rates.rejected, share)]
    counter("postfix_smtpd_messages_rejected_total", "rejected", rejected, 0.7, code="554")
    counter("postfix_smtpd_messages_rejected_total", "rejected", rejected, 0.3, code="450")
    sasl = [(rates.sasl_failures[spool.host], 1.0)]
    counter("postfix_smtpd_sasl_authentication_failures_total", "sasl_failures", sasl)
    counter("postfix_smtpd_connections_lost_total", "sasl_failures", sasl, after_stage="AUTH")
    bounced = [(Course(0.002), share)]
    counter("postfix_bounce_non_delivery_notification_total", "bounced", bounced)
    for bound, part in zip(_DELAYS, _DELAY_SHARES, strict=True):
        counter(
            "postfix_smtp_delivery_delay_seconds_bucket",
            "removed",
            arrivals + kept,
            part,
            stage="",
            le=bound,
        )
    counter("postfix_smtp_delivery_delay_seconds_count", "removed", arrivals + kept, stage="")
    counter("postfix_smtp_delivery_delay_seconds_sum", "removed", arrivals + kept, 0.9, stage="")
    for bound, part in zip((*map(_bound, _SIZES), "+Inf"), (*_SIZE_SHARES, 1.0), strict=True):
        name = "postfix_qmgr_messages_inserted_size_bytes_bucket"
        counter(name, "received", arrivals, part, le=bound)
    counter("postfix_qmgr_messages_inserted_size_bytes_count", "received", arrivals)
    counter("postfix_qmgr_messages_inserted_size_bytes_sum", "received", arrivals, 16_800.0)


def add_dovecot(target: Target, world: World, host: Host) -> None:
    """Dovecot's OpenMetrics listener on one store host: logins, commands."""
    stores = sum(1 for h in world.hosts.values() if "store" in h.roles)
    since = world.start - host.units["dovecot.service"].since
    rates = world.rates
    for name, course in (
        ("dovecot_auth_success_total", rates.logins),
        ("dovecot_auth_failure_total", rates.login_failures),
    ):
        now = course.at(0.0) * since / stores
        target.add(name, target.counted(name, now, ((course, 1.0 / stores),)))
    for command, rate in (("SELECT", 3.1), ("FETCH", 22.0), ("IDLE", 2.4), ("SEARCH", 0.8)):
        name = "dovecot_imap_command_total"
        past = target.counted(name + command, since * rate, ((Course(rate), 1.0 / stores),))
        target.add(name, past, cmd_name=command, tagged_reply_state="OK")
    target.add("dovecot_start_time_seconds", host.units["dovecot.service"].since)
