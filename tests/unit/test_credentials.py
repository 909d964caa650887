"""Secrets of HTTP sources: read once for all requests, and anew when they are refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from mailtui.collectors.prometheus import PrometheusCollector
from mailtui.config.sources.elasticsearch import Settings as Search
from mailtui.config.sources.prometheus import Settings as Prometheus
from mailtui.config.sources.rabbitmq import Settings
from mailtui.connections.elastic import ElasticClient
from mailtui.connections.errors import SourceError
from mailtui.connections.http import HttpClient
from tests.unit.answers import Answer, Answers, answer


@pytest.fixture
async def server() -> AsyncIterator[Answers]:
    answers = Answers()
    await answers.start()
    yield answers
    await answers.stop()


def only(word: str, good: Answer) -> object:
    """Answers who comes with this word."""

    def respond(request: web.Request) -> Answer:
        refused = answer({"error": "not_authorised"}, 401)
        return good if word in request.headers.get("Authorization", "") else refused

    return respond


async def test_requests_that_begin_together_read_a_secret_once(
    server: Answers, tmp_path: Path
) -> None:
    log = tmp_path / "runs"
    server.by_path["/x"] = answer({})
    command = ["sh", "-c", f"echo run >> {log}; echo word"]
    settings = Settings.model_validate({"url": server.url, "token": {"command": command}})
    client = HttpClient("rabbitmq", server.url, settings)
    await asyncio.gather(*(client.get_json("/x") for _ in range(5)))
    await client.close()
    assert log.read_text() == "run\n"
    assert {r.headers["Authorization"] for r in server.requests} == {"Bearer word"}


async def test_a_secret_that_changed_is_read_anew(
    server: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.by_path["/x"] = only("newer-word", answer({"fine": 1}))  # type: ignore[assignment]
    settings = Settings.model_validate({"url": server.url, "token": {"env": "MAILTUI_TEST_TOKEN"}})
    client = HttpClient("rabbitmq", server.url, settings)
    monkeypatch.setenv("MAILTUI_TEST_TOKEN", "older-word")
    with pytest.raises(SourceError, match="401"):
        await client.get_json("/x")
    monkeypatch.setenv("MAILTUI_TEST_TOKEN", "newer-word")
    assert await client.get_json("/x") == {"fine": 1}
    await client.close()


async def test_so_does_elasticsearch(server: Answers, monkeypatch: pytest.MonkeyPatch) -> None:
    server.by_path["/_cluster/health"] = only(  # type: ignore[assignment]
        "bmV3", answer({"status": "green"})
    )
    settings = Search.model_validate({"urls": [server.url], "api_key": {"env": "MAILTUI_TEST_KEY"}})
    client = ElasticClient(settings)
    monkeypatch.setenv("MAILTUI_TEST_KEY", "b2xkZXI6MQ==")
    with pytest.raises(SourceError, match="401"):
        await client.call(lambda es: es.cluster.health())
    monkeypatch.setenv("MAILTUI_TEST_KEY", "bmV3ZXI6MQ==")
    try:
        await client.call(lambda es: es.cluster.health())
    except SourceError as error:
        # no X-Elastic-Product: the key was taken, the product is another matter
        assert "does not answer as Elasticsearch" in str(error)
    finally:
        await client.close()
    seen = [r.headers["Authorization"] for r in server.requests]
    assert seen == ["ApiKey b2xkZXI6MQ==", "ApiKey bmV3ZXI6MQ=="]


async def test_so_does_prometheus(server: Answers, monkeypatch: pytest.MonkeyPatch) -> None:
    empty = answer({"status": "success", "data": {"result": [], "alerts": []}})
    for path in ("query", "query_range", "targets", "alerts", "status/buildinfo"):
        server.by_path[f"/api/v1/{path}"] = only("newer-word", empty)  # type: ignore[assignment]
    settings = Prometheus.model_validate(
        {"url": server.url, "token": {"env": "MAILTUI_TEST_TOKEN"}}
    )
    collector = PrometheusCollector(settings, {})
    monkeypatch.setenv("MAILTUI_TEST_TOKEN", "older-word")
    with pytest.raises(SourceError, match="401"):
        await collector.read()
    monkeypatch.setenv("MAILTUI_TEST_TOKEN", "newer-word")
    try:
        assert (await collector.read()).alerts == ()
    finally:
        await collector.close()
