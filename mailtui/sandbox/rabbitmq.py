"""RabbitMQ's management API over the simulated broker.

Reference: the HTTP API reference of the management plugin; shapes checked against a RabbitMQ
3.10.8. What its user's tags and permissions do not allow is refused as the broker does; what
changes something is in `rabbitmq_writes.py`.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from aiohttp import web

from mailtui.sandbox import rabbitmq_samples
from mailtui.sandbox.faults import Faults
from mailtui.sandbox.http_server import Handler, HttpServer, json_response
from mailtui.sandbox.rabbitmq_account import Account
from mailtui.sandbox.rabbitmq_links import Links, alarms
from mailtui.sandbox.rabbitmq_lists import BadRequest, columns, listed
from mailtui.sandbox.rabbitmq_objects import Objects
from mailtui.sandbox.rabbitmq_writes import Refused, Writes

if TYPE_CHECKING:
    from mailtui.sandbox.world import World

_HEADERS = {"Cache-Control": "no-cache", "Server": "Cowboy",
            "Vary": "accept, accept-encoding, origin"}  # fmt: skip
_NOT_FOUND = ("Object Not Found", "Not Found")


class Server(HttpServer):
    """The management plugin's HTTP interface."""

    name = "rabbitmq"

    def __init__(self, world: World, faults: Faults, account: Account | None = None) -> None:
        super().__init__(world, faults)
        self.account = account or Account()
        """The user that it lets in."""
        self._objects = Objects(world)
        self._links = Links(world)
        self._writes = Writes(world, self.account)

    def routes(self) -> list[web.RouteDef]:
        """One resource for everything below /api: names hold percent-encoded slashes."""
        return [
            web.route("*", "/api", self._serve),
            web.route("*", "/api/{path:.*}", self._serve),
            web.get("/", self._front),
        ]

    async def guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Authentication, and errors in RabbitMQ's form."""
        try:
            refusal = self._refusal(request) if request.path.startswith("/api") else None
            response = refusal or await handler(request)
        except Refused as error:
            response = _failure(error.status, error.error, error.reason)
        except BadRequest as error:
            response = _failure(400, error.error, error.reason)
        except web.HTTPNotFound:
            response = _failure(404, *_NOT_FOUND)
        response.headers.update(_HEADERS)
        return response

    def _refusal(self, request: web.Request) -> web.Response | None:
        challenge = {"WWW-Authenticate": 'Basic realm="RabbitMQ Management"'}
        header = request.headers.get("Authorization", "")
        if not header:
            return web.Response(status=401, headers=challenge)
        scheme, _, value = header.partition(" ")
        try:
            given = base64.b64decode(value, validate=True)
        except ValueError:
            given = b""
        user, _, password = given.decode("utf-8", "surrogateescape").partition(":")
        if scheme.lower() == "basic" and self.account.is_login(user, password):
            return None
        old = self.world.broker.version.startswith("3.")
        body = {
            "error": "not_authorized",
            "reason": "Login failed" if old else "Not_Authorized",
        }
        return json_response(body, status=401, headers=challenge)

    async def _front(self, request: web.Request) -> web.Response:
        return web.Response(
            text="<!DOCTYPE html><html><head><title>RabbitMQ Management</title></head></html>",
            content_type="text/html",
        )

    async def _serve(self, request: web.Request) -> web.Response:
        # The raw path: %2F is the name of the default virtual host, not a separator.
        raw = request.rel_url.raw_path.removeprefix("/api").strip("/")
        parts = [unquote(part) for part in raw.split("/")] if raw else []
        done = await self._writes.serve(parts, request)
        if done is not None:
            return done
        answer = self._answer(parts, request)
        if request.method == "OPTIONS":
            return web.Response(status=200, headers={"Allow": "HEAD, GET, OPTIONS"})
        if request.method not in ("GET", "HEAD"):
            return web.Response(status=405, headers={"Allow": "HEAD, GET, OPTIONS"})
        if isinstance(answer, web.Response):
            return answer
        if isinstance(answer, list):
            answer = listed(answer, request.query)
        elif isinstance(answer, dict):
            answer = columns(answer, request.query.get("columns"))
        return json_response(answer)

    def _monitor(self, reason: str = "Not monitor user") -> None:
        if not self._monitors():
            raise Refused(401, "not_authorised", reason)

    def _monitors(self) -> bool:
        return bool({"monitoring", "administrator"} & set(self.account.tags))

    def _administrator(self) -> None:
        if "administrator" not in self.account.tags:
            raise Refused(401, "not_authorised", "Not administrator user")

    def _of_connection(self, connection: dict[str, Any], rest: list[str]) -> Any:
        if not rest:
            return connection
        if rest != ["channels"]:
            raise Refused(404, *_NOT_FOUND)
        return [
            channel
            for channel in self._links.channels()
            if channel["connection_details"]["name"] == connection["name"]
        ]

    def _answer(self, parts: list[str], request: web.Request) -> Any:
        """The resource that a path names; Refused (404) if there is none."""
        make, links = self._objects, self._links
        match parts:
            case ["overview"]:
                return make.overview()
            case ["cluster-name"]:
                return {"name": self.world.broker.cluster}
            case ["whoami"]:
                return {"name": self.account.username, "tags": self.account.tags}
            case ["nodes", *rest]:
                self._monitor()
                return _named(make.nodes(), rest)
            case ["queues", *rest]:
                return self._queues(rest, request)
            case ["exchanges", *rest]:
                return self._per_vhost(make.exchanges(), rest)
            case ["bindings", *rest]:
                return self._per_vhost(make.bindings(), rest)
            case ["policies", *rest]:
                return self._per_vhost(make.policies(), rest)
            case ["consumers", *rest]:
                rows = links.consumers()
                if not self._monitors():
                    own = self.account.username
                    rows = [c for c in rows if c["channel_details"]["user"] == own]
                if not rest:
                    return rows
                return [c for c in rows if c["queue"]["vhost"] == self._vhost(rest)]
            case ["connections"]:
                return links.connections()
            case ["connections", name, *rest]:
                connection = _named(links.connections(), [name])
                if connection["user"] != self.account.username:
                    self._monitor("User not authorised to access object")
                return self._of_connection(connection, rest)
            case ["channels", *rest]:
                return _named(links.channels(), rest)
            case ["vhosts", name, ("connections" | "channels") as kind]:
                rows = links.connections() if kind == "connections" else links.channels()
                return [row for row in rows if row["vhost"] == self._vhost([name])]
            case ["vhosts", *rest]:
                return _named(make.vhosts(), rest)
            case ["users", *rest]:
                self._administrator()
                users = [{"name": n, "tags": [t] if t else []} for n, t in self.world.broker.users]
                return _named(users, rest)
            case ["parameters" | "global-parameters", *_]:
                return []
            case ["health", "checks", *check]:
                return self._check(check)
            case ["aliveness-test", _] | ["healthchecks", "node", *_]:
                return {"status": "ok"}
        raise Refused(404, *_NOT_FOUND)

    def _vhost(self, rest: list[str]) -> str:
        if len(rest) != 1 or rest[0] not in self.world.broker.vhosts:
            raise Refused(404, *_NOT_FOUND)
        return rest[0]

    def _per_vhost(self, rows: list[dict[str, Any]], rest: list[str]) -> Any:
        if not rest:
            return rows
        vhost = self._vhost(rest[:1])
        found = [row for row in rows if row["vhost"] == vhost]
        return _named(found, rest[1:])

    def _queues(self, rest: list[str], request: web.Request) -> Any:
        query, queues = request.query, self.world.broker.queues
        if len(rest) >= 2:
            queue = queues.get((rest[0], rest[1]))
            if queue is None:
                raise Refused(404, *_NOT_FOUND)
            if rest[2:] == ["bindings"]:
                return [
                    binding
                    for binding in self._objects.bindings()
                    if (binding["vhost"], binding["destination"]) == (rest[0], rest[1])
                ]
            if rest[2:]:
                raise Refused(404, *_NOT_FOUND)
            return self._sampled([self._objects.queue_details(queue)], query)[0]
        stats = query.get("disable_stats") != "true"
        totals = query.get("enable_queue_totals") == "true"
        vhost = self._vhost(rest) if rest else None
        rows = [
            self._objects.queue(queue, stats=stats, totals=totals)
            for _, queue in sorted(queues.items())
            if vhost is None or queue.vhost == vhost
        ]
        return self._sampled(rows, query)

    def _sampled(
        self, rows: list[dict[str, Any]], query: Mapping[str, str]
    ) -> list[dict[str, Any]]:
        span = rabbitmq_samples.wanted(query)
        if span is not None:
            for row in rows:
                rabbitmq_samples.add(self.world, row, *span)
        return rows

    def _check(self, check: list[str]) -> Any:
        """Health checks: 200 `ok`, or 503 `failed` with the reason."""
        make = self._objects
        match check:
            case ["alarms"]:
                found = alarms(self.world.broker)
                return _health(found and {
                    "alarms": found, "reason": "There are alarms in effect in the cluster",
                })  # fmt: skip
            case ["local-alarms"]:
                node = self.world.broker.nodes[0].name
                found = [alarm for alarm in alarms(self.world.broker) if alarm["node"] == node]
                return _health(found and {
                    "alarms": found, "reason": "There are alarms in effect on the node",
                })  # fmt: skip
            case ["node-is-quorum-critical"]:
                if len(self.world.broker.nodes) == 1:
                    return {"status": "ok", "reason": "single node cluster"}
                return _health(None)
            case ["node-is-mirror-sync-critical"] | ["virtual-hosts"]:
                return _health(None)
            case ["port-listener", port] if port.isdecimal():
                if make.listening(int(port)):
                    return {"status": "ok", "port": int(port)}
                return _health({"missing": int(port), "reason": "No active listener"})
            case ["protocol-listener", protocol]:
                if make.protocol(protocol):
                    return {"status": "ok", "protocol": protocol}
                return _health({"missing": protocol, "reason": "No active listener"})
        raise Refused(404, *_NOT_FOUND)


def _named(rows: list[dict[str, Any]], rest: list[str]) -> Any:
    """All rows, or the one of that name; Refused (404) if there is none."""
    if not rest:
        return rows
    for row in rows:
        if len(rest) == 1 and row.get("name") == rest[0]:
            return row
    raise Refused(404, *_NOT_FOUND)


def _health(failure: Any) -> Any:
    if not failure:
        return {"status": "ok"}
    return json_response({**failure, "status": "failed"}, status=503)


def _failure(status: int, error: str, reason: str | list[str]) -> web.Response:
    return json_response({"error": error, "reason": reason}, status=status)
