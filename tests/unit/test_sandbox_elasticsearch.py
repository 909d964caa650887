"""The sandbox's Elasticsearch, asked over loopback by the official client."""

from __future__ import annotations

import asyncio
import base64
import itertools
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from elasticsearch import (
    ApiError,
    AsyncElasticsearch,
    AuthenticationException,
    BadRequestError,
    ConflictError,
    ConnectionError,
    NotFoundError,
    TransportError,
)
from elasticsearch.helpers import async_bulk

from mailtui.sandbox.elasticsearch import Server
from mailtui.sandbox.faults import Faults
from mailtui.sandbox.world import World

NOW = 1_795_521_600.0
AUDIT = "audit-*"
NEWEST = [{"@timestamp": "desc"}]


class Platform:
    def __init__(self, server: Server, port: int, client: AsyncElasticsearch) -> None:
        self.server = server
        self.world = server.world
        self.url = f"http://127.0.0.1:{port}"
        self.es = client

    async def ids(self, query: dict[str, Any], **options: Any) -> set[str]:
        options = {"index": AUDIT, "size": 10_000, "_source": False, **options}
        found = await self.es.search(query=query, **options)
        return {hit["_id"] for hit in found["hits"]["hits"]}

    async def q(self, text: str, **options: Any) -> set[str]:
        return await self.ids({"query_string": {"query": text, **options}})


@pytest.fixture(params=["quiet"])
async def platform(request: pytest.FixtureRequest) -> AsyncIterator[Platform]:
    server = Server(World(seed=3, scenario=request.param, now=NOW, frozen=True), Faults())
    server.username, server.password = "elastic", "secret"
    server.api_key = base64.b64encode(b"id:key").decode()
    port = await server.start()
    url = f"http://127.0.0.1:{port}"
    async with AsyncElasticsearch(url, basic_auth=("elastic", "secret"), max_retries=0) as client:
        yield Platform(server, port, client)
    await server.stop()


