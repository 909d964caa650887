"""JSON over HTTP by aiohttp: one session per source, hard limits, errors that name the cause."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mailtui.connections import http_errors
from mailtui.connections.clean import clean_tree
from mailtui.connections.credentials import headers
from mailtui.connections.errors import SourceError
from mailtui.connections.tls import client_context

if TYPE_CHECKING:
    import aiohttp

    from mailtui.config.http import HttpSource

BODY_LIMIT = 64 * 1024 * 1024
"""Bytes of one answer."""


class HttpClient:
    """GETs JSON from one base URL, and deletes."""

    def __init__(self, name: str, url: str, settings: HttpSource) -> None:
        self.name = name
        self.url = url
        self._settings = settings
        self._session: aiohttp.ClientSession | None = None
        self._authentication: dict[str, str] | None = None
        self._opening = asyncio.Lock()
        """Requests that begin together share one session, and one run of a secret's command."""

    async def get_json(
        self, path: str, params: Mapping[str, str] | None = None, *, accept: tuple[int, ...] = ()
    ) -> Any:
        """The decoded, cleaned body of `url + path`. Statuses in `accept` count as success.

        Raises SourceError: unreachable, timeout, auth, rate-limited, server, protocol.
        """
        body = await self._request("GET", path, params, accept=accept)
        try:
            return clean_tree(json.loads(body))
        except (ValueError, RecursionError):
            raise http_errors.not_json(self.name, self.url, body) from None

    async def delete(
        self, path: str, headers: Mapping[str, str], *, accept: tuple[int, ...] = ()
    ) -> None:
        """DELETE `url + path`. Statuses in `accept` count as success. Raises SourceError."""
        await self._request("DELETE", path, None, headers=headers, accept=accept)

    async def _request(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None,
        *,
        headers: Mapping[str, str] | None = None,
        accept: tuple[int, ...],
    ) -> bytes:
        """The body of an answer. Raises SourceError."""
        import aiohttp
        from yarl import URL

        session, authentication = await self._opened()
        url = URL(self.url + path, encoded=True)
        if params:
            url = url.update_query(dict(params))
        try:
            async with session.request(
                method, url, headers={**authentication, **(headers or {})}
            ) as response:
                body = await self._body(response)
                if response.status == 401:
                    self._authentication = None  # the secret may have changed: read it anew
                if response.status >= 400 and response.status not in accept:
                    raise http_errors.of_status(self.name, response.status, response.headers, body)
                return body
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise http_errors.of_exception(
                self.name, self.url, error, self._settings.timeout
            ) from None

    async def close(self) -> None:
        """Close the session and its connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _body(self, response: aiohttp.ClientResponse) -> bytes:
        parts: list[bytes] = []
        size = 0
        async for part in response.content.iter_chunked(1 << 18):
            size += len(part)
            if size > BODY_LIMIT:
                raise SourceError("protocol", f"{self.name}: the answer is larger than 64 MB")
            parts.append(part)
        return b"".join(parts)

    async def _opened(self) -> tuple[aiohttp.ClientSession, dict[str, str]]:
        async with self._opening:
            if self._authentication is None:
                self._authentication = await headers(self._settings)
            if self._session is None:
                self._session = self._new_session()
            return self._session, self._authentication

    def _new_session(self) -> aiohttp.ClientSession:
        import aiohttp

        settings = self._settings
        secure = self.url.startswith("https:")
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                ssl=client_context(settings.tls) if secure else True, limit=4
            ),
            headers={"Accept": "application/json"},
            timeout=aiohttp.ClientTimeout(
                total=settings.timeout, connect=min(5.0, settings.timeout)
            ),
        )


async def gather_all(*awaitables: Any) -> list[Any]:
    """All results or exceptions, in order; a cancel goes on to the caller."""
    results = await asyncio.gather(*awaitables, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException) and not isinstance(result, Exception):
            raise result
    return list(results)
