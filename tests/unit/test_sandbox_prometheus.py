"""The sandbox's Prometheus over HTTP: answers, errors, forms, the client that the console uses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from mailtui.sandbox.faults import Faults
from mailtui.sandbox.prometheus import Server
from mailtui.sandbox.world import World

NOW = 1_790_000_000.0


class Client:
    """Asks one server."""

    def __init__(self, url: str, session: aiohttp.ClientSession, faults: Faults) -> None:
        self.url = url
        self.session = session
        self.faults = faults

    async def get(self, path: str, *pairs: tuple[str, str]) -> tuple[int, Any]:
        """Status and JSON."""
        async with self.session.get(f"{self.url}/api/v1/{path}", params=pairs) as answer:
            return answer.status, await answer.json()


@pytest.fixture
async def prometheus() -> AsyncIterator[Client]:
    world = World(1, "brute-force", now=NOW, frozen=True)
    faults = Faults()
    server = Server(world, faults)
    port = await server.start()
    async with aiohttp.ClientSession() as session:
        yield Client(f"http://127.0.0.1:{port}", session, faults)
    await server.stop()


async def test_instant_query_by_get_and_by_form(prometheus: Client) -> None:
    status, body = await prometheus.get("query", ("query", "sum(up)"))
    assert status == 200
    assert body == {
        "status": "success",
        "data": {"resultType": "vector", "result": [{"metric": {}, "value": [1790000000, "15"]}]},
    }
    url = f"{prometheus.url}/api/v1/query"
    async with prometheus.session.post(url, data={"query": "sum(up)"}) as answer:
        assert await answer.json() == body


async def test_times_are_unix_or_rfc3339(prometheus: Client) -> None:
    for text in ("1789999000.5", "2026-09-21T13:56:40.5Z", "2026-09-21T15:56:40.500+02:00"):
        _, body = await prometheus.get("query", ("query", "time()"), ("time", text))
        assert body["data"]["result"] == [1789999000.5, "1789999000.5"]


async def test_range_query(prometheus: Client) -> None:
    pairs = [("start", "1789999000"), ("end", "1790000000"), ("step", "5m")]
    status, body = await prometheus.get("query_range", ("query", "count(up)"), *pairs)
    assert status == 200
    (series,) = body["data"]["result"]
    assert series["values"] == [[1789999000 + 300 * i, "15"] for i in range(4)]


@pytest.mark.parametrize(
    ("path", "pairs", "status", "kind", "message"),
    [
        ("query", {"query": "sum("}, 400, "bad_data", "unclosed left parenthesis"),
        ("query", {}, 400, "bad_data", 'invalid parameter "query"'),
        ("query", {"query": "up", "time": "x"}, 400, "bad_data", 'invalid parameter "time"'),
        ("query", {"query": "up + on () up"}, 422, "execution", "many-to-many matching"),
        ("query", {"query": "up", "timeout": "0.0000001"}, 503, "timeout", "timed out"),
        (
            "query_range",
            {"query": "up", "start": "9", "end": "1", "step": "1"},
            400,
            "bad_data",
            "end timestamp must not be before start time",
        ),
        (
            "query_range",
            {"query": "up", "start": "0", "end": "11002", "step": "1"},
            400,
            "bad_data",
            "exceeded maximum resolution of 11,000 points",
        ),
        (
            "query_range",
            {"query": "up", "start": "0", "end": "1", "step": "0"},
            400,
            "bad_data",
            "zero or negative query resolution",
        ),
        ("query_range", {"query": "up", "start": "0", "end": "1"}, 400, "bad_data", '"step"'),
        ("series", {}, 400, "bad_data", "no match[] parameter provided"),
        ("label/bad-name/values", {}, 400, "bad_data", "invalid label name"),
    ],
)
async def test_errors(
    prometheus: Client, path: str, pairs: dict[str, str], status: int, kind: str, message: str
) -> None:
    found, body = await prometheus.get(path, *pairs.items())
    assert found == status
    assert body["status"] == "error"
    assert body["errorType"] == kind
    assert message in body["error"]


async def test_series_and_labels(prometheus: Client) -> None:
    match = ("match[]", 'up{job="postfix"}')
    _, body = await prometheus.get("series", match, ("match[]", "postfix_up"))
    assert len(body["data"]) == 4
    _, body = await prometheus.get("labels", match)
    assert body["data"] == ["__name__", "instance", "job"]
    _, body = await prometheus.get("label/instance/values", match)
    assert body["data"] == ["mx1:9154", "mx2:9154"]
    _, body = await prometheus.get("series", match, ("end", "1000"))
    assert body["data"] == []


async def test_alerts_rules_and_targets(prometheus: Client) -> None:
    _, body = await prometheus.get("alerts")
    (alert,) = body["data"]["alerts"]
    assert alert["labels"]["alertname"] == "SaslFailuresHigh"
    assert alert["labels"]["instance"] == "mx2:9154"
    assert alert["state"] == "firing"
    assert "failed SASL logins a minute on mx2:9154" in alert["annotations"]["summary"]
    assert alert["activeAt"].startswith("2026-09-21T13:5")
    _, body = await prometheus.get("rules")
    states = {r["name"]: r["state"] for r in body["data"]["groups"][0]["rules"]}
    assert states["SaslFailuresHigh"] == "firing"
    assert states["DeadLettersGrow"] == "inactive"
    _, body = await prometheus.get("targets")
    assert {t["health"] for t in body["data"]["activeTargets"]} == {"up"}
    assert len(body["data"]["activeTargets"]) == 15


@pytest.mark.parametrize("what", ["buildinfo", "runtimeinfo", "flags", "config", "tsdb"])
async def test_status_pages(prometheus: Client, what: str) -> None:
    status, body = await prometheus.get(f"status/{what}")
    assert status == 200
    assert body["data"]


async def test_health_and_unknown_pages(prometheus: Client) -> None:
    for path, status in (("/-/healthy", 200), ("/-/ready", 200), ("/", 200), ("/nosuch", 404)):
        async with prometheus.session.get(prometheus.url + path) as answer:
            assert answer.status == status


async def test_the_client_library_of_the_console(prometheus: Client) -> None:
    from prometheus_api_client import PrometheusConnect

    client = PrometheusConnect(url=prometheus.url)
    assert await asyncio.to_thread(client.check_prometheus_connection)
    found = await asyncio.to_thread(client.custom_query, "sum(up)")
    assert found == [{"metric": {}, "value": [1790000000, "15"]}]
    assert "up" in await asyncio.to_thread(client.all_metrics)


async def test_faults_apply(prometheus: Client) -> None:
    prometheus.faults.set("prometheus", "html")
    async with prometheus.session.get(f"{prometheus.url}/api/v1/query?query=up") as answer:
        assert answer.content_type == "text/html"
    prometheus.faults.clear()
    status, _ = await prometheus.get("query", ("query", "up"))
    assert status == 200
