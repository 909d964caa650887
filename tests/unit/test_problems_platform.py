"""What Prometheus, the broker and search say is wrong, as sentences that lead somewhere."""

from __future__ import annotations

from typing import Any

import pytest

from mailtui.collectors.state import State
from mailtui.config.settings import Context
from mailtui.model.broker import BrokerNode, BrokerQueue, BrokerReport
from mailtui.model.host import HostFacts, Mount
from mailtui.model.metrics import Alert, Forecast, MetricsReport, ScrapeTarget
from mailtui.model.problem import Problem
from mailtui.model.reading import Fault, Reading
from mailtui.model.search import Index, SearchNode, SearchReport
from mailtui.model.where import compile_where
from mailtui.problems import elasticsearch, prometheus, rabbitmq, readings
from mailtui.problems.engine import find_all
from mailtui.resources import alerts, broker, broker_nodes, indices, targets

NOW = 1_795_521_600.0
GB = 1024**3
CONTEXT = Context.model_validate(
    {
        "hosts": {"store1": {}, "mx1": {}},
        "sources": {
            "prometheus": {"url": "http://127.0.0.1:9090"},
            "rabbitmq": {"url": "http://127.0.0.1:15672"},
            "elasticsearch": {"urls": ["http://127.0.0.1:9200"]},
        },
    }
)


def state_of(source: str, value: Any, target: str = "") -> State:
    state = State()
    put(state, source, value, target)
    return state


def put(state: State, source: str, value: Any, target: str = "") -> None:
    state.put(Reading(source, target, value=value, read_at=NOW, seq=1, interval=15.0))


def found(module: Any, source: str, value: Any) -> list[Problem]:
    return list(module.find(state_of(source, value), CONTEXT, NOW))


def one(module: Any, source: str, value: Any) -> Problem:
    (problem,) = found(module, source, value)
    return problem


# Broker


def broker_report(*queues: BrokerQueue, **fields: Any) -> BrokerReport:
    return BrokerReport(queues=queues, **fields)


def queue(name: str, **fields: Any) -> BrokerQueue:
    return BrokerQueue(vhost="mail", name=name, **fields)


def test_dead_letters_with_their_growth() -> None:
    dead = queue(
        "dead", total=2412, is_dead_letter=True, consumers=0, growth=1140.0, growth_span=1200.0
    )
    problem = one(rabbitmq, "rabbitmq", broker_report(dead))
    assert problem.severity == "warning"
    assert problem.text == "mail/dead holds 2,412 dead letters, +1,140 in 20 min"
    rows = [dead, queue("dead2"), BrokerQueue(vhost="/", name="dead")]
    assert compile_where(problem.where, broker.RESOURCE.columns).filter(rows) == [dead]


def test_growth_that_only_prometheus_knows() -> None:
    dead = queue("dead", total=50, is_dead_letter=True, consumers=0)
    state = state_of("rabbitmq", broker_report(dead))
    put(state, "prometheus", MetricsReport(values={"broker_growth.dead": 38.0}))
    (problem,) = rabbitmq.find(state, CONTEXT, NOW)
    assert problem.text == "mail/dead holds 50 dead letters, +38 in 20 min"
    both = broker_report(dead, BrokerQueue(vhost="/", name="dead", total=0))
    state = state_of("rabbitmq", both)
    put(state, "prometheus", MetricsReport(values={"broker_growth.dead": 38.0}))
    (problem,) = rabbitmq.find(state, CONTEXT, NOW)
    assert problem.text == "mail/dead holds 50 dead letters", "which of the two grew is unknown"


def test_nobody_consumes() -> None:
    problem = one(rabbitmq, "rabbitmq", broker_report(queue("scan", ready=3, consumers=0)))
    assert problem.text == "mail/scan: 3 wait and nobody consumes"
    retry = queue("retry", ready=3, consumers=0, delays=True, dead_letter_exchange="")
    assert found(rabbitmq, "rabbitmq", broker_report(retry)) == []


def test_unknown_is_no_problem_and_no_well_being() -> None:
    report = broker_report(queue("scan"), queue("dead", is_dead_letter=True))
    assert found(rabbitmq, "rabbitmq", report) == []


