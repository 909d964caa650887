"""What the console needs of any Prometheus."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from mailtui.collectors.prometheus import PrometheusCollector
from mailtui.collectors.prometheus_records import hosts
from mailtui.config.queries import QUERIES
from mailtui.config.settings import Context
from mailtui.config.sources.prometheus import Settings
from mailtui.connections.errors import SourceError
from mailtui.model import clock


@pytest.fixture
def settings(platform_context: Context) -> Settings:
    found = platform_context.source("prometheus", Settings)
    if found is None:
        pytest.skip("no Prometheus here")
    return found


@pytest.fixture
async def source(
    settings: Settings, platform_context: Context
) -> AsyncIterator[PrometheusCollector]:
    found = PrometheusCollector(settings, hosts(platform_context))
    yield found
    await found.close()


async def test_every_query_is_answered(source: PrometheusCollector) -> None:
    report = await source.read()
    assert report.faults == {}
    assert report.version
    for name, query in QUERIES.items():
        if query.kind in ("value", "trend"):
            assert name in report.values, "known to be without series, at least"


async def test_numbers_agree_with_each_other(source: PrometheusCollector) -> None:
    report = await source.read()
    deferred = report.values["deferred"]
    assert deferred is not None and deferred >= 0
    assert report.values["queue.deferred"] == deferred
    assert sum(report.by_host["deferred_by_host"].values()) == deferred
    assert report.values["targets_down"] == sum(not target.up for target in report.targets)
    assert report.targets


async def test_trends_end_now(source: PrometheusCollector, settings: Settings) -> None:
    report = await source.read()
    for name, trend in report.trends.items():
        assert len(trend.values) == 60, name
        assert trend.step * 60 == pytest.approx(settings.span, rel=0.05)
        assert trend.last == report.values[name]
        end = trend.start + 60 * trend.step
        assert 0 <= end - clock.now() <= 2 * trend.step


async def test_file_systems(source: PrometheusCollector, platform_context: Context) -> None:
    report = await source.read()
    assert report.forecasts
    assert len({(one.host, one.target) for one in report.forecasts}) == len(report.forecasts)
    for one in report.forecasts:
        assert one.host in platform_context.hosts
        assert one.available is not None and one.available >= 0
        assert one.used_ratio is not None and 0 <= one.used_ratio <= 1
        assert one.inodes_ratio is None or 0 <= one.inodes_ratio <= 1


async def test_alerts_are_known_by_their_labels(source: PrometheusCollector) -> None:
    report = await source.read()
    assert len({alert.key for alert in report.alerts}) == len(report.alerts)
    for alert in report.alerts:
        assert alert.name
        assert alert.state in ("firing", "pending")
        assert alert.active_at is not None and alert.active_at <= clock.now() + 60


async def test_a_bad_query_costs_only_itself(settings: Settings, platform_context: Context) -> None:
    broken = settings.model_copy(update={"queries": {"logins": "sum(rate("}})
    source = PrometheusCollector(broken, hosts(platform_context))
    report = await source.read()
    await source.close()
    assert report.faults.keys() == {"logins"}
    assert report.values["deferred"] is not None


async def test_labels_that_nothing_has_make_everything_unknown(
    settings: Settings, platform_context: Context
) -> None:
    other = settings.model_copy(update={"labels": {"site": "there is no such site"}})
    source = PrometheusCollector(other, hosts(platform_context))
    report = await source.read()
    await source.close()
    assert set(report.values.values()) == {None}
    assert report.forecasts == ()


async def test_nobody_listens(settings: Settings) -> None:
    source = PrometheusCollector(settings.model_copy(update={"url": "http://127.0.0.1:9"}), {})
    with pytest.raises(SourceError) as caught:
        await source.read()
    await source.close()
    assert caught.value.kind == "unreachable"
