"""The simulated platform: repeatable, consistent between its parts, moving."""

from __future__ import annotations

import pytest

from mailtui.sandbox.promql import Query
from mailtui.sandbox.promql_values import Row
from mailtui.sandbox.world import World, scenarios
from mailtui.sandbox.world.clock import Course
from mailtui.sandbox.world.mail import long_queue_id

NOW = 1_790_000_000.0


def world(scenario: str = "quiet", seed: int = 1, hosts: int | None = None) -> World:
    return World(seed, scenario, now=NOW, hosts=hosts, frozen=True)


def ask(of: World, query: str, at: float | None = None) -> dict[str, float]:
    """Value by instance (or `` for a series without one)."""
    millis = int((of.now if at is None else at) * 1000)
    rows = Query(of.series.store, [millis]).run(query)
    assert isinstance(rows, list)
    found = {}
    for row in rows:
        assert isinstance(row, Row)
        value = row.values[0]
        assert value is not None
        found[row.labels.get("instance", "")] = value
    return found


@pytest.mark.parametrize("scenario", scenarios.names())
def test_same_seed_same_world(scenario: str) -> None:
    one, other = world(scenario), world(scenario)
    one.advance(NOW + 130)
    other.advance(NOW + 130)
    assert one.mail == other.mail
    assert one.broker == other.broker
    assert one.bans == other.bans
    assert one.search == other.search
    assert one.hosts == other.hosts
    assert one.audit.between(NOW - 60, NOW + 100) == other.audit.between(NOW - 60, NOW + 100)
    query = "sum by (__name__) ({job!=''})"
    assert ask(one, query) == ask(other, query)


def test_one_jump_and_many_ticks_end_at_the_same_moment() -> None:
    one, other = world(), world()
    one.advance(NOW + 100)
    for second in range(1, 101):
        other.advance(NOW + second + 0.4)
    assert one.now == other.now
    assert one.mail == other.mail


def test_another_seed_is_another_world() -> None:
    assert world(seed=1).mail != world(seed=2).mail


def test_unknown_scenario_says_what_there_is() -> None:
    with pytest.raises(ValueError, match="destination-deferred"):
        world("no-such")


def test_frozen_does_not_follow_the_clock() -> None:
    still = world()
    still.tick()
    assert still.now == NOW


def test_default_hosts_and_more_of_them() -> None:
    assert list(world().hosts) == ["mx1", "mx2", "store1", "db1", "db2", "mon1", "bk1"]
    many = world(hosts=20)
    assert len(many.hosts) == 20
    assert {"web1", "mx3", "store2"} <= set(many.hosts)
    assert set(many.mail.spools) == {n for n, h in many.hosts.items() if "mx" in h.roles}
    assert "13 (trixie)" in many.hosts["mx2"].os


def test_few_hosts_without_a_broker_host_still_have_a_world() -> None:
    for count in (1, 2, 3):
        small = world("brute-force", hosts=count)
        small.advance(NOW + 60)
        assert len(small.hosts) == count


@pytest.mark.parametrize("scenario", scenarios.names())
def test_prometheus_counts_the_messages_that_are_in_the_queues(scenario: str) -> None:
    moving = world(scenario)
    moving.advance(NOW + 45)
    # right after a scrape, what was scraped is what is there
    for name, spool in moving.mail.spools.items():
        target = next(t for t in moving.series.targets if t.instance == f"{name}:9154")
        due = target.timeline.times[-1] // 1000 + 16
        moving.advance(float(due))
        held = spool.counts()
        for queue in ("deferred", "hold"):
            query = f'postfix_showq_message_age_seconds_count{{queue="{queue}"}}'
            assert ask(moving, query)[f"{name}:9154"] == held[queue]


def test_counters_never_fall_where_the_past_meets_the_present() -> None:
    for scenario in scenarios.names():
        moving = world(scenario)
        moving.advance(NOW + 300)
        checked = 0
        for name in moving.series.store.names():
            if not name.endswith(("_total", "_status_deferred", "_delay_seconds_bucket")):
                continue
            rows = Query(moving.series.store, [int(moving.now * 1000)]).run(f"resets({name}[2h])")
            assert isinstance(rows, list)
            checked += len(rows)
            assert [r.labels for r in rows if r.values[0] != 0.0] == [], name
        assert checked > 100


def test_traffic_is_about_400_a_minute() -> None:
    moving = world()
    moving.advance(NOW + 600)
    query = "sum(rate(postfix_smtpd_messages_processed_total[5m])) * 60"
    for at in (NOW - 7200, NOW - 600, NOW + 600):
        assert 350 < ask(moving, query, at)[""] < 480


def test_quiet_is_quiet() -> None:
    moving = world()
    counts = moving.mail.counts()
    assert 20 <= counts["deferred"] <= 70
    assert counts["hold"] == 2
    assert counts["active"] <= 25
    moving.advance(NOW + 3600)
    assert 20 <= moving.mail.counts()["deferred"] <= 80
    assert moving.search.health == "green"
    assert moving.broker.queue("dead").ready < 40


def test_operators_actions_on_a_spool() -> None:
    moving = world("destination-deferred")
    spool = moving.mail.spools["mx1"]
    first, second, third, *_ = [m.queue_id for m in spool.queue("deferred")]
    assert spool.hold([first, "nosuch"]) == [first]
    assert spool.messages[first].queue_name == "hold"
    assert spool.delete([second, "nosuch"]) == [second]
    requeued, size = spool.messages[third], len(spool.messages)
    assert spool.requeue([third, second]) == [third]
    assert spool.messages[third].queue_name == "maildrop", "until pickup(8) comes"
    assert spool.pickup(NOW + 1) == [requeued]
    assert third not in spool.messages
    assert spool.messages[requeued.queue_id] is requeued
    assert len(spool.messages) == size
    moving.advance(NOW + 900)
    assert spool.messages[first].queue_name == "hold", "held mail is not tried"
    assert spool.release([first]) == [first]
    assert spool.messages[first].queue_name == "deferred"