def test_consumers_that_are_stuck() -> None:
    held = queue("scan", ready=9, unacked=25, consumers=2, ack_rate=0.0, stuck_since=NOW - 300)
    problem = one(rabbitmq, "rabbitmq", broker_report(held))
    assert problem.text == "mail/scan: 2 consumers hold 25 and acknowledge none; 9 wait"
    assert problem.since == NOW - 300
    lately = queue("scan", unacked=25, consumers=2, ack_rate=0.0, stuck_since=NOW - 30)
    assert found(rabbitmq, "rabbitmq", broker_report(lately)) == []


def test_alarms_are_told_once_each() -> None:
    node = BrokerNode("rabbit@mon1", True, disk_alarm=True, disk_free=10, disk_free_limit=100)
    alarms = (
        "disk space alarm on rabbit@mon1: publishers are blocked",
        "memory alarm on rabbit@mon1: publishers are blocked",
    )
    disk, memory = found(rabbitmq, "rabbitmq", broker_report(nodes=(node,), alarms=alarms))
    assert disk.text == ("rabbit@mon1 disk alarm: 10 free, limit 100; publishers are blocked")
    assert (disk.severity, disk.hosts) == ("critical", ("mon1",))
    assert memory.text == alarms[1]
    name, _, rest = disk.where.partition(" ")
    assert name == broker_nodes.RESOURCE.name
    assert compile_where(rest, broker_nodes.RESOURCE.columns).filter([node]) == [node]


# Search


def test_red_blocked_and_silent() -> None:
    blocked = Index("audit-2026.11.24", "yellow", "open", read_only=True)
    report = SearchReport(
        cluster="mail-search",
        status="red",
        unassigned_shards=3,
        nodes=(SearchNode("es2", 1000, 38), SearchNode("es1", 1000, 500)),
        indices=(blocked, Index("mail-2", "red", "open"), Index("users", "green", "open")),
        flood_stage=0.95,
        newest_audit=NOW - 544,
    )
    red, writes, silent = found(elasticsearch, "elasticsearch", report)
    assert red.text == "mail-search is red: mail-2, 3 shards have no node"
    assert writes.text == "audit-2026.11.24 takes no writes: es2 disk 96.2 % (flood stage 95 %)"
    assert writes.hosts == ("es2",)
    assert silent.text == "audit trail silent for 9 m 04 s: its indices take no writes"
    assert silent.since == NOW - 544
    assert {p.severity for p in (red, writes, silent)} == {"critical"}
    columns = indices.RESOURCE.columns
    assert compile_where(red.where, columns).filter(report.indices) == [report.indices[1]]
    assert compile_where(writes.where, columns).filter(report.indices) == [blocked]


def test_a_node_near_its_flood_stage() -> None:
    report = SearchReport(status="green", nodes=(SearchNode("es2", 1000, 80),), flood_stage=0.95)
    problem = one(elasticsearch, "elasticsearch", report)
    assert problem.text == "es2 disk 92.0 %; indices turn read-only at 95 %"
    assert problem.severity == "warning"


def test_a_trail_that_was_not_asked_for_is_not_silent() -> None:
    assert found(elasticsearch, "elasticsearch", SearchReport(status="green")) == []
    asked = SearchReport(status="green", audit_events=0)
    assert one(elasticsearch, "elasticsearch", asked).severity == "warning"


# Prometheus


def test_alerts_of_one_rule_are_one_problem() -> None:
    firing = [
        Alert("Deferred", "firing", "warning", NOW - 60 * n, f"{h} has 386", "", {"instance": h})
        for n, h in ((1, "mx1:9154"), (5, "mx2:9154"))
    ]
    info = Alert("Watchdog", "firing", "none")
    pending = Alert("HostDown", "pending", "critical")
    report = MetricsReport(alerts=(*firing, info, pending))
    problem = one(prometheus, "prometheus", report)
    assert problem.text == "alert Deferred (and 1 more): mx2:9154 has 386"
    assert (problem.severity, problem.hosts) == ("warning", ("mx1", "mx2"))
    assert problem.since == NOW - 300
    where = compile_where(problem.where, alerts.RESOURCE.columns)
    assert where.filter(report.alerts) == firing


