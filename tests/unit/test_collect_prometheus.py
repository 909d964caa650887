"""The Prometheus collector against answers of a real Prometheus 2.42."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from mailtui.collectors.prometheus import PrometheusCollector
from mailtui.collectors.prometheus_queries import packed, texts, with_labels
from mailtui.collectors.prometheus_records import epoch, extended, host_of
from mailtui.config.load import parse
from mailtui.config.problems import ConfigError
from mailtui.config.queries import QUERIES
from mailtui.config.sources.prometheus import Settings
from mailtui.connections.errors import SourceError
from mailtui.model import clock
from mailtui.model.metrics import Trend
from tests.unit.answers import HTML, Answer, Answers, answer, captured

REAL = "prometheus-2.42.0"
HOSTS = {"mx1": "mx1", "mx2": "mx2", "10.77.0.21": "mon1", "mon1": "mon1"}
NOW = 1_795_522_950.0


@pytest.fixture
async def server() -> AsyncIterator[Answers]:
    answers = Answers()
    await answers.start()
    clock.set_clock(lambda: NOW)
    answers.by_path = {
        "/api/v1/query": queries,
        "/api/v1/query_range": courses,
        "/api/v1/alerts": captured(f"{REAL}/alerts"),
        "/api/v1/targets": captured(f"{REAL}/targets-active"),
        "/api/v1/status/buildinfo": captured(f"{REAL}/status-buildinfo"),
    }
    yield answers
    clock.set_clock(None)
    await answers.stop()


def queries(request: web.Request) -> Answer:
    text = request.query["query"]
    if "BROKEN" in text:
        return captured(f"{REAL}/error-bad-query", 400)
    return captured(f"{REAL}/{'mounts-0' if 'disk_size' in text else 'packed-0'}")


def courses(request: web.Request) -> Answer:
    start, step = int(request.query["start"]), float(request.query["step"])
    values = [[start + i * step, str(i)] for i in range(60) if i != 7]
    series = [{"metric": {"mailtui_query": "deferred"}, "values": values}]
    return answer({"status": "success", "data": {"resultType": "matrix", "result": series}})


def collector(server: Answers, **settings: Any) -> PrometheusCollector:
    return PrometheusCollector(Settings(url=server.url, **settings), HOSTS)


async def test_report_of_a_real_server(server: Answers) -> None:
    source = collector(server)
    report = await source.read()
    await source.close()
    assert report.version == "2.42.0+ds"
    assert report.faults == {}
    real = json.loads(captured(f"{REAL}/packed-0")[2])["data"]["result"]
    by_name = {one["metric"].get("mailtui_query"): float(one["value"][1]) for one in real}
    assert report.values["deferred"] == by_name["deferred"] > 0
    assert report.values["queue.deferred"] == report.values["deferred"]
    assert report.values["targets_down"] == 1
    assert report.values["logins"] is None, "no Dovecot is scraped: unknown, not 0"
    assert report.values["mail_rejected"] == 0, "the exporter is up and has rejected nothing"
    assert set(report.by_host["load1"]) == {"mon1", "mx1", "mx2", "mx3"}
    down = [target for target in report.targets if not target.up]
    assert [target.instance for target in down] == ["mx9.example.org:9100"]
    assert "connection refused" in down[0].error


async def test_file_systems_as_df_counts_them(server: Answers) -> None:
    source = collector(server)
    report = await source.read()
    await source.close()
    real = json.loads(captured(f"{REAL}/mounts-0")[2])["data"]["result"]
    of = {
        one["metric"]["mailtui_query"]: float(one["value"][1])
        for one in real
        if one["metric"]["instance"] == "mx1:9100"
    }
    mx1 = next(one for one in report.forecasts if (one.host, one.target) == ("mx1", "/"))
    used = of["disk_size"] - of["disk_free"]
    assert mx1.available == of["disk_available"]
    assert mx1.used_ratio == pytest.approx(used / (used + of["disk_available"]))
    assert mx1.growth == of.get("disk_growth")


async def test_alerts(server: Answers) -> None:
    source = collector(server)
    report = await source.read()
    await source.close()
    assert {alert.state for alert in report.alerts} <= {"firing", "pending"}
    one = next(alert for alert in report.alerts if alert.name == "MailQueueDeferredHigh")
    assert one.severity == "warning"
    assert one.active_at is not None and 0 < NOW - one.active_at < 3600
    assert one.summary.endswith("deferred messages")


async def test_few_requests_and_trends_less_often(server: Answers) -> None:
    source = collector(server)
    await source.read()
    assert len(server.asked("/api/v1/query")) == 2
    assert len(server.asked("/api/v1/query_range")) == 1
    first = len(server.requests)
    report = await source.read()
    await source.close()
    assert [request.path for request in server.requests[first:]] == [
        "/api/v1/query",
        "/api/v1/alerts",
    ]
    trend = report.trends["deferred"]
    assert len(trend.values) == 60
    assert trend.values[7] is None, "no sample is no 0"
    assert trend.last == report.values["deferred"]


async def test_a_query_that_breaks_costs_only_itself(server: Answers) -> None:
    source = collector(server, queries={"logins": "BROKEN{", "deferred_age": ""})
    report = await source.read()
    assert report.faults.keys() == {"logins"}
    assert "parse error" in report.faults["logins"]
    assert report.values["deferred"] is not None
    assert "deferred_age" not in report.values, "turned off"
    asked = len(server.asked("/api/v1/query"))
    again = await source.read()
    await source.close()
    assert len(server.asked("/api/v1/query")) == asked + 1, "it no longer spoils the pack"
    assert again.faults == report.faults


async def test_when_every_query_breaks_the_source_fails(server: Answers) -> None:
    server.by_path["/api/v1/query"] = captured(f"{REAL}/error-timeout", 503)
    source = collector(server)
    with pytest.raises(SourceError, match="query timed out in expression evaluation"):
        await source.read()
    await source.close()


@pytest.mark.parametrize(
    ("wrong", "kind", "words"),
    [
        (HTML, "protocol", "HTML page"),
        ((401, "text/plain", "Unauthorized"), "auth", "401"),
        ((429, "text/plain", "slow down"), "rate-limited", "429"),
        ((200, "application/json", '{"status":"succ'), "protocol", "cut off"),
        ((200, "application/json", '{"status":"success"}'), "protocol", "cut off"),
    ],
)
async def test_what_is_no_answer(server: Answers, wrong: Answer, kind: str, words: str) -> None:
    server.by_path["/api/v1/query"] = wrong
    source = collector(server)
    with pytest.raises(SourceError) as caught:
        await source.read()
    await source.close()
    assert (caught.value.kind, words in caught.value.message) == (kind, True)


async def test_nobody_listens(server: Answers) -> None:
    await server.stop()
    source = collector(server)
    with pytest.raises(SourceError) as caught:
        await source.read()
    await source.close()
    assert caught.value.kind == "unreachable"
    assert "connection refused" in caught.value.message


async def test_credentials_are_sent_and_no_netrc_replaces_them(
    server: Answers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login wrong password wrong\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("TOKEN", "s3cret")
    source = collector(server, token={"env": "TOKEN"})
    await source.read()
    await source.close()
    assert {request.headers["Authorization"] for request in server.requests} == {"Bearer s3cret"}


def test_labels_are_added_to_each_matcher_and_quoted() -> None:
    text = with_labels('sum(a{}) / b{c="d"}', {"site": 'e"u\\'})
    assert text == 'sum(a{site="e\\"u\\\\"}) / b{c="d",site="e\\"u\\\\"}'
    assert with_labels("sum(a{})", {}) == "sum(a)"


def test_every_query_is_valid_promql_also_with_labels() -> None:
    import promql_parser

    settings = Settings(url="http://127.0.0.1:9090", labels={"site": "eu"})
    for name, text in texts(settings).items():
        assert promql_parser.parse(text), name
        assert text.count('site="eu"') >= 1, name
    for names, text in packed(texts(settings)):
        assert promql_parser.parse(text), names


def test_an_unknown_query_name_is_an_error_with_its_line() -> None:
    text = """\
