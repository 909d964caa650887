"""Resources about documents: search, count, points in time, reading and writing."""

from __future__ import annotations

import json
import time
from typing import Any

from aiohttp import web

from mailtui.sandbox.es_errors import EsError, illegal, parsing, unsupported
from mailtui.sandbox.es_indices import Indices
from mailtui.sandbox.es_pit import PointsInTime
from mailtui.sandbox.es_rest import answer, flag, read, read_lines, selection
from mailtui.sandbox.es_search import Search, shard_counts
from mailtui.sandbox.es_segments import Shard
from mailtui.sandbox.es_source import source_filter
from mailtui.sandbox.es_write import Writer


class Documents:
    """Handlers over the store."""

    def __init__(self, indices: Indices, seed: int) -> None:
        self._indices = indices
        self._world = indices.store.world
        self._points = PointsInTime(str(seed))
        self._writer = Writer(indices.store, seed)

    def routes(self) -> list[web.RouteDef]:
        """The resources."""
        both = ("GET", "POST")
        routes = []
        for prefix in ("", "/{index}"):
            routes += [web.route(m, f"{prefix}/_search", self.search) for m in both]
            routes += [web.route(m, f"{prefix}/_msearch", self.msearch) for m in both]
            routes += [web.route(m, f"{prefix}/_count", self.count) for m in both]
            routes += [web.route(m, f"{prefix}/_mget", self.mget) for m in both]
            routes += [web.route(m, f"{prefix}/_bulk", self.bulk) for m in ("POST", "PUT")]
            routes += [web.route(m, f"{prefix}/_refresh", self.refresh) for m in both]
        return [
            *routes,
            web.post("/{index}/_pit", self.open_point),
            web.delete("/_pit", self.close_point),
            web.post("/{index}/_delete_by_query", self.delete_by_query),
            web.post("/{index}/_doc", self.index),
            web.get("/{index}/_doc/{id}", self.get),
            web.post("/{index}/_doc/{id}", self.index),
            web.put("/{index}/_doc/{id}", self.index),
            web.delete("/{index}/_doc/{id}", self.delete),
            web.get("/{index}/_source/{id}", self.get_source),
            web.post("/{index}/_create/{id}", self.create),
            web.put("/{index}/_create/{id}", self.create),
            web.post("/{index}/_update/{id}", self.update),
        ]

    def _now(self) -> int:
        return int(self._world.now * 1000)

    def _node(self) -> str:
        return self._world.search.nodes[0].id

    def _names(self, request: web.Request) -> list[str]:
        return self._indices.resolve(request.match_info.get("index"), **selection(request))

    async def search(self, request: web.Request) -> web.Response:
        """`_search`."""
        body = _with_parameters(request, await read(request))
        if "pit" in body:
            if "index" in request.match_info:
                raise EsError(
                    400,
                    "action_request_validation_exception",
                    "Validation Failed: 1: [indices] cannot be used with point in time. Do not"
                    " specify any index with point in time.;",
                )
            shards = self._held(body["pit"])
        else:
            shards = self._indices.shards(self._names(request))
        result = self._run(shards, body, flag(request, "allow_partial_search_results", True))
        if flag(request, "rest_total_hits_as_int", False) and "total" in result["hits"]:
            result["hits"]["total"] = result["hits"]["total"]["value"]
        return answer(request, result)

    def _held(self, pit: Any) -> list[Shard]:
        if not isinstance(pit, dict) or not pit.get("id"):
            raise parsing("[pit] requires [id]")
        return self._points.get(str(pit["id"]), pit.get("keep_alive"), self._world.now)

    def _run(self, shards: list[Shard], body: dict[str, Any], partial: bool) -> dict[str, Any]:
        started = time.perf_counter()
        result = Search(shards, body, self._now(), self._node()).run()
        counts = result["_shards"]
        if counts["failed"] and (not partial or counts["failed"] == counts["total"]):
            raise _no_shards(shards)
        head: dict[str, Any] = {}
        if "pit" in body:
            head["pit_id"] = body["pit"]["id"]
        return {**head, "took": round((time.perf_counter() - started) * 1000), **result}

    async def msearch(self, request: web.Request) -> web.Response:
        """`_msearch`: pairs of lines; each search fails alone."""
        lines = (await read_lines(request)).split("\n")
        if lines and lines[-1] == "":
            lines.pop()
        else:
            raise illegal("The msearch request must be terminated by a newline [\\n]")
        responses: list[dict[str, Any]] = []
        for head, line in zip(lines[::2], lines[1::2], strict=False):
            try:
                responses.append({**self._one(request, head, line), "status": 200})
            except EsError as error:
                responses.append(error.body())
        took = sum(r.get("took", 0) for r in responses)
        return answer(request, {"took": took, "responses": responses})

    def _one(self, request: web.Request, head: str, line: str) -> dict[str, Any]:
        try:
            header, body = json.loads(head or "{}"), json.loads(line)
        except ValueError as error:
            raise EsError(400, "x_content_parse_exception", f"[1:1] {error}") from None
        names = header.get("index", request.match_info.get("index"))
        if isinstance(names, list):
            names = ",".join(names)
        if "pit" in body:
            return self._run(self._held(body["pit"]), body, True)
        found = self._indices.resolve(
            names,
            ignore_unavailable=bool(header.get("ignore_unavailable")),
            allow_no_indices=bool(header.get("allow_no_indices", True)),
            expand=str(header.get("expand_wildcards", "open")),
        )
        return self._run(self._indices.shards(found), body, True)

    async def count(self, request: web.Request) -> web.Response:
        """`_count`."""
        body = _with_parameters(request, await read(request))
        for key in body:
            if key != "query":
                raise parsing(f"request does not support [{key}]")
        shards = self._indices.shards(self._names(request))
        whole = {**body, "size": 0, "track_total_hits": True}
        result = self._run(shards, whole, True)
        total = result["hits"]["total"]["value"]
        return answer(request, {"count": total, "_shards": shard_counts(shards)})

    async def open_point(self, request: web.Request) -> web.Response:
        """`POST INDEX/_pit`."""
        keep_alive = request.query.get("keep_alive")
        if keep_alive is None:
            raise EsError(
                400,
                "action_request_validation_exception",
                "Validation Failed: 1: [keep_alive] is not specified;",
            )
        shards = self._indices.shards(self._names(request))
        id_ = self._points.open(shards, keep_alive, self._world.now)
        return answer(request, {"id": id_, "_shards": shard_counts(shards)})

    async def close_point(self, request: web.Request) -> web.Response:
        """`DELETE _pit`."""
        ids = (await read(request)).get("id", [])
        closed = [
            self._points.close(str(id_), self._world.now)
            for id_ in (ids if isinstance(ids, list) else [ids])
        ]
        freed = sum(closed)
        return answer(
            request, {"succeeded": True, "num_freed": freed}, status=200 if freed else 404
        )

    async def get(self, request: web.Request) -> web.Response:
        """`GET INDEX/_doc/ID`."""
        body = self._document(request.match_info["index"], request.match_info["id"], request)
        return answer(request, body, status=200 if body["found"] else 404)

    def _document(self, index: str, id_: str, request: web.Request | None) -> dict[str, Any]:
        names = self._indices.resolve(index, allow_no_indices=False)
        if len(names) != 1:
            raise illegal(f"unable to return a single index as the index and options provided got"
                          f" resolved to multiple indices [{index}]")  # fmt: skip
        found = self._indices.store.find(names[0], id_)
        if found is None:
            return {"_index": names[0], "_id": id_, "found": False}
        body: dict[str, Any] = {
            "_index": names[0],
            "_id": id_,
            "_version": found[1],
            "_seq_no": 0,
            "_primary_term": 1,
            "found": True,
        }
        keep = source_filter(True if request is None else _source_parameters(request))
        if keep is not None:
            body["_source"] = keep(found[0])
        return body

    async def get_source(self, request: web.Request) -> web.Response:
        """`GET INDEX/_source/ID`."""
        body = self._document(request.match_info["index"], request.match_info["id"], request)
        if not body["found"]:
            raise EsError(
                404,
                "resource_not_found_exception",
                f"Document not found [{body['_index']}]/[{body['_id']}]",
            )
        return answer(request, body["_source"])

    async def mget(self, request: web.Request) -> web.Response:
        """`_mget`."""
        body = await read(request)
        index = request.match_info.get("index")
        wanted = body.get("docs") or [{"_id": id_} for id_ in body.get("ids", [])]
        docs = [self._document(doc.get("_index", index), str(doc["_id"]), None) for doc in wanted]
        return answer(request, {"docs": docs})

    async def index(self, request: web.Request) -> web.Response:
        """`POST INDEX/_doc`, `PUT INDEX/_doc/ID`."""
        create = request.query.get("op_type") == "create"
        return await self._write(request, create=create)

    async def create(self, request: web.Request) -> web.Response:
        """`PUT INDEX/_create/ID`."""
        return await self._write(request, create=True)

    async def _write(self, request: web.Request, *, create: bool) -> web.Response:
        for key in ("if_seq_no", "if_primary_term", "version", "pipeline", "require_alias"):
            if request.query.get(key) not in (None, "false"):
                raise unsupported(f"[{key}]")
        source = await read(request)
        name, id_ = request.match_info["index"], request.match_info.get("id")
        result = self._writer.index(name, id_, source, create=create)
        return answer(request, result, status=201 if result["result"] == "created" else 200)

    async def update(self, request: web.Request) -> web.Response:
        """`POST INDEX/_update/ID`."""
        info = request.match_info
        result = self._writer.update(info["index"], info["id"], await read(request))
        return answer(request, result, status=201 if result["result"] == "created" else 200)

    async def delete(self, request: web.Request) -> web.Response:
        """`DELETE INDEX/_doc/ID`."""
        result = self._writer.delete(request.match_info["index"], request.match_info["id"])
        return answer(request, result, status=404 if result["result"] == "not_found" else 200)

    async def bulk(self, request: web.Request) -> web.Response:
        """`_bulk`."""
        text = await read_lines(request)
        return answer(request, self._writer.bulk(request.match_info.get("index"), text))

    async def delete_by_query(self, request: web.Request) -> web.Response:
        """`POST INDEX/_delete_by_query`."""
        body = _with_parameters(request, await read(request))
        for key in body:
            if key != "query":
                raise unsupported(f"[delete_by_query] with [{key}]")
        names = self._names(request)
        return answer(request, self._writer.delete_by_query(names, body.get("query"), self._now()))

    async def refresh(self, request: web.Request) -> web.Response:
        """`_refresh`: what was written is searchable at once here."""
        counts = shard_counts(self._indices.shards(self._names(request)))
        return answer(request, {"_shards": {k: v for k, v in counts.items() if k != "skipped"}})


