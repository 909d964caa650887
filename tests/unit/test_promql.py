"""PromQL on samples whose answers are worked out by hand; the contract test compares the rest."""

from __future__ import annotations

import math
from array import array

import pytest

from mailtui.sandbox.prometheus import instant, ranged
from mailtui.sandbox.promql import Query, Samples
from mailtui.sandbox.promql_values import (
    ParseError,
    QueryError,
    Scalar,
    Text,
    Vector,
    write_float,
    write_labels,
)
from mailtui.sandbox.tsdb import NAN, Matcher, Series, Store, Timeline

T0 = 1_000_000_000


def store_of(*series: tuple[str, dict[str, str], list[float]]) -> Store:
    """Series with a sample each 15 s from T0 on; NaN: none."""
    store = Store()
    for name, labels, values in series:
        times = array("q", [T0 + 15_000 * i for i in range(len(values))])
        line = Timeline(times, bytearray(b"\x01" * len(values)))
        known = dict(zip(times, values, strict=True))
        store.add(Series({"__name__": name, **labels}, line, lambda t, k=known: k[round(t * 1000)]))
    return store


def vector(store: Store, query: str, at: int) -> Vector:
    value = Query(store, [at]).run(query)
    assert isinstance(value, list)
    return value


def value(store: Store, query: str, at: int) -> float:
    (row,) = vector(store, query, at)
    assert row.values[0] is not None
    return row.values[0]


def test_rate_extrapolates_to_the_ends_of_its_range() -> None:
    store = store_of(("c", {}, [100.0 + 15 * i for i in range(9)]))
    # 5 samples in [T0+60, T0+120] are 60 of 60 s: nothing to extrapolate
    assert value(store, "increase(c[1m])", T0 + 120_000) == 60.0
    # shifted by 5 s: 4 samples of 45 s, with 10 s to the start and 5 s to the end
    assert value(store, "increase(c[1m])", T0 + 125_000) == pytest.approx(45.0 * 60 / 45)
    assert value(store, "rate(c[1m])", T0 + 125_000) == pytest.approx(1.0)


def test_increase_goes_over_a_counter_reset() -> None:
    store = store_of(("c", {}, [1000.0, 1010.0, 5.0, 15.0, 25.0]))
    assert value(store, "increase(c[1m])", T0 + 60_000) == pytest.approx(10 + 5 + 10 + 10)
    assert value(store, "resets(c[1m])", T0 + 60_000) == 1.0
    assert value(store, "delta(c[1m])", T0 + 60_000) == pytest.approx(25.0 - 1000.0)


def test_a_counter_is_not_extrapolated_below_zero() -> None:
    store = store_of(("c", {}, [0.0, 10.0, 20.0]))
    # 15 s before the first sample are in the range, but it began at 0
    assert value(store, "increase(c[45s])", T0 + 30_000) == pytest.approx(20.0)


def test_one_sample_has_no_rate() -> None:
    assert vector(store_of(("c", {}, [1.0])), "rate(c[5m])", T0 + 1_000) == []


def test_predict_linear_and_deriv_follow_the_line() -> None:
    store = store_of(("g", {}, [1000.0 - 30 * i for i in range(20)]))
    now = T0 + 19 * 15_000
    assert value(store, "deriv(g[5m])", now) == pytest.approx(-2.0)
    assert value(store, "predict_linear(g[5m], 100)", now) == pytest.approx(1000 - 570 - 200)


def test_lookback_ends_after_five_minutes() -> None:
    store = store_of(("g", {}, [7.0]))
    assert value(store, "g", T0 + 300_000) == 7.0
    assert vector(store, "g", T0 + 300_001) == []
    assert vector(store, "g", T0 - 1) == []


def test_a_gap_ends_a_series_at_once_but_not_its_ranges() -> None:
    store = store_of(("g", {}, [1.0, 2.0, NAN, NAN]))
    assert vector(store, "g", T0 + 30_000) == []
    assert value(store, "count_over_time(g[1m])", T0 + 45_000) == 2.0
    assert value(store, "last_over_time(g[1m])", T0 + 45_000) == 2.0


def test_a_range_query_has_no_point_where_there_is_no_sample() -> None:
    store = store_of(("g", {"a": "x"}, [1.0, NAN, 3.0]))
    data = ranged(store, "g", T0, T0 + 30_000, 15_000)
    seconds = T0 // 1000
    assert data["result"] == [
        {
            "metric": {"__name__": "g", "a": "x"},
            "values": [[seconds, "1"], [seconds + 30, "3"]],
        }
    ]


def test_matching_on_and_group_left() -> None:
    store = store_of(
        ("used", {"host": "a", "disk": "1"}, [10.0]),
        ("used", {"host": "a", "disk": "2"}, [20.0]),
        ("owner", {"host": "a", "team": "mail"}, [2.0]),
    )
    rows = vector(store, "used * on (host) group_left (team) owner", T0)
    assert {(r.labels["disk"], r.labels["team"], r.values[0]) for r in rows} == {
        ("1", "mail", 20.0),
        ("2", "mail", 40.0),
    }
    with pytest.raises(QueryError, match="many-to-one matching must be explicit"):
        vector(store, "used * on (host) owner", T0)
    with pytest.raises(QueryError, match="found duplicate series"):
        vector(store, "owner * on (host) used", T0)