contexts:
  a:
    sources:
      prometheus:
        url: http://127.0.0.1:9090
        queries: {login: up}
"""
    with pytest.raises(ConfigError) as caught:
        parse(text, Path("config.yaml"))
    assert "unknown query 'login'; did you mean logins?" in str(caught.value)
    assert caught.value.problems[0].line == 6


def test_names_and_meanings() -> None:
    for query in QUERIES.values():
        assert query.meaning
        assert (query.kind == "by_label") == bool(query.label)


@pytest.mark.parametrize(
    ("instance", "host"),
    [
        ("mx1:9100", "mx1"),
        ("mx1", "mx1"),
        ("10.77.0.21:9090", "mon1"),
        ("[2001:db8::1]:9100", "2001:db8::1"),
        ("other.example.org:9100", "other.example.org"),
    ],
)
def test_host_of_instance(instance: str, host: str) -> None:
    assert host_of(instance, HOSTS) == host


def test_trends_move_on_between_range_queries() -> None:
    held = {"deferred": Trend(1000.0, 60.0, (1.0, 2.0, 3.0))}
    # within the last step the newest value replaces it
    assert extended(held, {"deferred": 9.0}, 1130.0)["deferred"].values == (1.0, 2.0, 9.0)
    later = extended(held, {"deferred": 9.0}, 1310.0)["deferred"]
    assert later == Trend(1180.0, 60.0, (None, None, 9.0)), "what was not read is unknown"
    assert extended(held, {}, 1130.0)["deferred"].last is None
    assert extended({"x": Trend(0.0, 60.0)}, {"x": 1.0}, 5.0)["x"].values == ()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2026-11-24T11:55:07.695326508Z", 1795521307.695326),
        ("2026-11-24T11:55:07Z", 1795521307.0),
        ("2026-11-24T12:55:07.5+01:00", 1795521307.5),
        ("0001-01-01T00:00:00Z", None),
        ("soon", None),
        (None, None),
    ],
)
def test_epoch(text: str | None, value: float | None) -> None:
    assert epoch(text) == value
