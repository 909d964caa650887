"""What the sandbox's HTTP servers have in common: life cycle, the world's clock, JSON."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from aiohttp import web

from mailtui.sandbox.faults import Faults

if TYPE_CHECKING:
    from mailtui.sandbox.world import World

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class HttpServer:
    """One daemon's HTTP interface over the simulated world.

    A subclass names itself (for `Faults`), adds its routes and says how it refuses credentials.
    """

    name = "http"

    def __init__(self, world: World, faults: Faults) -> None:
        self.world = world
        self.faults = faults
        self._runner: web.AppRunner | None = None

    def routes(self) -> list[web.RouteDef]:
        """The daemon's resources."""
        raise NotImplementedError

    async def guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Authentication and the daemon's own form of errors, around every handler."""
        raise NotImplementedError

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> int:
        """Listen; returns the port. OSError if the port is taken."""

        @web.middleware
        async def around(request: web.Request, handler: Handler) -> web.StreamResponse:
            self.world.tick()
            return await self.guard(request, handler)

        app = web.Application(
            middlewares=[self.faults.middleware(self.name), around],
            client_max_size=100 * 2**20,
        )
        app.add_routes(self.routes())
        # A client that hangs on an answer must not delay the end of the process.
        self._runner = web.AppRunner(
            app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        await site.start()
        address: tuple[str, int] = self._runner.addresses[0]
        return address[1]

    async def stop(self) -> None:
        """Close the listener and every connection; safe to call twice."""
        if self._runner is not None:
            runner, self._runner = self._runner, None
            await asyncio.shield(runner.cleanup())


def json_response(
    data: Any, status: int = 200, headers: dict[str, str] | None = None, pretty: bool = False
) -> web.Response:
    """A JSON answer, compact unless `pretty`, in UTF-8 and unescaped as the daemons write it."""
    text = json.dumps(
        data,
        ensure_ascii=False,
        indent=2 if pretty else None,
        separators=None if pretty else (",", ":"),
    )
    body = text.encode("utf-8", "surrogatepass")
    return web.Response(
        body=body, status=status, headers={"Content-Type": "application/json", **(headers or {})}
    )
