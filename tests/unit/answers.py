"""An HTTP server on loopback that gives prepared answers, for collectors' tests."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiohttp import web

CAPTURES = Path(__file__).parent / "captures"

Answer = tuple[int, str, str]
"""(status, content type, body)."""


def captured(name: str, status: int = 200) -> Answer:
    """A captured answer of a real daemon: `rabbitmq-3.10.8/overview`."""
    return status, "application/json", (CAPTURES / f"{name}.json").read_text(encoding="utf-8")


def answer(body: Any, status: int = 200) -> Answer:
    """A JSON answer."""
    return status, "application/json", json.dumps(body)


HTML: Answer = (200, "text/html", "<!DOCTYPE html><title>Sign in</title>")


class Answers:
    """Path → answer, or a function of the request."""

    def __init__(self) -> None:
        self.by_path: dict[str, Answer | Callable[[web.Request], Answer]] = {}
        self.requests: list[web.Request] = []
        self.url = ""
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", self._handle)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def asked(self, path: str) -> list[web.Request]:
        """The requests for a path so far."""
        return [request for request in self.requests if request.path == path]

    async def _handle(self, request: web.Request) -> web.Response:
        self.requests.append(request)
        found = self.by_path.get(request.path, (404, "application/json", '{"error":"not_found"}'))
        status, kind, body = found(request) if callable(found) else found
        return web.Response(status=status, content_type=kind, text=body)
