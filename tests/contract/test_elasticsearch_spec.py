"""Requests and answers against Elasticsearch's API specification, as far as the client carries it.

`elasticsearch.dsl` is generated from the specification: a class for each query and aggregation, and
for the parts of a search's answer, with types and with what is required. The answers of `_cluster`,
`_cat`, `_nodes` and settings have no classes there; of those only the requests are proven, by the
signatures of the client's own methods.
"""

from __future__ import annotations

import inspect
import re
import types as builtin
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints
from urllib.parse import parse_qsl, urlencode, urlsplit

import elastic_transport
import pytest
from elasticsearch import AsyncElasticsearch
from elasticsearch.dsl import aggs as dsl_aggs
from elasticsearch.dsl import query as dsl_query
from elasticsearch.dsl import types as dsl_types
from elasticsearch.dsl.wrappers import ComparisonOperators

from mailtui.collectors.audit_search import AuditSearch
from mailtui.collectors.audit_tail import AuditTailCollector
from mailtui.collectors.elasticsearch import ElasticsearchCollector
from mailtui.config.settings import Context
from mailtui.config.sources.elasticsearch import Settings
from mailtui.connections.elastic import ElasticClient
from mailtui.model import clock

Sent = tuple[str, str, Any]
"""Method, target, body."""