def in_scenario(name: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("platform", [name], indirect=True)


async def some_documents(platform: Platform) -> None:
    """A small index whose answers are known."""
    es = platform.es
    await es.indices.create(
        index="fruit",
        mappings={
            "properties": {
                "@timestamp": {"type": "date"},
                "name": {"type": "keyword"},
                "ip": {"type": "ip"},
                "weight": {"type": "long"},
                "price": {"type": "double"},
                "fresh": {"type": "boolean"},
                "note": {"type": "text", "fields": {"keyword": {"type": "keyword"}}},
                "tags": {"type": "keyword"},
            }
        },
    )
    rows: list[dict[str, Any]] = [
        {"@timestamp": "2026-01-15T10:00:00Z", "name": "apple", "ip": "203.0.113.7", "weight": 150,
         "price": 0.5, "fresh": True, "note": "The quick Brown fox", "tags": ["red", "round"]},
        {"@timestamp": "2026-01-15T10:00:00Z", "name": "pear", "ip": "203.0.113.200", "weight": 180,
         "price": 0.7, "fresh": False, "note": "brown and quick", "tags": ["green"]},
        {"@timestamp": "2026-01-15T23:59:59.999Z", "name": "Fig", "ip": "198.51.100.1",
         "weight": 30, "note": "mail to bob@example.org"},
        {"@timestamp": "2026-02-01T00:00:00+01:00", "name": "new york", "ip": "2001:db8::1",
         "weight": 30, "price": 2.0, "tags": []},
        {"name": "timeless", "weight": 1, "note": "user/name [x]"},
    ]  # fmt: skip
    for number, row in enumerate(rows):
        await es.index(index="fruit", id=str(number), document=row)


async def fruit(platform: Platform, query: dict[str, Any]) -> str:
    return "".join(sorted(await platform.ids(query, index="fruit")))


# Cluster


async def test_the_official_client_accepts_the_server(platform: Platform) -> None:
    info = await platform.es.info()
    assert info["version"]["number"] == platform.world.search.version
    assert info["tagline"] == "You Know, for Search"
    assert await platform.es.ping()


async def test_media_types_of_versions_8_and_9(platform: Platform) -> None:
    auth = {"Authorization": aiohttp.encode_basic_auth("elastic", "secret")}
    async with aiohttp.ClientSession(headers=auth) as session:
        for version, status in (("8", 200), ("9", 200), ("7", 400)):
            kind = f"application/vnd.elasticsearch+json; compatible-with={version}"
            async with session.get(platform.url, headers={"Accept": kind}) as response:
                assert response.status == status
                assert response.headers["X-Elastic-Product"] == "Elasticsearch"


async def test_credentials(platform: Platform) -> None:
    wrong = platform.es.options(basic_auth=("elastic", "guess"))
    with pytest.raises(AuthenticationException) as refused:
        await wrong.info()
    assert refused.value.body["error"]["type"] == "security_exception"
    key = base64.b64encode(b"id:key").decode()
    async with AsyncElasticsearch(platform.url, api_key=key) as client:
        assert await client.ping()
    async with AsyncElasticsearch(platform.url) as anonymous:
        with pytest.raises(AuthenticationException, match="missing authentication"):
            await anonymous.info()


async def test_health_and_tables_agree(platform: Platform) -> None:
    health = await platform.es.cluster.health()
    row = (await platform.es.cat.health(format="json"))[0]
    shards = await platform.es.cat.shards(format="json")
    assert health["status"] == row["status"] == "green"
    assert health["active_shards"] == int(row["shards"]) == len(shards)
    allocation = await platform.es.cat.allocation(format="json", bytes="b")
    assert sum(int(r["shards"]) for r in allocation) == len(shards)
    stats = await platform.es.nodes.stats(metric="fs,jvm")
    by_name = {n["name"]: n for n in stats["nodes"].values()}
    for r in allocation:
        assert int(r["disk.avail"]) == by_name[r["node"]]["fs"]["total"]["available_in_bytes"]
    assert "os" not in by_name[allocation[0]["node"]]


async def test_cat_as_text_has_columns(platform: Platform) -> None:
    text = await platform.es.cat.indices(v=True, h="index,docs.count,store.size", s="index:desc")
    lines = str(text).splitlines()
    assert lines[0].split() == ["index", "docs.count", "store.size"]
    assert [line.split()[0] for line in lines[1:]] == sorted(
        platform.world.search.indices, reverse=True
    )


async def test_watermarks_are_in_the_settings(platform: Platform) -> None:
    flat = await platform.es.cluster.get_settings(include_defaults=True, flat_settings=True)
    key = "cluster.routing.allocation.disk.watermark.flood_stage"
    assert flat["defaults"][key] == "95%"
    nested = await platform.es.cluster.get_settings(include_defaults=True)
    disk = nested["defaults"]["cluster"]["routing"]["allocation"]["disk"]
    assert disk["watermark"]["low"] == "85%"
    await platform.es.cluster.put_settings(persistent={key: "97%"})
    flat = await platform.es.cluster.get_settings(flat_settings=True)
    assert flat["persistent"] == {key: "97%"}


@in_scenario("search-red")
async def test_a_red_cluster_agrees_with_itself(platform: Platform) -> None:
    es, search = platform.es, platform.world.search
    health = await es.cluster.health(level="indices")
    assert health["status"] == "red"
    assert health["unassigned_shards"] == search.unassigned > 0
    red = [name for name, index in health["indices"].items() if index["status"] == "red"]
    rows = await es.cat.indices(format="json", health="red")
    assert sorted(r["index"] for r in rows) == sorted(red) != []
    allocation = await es.cat.allocation(format="json", bytes="b")
    assert max(int(r["disk.percent"] or 0) for r in allocation) >= 95
    assert any(r["node"] == "UNASSIGNED" for r in allocation)
    blocked = [n for n, i in search.indices.items() if i.read_only and i.status == "open"]
    settings = await es.indices.get_settings(index=AUDIT, name="index.blocks.*", flat_settings=True)
    assert blocked
    for name in blocked:
        if name in settings.body:
            flag = settings[name]["settings"]["index.blocks.read_only_allow_delete"]
            assert flag == "true"
    with pytest.raises(ApiError) as refused:
        await es.index(index=blocked[-1], document={"message": "x"})
    assert refused.value.meta.status == 429
    assert refused.value.body["error"]["type"] == "cluster_block_exception"
    assert "flood-stage" in refused.value.body["error"]["reason"]


@in_scenario("search-red")
async def test_a_flood_stops_the_audit_trail(platform: Platform) -> None:
    found = await platform.es.search(index=AUDIT, size=1, sort=NEWEST)
    newest = found["hits"]["hits"][0]["sort"][0] / 1000
    stopped = platform.world.audit.stopped_at
    assert stopped is not None
    assert newest <= stopped < platform.world.now


@in_scenario("search-red")
async def test_shards_without_a_node_are_failures(platform: Platform) -> None:
    es, search = platform.es, platform.world.search
    name = next(n for n, i in search.indices.items() if i.health == "red" and i.status == "open")
    lost = {s.number for s in search.indices[name].shards if s.node is not None}
    index = search.indices[name]
    if lost:
        found = await es.search(index=name, size=0)
        assert found["_shards"]["failed"] == index.primaries - len(lost)
    with pytest.raises(ApiError) as refused:
        await es.search(index=name, size=0, allow_partial_search_results=False)
    assert refused.value.meta.status == 503


# Indices


async def test_closed_indices_are_not_searched(platform: Platform) -> None:
    closed = next(n for n, i in platform.world.search.indices.items() if i.status == "close")
    with pytest.raises(BadRequestError, match="index_closed_exception"):
        await platform.es.search(index=closed)
    found = await platform.es.search(index=closed, ignore_unavailable=True)
    assert found["_shards"]["total"] == 0
    assert await platform.es.indices.exists(index=closed)


async def test_missing_indices(platform: Platform) -> None:
    with pytest.raises(NotFoundError) as missing:
        await platform.es.search(index="nothing")
    assert missing.value.body["error"]["root_cause"][0]["type"] == "index_not_found_exception"
    assert not await platform.es.indices.exists(index="nothing")
    with pytest.raises(BadRequestError, match="invalid_index_name_exception"):
        await platform.es.perform_request("GET", "/_nothing")
    empty = await platform.es.search(index="nothing-*")
    assert empty["hits"]["total"]["value"] == 0
    with pytest.raises(NotFoundError):
        await platform.es.search(index="nothing-*", allow_no_indices=False)


async def test_mapping_and_field_capabilities(platform: Platform) -> None:
    mapping = await platform.es.indices.get_mapping(index=AUDIT)
    properties = next(iter(mapping.values()))["mappings"]["properties"]
    assert properties["@timestamp"] == {"type": "date"}
    assert properties["source"]["properties"]["ip"] == {"type": "ip"}
    caps = await platform.es.field_caps(index=AUDIT, fields="source.*,message")
    assert caps["fields"]["source.ip"]["ip"]["aggregatable"] is True
    assert caps["fields"]["message"]["text"]["aggregatable"] is False


# Search


async def test_newest_events_are_the_worlds(platform: Platform) -> None:
    found = await platform.es.search(index=AUDIT, size=50, sort=NEWEST, track_total_hits=True)
    events = platform.world.audit.between()
    assert found["hits"]["total"] == {"value": len(events), "relation": "eq"}
    times = [hit["sort"][0] for hit in found["hits"]["hits"]]
    assert times == [event.millis for event in reversed(events[-50:])]
    hit = found["hits"]["hits"][0]
    event = next(e for e in events[-50:] if e.id == hit["_id"])
    assert hit["_source"] == event.document()
    assert hit["_index"] == event.index


async def test_totals_stop_counting(platform: Platform) -> None:
    es = platform.es
    found = await es.search(index=AUDIT, size=0)
    assert found["hits"]["total"] == {"value": 10_000, "relation": "gte"}
    some = await es.search(
        index=AUDIT, size=0, track_total_hits=25, query={"term": {"event.outcome": "success"}}
    )
    assert some["hits"]["total"] == {"value": 25, "relation": "gte"}
    none = await es.search(index=AUDIT, size=1, track_total_hits=False)
    assert "total" not in none["hits"]


async def test_the_result_window_is_limited(platform: Platform) -> None:
    with pytest.raises(BadRequestError) as refused:
        await platform.es.search(index=AUDIT, from_=9_990, size=11)
    error = refused.value.body["error"]
    assert error["type"] == "search_phase_execution_exception"
    assert error["root_cause"][0]["type"] == "illegal_argument_exception"
    assert "[10000] but was [10001]" in error["root_cause"][0]["reason"]


@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_paging_a_point_in_time_has_no_gaps_and_no_doubles(
    platform: Platform, order: str
) -> None:
    es, start = platform.es, int((NOW - 300) * 1000)
    point = (await es.open_point_in_time(index=AUDIT, keep_alive="1m"))["id"]
    seen: list[str] = []
    times: list[int] = []
    after: list[Any] | None = None
    while True:
        found = await es.search(
            pit={"id": point, "keep_alive": "1m"},
            query={"range": {"@timestamp": {"gte": start}}},
            sort=[{"@timestamp": order}],
            size=7,
            search_after=after,
            track_total_hits=False,
        )
        point, hits = found["pit_id"], found["hits"]["hits"]
        if not hits:
            break
        seen += [hit["_id"] for hit in hits]
        times += [hit["sort"][0] for hit in hits]
        after = hits[-1]["sort"]
        assert len(after) == 2
    expected = [e.id for e in platform.world.audit.between(start / 1000)]
    assert any(n > 1 for n in Counter(times).values()), "no ties: the test proves nothing"
    assert len(seen) == len(set(seen))
    assert set(seen) == set(expected)
    assert times == sorted(times, reverse=order == "desc")


async def test_a_point_in_time_does_not_see_later_writes(platform: Platform) -> None:
    es = platform.es
    await some_documents(platform)
    point = (await es.open_point_in_time(index=f"fruit,{AUDIT}", keep_alive="5m"))["id"]

    async def total(**options: Any) -> int:
        found = await es.search(size=0, track_total_hits=True, **options)
        return int(found["hits"]["total"]["value"])

    before = await total(pit={"id": point})
    await es.index(index="fruit", document={"name": "plum"})
    await es.delete(index="fruit", id="0")
    platform.world.advance(NOW + 60)
    assert await total(pit={"id": point}) == before
    now = await total(index=f"fruit,{AUDIT}")
    later = platform.world.audit.between(NOW, NOW + 60)
    assert now == before + len(later)


async def test_a_point_in_time_expires(platform: Platform) -> None:
    es = platform.es
    point = (await es.open_point_in_time(index=AUDIT, keep_alive="30s"))["id"]
    platform.world.advance(NOW + 31)
    with pytest.raises(NotFoundError) as gone:
        await es.search(pit={"id": point})
    cause = gone.value.body["error"]["root_cause"][0]
    assert cause["type"] == "search_context_missing_exception"
    closing = (await es.open_point_in_time(index=AUDIT, keep_alive="30s"))["id"]
    assert (await es.close_point_in_time(id=closing))["num_freed"] == 1
    with pytest.raises(NotFoundError):
        await es.close_point_in_time(id=closing)


async def test_requests_that_a_point_in_time_refuses(platform: Platform) -> None:
    es = platform.es
    point = {"id": (await es.open_point_in_time(index=AUDIT, keep_alive="30s"))["id"]}
    with pytest.raises(BadRequestError, match="cannot be used with point in time"):
        await es.search(index=AUDIT, pit=point)
    with pytest.raises(BadRequestError, match="search_after has 1 value"):
        await es.search(pit=point, sort=NEWEST, search_after=[1])
    with pytest.raises(BadRequestError, match="without"):
        await es.search(index=AUDIT, sort=["_shard_doc"])


async def test_sorting(platform: Platform) -> None:
    await some_documents(platform)
    es = platform.es

    async def order(sort: Any) -> tuple[str, list[Any]]:
        hits = (await es.search(index="fruit", sort=sort))["hits"]["hits"]
        return "".join(h["_id"] for h in hits), [h["sort"][0] for h in hits]

    ids, values = await order([{"@timestamp": "desc"}, {"name": "asc"}])
    assert ids == "32014"
    assert values[-1] == -(2**63)
    ids, values = await order([{"weight": "asc"}, {"name": "desc"}])
    assert ids == "43201"
    ids, values = await order([{"price": {"order": "asc", "missing": "_first"}}])
    assert set(ids[:2]) == {"2", "4"}
    assert values[2:] == [0.5, 0.7, 2.0]
    ids, values = await order([{"@timestamp": {"format": "strict_date_optional_time"}}])
    assert values[0] == "2026-01-15T10:00:00.000Z"
    ids, values = await order([{"price": {"order": "desc", "missing": 1.0}}])
    assert values == [2.0, 1.0, 1.0, 0.7, 0.5]
    with pytest.raises(BadRequestError, match="No mapping found"):
        await es.search(index="fruit", sort=["nothing"])
    assert await order([{"nothing": {"unmapped_type": "long"}}])
    with pytest.raises(BadRequestError, match="Fielddata is disabled"):
        await es.search(index="fruit", sort=["note"])


async def test_search_after_by_value_pages_through_missing_ones(platform: Platform) -> None:
    await some_documents(platform)
    sort = [{"price": "asc"}, {"name": "asc"}]
    seen, after = "", None
    while True:
        found = await platform.es.search(index="fruit", size=1, sort=sort, search_after=after)
        if not found["hits"]["hits"]:
            break
        seen += found["hits"]["hits"][0]["_id"]
        after = found["hits"]["hits"][0]["sort"]
    assert seen == "01324"


async def test_parts_of_the_source_and_fields(platform: Platform) -> None:
    es = platform.es
    found = await es.search(
        index=AUDIT,
        size=1,
        sort=NEWEST,
        source_includes=["event.*", "@timestamp"],
        source_excludes=["event.kind"],
        fields=[{"field": "@timestamp", "format": "epoch_millis"}, "source.ip"],
    )
    hit = found["hits"]["hits"][0]
    assert set(hit["_source"]) == {"@timestamp", "event"}
    assert "kind" not in hit["_source"]["event"]
    assert hit["fields"]["@timestamp"] == [str(hit["sort"][0])]
    bare = await es.search(index=AUDIT, size=1, source=False)
    assert "_source" not in bare["hits"]["hits"][0]
    some = await es.search(index=AUDIT, size=1, filter_path="hits.hits._id")
    assert list(some.body["hits"]["hits"][0]) == ["_id"]


async def test_msearch_and_count(platform: Platform) -> None:
    es = platform.es
    found = await es.msearch(
        searches=[
            {"index": AUDIT},
            {"size": 0, "track_total_hits": True},
            {"index": AUDIT},
            {"query": {"nonsense": {}}},
        ]
    )
    first, second = found["responses"]
    assert first["status"] == 200
    assert second["status"] == 400
    counted = await es.count(index=AUDIT)
    assert counted["count"] == first["hits"]["total"]["value"]


# The query DSL

QUERIES: list[tuple[dict[str, Any], str]] = [
    ({"match_all": {}}, "01234"),
    ({"match_none": {}}, ""),
    ({"term": {"name": "apple"}}, "0"),
    ({"term": {"name": {"value": "fig", "case_insensitive": True}}}, "2"),
    ({"term": {"tags": "round"}}, "0"),
    ({"term": {"fresh": False}}, "1"),
    ({"term": {"weight": 30}}, "23"),
    ({"term": {"ip": "203.0.113.0/24"}}, "01"),
    ({"term": {"ip": "2001:db8:0:0::1"}}, "3"),
    ({"term": {"note": "brown"}}, "01"),
    ({"term": {"note": "Brown"}}, ""),
    ({"term": {"note.keyword": "brown and quick"}}, "1"),
    ({"terms": {"name": ["apple", "pear", "x"]}}, "01"),
    ({"terms": {"ip": ["198.51.100.0/24", "203.0.113.7"]}}, "02"),
    ({"ids": {"values": ["1", "3"]}}, "13"),
    ({"exists": {"field": "price"}}, "013"),
    ({"exists": {"field": "tags"}}, "01"),
    ({"exists": {"field": "@timestamp"}}, "0123"),
    ({"prefix": {"name": "p"}}, "1"),
    ({"wildcard": {"name": "*p?e"}}, "0"),
    ({"wildcard": {"note": "qui*"}}, "01"),
    ({"regexp": {"name": "[ap]+.*"}}, "01"),
    ({"regexp": {"name": "pp"}}, ""),
    ({"range": {"weight": {"gt": 30, "lte": 150}}}, "0"),
    ({"range": {"name": {"gte": "p"}}}, "14"),
    ({"range": {"ip": {"gte": "203.0.113.100"}}}, "13"),
    ({"range": {"@timestamp": {"gte": "2026-01-15", "lte": "2026-01-15"}}}, "012"),
    ({"range": {"@timestamp": {"gt": "2026-01-15"}}}, "3"),
    ({"range": {"@timestamp": {"lt": "2026-01-15T10:00:00.001Z"}}}, "01"),
    ({"range": {"@timestamp": {"gte": 1768471200000, "lt": 1768471200001}}}, "01"),
    ({"range": {"@timestamp": {"gte": "15/01/2026", "format": "dd/MM/yyyy"}}}, "0123"),
    ({"range": {"@timestamp": {"gte": "2026-02-01", "time_zone": "+01:00"}}}, "3"),
    ({"range": {"@timestamp": {"gte": "2026-01-01||+1M/M-1d", "lt": "now"}}}, "3"),
    ({"match": {"note": "quick lazy"}}, "01"),
    ({"match": {"note": {"query": "quick fox", "operator": "and"}}}, "0"),
    ({"match": {"note": {"query": "quick fox the", "minimum_should_match": 2}}}, "0"),
    ({"match": {"name": "new york"}}, "3"),
    ({"match_phrase": {"note": "brown fox"}}, "0"),
    ({"match_phrase": {"note": "fox brown"}}, ""),
    ({"match_phrase_prefix": {"note": "quick bro"}}, "0"),
    ({"multi_match": {"query": "brown", "fields": ["name", "no*^2"]}}, "01"),
    ({"bool": {"must": [{"term": {"weight": 30}}], "must_not": {"exists": {"field": "price"}}}},
     "2"),
    ({"bool": {"should": [{"term": {"name": "apple"}}, {"term": {"name": "pear"}}]}}, "01"),
    ({"bool": {"filter": {"term": {"fresh": True}}, "should": [{"term": {"name": "x"}}]}}, "0"),
    ({"bool": {"should": [{"term": {"weight": 30}}, {"exists": {"field": "price"}},
                          {"term": {"name": "Fig"}}], "minimum_should_match": 2}}, "23"),
    ({"bool": {"must_not": [{"exists": {"field": "@timestamp"}}]}}, "4"),
    ({"bool": {}}, "01234"),
    ({"constant_score": {"filter": {"term": {"name": "pear"}}}}, "1"),
]  # fmt: skip


async def test_queries(platform: Platform) -> None:
    await some_documents(platform)
    answers = {str(query): await fruit(platform, query) for query, _ in QUERIES}
    assert answers == {str(query): expected for query, expected in QUERIES}


STRINGS: list[tuple[str, str]] = [
    ("*", "01234"),
    ("name:apple", "0"),
    ("apple OR pear", "01"),
    ("name:apple name:pear", "01"),
    ("+weight:30 -price:*", "2"),
    ("weight:30 AND NOT _exists_:price", "2"),
    ("weight:30 && !price:*", "2"),
    # AND and OR have no precedence: this is +apple +fresh, and Fig is optional.
    ("name:apple AND fresh:true OR name:Fig", "0"),
    ("(name:apple AND fresh:true) OR name:Fig", "02"),
    ("name:(apple OR pear)", "01"),
    ("NOT name:apple", "1234"),
    ("name:p*", "1"),
    ("name:?pple", "0"),
    ("name:/[ap].*e.*/", "01"),
    ("note:brown", "01"),
    ("note:BROWN", "01"),
    ('note:"brown fox"', "0"),
    ("note:quik~1", "01"),
    # Plain words side by side are one text: a keyword field sees the space.
    ("name:(new york)", "3"),
    ('name:"new york"', "3"),
    ("name:new\\ york", "3"),
    ("new york", "3"),
    ("bob@example.org", "2"),
    ('ip:"203.0.113.0/24"', "01"),
    ("ip:203.0.113.0\\/24", "01"),
    ("ip:[198.51.100.0 TO 198.51.100.255]", "2"),
    ("weight:[31 TO 180}", "0"),
    ("weight:>=150", "01"),
    ("weight:(>1 AND <=30)", "23"),
    ("@timestamp:[2026-01-15 TO 2026-01-15]", "012"),
    ('@timestamp:"2026-01-15"', "012"),
    ("@timestamp:{* TO now-1M/M}", "0123"),
    ("t*s:gre*", "1"),
    ("unknown:x", ""),
    ("", ""),
]


async def test_query_strings(platform: Platform) -> None:
    await some_documents(platform)
    answers = {
        text: await fruit(platform, {"query_string": {"query": text}}) for text, _ in STRINGS
    }
    assert answers == dict(STRINGS)


async def test_query_string_options(platform: Platform) -> None:
    await some_documents(platform)

    async def ask(text: str, **options: Any) -> str:
        return await fruit(platform, {"query_string": {"query": text, **options}})

    assert await ask("name:apple fresh:true", default_operator="AND") == "0"
    assert await ask("name:apple fresh:false", default_operator="AND") == ""
    assert await ask("brown", default_field="note") == "01"
    assert await ask("brown", fields=["name", "note^3"]) == "01"
    assert await ask("heavy", fields=["weight", "note"], lenient=True) == ""
    assert await ask("name:*pple") == "0"
    with pytest.raises(BadRequestError) as refused:
        await ask("name:*pple", allow_leading_wildcard=False)
    assert "not allowed as first character" in str(refused.value.body)
    # Without fields the query is lenient, also where it names one.
    assert await ask("weight:heavy") == ""
    with pytest.raises(BadRequestError, match="For input string"):
        await ask("weight:heavy", default_field="note")


@pytest.mark.parametrize("text", ["foo AND", "a:(b", '"x', "ip:10.0.0.0/8", "a:b:c", "[1 TO"])
async def test_syntax_errors_of_query_strings(platform: Platform, text: str) -> None:
    with pytest.raises(BadRequestError) as refused:
        await platform.q(text)
    error = refused.value.body["error"]
    assert error["root_cause"][0]["type"] == "query_shard_exception"
    assert error["root_cause"][0]["reason"] == f"Failed to parse query [{text}]"
    cause = error["failed_shards"][0]["reason"]["caused_by"]
    assert cause["type"] == "parse_exception"
    assert "at line 1, column " in cause["reason"]
    assert f"Cannot parse '{text}'" in cause["reason"]


async def test_simple_query_strings(platform: Platform) -> None:
    await some_documents(platform)

    async def ask(text: str, **options: Any) -> str:
        clause = {"query": text, "fields": ["name", "note"], **options}
        return await fruit(platform, {"simple_query_string": clause})

    assert await ask("apple | pear") == "01"
    assert await ask("brown + fox") == "0"
    assert await ask('"brown and"') == "1"
    assert await ask("bro*") == "01"
    assert await ask("brown -fox", default_operator="and") == "1"
    assert await ask("(apple | pear) + brown") == "01"
    assert await ask("brown AND (", default_operator="or") == "01"


async def test_fields_of_the_audit_trail(platform: Platform) -> None:
    events = platform.world.audit.between(NOW - 900)
    recent = {"range": {"@timestamp": {"gte": "now-15m"}}}

    async def ask(text: str) -> set[str]:
        strings = {"query_string": {"query": text}}
        return await platform.ids({"bool": {"filter": [recent, strings]}})

    assert await ask("event.outcome:failure") == {e.id for e in events if e.outcome == "failure"}
    assert await ask("service.name:imap AND NOT event.action:user-login") == {
        e.id for e in events if e.service == "imap" and e.action != "user-login"
    }
    assert await ask('message:"bad password"') == {
        e.id for e in events if "bad password" in e.message
    }
    someone = events[0].user
    assert await ask(f'"{someone}"') >= {e.id for e in events if e.user == someone}
    tenant = events[0].tenant
    assert await ask(tenant) == {
        e.id
        for e in events
        if tenant in (e.tenant, e.service, e.host) or tenant in e.message.lower().split()
    }


@pytest.mark.parametrize(
    ("query", "kind"),
    [
        ({"nonsense": {}}, "parsing_exception"),
        ({"term": {"a": 1, "b": 2}}, "parsing_exception"),
        ({"geo_distance": {}}, "parsing_exception"),
        ({"range": {"@timestamp": {"gte": "yesterday"}}}, "parse_exception"),
        ({"range": {"@timestamp": {"after": 1}}}, "parsing_exception"),
        ({"prefix": {"source.ip": "203."}}, "query_shard_exception"),
        ({"term": {"source.ip": "300.1.1.1"}}, "query_shard_exception"),
        ({"query_string": {"query": "a", "nonsense": 1}}, "parsing_exception"),
    ],
)
async def test_what_is_refused(platform: Platform, query: dict[str, Any], kind: str) -> None:
    with pytest.raises(BadRequestError) as refused:
        await platform.ids(query)
    assert refused.value.body["error"]["root_cause"][0]["type"] == kind


# Aggregations


async def test_a_histogram_with_failures(platform: Platform) -> None:
    start = int(NOW - 3600) // 60 * 60
    found = await platform.es.search(
        index=AUDIT,
        size=0,
        track_total_hits=True,
        query={"range": {"@timestamp": {"gte": start * 1000}}},
        aggs={
            "time": {
                "date_histogram": {
                    "field": "@timestamp",
                    "fixed_interval": "1m",
                    "extended_bounds": {"min": start * 1000 - 120_000, "max": "now"},
                },
                "aggs": {"failed": {"filter": {"term": {"event.outcome": "failure"}}}},
            }
        },
    )
    buckets = found["aggregations"]["time"]["buckets"]
    events = platform.world.audit.between(start)
    per_minute = Counter(e.millis // 60_000 * 60_000 for e in events)
    failed = Counter(e.millis // 60_000 * 60_000 for e in events if e.outcome == "failure")
    assert [b["doc_count"] for b in buckets[:2]] == [0, 0]
    assert {b["key"]: b["doc_count"] for b in buckets if b["doc_count"]} == per_minute
    assert {b["key"]: b["failed"]["doc_count"] for b in buckets if b["failed"]["doc_count"]} == (
        failed
    )
    steps = {b["key"] - a["key"] for a, b in itertools.pairwise(buckets)}
    assert steps == {60_000}
    assert buckets[0]["key_as_string"].endswith(":00.000Z")
    assert found["hits"]["total"]["value"] == len(events)


async def test_filters_of_time(platform: Platform) -> None:
    start, end = int((NOW - 600) * 1000), int((NOW - 60) * 1000)
    window = {"range": {"@timestamp": {"gte": start, "lt": end}}}
    failed = {"filter": {"match": {"event.outcome": "failure"}}}
    aggs = {"recent": {"filter": window, "aggs": {"failed": failed}}}
    found = await platform.es.search(index=AUDIT, size=1, sort=NEWEST, aggs=aggs)
    events = platform.world.audit.between(start / 1000, end / 1000)
    recent = found["aggregations"]["recent"]
    assert recent["doc_count"] == len(events)
    assert recent["failed"]["doc_count"] == sum(e.outcome == "failure" for e in events)
    assert found["hits"]["total"] == {"value": 10_000, "relation": "gte"}
    whole = await platform.es.search(index=AUDIT, size=0, aggs={**aggs, "all": failed})
    assert whole["aggregations"]["recent"] == recent
    assert whole["aggregations"]["all"]["doc_count"] == sum(
        e.outcome == "failure" for e in platform.world.audit.between()
    )


async def test_terms_with_metrics_below(platform: Platform) -> None:
    found = await platform.es.search(
        index=AUDIT,
        size=0,
        aggs={
            "users": {
                "terms": {"field": "user.name", "size": 3},
                "aggs": {
                    "addresses": {"cardinality": {"field": "source.ip"}},
                    "last": {"max": {"field": "@timestamp"}},
                    "newest": {"top_hits": {"size": 1, "sort": NEWEST, "_source": ["event"]}},
                },
            }
        },
    )
    answer = found["aggregations"]["users"]
    events = platform.world.audit.between()
    counts = Counter(e.user for e in events if e.user)
    assert [b["doc_count"] for b in answer["buckets"]] == [n for _, n in counts.most_common(3)]
    shown = sum(b["doc_count"] for b in answer["buckets"])
    assert answer["sum_other_doc_count"] == sum(counts.values()) - shown
    for bucket in answer["buckets"]:
        own = [e for e in events if e.user == bucket["key"]]
        assert bucket["addresses"]["value"] == len({e.source_ip for e in own})
        assert bucket["last"]["value"] == own[-1].millis
        assert bucket["newest"]["hits"]["hits"][0]["sort"] == [own[-1].millis]


async def test_other_aggregations(platform: Platform) -> None:
    await some_documents(platform)
    found = await platform.es.search(
        index="fruit",
        size=0,
        aggs={
            "stats": {"stats": {"field": "weight"}},
            "sum": {"sum": {"field": "price"}},
            "count": {"value_count": {"field": "tags"}},
            "none": {"avg": {"field": "absent"}},
            "named": {
                "filters": {
                    "filters": {"light": {"range": {"weight": {"lt": 100}}}},
                    "other_bucket_key": "heavy",
                }
            },
            "fresh": {"terms": {"field": "fresh", "order": {"_key": "asc"}}},
            "ips": {"terms": {"field": "ip", "order": {"w": "desc"}},
                    "aggs": {"w": {"max": {"field": "weight"}}}},
            "unpriced": {"missing": {"field": "price"}},
            "months": {"date_histogram": {"field": "@timestamp", "calendar_interval": "month",
                                          "time_zone": "+01:00"}},
        },
    )  # fmt: skip
    answer = found["aggregations"]
    assert answer["stats"] == {"count": 5, "min": 1.0, "max": 180.0, "avg": 78.2, "sum": 391.0}
    assert answer["sum"]["value"] == pytest.approx(3.2)
    assert answer["count"]["value"] == 3
    assert answer["none"]["value"] is None
    named = answer["named"]["buckets"]
    assert (named["light"]["doc_count"], named["heavy"]["doc_count"]) == (3, 2)
    assert [b["key_as_string"] for b in answer["fresh"]["buckets"]] == ["false", "true"]
    assert answer["ips"]["buckets"][0]["key"] == "203.0.113.200"
    assert answer["unpriced"]["doc_count"] == 2
    assert [b["key_as_string"] for b in answer["months"]["buckets"]] == [
        "2026-01-01T00:00:00.000+01:00",
        "2026-02-01T00:00:00.000+01:00",
    ]


async def test_aggregations_that_are_refused(platform: Platform) -> None:
    with pytest.raises(BadRequestError, match="Unknown aggregation type"):
        await platform.es.search(index=AUDIT, aggs={"a": {"nonsense": {}}})
    with pytest.raises(BadRequestError, match="Fielddata is disabled"):
        await platform.es.search(index=AUDIT, aggs={"a": {"terms": {"field": "message"}}})


# Writing


async def test_an_event_that_a_client_writes_is_in_the_stream(platform: Platform) -> None:
    es = platform.es
    index = platform.world.audit.between()[-1].index
    document = {
        "@timestamp": "2026-11-24T11:59:59.500Z",
        "event": {"action": "mailtui-do", "outcome": "success"},
        "user": {"name": "operator"},
    }
    made = await es.create(index=index, id="one", document=document)
    assert made["result"] == "created"
    with pytest.raises(ConflictError) as conflict:
        await es.create(index=index, id="one", document=document)
    assert conflict.value.body["error"]["type"] == "version_conflict_engine_exception"
    assert await platform.q("event.action:mailtui\\-do") == {"one"}
    found = await es.search(index=AUDIT, sort=NEWEST, size=10)
    assert "one" in [hit["_id"] for hit in found["hits"]["hits"]]
    got = await es.get(index=index, id="one")
    assert got["_source"] == document


async def test_documents_of_the_world_can_be_read_and_replaced(platform: Platform) -> None:
    es, event = platform.es, platform.world.audit.between()[-1]
    assert (await es.get(index=event.index, id=event.id))["_source"] == event.document()
    changed = await es.update(index=event.index, id=event.id, doc={"event": {"outcome": "odd"}})
    assert (changed["result"], changed["_version"]) == ("updated", 2)
    assert await platform.q("event.outcome:odd") == {event.id}
    await es.delete(index=event.index, id=event.id)
    assert await platform.ids({"ids": {"values": [event.id]}}) == set()
    with pytest.raises(NotFoundError):
        await es.get(index=event.index, id=event.id)


async def test_bulk(platform: Platform) -> None:
    es = platform.es
    actions = [{"_index": "notes", "_id": str(n), "n": n} for n in range(10)]
    assert (await async_bulk(es, actions))[0] == 10
    mixed = await es.bulk(
        operations=[
            {"create": {"_index": "notes", "_id": "1"}},
            {"n": 1},
            {"delete": {"_index": "notes", "_id": "2"}},
            {"update": {"_index": "notes", "_id": "3"}},
            {"doc": {"n": 33}},
        ]
    )
    assert mixed["errors"] is True
    assert [next(iter(i.values()))["status"] for i in mixed["items"]] == [409, 200, 200]
    assert (await es.count(index="notes"))["count"] == 9
    gone = await es.delete_by_query(index="notes", query={"range": {"n": {"gte": 9}}})
    assert gone["deleted"] == 2
    assert (await es.count(index="notes"))["count"] == 7


async def test_documents_that_do_not_fit_the_mapping(platform: Platform) -> None:
    index = platform.world.audit.between()[-1].index
    for document in ({"@timestamp": "yesterday"}, {"source": {"ip": "300.1.1.1"}}):
        with pytest.raises(BadRequestError, match="document_parsing_exception"):
            await platform.es.index(index=index, document=document)


async def test_a_body_without_a_media_type(platform: Platform) -> None:
    auth = {"Authorization": aiohttp.encode_basic_auth("elastic", "secret")}
    url = f"{platform.url}/_search"
    async with (
        aiohttp.ClientSession(headers=auth) as session,
        session.post(url, data={"size": "1"}) as response,
    ):
        assert response.status == 406
        assert "is not supported" in (await response.json())["error"]


async def test_a_blocked_index_refuses_until_it_is_unblocked(platform: Platform) -> None:
    es = platform.es
    await es.index(index="notes", document={"n": 1})
    await es.indices.put_settings(index="notes", settings={"index.blocks.write": True})
    with pytest.raises(ApiError) as refused:
        await es.index(index="notes", document={"n": 2})
    assert refused.value.meta.status == 403
    assert "FORBIDDEN/8" in refused.value.body["error"]["reason"]
    await es.indices.put_settings(index="notes", settings={"index.blocks.write": None})
    await es.index(index="notes", document={"n": 2})
    assert (await es.count(index="notes"))["count"] == 2


async def test_stopping_while_a_client_hangs(platform: Platform) -> None:
    platform.server.faults.set("elasticsearch", "hang")
    asked = asyncio.create_task(platform.es.info())
    await asyncio.wait([asked], timeout=0.1)
    await asyncio.wait_for(platform.server.stop(), 10)
    with pytest.raises(ConnectionError):
        await asked


@pytest.mark.parametrize("kind", ["html", "truncated", "cut", "down", "401", "429", "500"])
async def test_faults_reach_the_official_client_as_errors(platform: Platform, kind: Any) -> None:
    platform.server.faults.set("elasticsearch", kind)
    with pytest.raises((ApiError, TransportError)):
        await platform.es.cluster.health()
    platform.server.faults.clear()
    assert (await platform.es.cluster.health())["status"] == "green"


async def test_concurrent_clients(platform: Platform) -> None:
    async def one(number: int) -> int:
        query = {"term": {"event.outcome": "failure"}}
        found = await platform.es.search(index=AUDIT, query=query, track_total_hits=True)
        return int(found["hits"]["total"]["value"])

    assert len(set(await asyncio.gather(*(one(n) for n in range(8))))) == 1