def test_comparison_filters_and_bool_does_not() -> None:
    store = store_of(("g", {"a": "1"}, [5.0]), ("g", {"a": "2"}, [50.0]))
    assert [r.labels["a"] for r in vector(store, "g > 10", T0)] == ["2"]
    assert {r.values[0] for r in vector(store, "g > bool 10", T0)} == {0.0, 1.0}
    assert vector(store, "10 < g", T0)[0].values == [50.0]


def test_or_takes_the_second_where_the_first_is_absent() -> None:
    store = store_of(("g", {"a": "1"}, [5.0]))
    assert value(store, "sum(nosuch) or sum(g)", T0) == 5.0
    assert value(store, "sum(g) or vector(0)", T0) == 5.0
    assert value(store, "sum(nosuch) or vector(0)", T0) == 0.0


def test_absent_names_what_is_missing() -> None:
    (row,) = vector(Store(), 'absent(up{job="x",instance=~"y"})', T0)
    assert row.labels == {"job": "x"}
    assert row.values == [1.0]


def test_histogram_quantile_interpolates() -> None:
    store = store_of(
        ("h_bucket", {"le": "1"}, [10.0]),
        ("h_bucket", {"le": "2"}, [30.0]),
        ("h_bucket", {"le": "+Inf"}, [40.0]),
    )
    assert value(store, "histogram_quantile(0.5, h_bucket)", T0) == pytest.approx(1.5)
    assert value(store, "histogram_quantile(1, h_bucket)", T0) == 2.0


def test_at_and_offset() -> None:
    store = store_of(("g", {}, [float(i) for i in range(100)]))
    end = T0 + 99 * 15_000
    assert value(store, "g offset 5m", end) == 79.0
    assert value(store, f"g @ {T0 / 1000 + 15}", end) == 1.0
    rows = Query(store, [T0, end], bounds=(T0, end)).run("g - g @ end()")
    assert isinstance(rows, list)
    assert rows[0].values == [-99.0, 0.0]


def test_value_types() -> None:
    store = store_of(("g", {}, [1.0, 2.0]))
    assert Query(store, [T0]).run('"text"') == Text("text")
    assert Query(store, [T0]).run("1 + 1") == Scalar([2.0])
    samples = Query(store, [T0 + 15_000]).run("g[1m]")
    assert isinstance(samples, Samples)
    assert list(samples.sources[0].values) == [1.0, 2.0]
    assert instant(store, "nosuch[1m]", T0) == {"resultType": "matrix", "result": []}
    with pytest.raises(ParseError, match="must be Scalar or instant Vector"):
        ranged(store, "g[1m]", T0, T0, 1000)


@pytest.mark.parametrize(
    "query", ["sum(", "rate(g)", "nosuchfunction(g)", "{}", 'g{a=~"("}', "", "g g", "sum by (a)"]
)
def test_what_is_not_promql_is_a_parse_error(query: str) -> None:
    with pytest.raises(ParseError):
        Query(Store(), [T0]).run(query)


@pytest.mark.parametrize(
    "query", ["holt_winters(g[5m], 0.5, 0.5)", "limitk(1, g)", 'g{a="1" or b="2"}', "ALERTS"]
)
def test_what_is_not_supported_is_named_and_never_answered(query: str) -> None:
    store = store_of(("g", {"a": "1"}, [1.0, 2.0]))
    with pytest.raises((QueryError, ParseError)) as caught:
        Query(store, [T0 + 15_000]).run(query)
    assert str(caught.value)
    if "holt" in query:
        assert "holt_winters" in str(caught.value)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (1.0, "1"),
        (0.1 + 0.2, "0.30000000000000004"),
        (1e16, "10000000000000000"),
        (1e21, "1e+21"),
        (1.5e22, "1.5e+22"),
        (0.00005, "0.00005"),
        (5e-7, "5e-07"),
        (-2.5, "-2.5"),
        (math.nan, "NaN"),
        (math.inf, "+Inf"),
        (-math.inf, "-Inf"),
        (0.0, "0"),
    ],
)
def test_numbers_are_written_as_prometheus_does(number: float, text: str) -> None:
    assert write_float(number) == text


def test_labels_in_messages_are_quoted() -> None:
    assert write_labels({"b": 'x"y', "a": "1\n"}) == '{a="1\\n", b="x\\"y"}'


def test_matchers_are_anchored_and_absent_labels_are_empty() -> None:
    assert not Matcher.make("a", "=~", "b").matches({"a": "abc"})
    assert Matcher.make("a", "=~", ".*").matches({})
    assert Matcher.make("a", "!=", "x").matches({})
    assert Matcher.make("a", "=", "").matches({})
    with pytest.raises(ValueError, match="error parsing regexp"):
        Matcher.make("a", "=~", "(")


def test_a_live_series_joins_its_past_and_trims() -> None:
    line = Timeline(array("q", [0, 1000, 2000]), bytearray(b"\x01\x01\x01"))
    asked = []

    def past(t: float) -> float:
        asked.append(t)
        return t

    series = Series({"__name__": "x"}, line, past, lambda: 42.0)
    line.scrape(3000)
    assert asked == [], "the past is not made before somebody asks"
    line.trim(3)
    assert list(series.values) == [1.0, 2.0, 42.0]
    line.scrape(4000, ok=False)
    assert list(series.points()[0]) == [1000, 2000, 3000]
    line.trim(2)
    assert math.isnan(series.values[1])
    assert len(series.values) == len(line.times) == 2
