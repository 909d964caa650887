"""What each scenario shows, in every source that the incident is seen in."""

from __future__ import annotations

from collections import Counter

import pytest

from mailtui.sandbox.prometheus_rules import Rules
from mailtui.sandbox.world import World, scenarios
from tests.unit.test_world import NOW, ask, world

FIRING = {
    "quiet": set(),
    "destination-deferred": {"MailQueueDeferredHigh"},
    "store-disk-full": {"MailStoreDiskFilling", "DiskAlmostFull"},
    "brute-force": {"SaslFailuresHigh"},
    "dlq-growth": {"DeadLettersGrow", "BrokerQueueBacklog"},
    "search-red": {"SearchClusterRed", "SearchDiskFloodStage", "BrokerQueueBacklog"},
}


def firing(of: World) -> set[str]:
    rules = Rules(of.series.store)
    rules.evaluate(int(of.now * 1000))
    return {a["labels"]["alertname"] for a in rules.alerts() if a["state"] == "firing"}


def test_every_scenario_is_expected_here() -> None:
    assert set(scenarios.names()) == set(FIRING)
    assert scenarios.names()[0] == "quiet"


@pytest.mark.parametrize("scenario", scenarios.names())
def test_alerts_of_the_incident_fire_at_once(scenario: str) -> None:
    of = world(scenario)
    assert firing(of) <= FIRING[scenario]
    assert firing(of) or scenario == "quiet"
    of.advance(NOW + 300)
    assert firing(of) == FIRING[scenario]


def test_destination_deferred() -> None:
    of = world("destination-deferred")
    deferred = [m for s in of.mail.spools.values() for m in s.queue("deferred")]
    domains = Counter(m.recipients[0].address.rpartition("@")[2] for m in deferred)
    assert 4_700 < len(deferred) < 5_700
    assert domains["gmail.com"] > 0.8 * len(deferred)
    assert domains["example.net"] > 300
    limited = [m for m in deferred if "421-4.7.0" in m.recipients[0].delay_reason]
    blocked = [m for m in deferred if "550-5.7.26" in m.recipients[0].delay_reason]
    assert len(limited) > 4_000
    assert 5 <= len(blocked) <= 60
    reasons = {m.recipients[0].delay_reason for m in limited}
    assert len(reasons) > 0.9 * len(limited), "each answer has parts of its own"
    query = 'sum(postfix_showq_message_age_seconds_count{queue="deferred"})'
    before, now = ask(of, query, NOW - 1500)[""], ask(of, query)[""]
    assert now - before > 4_000
    of.advance(NOW + 600)
    assert of.mail.counts()["deferred"] > len(deferred)


def test_destination_deferred_levels_off() -> None:
    of = world("destination-deferred")
    of.advance(NOW + 2 * 3600)
    first = of.mail.counts()["deferred"]
    of.advance(NOW + 8100)
    assert of.mail.counts()["deferred"] < first < 12_000


def test_store_disk_full() -> None:
    of = world("store-disk-full")
    mount = of.hosts["store1"].mount("/var/vmail")
    assert mount.used / mount.size == pytest.approx(0.94, abs=0.001)
    assert 2 * 3600 < mount.available / mount.growth < 3.2 * 3600
    growth = ask(of, '-deriv(node_filesystem_avail_bytes{mountpoint="/var/vmail"}[1h])')
    assert growth["store1:9100"] == pytest.approx(1.2e9 / 3600, rel=0.01)
    full = [
        m
        for s in of.mail.spools.values()
        for m in s.queue("deferred")
        if "No space left on device" in m.recipients[0].delay_reason
    ]
    assert full
    assert all(m.recipients[0].address.endswith("example.org") for m in full)
    of.advance(NOW + 4 * 3600)
    assert mount.available == 0


def test_brute_force() -> None:
    of = world("brute-force")
    jail = of.bans.hosts["mx2"].jails["postfix-sasl"]
    recent = [b for b in jail.bans.values() if b.at >= NOW - 600]
    assert 50 <= len(recent) <= 75
    assert sum(b.address.startswith("203.0.113.") for b in recent) >= 50
    failures = [
        e
        for e in of.audit.between(NOW - 300, NOW)
        if e.outcome == "failure" and e.user == "bob@example.org"
    ]
    assert len({e.source_ip for e in failures}) > 50
    rate = ask(of, "rate(postfix_smtpd_sasl_authentication_failures_total[5m]) * 60")
    assert rate["mx2:9154"] > 10 * rate["mx1:9154"]
    total = jail.total_banned
    of.advance(NOW + 300)
    assert jail.total_banned > total


def test_dlq_growth() -> None:
    of = world("dlq-growth")
    dead = of.broker.queue("dead")
    assert 2_300 < dead.ready < 2_500
    assert dead.ready == len(dead.letters)
    assert {"rejected", "expired"} <= {letter.reason for letter in dead.letters}
    assert of.broker.queue("scan").consumers == 2
    query = 'rabbitmq_queue_messages_ready{queue="dead"}'
    assert ask(of, query, NOW - 2400)["mon1:15692"] == 12
    assert ask(of, query)["mon1:15692"] == pytest.approx(dead.ready, rel=0.02)
    of.advance(NOW + 120)
    assert dead.ready > 2_450


def test_search_red() -> None:
    of = world("search-red")
    assert of.search.health == "red"
    assert max(n.used_ratio for n in of.search.nodes) > of.search.flood_stage
    assert all(
        i.read_only
        for i in of.search.indices.values()
        if i.name.startswith("audit-") and i.status == "open"
    )
    query = 'elasticsearch_cluster_health_status{color="red"}'
    assert ask(of, query, NOW - 1200)["mon1:9114"] == 0.0
    assert ask(of, query)["mon1:9114"] == 1.0
    assert of.broker.queue("index").ready > 3_000


@pytest.mark.parametrize("scenario", ["quiet", "brute-force"])
def test_what_fail2ban_bans_comes_to_an_end(scenario: str) -> None:
    of = world(scenario)
    of.advance(NOW + 7200)
    for server in of.bans.hosts.values():
        for jail in server.jails.values():
            assert all(b.until is None or b.until > of.now for b in jail.bans.values())
            times = [b.at for b in jail.bans.values()]
            assert times == sorted(times)
