"""The RabbitMQ collectors against answers of a real RabbitMQ 3.10."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from aiohttp import web

from mailtui.collectors.rabbitmq import BrokerConnectionsCollector, RabbitmqCollector
from mailtui.collectors.rabbitmq_history import History, sampled
from mailtui.collectors.rabbitmq_queues import bindings, marked, record
from mailtui.config.sources.rabbitmq import Settings
from mailtui.connections.errors import SourceError
from mailtui.connections.http import HttpClient
from mailtui.model.broker import BrokerQueue, BrokerReport
from tests.unit.answers import HTML, Answer, Answers, answer, captured

REAL = "rabbitmq-3.10.8"


@pytest.fixture
async def server() -> AsyncIterator[Answers]:
    answers = Answers()
    await answers.start()
    answers.by_path = {
        "/api/overview": captured(f"{REAL}/overview"),
        "/api/nodes": captured(f"{REAL}/nodes"),
        "/api/queues": captured(f"{REAL}/queues-stats-sorted"),
        "/api/bindings": captured(f"{REAL}/bindings"),
        "/api/connections": captured(f"{REAL}/connections-blocked"),
        "/api/health/checks/alarms": captured(f"{REAL}/health-alarms-ok"),
    }
    yield answers
    await answers.stop()


def settings_of(server: Answers, **settings: Any) -> Settings:
    return Settings(url=server.url, **settings)


async def read(server: Answers, **settings: Any) -> BrokerReport:
    found = settings_of(server, **settings)
    source = RabbitmqCollector(found, HttpClient("rabbitmq", server.url, found))
    try:
        return await source.read()
    finally:
        await source.close()


def queue(report: BrokerReport, name: str, vhost: str = "/") -> BrokerQueue:
    return next(q for q in report.queues if (q.vhost, q.name) == (vhost, name))


async def test_report_of_a_real_broker(server: Answers) -> None:
    report = await read(server)
    assert (report.cluster, report.version) == ("rabbit@mon1", "3.10.8")
    assert (report.ready, report.unacked) == (281, 26)
    assert report.publish_rate == 3.0
    assert report.notes == ()
    assert report.alarms == ()
    (node,) = report.nodes
    assert node.running and not node.memory_alarm
    assert node.uptime == pytest.approx(512.714)
    assert report.queues_total == len(report.queues) == 6
    scan = queue(report, "mail.scan")
    assert (scan.ready, scan.unacked, scan.total, scan.consumers) == (35, 25, 60, 1)
    assert scan.dead_letter_exchange == "mail.dlx"
    assert scan.delivery_limit == 5
    assert scan.type == "quorum"
    assert queue(report, "mail/index retry").dead_letter_exchange == ""


async def test_which_queue_is_for_dead_letters(server: Answers) -> None:
    report = await read(server)
    assert [q.name for q in report.queues if q.is_dead_letter] == ["mail.dead"]


async def test_a_queue_that_nothing_happened_in_has_no_rate(server: Answers) -> None:
    report = await read(server)
    assert queue(report, "scan", "tenant/a").publish_rate is None
    assert queue(report, "mail.index").publish_rate == 0.0
    assert queue(report, "mail.index").ack_rate is None


async def test_alarms_are_named_by_the_503(server: Answers) -> None:
    server.by_path["/api/health/checks/alarms"] = captured(
        f"{REAL}/health-alarms-failing-both", 503
    )
    server.by_path["/api/nodes"] = captured(f"{REAL}/nodes-both-alarms")
    report = await read(server)
    assert report.alarms == (
        "disk space alarm on rabbit@mon1: publishers are blocked",
        "memory alarm on rabbit@mon1: publishers are blocked",
    )
    (node,) = report.nodes
    assert node.disk_alarm
    assert not node.memory_alarm, "the node's own flag comes later than the check"


async def test_a_user_without_the_monitoring_tag(server: Answers) -> None:
    server.by_path["/api/overview"] = captured(f"{REAL}/overview-management-user")
    server.by_path["/api/nodes"] = captured(f"{REAL}/nodes-management-user", 401)
    report = await read(server)
    assert report.nodes == ()
    assert report.connections_total is None, "it would count the user's own only"
    assert any("monitoring" in note for note in report.notes)
    assert report.queues, "what it may see is shown"


async def test_statistics_that_are_off_are_unknown(server: Answers) -> None:
    overview = json.loads(captured(f"{REAL}/overview")[2])
    overview = {**overview, "disable_stats": True, "queue_totals": {}}
    del overview["message_stats"]
    server.by_path["/api/overview"] = answer(overview)
    server.by_path["/api/queues"] = captured(f"{REAL}/queues-nostats-only")
    report = await read(server)
    assert (report.ready, report.publish_rate) == (None, None)
    scan = queue(report, "mail.scan")
    assert (scan.ready, scan.consumers, scan.ack_rate, scan.memory) == (None, None, None, None)
    assert scan.dead_letter_exchange == "mail.dlx"
    assert any("statistics are off" in note for note in report.notes)


async def test_many_queues_are_read_cheaply_and_counted(server: Answers) -> None:
    def paged(request: web.Request) -> Answer:
        body = json.loads(captured(f"{REAL}/queues-totals-nostats")[2])
        page, size = int(request.query["page"]), int(request.query["page_size"])
        items = body["items"][(page - 1) * size : page * size]
        return answer({**body, "items": items, "page": page, "page_count": -(-6 // size)})

    server.by_path["/api/queues"] = paged
    report = await read(server, queue_limit=4, page_size=3)
    asked = server.asked("/api/queues")
    assert len(asked) == 2
    assert asked[0].query["disable_stats"] == "true"
    assert asked[0].query["sort"] == "messages"
    assert (len(report.queues), report.queues_total) == (4, 6)
    assert any("queue_limit" in note for note in report.notes)


async def test_a_page_that_went_away_ends_the_listing(server: Answers) -> None:
    def paged(request: web.Request) -> Answer:
        if request.query["page"] != "1":
            return answer({"error": "page_out_of_range", "reason": "Page out of range"}, 400)
        body = json.loads(captured(f"{REAL}/queues-stats-sorted")[2])
        return answer({**body, "page_count": 2})

    server.by_path["/api/queues"] = paged
    assert len((await read(server)).queues) == 6


async def test_bindings_are_read_once_in_a_while(server: Answers) -> None:
    settings = settings_of(server)
    source = RabbitmqCollector(settings, HttpClient("rabbitmq", server.url, settings))
    await source.read()
    report = await source.read()
    await source.close()
    assert len(server.asked("/api/bindings")) == 1
    assert queue(report, "mail.dead").is_dead_letter


async def test_connections(server: Answers) -> None:
    settings = settings_of(server)
    source = BrokerConnectionsCollector(settings, HttpClient("rabbitmq", server.url, settings))
    found = await source.read()
    await source.close()
    assert found.total == len(found.connections) == 3
    assert {one.state for one in found.connections} == {"blocked", "blocking"}
    one = found.connections[0]
    assert one.connected_at == pytest.approx(1795521722.651)
    assert one.client == "Pika Python Client Library 1.4.4"
    assert one.peer == "10.77.0.1:40044"
    # this server lists no consumers
    assert {one.consumes for one in found.connections} == {None}
    assert any("consume is unknown" in note for note in found.notes)


async def test_what_connections_consume(server: Answers) -> None:
    settings = settings_of(server)
    source = BrokerConnectionsCollector(settings, HttpClient("rabbitmq", server.url, settings))
    names = [item["name"] for item in json.loads(server.by_path["/api/connections"][2])["items"]]
    server.by_path["/api/consumers"] = answer(
        [
            {"queue": {"name": queue}, "channel_details": {"connection_name": names[0]}}
            for queue in ("mail.b", "mail.a", "mail.b")
        ]
        + [{"queue": {"name": "mail.c"}, "channel_details": []}]
    )
    found = await source.read()
    await source.close()
    assert [one.consumes for one in found.connections] == [("mail.a", "mail.b"), (), ()]


@pytest.mark.parametrize(
    ("wrong", "kind", "words"),
    [
        (captured(f"{REAL}/401-wrong-password", 401), "auth", "Login failed"),
        (captured(f"{REAL}/401-user-without-tag", 401), "auth", "Not management user"),
        (HTML, "protocol", "HTML page"),
        (answer([1]), "protocol", "something else than an object"),
    ],
)
async def test_what_is_no_answer(server: Answers, wrong: Answer, kind: str, words: str) -> None:
    server.by_path["/api/overview"] = wrong
    with pytest.raises(SourceError) as caught:
        await read(server)
    assert (caught.value.kind, words in caught.value.message) == (kind, True)


def test_strings_that_are_not_what_they_seem_are_cleaned_by_the_client() -> None:
    # the client cleans every string of an answer; the record takes them as they are
    found = record({"name": "a\ufffdb", "vhost": "/", "arguments": None})
    assert found.name == "a\ufffdb"
    assert found.total is None


def test_an_argument_wins_over_a_policy() -> None:
    item = {
        "name": "q",
        "arguments": {"x-dead-letter-exchange": ""},
        "effective_policy_definition": {
            "dead-letter-exchange": "other",
            "dead-letter-routing-key": "key",
            "delivery-limit": 7,
        },
    }
    found = record(item)
    assert found.dead_letter_exchange == ""
    assert (found.dead_letter_routing_key, found.delivery_limit) == ("key", 7)


def _queue(name: str, **fields: Any) -> BrokerQueue:
    return BrokerQueue(vhost="/", name=name, **fields)


def test_a_delay_queue_makes_no_dead_letter_queue_of_its_work_queue() -> None:
    work = _queue("work", consumers=2, dead_letter_exchange="dlx", dead_letter_routing_key="bad")
    retry = _queue("retry", consumers=0, dead_letter_exchange="", dead_letter_routing_key="work")
    bad = _queue("bad", consumers=0)
    other = _queue("other", consumers=0)
    bound = bindings(
        [
            {"source": "dlx", "vhost": "/", "destination_type": "queue"}
            | {"destination": name, "routing_key": name}
            for name in ("bad", "other")
        ]
    )
    workers: set[tuple[str, str]] = set()
    dead = [q.name for q in marked([work, retry, bad, other], bound, workers) if q.is_dead_letter]
    assert dead == ["bad"], "the routing key picks one of the exchange's bindings"
    # the workers die: the queue that they fill is still one for dead letters
    idle = msgspec.structs.replace(work, consumers=0)
    dead = [q.name for q in marked([idle, retry, bad, other], bound, workers) if q.is_dead_letter]
    assert dead == ["bad"]


def test_growth_is_measured_between_reads() -> None:
    history = History()
    (first,) = history.told([_queue("q", total=100)], 1000.0)
    assert first.growth is None, "nothing is known at the first read"
    (later,) = history.told([_queue("q", total=160)], 1300.0)
    assert (later.growth, later.growth_span) == (60.0, 300.0)
    (last,) = history.told([_queue("q", total=150)], 1000.0 + 7200.0)
    assert last.growth is None, "what is older than the span says nothing"


def test_growth_of_the_brokers_own_samples() -> None:
    item = {
        "messages": 230,
        "messages_details": {
            "samples": [
                {"sample": 230, "timestamp": 1795522800000},
                {"sample": 110, "timestamp": 1795521600000},
            ]
        },
    }
    assert sampled(item, uptime=86400.0) == (120.0, 1200.0)
    assert sampled(item, uptime=600.0) is None, "before it was up it sends zeros"
    assert sampled({"messages": 1}, uptime=86400.0) is None


def test_consumers_are_stuck_from_the_moment_when_nothing_moves() -> None:
    history = History()
    held = _queue("q", total=30, unacked=25, consumers=1, ack_rate=0.0, deliver_rate=0.0)
    (first,) = history.told([held], 1000.0)
    assert first.stuck_since == 1000.0
    (later,) = history.told([held], 1300.0)
    assert later.stuck_since == 1000.0
    (moved,) = history.told([msgspec.structs.replace(held, unacked=24)], 1400.0)
    assert moved.stuck_since == 1400.0
    (works,) = history.told([msgspec.structs.replace(held, ack_rate=1.0)], 1500.0)
    assert works.stuck_since is None
    (unknown,) = history.told([msgspec.structs.replace(held, ack_rate=None)], 1600.0)
    assert unknown.stuck_since is None, "a rate that is unknown proves nothing"
