"""Resources about the cluster and its indices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiohttp import web

from mailtui.sandbox import es_cat
from mailtui.sandbox.es_cat import Cat
from mailtui.sandbox.es_cluster import Cluster
from mailtui.sandbox.es_errors import EsError, illegal, no_such_index
from mailtui.sandbox.es_indices import Indices, flatten, nest
from mailtui.sandbox.es_rest import answer, flag, read, selection
from mailtui.sandbox.es_text import wildcard

_TABLES = ("indices", "allocation", "health", "nodes", "shards")


class Metadata:
    """Handlers over the cluster's state."""

    def __init__(self, indices: Indices) -> None:
        self._indices = indices
        self._cluster = Cluster(indices)
        self._cat = Cat(indices)

    def routes(self) -> list[web.RouteDef]:
        """The resources; those of single indices come last."""
        routes = [
            web.get("/", self.info),
            web.get("/_cluster/health", self.health),
            web.get("/_cluster/health/{index}", self.health),
            web.get("/_cluster/settings", self.settings),
            web.put("/_cluster/settings", self.put_settings),
            web.get("/_cluster/stats", self.stats),
            web.get("/_nodes", self.nodes),
            web.get("/_nodes/stats", self.node_stats),
            web.get("/_nodes/stats/{metrics}", self.node_stats),
            web.get("/_nodes/{node}", self.nodes),
            web.get("/_nodes/{node}/stats", self.node_stats),
            web.get("/_nodes/{node}/stats/{metrics}", self.node_stats),
            web.get("/_cat", self.cat_help),
            web.get("/_cat/{table}", self.cat),
            web.get("/_cat/{table}/{index}", self.cat),
            web.get("/_data_stream", self.data_streams),
            web.get("/_alias", self.alias),
            web.get("/_settings", self.index_settings),
            web.put("/_settings", self.put_index_settings),
            web.get("/_mapping", self.mapping),
        ]
        routes += [web.route(m, "/_field_caps", self.field_caps) for m in ("GET", "POST")]
        routes += [web.route(m, "/{index}/_field_caps", self.field_caps) for m in ("GET", "POST")]
        return [
            *routes,
            web.get("/{index}/_alias", self.alias),
            web.get("/{index}/_settings", self.index_settings),
            web.get("/{index}/_settings/{name}", self.index_settings),
            web.put("/{index}/_settings", self.put_index_settings),
            web.get("/{index}/_mapping", self.mapping),
            web.get("/{index}", self.get_index),
            web.put("/{index}", self.create),
            web.delete("/{index}", self.delete),
        ]

    def _names(self, request: web.Request) -> list[str]:
        options = selection(request)
        if request.method == "HEAD":
            options["allow_no_indices"] = flag(request, "allow_no_indices", True)
        name = request.match_info.get("index")
        names = self._indices.resolve(name, single_closed=True, **options)
        if not names and name and request.method == "HEAD":
            raise no_such_index(name)
        return names

    async def info(self, request: web.Request) -> web.Response:
        """`GET /`."""
        return answer(request, self._cluster.info())

    async def health(self, request: web.Request) -> web.Response:
        """`_cluster/health`; what is waited for and not so within the request is a 408."""
        names = self._names(request) if "index" in request.match_info else None
        body = self._cluster.health(names, request.query.get("level", "cluster"))
        wanted = request.query.get("wait_for_status")
        order = ("green", "yellow", "red")
        if wanted is not None and wanted not in order:
            raise illegal(f"unknown cluster health status [{wanted}]")
        if wanted is not None and order.index(body["status"]) > order.index(wanted):
            body["timed_out"] = True
        return answer(request, body, status=408 if body["timed_out"] else 200)

    async def settings(self, request: web.Request) -> web.Response:
        """`_cluster/settings`."""
        body = self._cluster.settings(
            defaults=flag(request, "include_defaults", False),
            flat=flag(request, "flat_settings", False),
        )
        return answer(request, body)

    async def put_settings(self, request: web.Request) -> web.Response:
        """`PUT _cluster/settings`: the disk watermarks."""
        body = await read(request)
        answers: dict[str, Any] = {"acknowledged": True}
        for scope in ("persistent", "transient"):
            flat = flatten(body.get(scope) or {})
            flat.pop("", None)
            for key, value in flat.items():
                prefix, _, name = key.rpartition(".")
                if prefix != "cluster.routing.allocation.disk.watermark" or name not in (
                    "low", "high", "flood_stage",
                ):  # fmt: skip
                    raise illegal(f"{scope} setting [{key}], not recognized")
                normal = {"low": 0.85, "high": 0.90, "flood_stage": 0.95}[name]
                share = normal if value is None else _share(key, str(value))
                setattr(self._cluster.search, name, share)
            answers[scope] = nest(flat)
        return answer(request, answers)

    async def stats(self, request: web.Request) -> web.Response:
        """`_cluster/stats`."""
        return answer(request, self._cluster.stats())

    async def nodes(self, request: web.Request) -> web.Response:
        """`_nodes`."""
        return answer(request, self._cluster.nodes(request.match_info.get("node")))

    async def node_stats(self, request: web.Request) -> web.Response:
        """`_nodes/stats`."""
        metrics = {m for m in request.match_info.get("metrics", "").split(",") if m}
        return answer(request, self._cluster.node_stats(request.match_info.get("node"), metrics))

    async def cat_help(self, request: web.Request) -> web.Response:
        """`_cat`: what there is."""
        lines = "".join(f"/_cat/{table}\n" for table in sorted(_TABLES))
        return _text("=^.^=\n" + lines)

    async def cat(self, request: web.Request) -> web.Response:
        """`_cat/TABLE`."""
        table = request.match_info["table"]
        if table not in _TABLES:
            raise EsError(400, "illegal_argument_exception", f"unknown _cat table [{table}]")
        if table in ("indices", "shards"):
            names = self._indices.resolve(
                request.match_info.get("index"),
                expand=request.query.get("expand_wildcards", "all"),
                single_closed=True,
            )
            rows = self._cat.indices(names) if table == "indices" else self._cat.shards(names)
        else:
            make: dict[str, Callable[[], list[dict[str, Any]]]] = {
                "allocation": self._cat.allocation,
                "health": self._cat.health,
                "nodes": self._cat.nodes,
            }
            rows = make[table]()
        if (status := request.query.get("health")) and table == "indices":
            rows = [row for row in rows if row["health"] == status]
        shown = es_cat.chosen(table, rows, request.query)
        form = request.query.get("format")
        accept = request.headers.get("Accept", "")
        if form == "json" or (form is None and accept.startswith("application/")):
            return answer(request, shown)
        if form not in (None, "text"):
            raise illegal(f"request [{request.path}] has an unsupported format [{form}]")
        return _text(es_cat.text(shown, heading=flag(request, "v", False)))

    async def data_streams(self, request: web.Request) -> web.Response:
        """`_data_stream`: none."""
        return answer(request, {"data_streams": []})

    async def alias(self, request: web.Request) -> web.Response:
        """`_alias`: every index, without aliases."""
        return answer(request, {name: {"aliases": {}} for name in self._names(request)})

    def _settings(self, request: web.Request, name: str) -> dict[str, Any]:
        flat = self._indices.settings(name)
        if wanted := request.match_info.get("name"):
            patterns = [wildcard(part) for part in wanted.split(",")]
            flat = {k: v for k, v in flat.items() if any(p.fullmatch(k) for p in patterns)}
        return flat if flag(request, "flat_settings", False) else nest(flat)

    async def index_settings(self, request: web.Request) -> web.Response:
        """`INDEX/_settings`."""
        names = self._names(request)
        return answer(request, {n: {"settings": self._settings(request, n)} for n in names})

    async def put_index_settings(self, request: web.Request) -> web.Response:
        """`PUT INDEX/_settings`."""
        self._indices.put_settings(self._names(request), await read(request))
        return answer(request, {"acknowledged": True})

    async def mapping(self, request: web.Request) -> web.Response:
        """`INDEX/_mapping`."""
        store = self._indices.store
        names = self._names(request)
        return answer(request, {n: {"mappings": store.mapping(n).properties()} for n in names})

    async def field_caps(self, request: web.Request) -> web.Response:
        """`_field_caps`."""
        body = await read(request) if request.method == "POST" else {}
        fields = body.get("fields") or request.query.get("fields", "")
        patterns = fields if isinstance(fields, list) else [f for f in fields.split(",") if f]
        if not patterns:
            raise EsError(
                400,
                "action_request_validation_exception",
                "Validation Failed: 1: no fields specified;",
            )
        return answer(request, self._indices.field_caps(self._names(request), patterns))

    async def get_index(self, request: web.Request) -> web.Response:
        """`GET INDEX`."""
        store = self._indices.store
        body = {
            name: {
                "aliases": {},
                "mappings": store.mapping(name).properties(),
                "settings": self._settings(request, name),
            }
            for name in self._names(request)
        }
        return answer(request, body)

    async def create(self, request: web.Request) -> web.Response:
        """`PUT INDEX`."""
        name = request.match_info["index"]
        self._indices.create(name, await read(request))
        return answer(request, {"acknowledged": True, "shards_acknowledged": True, "index": name})

    async def delete(self, request: web.Request) -> web.Response:
        """`DELETE INDEX`; wildcards are refused (`action.destructive_requires_name`)."""
        expression = request.match_info["index"]
        if "*" in expression or expression == "_all":
            raise illegal("Wildcard expressions or all indices are not allowed")
        for name in self._names(request):
            self._indices.store.delete(name)
        return answer(request, {"acknowledged": True})


def _share(key: str, value: str) -> float:
    try:
        share = float(value.removesuffix("%")) / (100 if value.endswith("%") else 1)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise illegal(f"unable to parse [{key}={value}] as either percentage or bytes")
    return share


def _text(body: str) -> web.Response:
    return web.Response(
        body=body.encode(),
        headers={
            "Content-Type": "text/plain; charset=UTF-8",
            "X-Elastic-Product": "Elasticsearch",
        },
    )