@pytest.mark.parametrize("severity", ["critical", "page", "Critical"])
def test_severities_that_need_a_hand_now(severity: str) -> None:
    report = MetricsReport(alerts=(Alert("X", "firing", severity),))
    assert one(prometheus, "prometheus", report).severity == "critical"


def test_targets() -> None:
    down = ScrapeTarget("node", "mx1:9100", False, "connection refused")
    up = ScrapeTarget("node", "store1:9100", True)
    problem = one(prometheus, "prometheus", MetricsReport(targets=(down, up)))
    assert problem.text == "node on mx1:9100 does not answer Prometheus: connection refused"
    assert problem.hosts == ("mx1",)
    assert compile_where(problem.where, targets.RESOURCE.columns).filter([down, up]) == [down]


def forecast(**fields: Any) -> Forecast:
    return Forecast(host="store1", target="/var/vmail", **fields)


def test_a_disk_that_fills() -> None:
    filling = forecast(used_ratio=0.94, available=3.2 * GB, growth=1.2 * GB / 3600)
    problem = one(prometheus, "prometheus", MetricsReport(forecasts=(filling,)))
    assert problem.text == "/var/vmail 94 %, full in 2 h 40 m at +1.2 GB/h (last 1 h)"
    assert problem.severity == "critical"
    slow = forecast(used_ratio=0.5, available=40.0 * GB, growth=2.0 * GB / 3600)
    assert one(prometheus, "prometheus", MetricsReport(forecasts=(slow,))).severity == "warning"


@pytest.mark.parametrize(
    "calm",
    [
        forecast(used_ratio=0.5, available=100.0 * GB, growth=-5e9),
        forecast(used_ratio=0.5, available=1e12, growth=1e5),
        forecast(),
    ],
)
def test_a_disk_that_does_not_fill(calm: Forecast) -> None:
    assert found(prometheus, "prometheus", MetricsReport(forecasts=(calm,))) == []


def test_the_same_disk_is_told_once_by_the_worse_account() -> None:
    mount = Mount("/var/vmail", "/dev/vmail", "xfs", 100 * GB, 96 * GB, 4 * GB)
    state = state_of("hosts", HostFacts(mounts=(mount,)), "store1")
    problem = next(p for p in find_all(state, CONTEXT, NOW) if p.key.startswith("disk/"))
    assert problem.source == "hosts"
    filling = forecast(used_ratio=0.96, available=4.0 * GB, growth=2.0 * GB / 3600)
    put(state, "prometheus", MetricsReport(forecasts=(filling,)))
    (problem,) = [p for p in find_all(state, CONTEXT, NOW) if p.key.startswith("disk/")]
    assert (problem.source, "full in 2 h 00 m" in problem.text) == ("prometheus", True)
    warning = forecast(used_ratio=0.86, available=14.0 * GB, growth=None)
    put(state, "prometheus", MetricsReport(forecasts=(warning,)))
    (problem,) = [p for p in find_all(state, CONTEXT, NOW) if p.key.startswith("disk/")]
    assert problem.source == "hosts", "critical wins over warning"


def test_the_database() -> None:
    report = MetricsReport(
        values={"patroni_unlocked": 1.0}, by_host={"patroni_lag": {"db2": 1.5 * GB, "db3": 5.0}}
    )
    leader, lag = found(prometheus, "prometheus", report)
    assert (leader.severity, leader.text) == ("critical", "the database cluster has no leader")
    assert (lag.hosts, lag.text) == (("db2",), "replica is 1.5 GB behind its leader")


def test_queries_without_an_answer_are_said() -> None:
    problem = one(prometheus, "prometheus", MetricsReport(faults={"logins": "bad_data: x"}))
    assert (problem.severity, problem.text) == (
        "unknown",
        "1 query has no answer (logins): bad_data: x",
    )


# Sources that are read on demand


def test_a_source_that_nobody_looks_at_is_not_late() -> None:
    state = state_of("audit", None)
    assert list(readings.find(state, CONTEXT, NOW + 3600)) == []


def test_one_broker_that_is_down_is_said_once() -> None:
    state = State()
    fault = Fault("unreachable", "rabbitmq: refused", since=NOW)
    for source in ("rabbitmq", "broker_connections"):
        state.put(Reading(source, seq=1, fault=fault))
    assert [problem.source for problem in readings.find(state, CONTEXT, NOW)] == ["rabbitmq"]
