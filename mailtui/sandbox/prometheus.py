"""Prometheus' HTTP API, as of 2.42, over the world's samples (prometheus.io, HTTP API)."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from typing import Any

from aiohttp import web

from mailtui.sandbox import prometheus_status as status
from mailtui.sandbox.faults import Faults
from mailtui.sandbox.http_server import Handler, HttpServer, json_response
from mailtui.sandbox.prometheus_parameters import (
    ApiError,
    bad,
    parse_duration,
    parse_selector,
    parse_time,
)
from mailtui.sandbox.prometheus_rules import Rules
from mailtui.sandbox.promql import Query, Samples, Source
from mailtui.sandbox.promql_values import (
    ParseError,
    QueryError,
    Row,
    Scalar,
    Text,
    Vector,
    write_float,
)
from mailtui.sandbox.tsdb import Series, Store
from mailtui.sandbox.world import World

MAX_POINTS = 11_000
_DEFAULT_TIMEOUT = 120_000
"""Milliseconds (`--query.timeout`)."""

Parameters = dict[str, list[str]]


def stamp(millis: int) -> float:
    """Epoch seconds as the API writes them: whole where they are."""
    return millis // 1000 if millis % 1000 == 0 else millis / 1000


def instant(store: Store, text: str, at: int) -> dict[str, Any]:
    """`data` of an instant query at epoch millisecond `at`. ParseError, QueryError."""
    value = Query(store, [at]).run(text)
    if isinstance(value, Text):
        return {"resultType": "string", "result": [stamp(at), value.value]}
    if isinstance(value, Scalar):
        return {"resultType": "scalar", "result": [stamp(at), write_float(value.values[0])]}
    if isinstance(value, Samples):
        return {"resultType": "matrix", "result": [_raw(s) for s in value.sources]}
    return {
        "resultType": "vector",
        "result": [
            {"metric": row.labels, "value": [stamp(at), write_float(v)]}
            for row in value
            if (v := row.values[0]) is not None
        ],
    }


def _raw(source: Source) -> dict[str, Any]:
    pairs = zip(source.times, source.values, strict=True)
    return {"metric": source.labels, "values": [[stamp(t), write_float(v)] for t, v in pairs]}


def ranged(store: Store, text: str, start: int, end: int, step: int) -> dict[str, Any]:
    """`data` of a range query; times in milliseconds. ParseError, QueryError."""
    steps = list(range(start, end + 1, step))
    value = Query(store, steps, bounds=(start, end)).run(text)
    if isinstance(value, Text | Samples):
        kind = "string" if isinstance(value, Text) else "range vector"
        raise ParseError(
            f'invalid expression type "{kind}" for range query, must be Scalar or instant Vector'
        )
    return {"resultType": "matrix", "result": list(_matrix(value, steps))}


def _matrix(value: Scalar | Vector, steps: list[int]) -> Iterable[dict[str, Any]]:
    rows = [Row({}, list(value.values))] if isinstance(value, Scalar) else value
    stamps = [stamp(t) for t in steps]
    for row in sorted(rows, key=lambda r: list(r.labels.items())):
        values = [
            [t, write_float(v)] for t, v in zip(stamps, row.values, strict=True) if v is not None
        ]
        if values:
            yield {"metric": row.labels, "values": values}


class Server(HttpServer):
    """The HTTP server."""

    name = "prometheus"

    def __init__(self, world: World, faults: Faults) -> None:
        super().__init__(world, faults)
        self._store = world.series.store
        self._rules = Rules(self._store)

    def routes(self) -> list[web.RouteDef]:
        api = "/api/v1"
        both = (
            ("query", self._query),
            ("query_range", self._query_range),
            ("series", self._series),
            ("labels", self._labels),
        )
        return [
            *(web.get(f"{api}/{path}", handler) for path, handler in both),
            *(web.post(f"{api}/{path}", handler) for path, handler in both),
            web.get(f"{api}/label/{{name}}/values", self._label_values),
            web.get(f"{api}/alerts", self._alerts),
            web.get(f"{api}/rules", self._rule_groups),
            web.get(f"{api}/targets", self._targets),
            web.get(f"{api}/metadata", self._metadata),
            web.get(f"{api}/alertmanagers", self._alertmanagers),
            web.get(f"{api}/query_exemplars", self._exemplars),
            web.get(f"{api}/status/{{what}}", self._status),
            web.get("/-/healthy", self._healthy),
            web.get("/-/ready", self._ready),
            web.get("/", self._root),
            web.get("/graph", self._graph),
        ]

    async def guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except ApiError as error:
            return _error(error.status, error.kind, error.message)
        except ParseError as error:
            return _error(400, "bad_data", f'invalid parameter "query": parse error: {error}')
        except QueryError as error:
            return _error(422, "execution", str(error))
        except web.HTTPNotFound:
            return web.Response(status=404, text="404 page not found\n")

    def _now(self) -> int:
        return int(self.world.now * 1000) if self.world.frozen else int(time.time() * 1000)

    # queries --------------------------------------------------------------------------------

    async def _query(self, request: web.Request) -> web.Response:
        parameters = await _parameters(request)
        at = _time(parameters, "time", self._now())
        timeout = _timeout(parameters)
        begin = time.perf_counter()
        data = instant(self._store, _first(parameters, "query"), at)
        return _answered(data, parameters, begin, timeout)

    async def _query_range(self, request: web.Request) -> web.Response:
        parameters = await _parameters(request)
        start = parse_time(_first(parameters, "start"), "start")
        end = parse_time(_first(parameters, "end"), "end")
        if end < start:
            raise bad('invalid parameter "end": end timestamp must not be before start time')
        step = parse_duration(_first(parameters, "step"), "step")
        if step <= 0:
            raise bad(
                'invalid parameter "step": zero or negative query resolution step widths are not '
                "accepted. Try a positive integer"
            )
        if (end - start) // step > MAX_POINTS:
            raise bad(
                "exceeded maximum resolution of 11,000 points per timeseries. "
                "Try decreasing the query resolution (?step=XX)"
            )
        timeout = _timeout(parameters)
        begin = time.perf_counter()
        data = ranged(self._store, _first(parameters, "query"), start, end, step)
        return _answered(data, parameters, begin, timeout)

    # series and labels ----------------------------------------------------------------------

    def _selected(self, parameters: Parameters, required: bool = False) -> list[Series]:
        selectors = parameters.get("match[]", [])
        if required and not selectors:
            raise bad("no match[] parameter provided")
        start = _time(parameters, "start", -(2**62))
        end = _time(parameters, "end", 2**62)
        chosen: dict[int, Series] = {}
        groups = [parse_selector(s) for s in selectors] if selectors else [[]]
        for matchers in groups:
            for series in self._store.select(matchers):
                times, _ = series.points() if required or selectors else (series.timeline.times, 0)
                if len(times) and times[0] <= end and times[-1] >= start:
                    chosen[id(series)] = series
        return list(chosen.values())

    async def _series(self, request: web.Request) -> web.Response:
        chosen = self._selected(await _parameters(request), required=True)
        return _success([s.labels for s in chosen])

    async def _labels(self, request: web.Request) -> web.Response:
        chosen = self._selected(await _parameters(request))
        return _success(sorted({name for series in chosen for name in series.labels}))

    async def _label_values(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if not re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]*", name):
            raise bad(f'invalid label name: "{name}"')
        chosen = self._selected(await _parameters(request))
        return _success(sorted({s.labels[name] for s in chosen if name in s.labels}))

    async def _metadata(self, request: web.Request) -> web.Response:
        known = self._store.metadata
        metric = request.query.get("metric")
        names = [metric] if metric else sorted(known)
        try:
            limit = int(request.query.get("limit") or -1)
        except ValueError:
            raise bad("limit must be a number") from None
        if limit >= 0:
            names = names[:limit]
        return _success(
            {
                n: [{"type": known[n].type, "help": known[n].help, "unit": ""}]
                for n in names
                if n in known
            }
        )

    async def _exemplars(self, request: web.Request) -> web.Response:
        return _success([])

    # alerts, targets, status ----------------------------------------------------------------

    async def _alerts(self, request: web.Request) -> web.Response:
        self._rules.evaluate(self._now())
        return _success({"alerts": self._rules.alerts()})

    async def _rule_groups(self, request: web.Request) -> web.Response:
        kind = request.query.get("type", "")
        if kind not in ("", "alert", "record"):
            raise bad(f'not supported value "{kind}"')
        self._rules.evaluate(self._now())
        groups = self._rules.groups()
        if kind == "record":
            groups = [{**g, "rules": []} for g in groups]
        return _success({"groups": groups})

    async def _targets(self, request: web.Request) -> web.Response:
        return _success(status.targets(self.world, request.query.get("state", "any").lower()))

    async def _alertmanagers(self, request: web.Request) -> web.Response:
        url = "http://localhost:9093/api/v2/alerts"
        return _success({"activeAlertmanagers": [{"url": url}], "droppedAlertmanagers": []})

    async def _status(self, request: web.Request) -> web.Response:
        make = status.PAGES.get(request.match_info["what"])
        if make is None:
            raise web.HTTPNotFound
        return _success(make(self.world))

    async def _healthy(self, request: web.Request) -> web.Response:
        return web.Response(text="Prometheus Server is Healthy.\n")

    async def _ready(self, request: web.Request) -> web.Response:
        return web.Response(text="Prometheus Server is Ready.\n")

    async def _root(self, request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": "/graph"})

    async def _graph(self, request: web.Request) -> web.Response:
        return web.Response(
            text="<!doctype html><title>Prometheus</title>The sandbox has the API only.\n",
            content_type="text/html",
        )


async def _parameters(request: web.Request) -> Parameters:
    """Query string and form body together."""
    parameters: Parameters = {}
    for name, value in request.query.items():
        parameters.setdefault(name, []).append(value)
    if request.method == "POST":
        for name, field in (await request.post()).items():
            if isinstance(field, str):
                parameters.setdefault(name, []).insert(0, field)
    return parameters


def _first(parameters: Parameters, name: str) -> str:
    return parameters.get(name, [""])[0]


def _time(parameters: Parameters, name: str, default: int) -> int:
    text = _first(parameters, name)
    return parse_time(text, name) if text else default


def _timeout(parameters: Parameters) -> int:
    text = _first(parameters, "timeout")
    return parse_duration(text, "timeout") if text else _DEFAULT_TIMEOUT


def _answered(
    data: dict[str, Any], parameters: Parameters, begin: float, timeout: int
) -> web.Response:
    took = time.perf_counter() - begin
    if took * 1000 > timeout:
        raise ApiError(503, "timeout", "query timed out in expression evaluation")
    if _first(parameters, "stats"):
        data["stats"] = status.query_stats(took)
    return _success(data)


def _success(data: Any) -> web.Response:
    return json_response({"status": "success", "data": data})


def _error(status_code: int, kind: str, message: str) -> web.Response:
    body = {"status": "error", "errorType": kind, "error": message}
    return json_response(body, status=status_code)