def _source_parameters(request: web.Request) -> Any:
    query = request.query
    includes, excludes = query.get("_source_includes"), query.get("_source_excludes")
    if includes or excludes:
        return {"includes": includes, "excludes": excludes}
    value = query.get("_source")
    return True if value in (None, "", "true") else False if value == "false" else value


def _with_parameters(request: web.Request, body: dict[str, Any]) -> dict[str, Any]:
    """The body with what the query string says instead (it weighs more)."""
    query = request.query
    body = dict(body)
    if "scroll" in query:
        raise unsupported("[scroll]")
    if q := query.get("q"):
        clause: dict[str, Any] = {"query": q}
        for parameter, option in (("df", "default_field"), ("default_operator", "default_operator"),
                                  ("lenient", "lenient"),
                                  ("analyze_wildcard", "analyze_wildcard")):  # fmt: skip
            if parameter in query:
                value = query[parameter]
                clause[option] = {"true": True, "false": False}.get(value, value)
        body["query"] = {"query_string": clause}
    for name in ("size", "from"):
        if name in query:
            body[name] = query[name]
    for name in ("sort", "timeout"):
        if name in query:
            body[name] = query[name]
    if "track_total_hits" in query:
        value = query["track_total_hits"]
        known = {"true": True, "": True, "false": False}
        body["track_total_hits"] = known[value] if value in known else int(value)
    for name in ("docvalue_fields", "stored_fields"):
        if name in query:
            body[name] = query[name].split(",")
    if any(name in query for name in ("_source", "_source_includes", "_source_excludes")):
        body["_source"] = _source_parameters(request)
    for name in ("version", "seq_no_primary_term", "explain"):
        if name in query:
            body[name] = flag(request, name, False)
    return body


class _NoShards(EsError):
    index = ""

    def error(self) -> dict[str, Any]:
        cause = {"type": "no_shard_available_action_exception", "reason": None}
        return {
            "root_cause": [cause],
            "type": self.kind,
            "reason": self.reason,
            "phase": "query",
            "grouped": True,
            "failed_shards": [{"shard": 0, "index": self.index, "node": None, "reason": cause}],
        }


def _no_shards(shards: list[Shard]) -> EsError:
    error = _NoShards(503, "search_phase_execution_exception", "all shards failed")
    error.index = next((shard.name for shard in shards if shard.lost), "")
    return error