@pytest.fixture
async def sent(
    platform_context: Context, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[list[Sent]]:
    """Every request that the console's readers of Elasticsearch make."""
    settings = platform_context.source("elasticsearch", Settings)
    if settings is None:
        pytest.skip("no Elasticsearch here")
    found: list[Sent] = []
    perform = elastic_transport.AsyncTransport.perform_request

    async def recorded(self: Any, method: str, target: str, **more: Any) -> Any:
        found.append((method, target, more.get("body")))
        return await perform(self, method, target, **more)

    monkeypatch.setattr(elastic_transport.AsyncTransport, "perform_request", recorded)
    client = ElasticClient(settings)
    search = AuditSearch(client, settings)
    end = float(int(clock.now()))
    await ElasticsearchCollector(settings, client).read()
    tail = AuditTailCollector(settings, client, search)
    await tail.read()
    await tail.read()
    await search.search("event.outcome:failure", end - 900, end, limit=10)
    await search.search("", end - 3600, end, limit=1500)
    await search.histogram("", end - 900, end, buckets=15)
    yield found
    await client.close()


@pytest.fixture
async def answers(sent: list[Sent], platform_context: Context) -> AsyncIterator[list[Any]]:
    """The whole answers to its searches: the same requests again, without `filter_path`."""
    settings = platform_context.source("elasticsearch", Settings)
    assert settings is not None
    headers = {"accept": "application/json", "content-type": "application/json"}
    found = []
    client = ElasticClient(settings)
    for method, target, body in list(searches(sent)):
        if "pit" not in body:  # it is closed by now
            parts = urlsplit(target)
            kept = [pair for pair in parse_qsl(parts.query) if pair[0] != "filter_path"]
            whole = f"{parts.path}?{urlencode(kept)}"
            found.append(await client.call(_asking(method, whole, headers, body)))
    yield found
    await client.close()


def _asking(method: str, target: str, headers: dict[str, str], body: Any) -> Any:
    return lambda es: es.perform_request(method, target, headers=headers, body=body)


def searches(sent: list[Sent]) -> list[Sent]:
    return [one for one in sent if urlsplit(one[1]).path.endswith("_search")]


def keys_known(names: Any, of: type) -> None:
    """All names are parameters of a generated class."""
    known = set(inspect.signature(of.__init__).parameters) | set(of.__annotations__)
    assert set(names) <= known, (of.__name__, set(names) - known)


def check_query(query: Mapping[str, Any]) -> None:
    [(name, value)] = query.items()
    cls = dsl_query.Query.get_dsl_class(name)
    if name == "bool":
        keys_known(value, cls)
        for clause in value.values():
            for part in clause if isinstance(clause, list) else [clause]:
                check_query(part)
    elif name == "range":
        [limits] = value.values()
        # the client's Range is a free mapping: the operators are typed, `format` is documented
        assert set(limits) <= {*get_args(ComparisonOperators), "format"}
    elif name == "match":
        [wanted] = value.values()
        assert isinstance(wanted, str) or keys_known(wanted, dsl_types.MatchQuery) is None
    else:
        keys_known(value, cls)


def check_aggs(aggs: Mapping[str, Any]) -> None:
    for body in aggs.values():
        check_aggs(body.get("aggs", {}))
        [(name, value)] = [(n, v) for n, v in body.items() if n != "aggs"]
        if name == "filter":
            check_query(value)
            continue
        keys_known(value, dsl_aggs.Agg.get_dsl_class(name))
        if "extended_bounds" in value:
            keys_known(value["extended_bounds"], dsl_types.ExtendedBounds)


async def test_requests(sent: list[Sent]) -> None:
    assert len(searches(sent)) >= 5
    methods = inspect.signature(AsyncElasticsearch.search).parameters
    for _, _, body in searches(sent):
        assert {name.lstrip("_") for name in body} <= {name.rstrip("_") for name in methods}
        check_query(body["query"]) if "query" in body else None
        check_aggs(body.get("aggs", {}))
        hints = get_type_hints(dsl_types.FieldSort, vars(dsl_types))
        for key in body.get("sort", []):
            [(_, options)] = key.items()
            if isinstance(options, str):
                assert options in ("asc", "desc")
                continue
            for name, value in options.items():
                conforms(value, hints[name], f"sort.{name}")


def conforms(value: Any, hint: Any, where: str) -> None:
    """`value`, as JSON has it, is what a type of the specification says."""
    origin, args = get_origin(hint), get_args(hint)
    if hint is Any or hint is dsl_types.DefaultType:
        return
    if origin in (Union, builtin.UnionType):
        wrong = []
        for one in args:
            try:
                conforms(value, one, where)
                return
            except AssertionError as error:
                wrong.append(str(error))
        raise AssertionError(f"{where}: {value!r} is none of {hint}: {wrong}")
    if origin is Literal:
        assert value in args, (where, value, args)
    elif origin in (Sequence, list):
        assert isinstance(value, list), (where, value)
        for item in value:
            conforms(item, args[0], f"{where}[]")
    elif origin in (Mapping, dict):
        assert isinstance(value, dict), (where, value)
        for item in value.values():
            conforms(item, args[1], f"{where}{{}}")
    elif isinstance(hint, type) and issubclass(hint, dsl_types.AttrDict):
        record(value, hint, where)
    elif hint is type(None):
        assert value is None, (where, value)
    elif hint in (int, str, bool):
        assert type(value) is hint, (where, value)
    elif hint is float:
        assert type(value) in (int, float), (where, value)


def record(value: Any, cls: type, where: str) -> None:
    """An object: what is required is there, what is there has its type."""
    assert isinstance(value, dict), (where, value)
    plain = {name.lstrip("_"): item for name, item in value.items()}
    required = re.findall(r":arg (\w+): \(required\)", cls.__doc__ or "")
    assert set(required) <= set(plain), (where, cls.__name__, set(required) - set(plain))
    for name, hint in get_type_hints(cls, vars(dsl_types)).items():
        if name in plain:
            conforms(plain[name], hint, f"{where}.{name}")


async def test_answers(answers: list[Any]) -> None:
    assert answers
    seen = set()
    for answer in answers:
        assert type(answer["took"]) is int and type(answer["timed_out"]) is bool
        record(answer["_shards"], dsl_types.ShardStatistics, "_shards")
        record(answer["hits"], dsl_types.HitsMetadata, "hits")
        for name, one in answer.get("aggregations", {}).items():
            seen.add(name)
            kind = (
                dsl_types.DateHistogramAggregate
                if name == "over_time"
                else dsl_types.FilterAggregate
            )
            record(one, kind, name)
            for bucket in one.get("buckets", []):
                record(bucket, dsl_types.DateHistogramBucket, f"{name}.buckets")
                record(bucket["failures"], dsl_types.FilterAggregate, f"{name}.failures")
    assert seen == {"over_time", "recent"}
