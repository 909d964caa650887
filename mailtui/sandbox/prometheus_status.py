"""What Prometheus says of itself: build, flags, configuration, head, targets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from mailtui.sandbox.prometheus_rules import rfc3339
from mailtui.sandbox.world import World
from mailtui.sandbox.world.alerts import FILE
from mailtui.sandbox.world.clock import noise
from mailtui.sandbox.world.series import INTERVAL, Target

_UPTIME = 31 * 86400.0


def targets(world: World, state: str) -> dict[str, Any]:
    """`/api/v1/targets`; `state`: any, active or dropped."""
    answer: dict[str, Any] = {"activeTargets": [], "droppedTargets": []}
    if state != "dropped":
        chosen = sorted(world.series.targets, key=lambda t: (t.job, t.instance))
        answer["activeTargets"] = [_target(t) for t in chosen]

    return answer


def _target(target: Target) -> dict[str, Any]:
    url = f"http://{target.instance}/metrics"
    last = target.timeline.times[-1]
    up = bool(target.timeline.ok[-1])
    return {
        "discoveredLabels": {
            "__address__": target.instance,
            "__metrics_path__": "/metrics",
            "__scheme__": "http",
            "__scrape_interval__": f"{INTERVAL}s",
            "__scrape_timeout__": "10s",
            "job": target.job,
        },
        "labels": {"instance": target.instance, "job": target.job},
        "scrapePool": target.job,
        "scrapeUrl": url,
        "globalUrl": url.replace("localhost", "mon1"),
        "lastError": "" if up else f'Get "{url}": context deadline exceeded',
        "lastScrape": rfc3339(last),
        "lastScrapeDuration": 0.004 + 0.02 * noise(target.offset, last // 1000 // INTERVAL),
        "health": "up" if up else "down",
        "scrapeInterval": f"{INTERVAL}s",
        "scrapeTimeout": "10s",
    }


def _buildinfo(world: World) -> dict[str, Any]:
    return {
        "version": "2.42.0+ds",
        "revision": "2.42.0+ds-5+deb12u1",
        "branch": "debian/sid",
        "buildUser": "team+pkg-go@tracker.debian.org",
        "buildDate": "20260604-00:58:54",
        "goVersion": "go1.19.8",
    }


def _runtimeinfo(world: World) -> dict[str, Any]:
    return {
        "startTime": rfc3339(int((world.start - _UPTIME) * 1000)),
        "CWD": "/",
        "reloadConfigSuccess": True,
        "lastConfigTime": rfc3339(int((world.start - _UPTIME) * 1000)),
        "corruptionCount": 0,
        "goroutineCount": 56,
        "GOMAXPROCS": 4,
        "GOGC": "",
        "GODEBUG": "",
        "storageRetention": "15d",
    }


def _flags(world: World) -> dict[str, str]:
    return {
        "config.file": "/etc/prometheus/prometheus.yml",
        "enable-feature": "",
        "log.format": "logfmt",
        "log.level": "info",
        "query.lookback-delta": "5m",
        "query.max-concurrency": "20",
        "query.max-samples": "50000000",
        "query.timeout": "2m",
        "storage.tsdb.path": "/var/lib/prometheus/metrics2/",
        "storage.tsdb.retention.time": "15d",
        "web.enable-admin-api": "false",
        "web.enable-lifecycle": "false",
        "web.listen-address": "0.0.0.0:9090",
    }


def _config(world: World) -> dict[str, str]:
    lines = [
        "global:",
        f"  scrape_interval: {INTERVAL}s",
        "  scrape_timeout: 10s",
        f"  evaluation_interval: {INTERVAL}s",
        "rule_files:",
        f"- {FILE}",
        "scrape_configs:",
    ]
    jobs: dict[str, list[str]] = {}
    for target in world.series.targets:
        jobs.setdefault(target.job, []).append(target.instance)
    for job, instances in sorted(jobs.items()):
        lines += [f"- job_name: {job}", "  static_configs:", "  - targets:"]
        lines += [f"    - {instance}" for instance in instances]
    return {"yaml": "\n".join(lines) + "\n"}


def _tsdb(world: World) -> dict[str, Any]:
    counts: Counter[str] = Counter()
    pairs: set[tuple[str, str]] = set()
    for series in world.series.store.select([]):
        counts[series.labels["__name__"]] += 1
        pairs.update(series.labels.items())
    times = [t.timeline.times for t in world.series.targets]
    return {
        "headStats": {
            "numSeries": len(world.series.store),
            "numLabelPairs": len(pairs),
            "chunkCount": len(world.series.store) * 6,
            "minTime": min((t[0] for t in times), default=0),
            "maxTime": max((t[-1] for t in times), default=0),
        },
        "seriesCountByMetricName": [
            {"name": name, "value": count} for name, count in counts.most_common(10)
        ],
    }


PAGES: dict[str, Callable[[World], Any]] = {
    "buildinfo": _buildinfo,
    "runtimeinfo": _runtimeinfo,
    "flags": _flags,
    "config": _config,
    "tsdb": _tsdb,
}


def query_stats(seconds: float) -> dict[str, Any]:
    """`stats` of a query that took so long."""
    return {
        "timings": {
            "evalTotalTime": seconds,
            "resultSortTime": 0,
            "queryPreparationTime": 0,
            "innerEvalTime": seconds,
            "execQueueTime": 0,
            "execTotalTime": seconds,
        }
    }
