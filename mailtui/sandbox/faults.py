"""Switchable misbehaviour of the sandbox's servers.

Every server asks for its fault by its own name ("rabbitmq", "elasticsearch", "prometheus",
"amqp"; SSH servers use "ssh:HOST") before it answers, so a test can make one source sick and leave
the rest of the platform well.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from aiohttp import web
    from aiohttp.typedefs import Middleware

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

Kind = Literal["down", "slow", "hang", "html", "truncated", "cut", "401", "429", "500", "503"]
"""What goes wrong:

down        the connection is reset instead of an answer
slow        the answer comes `seconds` late
hang        the connection is accepted, the answer never comes
html        200 with a page of HTML (a captive portal, a proxy's login page)
truncated   the first half of the real answer, as if it were all
cut         the first half of the real answer under the whole Content-Length, then a reset
401         credentials refused
429         too many requests, Retry-After: `seconds`
500, 503    the server's own failure, as plain text
"""

HTML = """<!DOCTYPE html>
<html><head><title>Sign in</title></head>
<body><h1>Network login</h1><form method="post" action="/login">
<input name="user"><input name="password" type="password"></form></body></html>
"""


@dataclasses.dataclass(slots=True)
class Fault:
    """One switched-on misbehaviour."""

    kind: Kind
    seconds: float = 5.0
    """The delay of `slow`, the Retry-After of `429`."""
    path: str = ""
    """Only requests whose path begins with this."""
    remaining: int | None = None
    """How many requests it still spoils; None: until it is cleared."""


@dataclasses.dataclass(slots=True)
class BrokerFaults:
    """What goes wrong while a client publishes and consumes over AMQP."""

    drop_after: int | None = None
    """Publishes and acknowledgements that are still done; the last of them, and every connection,
    then goes down as with the broker: confirms that were not yet sent never come."""
    confirm_delay: float = 0.0
    """Seconds by which publisher confirms are late."""
    nack: int = 0
    """The next so many publishes on confirming channels are refused (`basic.nack`), not kept."""
    no_route: int = 0
    """The next so many publishes find no queue, as if it had just been deleted."""

    def is_last(self) -> bool:
        """Counts one publish or acknowledgement; whether the broker goes down with it."""
        if self.drop_after is None:
            return False
        self.drop_after -= 1
        if self.drop_after > 0:
            return False
        self.drop_after = None
        return True

    def refuses(self) -> bool:
        """Whether this publish is refused."""
        self.nack, found = max(0, self.nack - 1), self.nack > 0
        return found

    def unroutable(self) -> bool:
        """Whether this publish finds no queue."""
        self.no_route, found = max(0, self.no_route - 1), self.no_route > 0
        return found


class Faults:
    """The faults of all servers; safe to change while they run."""

    def __init__(self) -> None:
        self.broker = BrokerFaults()
        self._faults: dict[str, Fault] = {}
        self._changed: dict[str, asyncio.Event] = {}
        self._before: dict[str, list[tuple[str, Callable[[], object]]]] = {}

    def set(
        self,
        server: str,
        kind: Kind,
        *,
        seconds: float = 5.0,
        path: str = "",
        times: int | None = None,
    ) -> None:
        """Switch a fault on for a server, in place of the one it had.

        Raises ValueError for a kind that does not exist.
        """
        if kind not in get_args(Kind):
            raise ValueError(f"no fault {kind!r}; there are {', '.join(get_args(Kind))}")
        self._faults[server] = Fault(kind, seconds, path, times)
        self._wake(server)

    def clear(self, server: str | None = None) -> None:
        """Switch off the fault of one server, or of all; what hangs is answered."""
        for name in [server] if server is not None else list(self._faults):
            self._faults.pop(name, None)
            self._wake(name)
        if server is None:
            self.broker = BrokerFaults()

    def before(self, server: str, words: str, action: Callable[[], object]) -> None:
        """Call `action` once, just before the server does what contains `words`.

        So that the world can change between two steps of a test.
        """
        self._before.setdefault(server, []).append((words, action))

    def happen(self, server: str, words: str) -> None:
        """Call what `before` has for this."""
        waiting = self._before.get(server, [])
        due = [entry for entry in waiting if entry[0] in words]
        for entry in due:
            waiting.remove(entry)
            entry[1]()

    def get(self, server: str) -> Fault | None:
        """The fault in effect, without using it up."""
        return self._faults.get(server)

    def take(self, server: str, path: str = "") -> Fault | None:
        """The fault that this request meets; counts down `times`."""
        fault = self._faults.get(server)
        if fault is None or not path.startswith(fault.path):
            return None
        if fault.remaining is not None:
            fault.remaining -= 1
            if fault.remaining <= 0:
                del self._faults[server]
        return fault

    async def changed(self, server: str) -> None:
        """Wait until the server's fault is set anew or cleared."""
        await self._changed.setdefault(server, asyncio.Event()).wait()

    def _wake(self, server: str) -> None:
        event = self._changed.pop(server, None)
        if event is not None:
            event.set()

    def middleware(self, server: str) -> Middleware:
        """An aiohttp middleware that applies this server's fault; install it as the outermost."""
        from aiohttp import web

        @web.middleware
        async def apply(request: web.Request, handler: Handler) -> web.StreamResponse:
            fault = self.take(server, request.path)
            if fault is None:
                return await handler(request)
            return await _spoil(self, server, fault, request, handler)

        return apply


async def _spoil(
    faults: Faults, server: str, fault: Fault, request: web.Request, handler: Handler
) -> web.StreamResponse:
    from aiohttp import web

    match fault.kind:
        case "down":
            _reset(request)
            return web.Response(status=500)
        case "slow":
            await asyncio.sleep(fault.seconds)
        case "hang":
            await faults.changed(server)
        case "html":
            return web.Response(text=HTML, content_type="text/html")
        case "truncated" | "cut":
            return await _half(await handler(request), request, cut=fault.kind == "cut")
        case "401":
            return web.Response(
                status=401,
                text="Unauthorized\n",
                headers={"WWW-Authenticate": 'Basic realm="proxy"'},
            )
        case "429":
            return web.Response(
                status=429,
                text="Too Many Requests\n",
                headers={"Retry-After": f"{fault.seconds:g}"},
            )
        case "500" | "503":
            return web.Response(status=int(fault.kind), text="Internal Server Error\n")
    return await handler(request)


def _reset(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()


async def _half(
    response: web.StreamResponse, request: web.Request, *, cut: bool
) -> web.StreamResponse:
    """The first half of a response's body, honestly or falsely framed."""
    from aiohttp import web

    body = response.body if isinstance(response, web.Response) else b""
    data = bytes(body) if isinstance(body, bytes | bytearray) else b""
    half = data[: len(data) // 2]
    headers = {"Content-Type": response.headers.get("Content-Type", "application/json")}
    if "X-Elastic-Product" in response.headers:
        headers["X-Elastic-Product"] = response.headers["X-Elastic-Product"]
    if not cut:
        return web.Response(status=response.status, body=half, headers=headers)
    partial = web.StreamResponse(status=response.status, headers=headers)
    partial.content_length = len(data)
    await partial.prepare(request)
    await partial.write(half)
    # Let the half leave the socket before the reset throws it away.
    await asyncio.sleep(0.05)
    _reset(request)
    return partial
