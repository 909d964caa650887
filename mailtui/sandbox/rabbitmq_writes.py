"""What RabbitMQ's management API changes: purge or delete a queue, get messages, close connections.

Statuses and texts are those of a RabbitMQ 4.0.5.
"""

from __future__ import annotations

import base64
import datetime as dt
import decimal
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from aiohttp import web

from mailtui.sandbox.http_server import json_response
from mailtui.sandbox.rabbitmq_account import Account
from mailtui.sandbox.rabbitmq_lists import BadRequest
from mailtui.sandbox.world.broker import Connection, Queue
from mailtui.sandbox.world.messages import Message

if TYPE_CHECKING:
    from mailtui.sandbox.world import World

_ACK_MODES = {
    "ack_requeue_true": (True, True),
    "reject_requeue_true": (False, True),
    "ack_requeue_false": (True, False),
    "reject_requeue_false": (False, False),
}
"""(acknowledge, requeue)."""
_REASON = "Closed via management plugin"


class Refused(Exception):
    """An answer that is an error in RabbitMQ's form."""

    def __init__(self, status: int, error: str, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.error = error
        self.reason = reason


class Writes:
    """Does it, if the user may."""

    def __init__(self, world: World, account: Account) -> None:
        self._world = world
        self._account = account

    async def serve(self, parts: list[str], request: web.Request) -> web.Response | None:
        """The answer to a request that changes something; None if it is none of those.

        Refused, BadRequest.
        """
        broker = self._world.broker
        match request.method, parts:
            case "DELETE", ["queues", vhost, name] if (vhost, name) in broker.queues:
                queue = self._queue(vhost, name, "configure")
                self._delete(queue, request)
            case "DELETE", ["queues", vhost, name, "contents"] if (vhost, name) in broker.queues:
                self._world.messages.purge(self._queue(vhost, name, "read"))
            case "POST", ["queues", vhost, name, "get"]:
                if (vhost, name) not in broker.queues:
                    raise Refused(404, "not_found", "queue_not_found")
                queue = self._queue(vhost, name, "read")
                return json_response(self._get(queue, await request.read()))
            case "DELETE", ["connections", name] if name in broker.connections:
                self._close(broker.connections[name], request.headers.get("X-Reason", _REASON))
            case "PUT" | "DELETE" | "GET", ["parameters", "shovel", _, _]:
                # the plugin is off
                raise Refused(404, "Object Not Found", "Not Found")
            case _, ["queues", vhost, name, ("contents" | "get") as kind] if (
                vhost,
                name,
            ) in broker.queues:
                allowed = {"contents": "DELETE, OPTIONS", "get": "POST, OPTIONS"}[kind]
                status = 200 if request.method == "OPTIONS" else 405
                return web.Response(status=status, headers={"Allow": allowed})
            case _:
                return None
        return web.Response(status=204)

    def _queue(self, vhost: str, name: str, permission: str) -> Queue:
        if not self._account.may(permission, name):
            raise Refused(
                401,
                "not_authorised",
                f"ACCESS_REFUSED - access to queue '{name}' in vhost '{vhost}' refused for"
                f" user '{self._account.username}'",
            )
        return self._world.broker.queues[vhost, name]

    def _delete(self, queue: Queue, request: web.Request) -> None:
        place = f"queue '{queue.name}' in vhost '{queue.vhost}'"
        if request.query.get("if-unused") == "true" and queue.consumers:
            raise BadRequest("bad_request", f"PRECONDITION_FAILED - {place} in use")
        if request.query.get("if-empty") == "true" and queue.messages:
            raise BadRequest("bad_request", f"PRECONDITION_FAILED - {place} is not empty")
        self._world.messages.remove(queue)

    def _close(self, connection: Connection, reason: str) -> None:
        own = connection.user == self._account.username
        if not own and "administrator" not in self._account.tags:
            raise Refused(401, "not_authorised", "User not authorised to access object")
        if connection.close is not None:
            connection.close(reason)
        else:
            self._world.pipeline.leave(connection)

    def _get(self, queue: Queue, data: bytes) -> list[dict[str, Any]]:
        """Take up to `count` messages, then give them back or not."""
        wanted = _wanted(data)
        acknowledge, requeue = _ACK_MODES[wanted["ackmode"]]
        messages = self._world.messages
        taken: list[Message] = []
        shown = []
        for _ in range(wanted["count"]):
            message = messages.take(queue)
            if message is None:
                break
            taken.append(message)
            shown.append(_message(queue, message, wanted))
        if requeue:
            messages.give_back(queue, taken)
        for message in () if requeue else taken:
            if acknowledge:
                messages.settle(queue)
            else:
                messages.reject(queue, message)
        return shown


def _wanted(data: bytes) -> dict[str, Any]:
    """The request for messages; BadRequest."""
    try:
        wanted = json.loads(data)
    except ValueError:
        raise BadRequest("bad_request", "not_json") from None
    if not isinstance(wanted, dict):
        raise BadRequest("bad_request", "not_json")
    missing = [key for key in ("ackmode", "count", "encoding") if key not in wanted]
    if missing:
        text = ",".join(f"{{key_missing,{key}}}" for key in missing)
        raise BadRequest("bad_request", f"[{text}]")
    for key in ("count", "truncate"):
        try:
            wanted[key] = int(wanted.get(key, 0))
        except (TypeError, ValueError):
            raise BadRequest("bad_request", ["not_integer", str(wanted[key])]) from None
    if wanted["ackmode"] not in _ACK_MODES or wanted["encoding"] not in ("auto", "base64"):
        # as the broker does, which takes these for impossible
        raise web.HTTPInternalServerError
    return wanted


def _message(queue: Queue, message: Message, wanted: dict[str, Any]) -> dict[str, Any]:
    body = message.body[: wanted["truncate"]] if wanted["truncate"] else message.body
    payload, encoding = base64.b64encode(body).decode(), "base64"
    if wanted["encoding"] == "auto":
        with suppress(UnicodeDecodeError):
            payload, encoding = body.decode(), "string"
    fields = dict(message.properties.fields)
    if queue.type == "quorum" and message.deliveries:
        headers = {**message.properties.headers, "x-delivery-count": message.deliveries}
        fields["headers"] = headers
    return {
        "payload_bytes": len(message.body),
        "redelivered": message.redelivered,
        "exchange": message.exchange,
        "routing_key": message.routing_key,
        "message_count": int(queue.ready),
        # Erlang's empty list of pairs
        "properties": as_json(fields) if fields else [],
        "payload": payload,
        "payload_encoding": encoding,
    }


def as_json(value: Any) -> Any:
    """A value of an AMQP table as the management API shows it."""
    match value:
        case None:
            return "undefined"
        case dt.datetime():
            return int(value.timestamp())
        case decimal.Decimal():
            return float(value)
        case bytes() | bytearray():
            return bytes(value).decode("utf-8", "replace")
        case dict():
            return {name: as_json(item) for name, item in value.items()}
        case list():
            return [as_json(item) for item in value]
    return value
