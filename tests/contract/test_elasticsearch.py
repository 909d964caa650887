"""What the console needs of any Elasticsearch with an audit trail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from mailtui.collectors.audit_search import AuditSearch, QueryError
from mailtui.collectors.audit_tail import AuditTailCollector
from mailtui.collectors.elasticsearch import ElasticsearchCollector
from mailtui.config.settings import Context
from mailtui.config.sources.elasticsearch import Settings
from mailtui.connections.elastic import ElasticClient
from mailtui.connections.errors import SourceError
from mailtui.model import clock


@pytest.fixture
def settings(platform_context: Context) -> Settings:
    found = platform_context.source("elasticsearch", Settings)
    if found is None:
        pytest.skip("no Elasticsearch here")
    return found


@pytest.fixture
async def client(settings: Settings) -> AsyncIterator[ElasticClient]:
    found = ElasticClient(settings)
    yield found
    await found.close()


@pytest.fixture
def search(client: ElasticClient, settings: Settings) -> AuditSearch:
    return AuditSearch(client, settings)


async def test_the_cluster(settings: Settings, client: ElasticClient) -> None:
    report = await ElasticsearchCollector(settings, client).read()
    assert report.cluster and report.version
    assert report.status in ("green", "yellow", "red")
    assert report.notes == ()
    assert report.nodes_count == len(report.nodes) > 0
    for node in report.nodes:
        assert node.disk_total and node.disk_available is not None
    assert any(index.name.startswith("audit-") for index in report.indices)
    for index in report.indices:
        assert index.health in ("green", "yellow", "red", "")
        assert index.status in ("open", "close")
    assert report.newest_audit is not None
    assert report.newest_audit <= clock.now() + 60
    assert report.audit_events is not None and report.audit_failures is not None
    assert report.audit_failures <= report.audit_events


async def test_the_tail_is_ordered_and_has_no_doubles(
    settings: Settings, client: ElasticClient, search: AuditSearch
) -> None:
    tail = AuditTailCollector(settings, client, search)
    found = await tail.read()
    while found.total_seen == len(found.events) and found.total_seen < 505:
        await asyncio.sleep(0.3)
        found = await tail.read()
    times = [event.time for event in found.events]
    assert times == sorted(times)
    assert len({event.id for event in found.events}) == len(found.events)
    assert found.skipped == 0
    assert all(event.action for event in found.events)


async def test_the_tail_has_what_a_search_finds(
    settings: Settings, client: ElasticClient, search: AuditSearch
) -> None:
    tail = await AuditTailCollector(settings, client, search).read()
    start, end = tail.events[1].time + 0.001, tail.events[-1].time - 30
    page = await search.search("", start, end, limit=1000, newest_first=False)
    inside = [event for event in tail.events if start <= event.time < end]
    assert {event.id for event in page.events} == {event.id for event in inside}


async def test_pages_and_counts_agree(search: AuditSearch) -> None:
    end = float(int(clock.now() - 60))
    start = end - 1200
    newest = await search.search("", start, end, limit=1500)
    oldest = await search.search("", start, end, limit=1500, newest_first=False)
    histogram = await search.histogram("", start, end, buckets=20)
    assert histogram.total == sum(bucket.count for bucket in histogram.buckets)
    if newest.total_is_lower_bound:
        assert histogram.total >= newest.total
    else:
        assert histogram.total == newest.total
    assert all(bucket.failures <= bucket.count for bucket in histogram.buckets)
    assert len(newest.events) == len(oldest.events) == min(1500, histogram.total) > 0
    assert len({event.id for event in newest.events}) == len(newest.events)
    if histogram.total <= 1500:
        assert {e.id for e in newest.events} == {e.id for e in oldest.events}


async def test_words_and_fields(search: AuditSearch, settings: Settings) -> None:
    outcome = settings.audit.fields.outcome
    page = await search.search(f"{outcome}:failure", limit=20)
    assert page.events
    assert {event.outcome for event in page.events} == {"failure"}
    user = next(event.user for event in page.events if event.user)
    both = await search.search(f'{outcome}:failure {settings.audit.fields.user}:"{user}"', limit=20)
    assert {event.user for event in both.events} == {user}


async def test_a_query_that_is_not_understood(search: AuditSearch) -> None:
    with pytest.raises(QueryError) as caught:
        await search.search("user.name:(bob")
    assert caught.value.kind == "config"


async def test_nobody_listens(settings: Settings) -> None:
    client = ElasticClient(settings.model_copy(update={"urls": ("http://127.0.0.1:9",)}))
    with pytest.raises(SourceError) as caught:
        await ElasticsearchCollector(settings, client).read()
    await client.close()
    assert caught.value.kind == "unreachable"
    assert "connection refused" in caught.value.message
