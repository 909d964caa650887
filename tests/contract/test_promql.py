"""The same samples in the sandbox and in a real Prometheus: the same answers to the same queries.

Needs the programs `prometheus` and `promtool` (2.x), in PATH or named by the environment variables
PROMETHEUS and PROMTOOL. They run on loopback only, with no scrape configuration.
"""

from __future__ import annotations

import json
import math
import os
import random
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mailtui.config.queries import QUERIES
from mailtui.sandbox.prometheus import instant, ranged
from mailtui.sandbox.promql_values import write_float
from mailtui.sandbox.tsdb import Labels, Series, Store, Timeline
from mailtui.sandbox.world import World
from mailtui.sandbox.world.alerts import RULES

PROMETHEUS = os.environ.get("PROMETHEUS") or shutil.which("prometheus")
PROMTOOL = os.environ.get("PROMTOOL") or shutil.which("promtool")

pytestmark = pytest.mark.skipif(
    not (PROMETHEUS and PROMTOOL),
    reason="NOT CHECKED against a real Prometheus: prometheus and promtool are not installed",
)

START = 1_790_000_000_000
STEP = 15_000
COUNT = 480
END = START + (COUNT - 1) * STEP
MOMENTS = (START, START + 61_500, START + 1_800_000, END - 7_001, END, END + 299_000, END + 400_000)

SYNTHETIC = """\
c
c{job="a"}
c{job=~"a|b",instance!="1"}
c{job!~"a.*"}
c{nosuch=""}
{__name__=~"c|g",job="a"}
c offset 5m
c offset -2m
c @ 1790001000
c @ end()
rate(c[5m] @ start())
rate(c[5m])
rate(c[40s])
rate(c[15s])
rate(c[1m] offset 3m)
irate(c[5m])
increase(c[10m])
increase(c[1h])
delta(g[10m])
idelta(g[10m])
deriv(g[10m])
deriv(flat[10m])
predict_linear(g[30m], 3600)
predict_linear(g[30m] offset 5m, 3600)
avg_over_time(g[7m])
max_over_time(g[7m])
min_over_time(g[7m])
sum_over_time(g[7m])
count_over_time(g[7m])
last_over_time(g[7m])
present_over_time(g[7m])
stddev_over_time(g[7m])
stdvar_over_time(g[7m])
quantile_over_time(0.9, g[7m])
quantile_over_time(0, g[7m])
quantile_over_time(1.5, g[7m])
changes(flat[10m])
changes(g[10m])
resets(c[1h])
rate(sparse[10m])
sparse
last_over_time(sparse[20m])
avg_over_time(rate(c[5m])[30m:1m])
max_over_time(sum(g)[20m:45s])
max_over_time(g[20m:])
deriv(rate(c[2m])[10m:30s])
max_over_time(vector(time())[5m:1m])
absent(nosuch{job="x",instance="y"})
absent(c)
absent(sum(nosuch))
absent_over_time(nosuch{job="x"}[5m])
absent_over_time(sparse[2m])
sum(c)
sum by (job) (g)
sum by (nosuch) (g)
sum without (job) (g)
avg by (job) (g)
min by (job) (g)
max by (job) (g)
count by (job) (g)
group by (job) (g)
stddev(g)
stdvar by (job) (g)
quantile(0.5, g)
quantile by (job) (0.95, g)
topk(2, g)
bottomk(2, g)
topk by (job) (1, g)
count_values("value", flat)
count_values by (job) ("value", flat)
c + 1
2 ^ g
g % 7
-g
- 2 ^ 2
g / 0
(g - g) / 0
1 / g
g atan2 2
1 + 2 * 3 - 4 / 5 % 3
1 > bool 2
time() - 5
g > 0
0 < g
g > bool 0
g == bool g
c + on (instance, job) g
c - ignoring (zone) g
c * on (job) group_left (owner) info
info * on (job) group_right (owner) c
c / on (job) group_left () sum by (job) (c)
sum by (job) (c) / on (job) group_right () c
c > on (instance, job) g
c > bool on (instance, job) g
c and g
c and on (job) info
g and g > 0
c or on (nosuch) g
c or g
g > 0 or g
c unless on (job) info
c unless g
g unless g > 0
abs(g)
ceil(g)
floor(g)
round(g)
round(g, 0.25)
round(vector(-2.5))
exp(g / 100)
sqrt(g)
ln(g)
log2(g)
log10(c)
sgn(g)
clamp(g, -5, 10)
clamp(g, 10, -5)
clamp_min(g, 3)
clamp_max(g, 3)
sin(g)
deg(vector(pi()))
rad(g)
time()
timestamp(g)
timestamp(g + 1)
timestamp(sparse)
scalar(g{job="a",instance="1"})
scalar(g)
vector(1)
vector(time())
minute()
hour(vector(1790000000))
day_of_week(vector(1790000000))
day_of_month(vector(1790000000))
day_of_year(vector(1790000000))
days_in_month(vector(1790000000))
month(vector(1790000000))
year()
label_replace(g, "host", "$1-x", "instance", "(.*)")
label_replace(g, "host", "${n}!", "job", "(?P<n>.)")
label_replace(g, "host", "z", "nosuch", "")
label_replace(g, "host", "z", "job", "b")
label_join(g, "both", "/", "job", "instance", "nosuch")
sort(g)
sort_desc(g)
histogram_quantile(0.9, h_bucket)
histogram_quantile(0.9, sum by (le) (rate(h_bucket[5m])))
histogram_quantile(0, h_bucket)
histogram_quantile(1, h_bucket)
histogram_quantile(2, h_bucket)
histogram_quantile(0.5, rate(h_bucket[1m]))
histogram_quantile(0.5, g)
sum(rate(c[5m])) by (job) > 1 and on () vector(1)
sum(c{job="a"}) / count(c{job="a"}) * 100
up_like == 1 unless on (instance) (g > 0)
1.5e3 + 0x1f + Inf
NaN
"text"
c[1m]
c[90s] offset 1m
rate(c[5m])[2m:30s]
""".splitlines()