def test_flushed_mail_is_tried_at_the_next_step() -> None:
    moving = world()
    spool = moving.mail.spools["mx1"]
    chosen = next(m for m in spool.queue("deferred") if m.cause == "unreachable")
    attempts = chosen.attempts
    assert spool.flush(moving.now, [chosen.queue_id]) == [chosen.queue_id]
    moving.advance(NOW + 2)
    assert chosen.attempts == attempts + 1 or chosen.queue_id not in spool.messages


def test_mail_expires_after_its_lifetime() -> None:
    moving = world()
    spool = moving.mail.spools["mx1"]
    old = next(spool.queue("deferred"))
    old.arrival_time = int(NOW - 6 * 86400)
    spool.flush(moving.now, [old.queue_id])
    expired = spool.counters.expired
    moving.advance(NOW + 2)
    assert old.queue_id not in spool.messages
    assert spool.counters.expired == expired + 1


def test_long_queue_ids_carry_the_time() -> None:
    first = long_queue_id(1_790_000_000, 5, 131_074)
    later = long_queue_id(1_790_000_001, 0, 131_074)
    assert len(first.split("z")[0]) == 10
    assert first < later
    spool = world().mail.spools["mx1"]
    assert len(spool.messages) == len({m.queue_id for m in spool.messages.values()})
    assert all(m.queue_id == key for key, m in spool.messages.items())


def test_hostile_strings_are_among_the_mail() -> None:
    texts = []
    for message in world("destination-deferred").mail.spools["mx1"].messages.values():
        texts += [message.sender, message.subject, *(r.delay_reason for r in message.recipients)]
    everything = "".join(texts)
    for part in ("\x1b", "\u202e", "[/markup]", "\x9b"):
        assert part in everything


def test_audit_events_are_the_same_however_they_are_asked_for() -> None:
    one, other = world(), world()
    all_at_once = one.audit.between(NOW - 900, NOW)
    in_parts = [
        event for start in range(15, 0, -1) for event in other.audit.between(
            NOW - start * 60, NOW - (start - 1) * 60
        )
    ]  # fmt: skip
    assert all_at_once == in_parts
    assert 3 * 900 <= len(all_at_once) <= 8 * 900
    times = [e.millis for e in all_at_once]
    assert times == sorted(times)
    assert len(set(times)) < len(times), "some share a timestamp"
    assert len({e.id for e in all_at_once}) == len(all_at_once)


def test_an_audit_document_is_ecs() -> None:
    event = world().audit.between(NOW - 5, NOW)[0]
    document = event.document()
    assert document["@timestamp"].endswith("Z")
    assert document["event"]["outcome"] in ("success", "failure", "unknown")
    assert document["host"]["name"]
    assert document["source"]["ip"]
    assert event.index.startswith("audit-2026.09.2")


def test_warming_makes_all_of_the_past_and_then_stops() -> None:
    still = world()
    rounds = 0
    while still.audit.warm(20):
        rounds += 1
        assert rounds < 20
    events = still.audit.between()
    assert len(events) > 10_000 * 4
    assert still.audit.count(NOW - 1234.5, NOW - 17) == len(
        still.audit.between(NOW - 1234.5, NOW - 17)
    )
    still.advance(NOW // 15 * 15 + 30)  # counted at each quarter of a minute
    indexed = sum(
        i.docs
        for i in still.search.indices.values()
        if i.name.startswith("audit-") and i.status == "open"
    )
    assert indexed == len(still.audit.between())


def test_ingest_that_stopped_shows_nothing_newer() -> None:
    red = world("search-red")
    red.advance(NOW + 120)
    newest = red.audit.between()[-1]
    assert newest.millis / 1000 <= NOW - 9 * 60


def test_a_course_is_linear_between_points_and_has_an_integral() -> None:
    course = Course([(10.0, 0.0), (20.0, 10.0)])
    assert [course.at(t) for t in (0, 10, 15, 20, 99)] == [0.0, 0.0, 5.0, 10.0, 10.0]
    assert course.integral(10, 20) == pytest.approx(50.0)
    assert course.integral(0, 30) == pytest.approx(150.0)
    assert course.integral(15, 25) == pytest.approx(37.5 + 50.0)


def test_an_unreachable_host_is_down_and_its_series_end() -> None:
    moving = world()
    moving.hosts["bk1"].reachable = False
    moving.advance(NOW + 60)
    assert ask(moving, "up")["bk1:9100"] == 0.0
    assert "bk1:9100" not in ask(moving, "node_load1")
    assert "db1:9100" in ask(moving, "node_load1")
    moving.hosts["bk1"].reachable = True
    moving.advance(NOW + 120)
    assert "bk1:9100" in ask(moving, "node_load1")


def test_hours_later_old_scrapes_are_forgotten_and_answers_stay_right() -> None:
    moving = world()
    early = ask(moving, "count(up)")
    moving.advance(NOW + 4 * 3600)
    assert ask(moving, "count(up)") == early
    assert all(len(t.timeline.times) < 1300 for t in moving.series.targets)
    rate = ask(moving, "sum(rate(node_cpu_seconds_total[1h]))")[""]
    assert rate == pytest.approx(sum(h.cpus for h in moving.hosts.values()), rel=0.01)
