"""The audit tail and searches, over the official client, against the sandbox's Elasticsearch."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from elasticsearch import AsyncElasticsearch
from elasticsearch.helpers import async_bulk

from mailtui.collectors import audit_search, audit_tail
from mailtui.collectors.audit_fields import text_of
from mailtui.collectors.audit_search import AuditSearch, QueryError, interval_of, understood
from mailtui.collectors.audit_tail import AuditTailCollector
from mailtui.collectors.elasticsearch import ElasticsearchCollector
from mailtui.config.sources.elasticsearch import Audit, Fields, Settings
from mailtui.connections.elastic import ElasticClient, ElasticError
from mailtui.connections.errors import SourceError
from mailtui.model import clock
from mailtui.model.audit import AuditTail
from mailtui.sandbox.elasticsearch import Server
from mailtui.sandbox.faults import Faults
from mailtui.sandbox.world import World

NOW = 1_795_521_600.0
PAGE = 20


class Trail:
    """An index of our own, and a tail of it."""

    def __init__(self, server: Server, port: int, es: AsyncElasticsearch) -> None:
        self.server = server
        self.es = es
        self.now = NOW
        audit = Audit(index="trail-*", limit=100, overlap=10.0)
        self.settings = Settings(urls=(f"http://127.0.0.1:{port}",), audit=audit)
        self.client = ElasticClient(self.settings)
        self.search = AuditSearch(self.client, self.settings)
        self.tail = AuditTailCollector(self.settings, self.client, self.search)
        self._ids = iter(range(10**9))

    async def write(self, *times: float, day: str = "2026.11.24", **fields: Any) -> list[str]:
        """Index events at these seconds after NOW; their ids."""
        ids = [f"e{next(self._ids)}" for _ in times]
        actions = [
            {
                "_index": f"trail-{day}",
                "_id": one,
                "_source": {
                    "@timestamp": datetime.fromtimestamp(NOW + at, UTC).isoformat(),
                    "event": {"action": "user-login", "outcome": "success"},
                    **fields,
                },
            }
            for one, at in zip(ids, times, strict=True)
        ]
        await async_bulk(self.es, actions, refresh=True)
        return [f"trail-{day}/{one}" for one in ids]


@pytest.fixture
async def trail(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Trail]:
    monkeypatch.setattr(audit_tail, "PAGE", PAGE)
    monkeypatch.setattr(audit_search, "PAGE", PAGE)
    server = Server(World(seed=3, now=NOW, frozen=True), Faults())
    port = await server.start()
    async with AsyncElasticsearch(f"http://127.0.0.1:{port}", max_retries=0) as es:
        found = Trail(server, port, es)
        clock.set_clock(lambda: found.now)
        yield found
        clock.set_clock(None)
        await found.client.close()
    await server.stop()


def ids(tail: AuditTail) -> list[str]:
    return [event.id for event in tail.events]


def in_order(tail: AuditTail) -> bool:
    times = [event.time for event in tail.events]
    return times == sorted(times)


async def test_begins_with_the_newest_and_follows(trail: Trail) -> None:
    assert (await trail.tail.read()).events == ()
    first = await trail.write(-30, -20, -10)
    assert ids(await trail.tail.read()) == first
    more = await trail.write(-9, -5)
    tail = await trail.tail.read()
    assert ids(tail) == first + more
    assert tail.total_seen == 5
    assert tail.newest == NOW - 5
    assert await trail.tail.read() is tail, "nothing new: the same value"


async def test_events_of_one_time_stamp_are_neither_lost_nor_doubled(trail: Trail) -> None:
    first = await trail.write(*[-5.0] * 7)
    await trail.tail.read()
    second = await trail.write(*[-5.0] * 70)
    third = await trail.write(-4.0)
    tail = await trail.tail.read()
    assert sorted(ids(tail)) == sorted(first + second + third)
    assert tail.skipped == 0


async def test_an_event_that_is_indexed_late_finds_its_place(trail: Trail) -> None:
    first = await trail.write(-20, -2)
    await trail.tail.read()
    late = await trail.write(-9)
    tail = await trail.tail.read()
    assert ids(tail) == [first[0], late[0], first[1]]


async def test_the_index_of_the_next_day_is_followed(trail: Trail) -> None:
    first = await trail.write(-2)
    await trail.tail.read()
    trail.now += 60
    second = await trail.write(1, 2, day="2026.11.25")
    assert ids(await trail.tail.read()) == first + second


async def test_more_than_a_page_is_read_whole(trail: Trail) -> None:
    await trail.write(-200)
    await trail.tail.read()
    await trail.write(*[-100.0] * 50, *[-50 + i * 0.01 for i in range(45)])
    tail = await trail.tail.read()
    assert tail.total_seen == 96
    assert len(set(ids(tail))) == len(tail.events) == 96
    assert in_order(tail)
    assert tail.skipped == 0


async def test_a_gap_is_counted(trail: Trail) -> None:
    first = await trail.write(-2000)
    await trail.tail.read()
    await trail.write(*[-1000 + i * 0.5 for i in range(250)])
    tail = await trail.tail.read()
    assert len(tail.events) == 100
    assert first[0] not in ids(tail)
    assert tail.skipped == 150
    (gap,) = tail.gaps
    assert (gap.before, gap.count) == (tail.events[0].id, 150)
    assert gap.start == NOW - 2000
    assert gap.end == tail.events[0].time
    more = await trail.write(-1)
    tail = await trail.tail.read()
    assert ids(tail)[-1:] == more
    assert (tail.skipped, tail.dropped) == (150, 2)


async def test_memory_is_bounded(trail: Trail) -> None:
    for round_ in range(8):
        await trail.write(*[-100 + round_ + i * 0.01 for i in range(19)])
        tail = await trail.tail.read()
    assert len(tail.events) == 100
    assert (tail.total_seen, tail.dropped, tail.skipped) == (152, 52, 0)


async def test_an_outage_loses_nothing(trail: Trail) -> None:
    first = await trail.write(-60)
    await trail.tail.read()
    trail.server.faults.set("elasticsearch", "500")
    with pytest.raises(SourceError):
        await trail.tail.read()
    trail.server.faults.clear()
    missed = await trail.write(*range(-55, -5))
    assert ids(await trail.tail.read()) == first + missed


async def test_a_point_in_time_that_expires_is_opened_again(
    trail: Trail, monkeypatch: pytest.MonkeyPatch
) -> None:
    await trail.write(-200)
    await trail.tail.read()
    await trail.write(*[-100 + i * 0.1 for i in range(70)])
    asked: list[int] = []
    real = audit_search.PointInTime.body

    def body(pit: audit_search.PointInTime) -> dict[str, str]:
        asked.append(1)
        return {"id": "Z29uZQ==", "keep_alive": "1m"} if len(asked) == 3 else real(pit)

    monkeypatch.setattr(audit_search.PointInTime, "body", body)
    tail = await trail.tail.read()
    assert tail.total_seen == len(set(ids(tail))) == 71


async def test_a_clock_that_is_ahead_hides_nobody(trail: Trail) -> None:
    future = await trail.write(3600)
    await trail.tail.read()
    present = await trail.write(-1)
    tail = await trail.tail.read()
    assert ids(tail) == present + future


async def test_fields_dotted_nested_missing_and_hostile(trail: Trail) -> None:
    await trail.write(
        -1,
        **{"user.name": "bob\x1b[31m", "source": {"ip": "192.0.2.1"}, "message": ["a", "b\u202e"]},
    )
    (event,) = (await trail.tail.read()).events
    assert event.user == "bob\ufffd[31m"
    assert event.source_ip == "192.0.2.1"
    assert event.message == "a, b\ufffd"
    assert event.host == ""
    assert "\x1b" not in event.document and "\u202e" not in event.document


def test_field_names_are_found_however_they_are_nested() -> None:
    assert text_of({"a": {"b.c": 1}}, "a.b.c") == "1"
    assert text_of({"a.b": {"c": True}}, "a.b.c") == "true"
    assert text_of({"a": {"b": {"c": ["x", None, 2]}}}, "a.b.c") == "x, 2"
    assert text_of({"a": "text"}, "a.b") == ""
    assert text_of(None, "a") == ""


async def test_search_pages_through_a_point_in_time(trail: Trail) -> None:
    written = await trail.write(*range(-75, 0))
    page = await trail.search.search(limit=55)
    assert [event.id for event in page.events] == list(reversed(written))[:55]
    assert (page.total, page.total_is_lower_bound) == (75, False)
    oldest = await trail.search.search(limit=5, newest_first=False)
    assert [event.id for event in oldest.events] == written[:5]
    assert oldest.total == 75


async def test_search_by_query_and_time(trail: Trail) -> None:
    await trail.write(-50, user={"name": "alice"})
    bob = await trail.write(-40, -10, user={"name": "bob"})
    page = await trail.search.search("user.name:bob event.action:user-login", NOW - 45, NOW - 10)
    assert [event.id for event in page.events] == bob[:1], "the end is not part of the range"
    assert page.total == 1


@pytest.mark.parametrize("query", ["user.name:(bob", '"open', "a AND", "[1 TO"])
async def test_a_query_that_is_not_understood(trail: Trail, query: str) -> None:
    await trail.write(-1)
    with pytest.raises(QueryError) as caught:
        await trail.search.search(query)
    assert caught.value.kind == "config"
    assert caught.value.message.startswith("the query is not understood: ")
    position = caught.value.position
    assert position is None or 0 <= position <= len(query)


def test_the_servers_words_and_the_place() -> None:
    # as Elasticsearch 8 answers (x_content of a query_shard_exception)
    reason = "'*' or '?' not allowed as first character in WildcardQuery"
    body = {
        "error": {
            "type": "search_phase_execution_exception",
            "reason": "all shards failed",
            "failed_shards": [
                {
                    "reason": {
                        "type": "query_shard_exception",
                        "reason": "Failed to parse query [*bob]",
                        "caused_by": {
                            "type": "parse_exception",
                            "reason": f"Cannot parse '*bob': {reason}",
                        },
                    }
                }
            ],
        },
        "status": 400,
    }
    error = ElasticError(SourceError("server", "400"), 400, body)
    found = understood("*bob", error)
    assert isinstance(found, QueryError)
    assert found.message == f"the query is not understood: Cannot parse '*bob': {reason}"
    assert found.position is None


def test_a_place_in_the_query() -> None:
    body = {
        "error": {
            "type": "query_shard_exception",
            "reason": "Failed to parse query [a\nb:(c]",
            "caused_by": {
                "type": "parse_exception",
                "reason": "Cannot parse 'a b:(c': Encountered \"<EOF>\" at line 2, column 4.\n"
                "Was expecting one of:\n    <AND> ...",
            },
        }
    }
    found = understood("a\nb:(c", ElasticError(SourceError("server", "400"), 400, body))
    assert isinstance(found, QueryError)
    assert found.position == 6
    assert "Was expecting" not in found.message


def test_another_bad_request_is_no_error_of_the_query() -> None:
    body = {"error": {"type": "illegal_argument_exception", "reason": "unknown setting"}}
    error = ElasticError(SourceError("server", "400"), 400, body)
    assert understood("a", error) is error


async def test_histogram(trail: Trail) -> None:
    await trail.write(-595, -594, -5)
    await trail.write(-3, event={"action": "user-login", "outcome": "failure"})
    found = await trail.search.histogram("", NOW - 600, NOW, buckets=10)
    assert found.interval == 60.0
    assert found.total == sum(bucket.count for bucket in found.buckets) == 4
    assert (found.buckets[0].count, found.buckets[-1].count) == (2, 2)
    assert [bucket.failures for bucket in found.buckets] == [0] * 9 + [1]
    assert [b.start for b in found.buckets] == [NOW - 600 + 60 * i for i in range(10)]


async def test_histogram_of_an_index_that_is_not_there(trail: Trail) -> None:
    found = await trail.search.histogram("", NOW - 600, NOW, buckets=10)
    assert [bucket.count for bucket in found.buckets] == [0] * 10


@pytest.mark.parametrize(
    ("span", "buckets", "interval"),
    [(3600, 60, 60), (3600, 61, 60), (3600, 59, 120), (10, 60, 1), (30 * 86400, 10, 3 * 86400)],
)
def test_intervals_are_round(span: float, buckets: int, interval: int) -> None:
    assert interval_of(0.0, span, buckets) == interval


@pytest.mark.parametrize(
    ("fault", "kind"),
    [("500", "server"), ("401", "auth"), ("429", "rate-limited"), ("html", "protocol")],
)
async def test_faults_name_their_cause(trail: Trail, fault: str, kind: str) -> None:
    trail.server.faults.set("elasticsearch", fault)  # type: ignore[arg-type]
    with pytest.raises(SourceError) as caught:
        await trail.tail.read()
    assert caught.value.kind == kind


async def test_report_of_the_cluster(trail: Trail) -> None:
    settings = Settings(urls=trail.settings.urls, audit=Audit(index="audit-*", fields=Fields()))
    report = await ElasticsearchCollector(settings, trail.client).read()
    world = trail.server.world
    assert report.status == world.search.health
    assert report.version == world.search.version
    assert report.flood_stage == 0.95
    assert len(report.nodes) == len(world.search.nodes)
    assert report.newest_audit is not None and NOW - report.newest_audit < 60
    assert report.audit_events and report.audit_failures is not None
    assert report.notes == ()