NOT_OVER_A_RANGE = ('"text"', "c[90s] offset 1m")

ERRORS = """\
c + on (job) g
c * on (job) info + on () g
c and
nosuchfunction(c)
rate(c)
{}
sum(1)
label_replace(g, "instance", "same", "instance", ".*")
label_replace(g, "job", "", "job", ".*")
c * on (job) group_left () info * on (job) c
1 > 2
a{b=~"("}
""".splitlines()


def _add(store: Store, labels: Labels, times: list[int], values: list[float]) -> None:
    line = Timeline(array("q", times), bytearray(b"\x01" * len(times)))
    known = dict(zip(times, values, strict=True))
    store.add(Series(labels, line, lambda t: known[round(t * 1000)]))


def synthetic() -> Store:
    """Counters with resets, gauges, a flat one, a sparse one, a histogram, an info metric."""
    store, source = Store(), random.Random(7)
    for job, instance in (("a", "1"), ("a", "2"), ("b", "1"), ("b", "3")):
        same = {"job": job, "instance": instance}
        shift = source.randrange(STEP)
        times = [START + shift + i * STEP + source.randrange(-40, 40) for i in range(COUNT)]
        counter, counts, gauge, gauges = source.uniform(0, 900), [], 0.0, []
        for _ in times:
            counter = 0.0 if source.random() < 0.01 else counter + source.choice((0, 1, 7.5, 40))
            gauge += source.uniform(-3, 3)
            counts.append(counter)
            gauges.append(gauge)
        _add(store, {"__name__": "c", **same, "zone": "z" + instance}, times, counts)
        _add(store, {"__name__": "g", **same}, times, gauges)
        flat = [float(i // 100) for i in range(COUNT)]
        _add(store, {"__name__": "flat", **same}, times, flat)
        _add(store, {"__name__": "up_like", **same}, times, [1.0] * COUNT)
        some = [i for i in range(COUNT) if i % 97 < 30]
        _add(
            store,
            {"__name__": "sparse", **same},
            [times[i] for i in some],
            [counts[i] for i in some],
        )
        total = [0.0] * 5
        columns: list[list[float]] = [[] for _ in total]
        for _ in times:
            low = source.randrange(5)
            total = [t + (1.0 if i >= low else 0.0) for i, t in enumerate(total)]
            for column, value in zip(columns, total, strict=True):
                column.append(value)
        for bound, column in zip(("0.1", "0.5", "1", "10", "+Inf"), columns, strict=True):
            _add(store, {"__name__": "h_bucket", **same, "le": bound}, times, column)
    times = [START + 3 + i * STEP for i in range(COUNT)]
    _add(store, {"__name__": "info", "job": "a", "owner": "ops"}, times, [1.0] * COUNT)
    return store


def _openmetrics(store: Store, oldest: int) -> Iterator[str]:
    for series in store.select([]):
        name = series.labels["__name__"]
        inner = ",".join(
            f"{k}={json.dumps(v, ensure_ascii=False)}"
            for k, v in series.labels.items()
            if k != "__name__"
        )
        times, values = series.points()
        for at, value in zip(times, values, strict=True):
            if at >= oldest:
                yield f"{name}{{{inner}}} {write_float(value)} {at // 1000}.{at % 1000:03d}\n"
    yield "# EOF\n"


class RealPrometheus:
    """A Prometheus that holds the samples of a store."""

    def __init__(self, store: Store, directory: Path, oldest: int) -> None:
        samples, data = directory / "samples.om", directory / "data"
        samples.write_text("".join(_openmetrics(store, oldest)), encoding="utf-8")
        config = directory / "prometheus.yml"
        config.write_text("global:\n  evaluation_interval: 15s\n", encoding="utf-8")
        subprocess.run(
            [str(PROMTOOL), "tsdb", "create-blocks-from", "openmetrics", str(samples), str(data)],
            check=True,
            capture_output=True,
        )
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self.process = subprocess.Popen(
            [
                str(PROMETHEUS),
                f"--config.file={config}",
                f"--storage.tsdb.path={data}",
                "--storage.tsdb.retention.time=100y",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 60
        while True:
            try:
                with urllib.request.urlopen(f"{self.url}/-/ready", timeout=5):
                    return
            except OSError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    self.stop()
                    raise
                time.sleep(0.1)

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait(30)

    def get(self, path: str, **parameters: str) -> dict[str, Any]:
        """The JSON answer, also of an error."""
        url = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:
                found: dict[str, Any] = json.load(answer)
        except urllib.error.HTTPError as error:
            found = json.load(error)
        return found


def _seconds(millis: int) -> str:
    return f"{millis // 1000}.{millis % 1000:03d}"


def _number(text: str) -> float:
    return float(text.replace("Inf", "inf"))


def _normal(data: dict[str, Any]) -> dict[Any, list[tuple[float, Any]]]:
    """Label set → samples; scalars and strings under one name."""
    if data["resultType"] in ("scalar", "string"):
        at, text = data["result"]
        value = text if data["resultType"] == "string" else _number(text)
        return {data["resultType"]: [(float(at), value)]}
    found = {}
    for entry in data["result"]:
        samples = entry["values"] if "values" in entry else [entry["value"]]
        key = tuple(sorted(entry["metric"].items()))
        assert key not in found
        found[key] = [(float(t), _number(v)) for t, v in samples]
    return found


def _same(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    assert ours["resultType"] == theirs["resultType"]
    left, right = _normal(ours), _normal(theirs)
    assert left.keys() == right.keys()
    for key, samples in left.items():
        assert [t for t, _ in samples] == [t for t, _ in right[key]], key
        for (at, a), (_, b) in zip(samples, right[key], strict=True):
            if isinstance(a, str):
                assert a == b
            else:
                equal = math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-9)
                assert equal or (math.isnan(a) and math.isnan(b)), (key, at, a, b)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, RealPrometheus]]:
    store = synthetic()
    real = RealPrometheus(store, tmp_path_factory.mktemp("synthetic"), 0)
    yield store, real
    real.stop()


@pytest.mark.parametrize("query", SYNTHETIC)
def test_instant_queries_agree(pair: tuple[Store, RealPrometheus], query: str) -> None:
    store, real = pair
    for at in MOMENTS:
        theirs = real.get("query", query=query, time=_seconds(at))
        assert theirs["status"] == "success", theirs
        ours = instant(store, query, at)
        _same(ours, theirs["data"])
        if query.startswith(("sort", "topk(", "bottomk(")):
            order = [e["metric"] for e in ours["result"]]
            assert order == [e["metric"] for e in theirs["data"]["result"]]


@pytest.mark.parametrize(
    "query", [q for q in SYNTHETIC if not q.endswith("]") and q not in NOT_OVER_A_RANGE]
)
def test_range_queries_agree(pair: tuple[Store, RealPrometheus], query: str) -> None:
    store, real = pair
    for start, end, step in ((START - 60_000, END + 600_000, 60_000), (START + 7, END, 337_000)):
        theirs = real.get(
            "query_range",
            query=query,
            start=_seconds(start),
            end=_seconds(end),
            step=_seconds(step),
        )
        assert theirs["status"] == "success", theirs
        _same(ranged(store, query, start, end, step), theirs["data"])


@pytest.mark.parametrize("query", ERRORS)
def test_what_is_an_error_there_is_an_error_here(
    pair: tuple[Store, RealPrometheus], query: str
) -> None:
    from mailtui.sandbox.promql_values import ParseError, QueryError

    store, real = pair
    theirs = real.get("query", query=query, time=_seconds(END))
    assert theirs["status"] == "error", theirs
    wanted = ParseError if theirs["errorType"] == "bad_data" else QueryError
    with pytest.raises(wanted):
        instant(store, query, END)


@pytest.mark.parametrize("scenario", ["destination-deferred", "brute-force"])
def test_the_console_s_own_queries_agree(tmp_path: Path, scenario: str) -> None:
    world = World(3, scenario, now=START / 1000, frozen=True)
    world.advance(START / 1000 + 90)
    store, now = world.series.store, START + 90_000
    real = RealPrometheus(_needed(store), tmp_path, now - 5400_000)
    try:
        queries = [q.promql for q in QUERIES.values()] + [r.expr for r in RULES]
        for text in queries:
            query = text.replace("$base", "1h").replace("$half", "30m")
            theirs = real.get("query", query=query, time=_seconds(now))
            _same(instant(store, query, now), theirs["data"])
            start = now - 1200_000
            theirs = real.get(
                "query_range",
                query=query,
                start=_seconds(start),
                end=_seconds(now),
                step="60",
            )
            _same(ranged(store, query, start, now, 60_000), theirs["data"])
    finally:
        real.stop()


def _needed(store: Store) -> Store:
    """Without what no query of the console reads (most of node_exporter)."""
    text = " ".join([q.promql for q in QUERIES.values()] + [r.expr for r in RULES])
    needed = Store()
    for series in store.select([]):
        if series.labels["__name__"] in text:
            needed.add(series)
    return needed
