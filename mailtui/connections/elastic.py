"""Elasticsearch by the official asynchronous client: clean answers, errors that name the cause."""

from __future__ import annotations

import asyncio
import base64
import json
import warnings
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from mailtui.config.revealed import remember
from mailtui.connections import http_errors
from mailtui.connections.clean import clean, clean_tree
from mailtui.connections.credentials import reveal
from mailtui.connections.errors import SourceError
from mailtui.connections.tls import client_context

if TYPE_CHECKING:
    from elasticsearch import AsyncElasticsearch

    from mailtui.config.sources.elasticsearch import Settings

NAME = "elasticsearch"


class ElasticError(SourceError):
    """A refused request: `status` of HTTP, `type` of the error, its reasons from the outermost."""

    def __init__(self, base: SourceError, status: int, body: Any) -> None:
        super().__init__(base.kind, base.message, base.hint)
        self.status = status
        self.reasons = tuple(_reasons(body))
        """(type, reason), the cause last."""


class ElasticClient:
    """One client for everything that reads this cluster."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._transport: AsyncElasticsearch | None = None
        """Has the connections, and no credentials."""
        self._client: AsyncElasticsearch | None = None
        """The same with credentials."""
        self._opening = asyncio.Lock()

    async def call(self, ask: Callable[[AsyncElasticsearch], Awaitable[Any]]) -> Any:
        """The cleaned body of what `ask` answers.

        Raises ElasticError (a status of 400 or more), SourceError (no usable answer).
        """
        client = await self._opened()
        from elasticsearch import ApiError, UnsupportedProductError
        from elasticsearch.exceptions import SerializationError, TransportError

        settings = self._settings
        url = ", ".join(settings.urls)
        try:
            answer = await ask(client)
        except UnsupportedProductError:
            raise SourceError(
                "protocol",
                f"{NAME}: {url} does not answer as Elasticsearch does",
                "is it the right URL, or is a proxy or another product in between?",
            ) from None
        except ApiError as error:
            if error.meta.status == 401:
                self._client = None  # the secret may have changed: read it anew
            raise _refused(error) from None
        except SerializationError as error:
            body = str(error.args[0] if error.args else "").encode()
            raise http_errors.not_json(NAME, url, _html(body)) from None
        except (TransportError, OSError) as error:
            raise http_errors.of_exception(NAME, url, _cause(error), settings.timeout) from None
        body = answer.body
        if isinstance(body, str | bytes):
            # everything that is asked for is JSON: a proxy's page came instead, with a 200
            raise http_errors.not_json(NAME, url, body.encode() if isinstance(body, str) else body)
        return clean_tree(body)

    async def close(self) -> None:
        """Close its connections."""
        self._client = None
        if self._transport is not None:
            transport, self._transport = self._transport, None
            await transport.close()

    async def _opened(self) -> AsyncElasticsearch:
        async with self._opening:
            if self._client is None:
                credentials = await self._credentials()
                if self._transport is None:
                    self._transport = self._new_transport()
                self._client = self._transport.options(**credentials)
            return self._client

    async def _credentials(self) -> dict[str, Any]:
        settings = self._settings
        if settings.api_key is not None:
            return {"api_key": await reveal(settings.api_key)}
        if settings.token is not None:
            return {"bearer_auth": await reveal(settings.token)}
        if settings.username is not None and settings.password is not None:
            password = await reveal(settings.password)
            # in its header
            remember(base64.b64encode(f"{settings.username}:{password}".encode()).decode())
            return {"basic_auth": (settings.username, password)}
        return {}

    def _new_transport(self) -> AsyncElasticsearch:
        from elasticsearch import AsyncElasticsearch, ElasticsearchWarning

        settings = self._settings
        options: dict[str, Any] = {}
        if any(url.startswith("https:") for url in settings.urls):
            options["ssl_context"] = client_context(settings.tls)
        # the client warns on stderr, which is the operator's screen
        warnings.simplefilter("ignore", ElasticsearchWarning)
        return AsyncElasticsearch(
            [_with_port(url) for url in settings.urls],
            request_timeout=settings.timeout,
            # no second try at the same node, but one at each further node
            max_retries=len(settings.urls) - 1,
            retry_on_timeout=False,
            connections_per_node=4,
            **options,
        )


def _with_port(url: str) -> str:
    """The client asks for a port in every URL."""
    parts = urlsplit(url)
    if parts.port is not None:
        return url
    port = 443 if parts.scheme == "https" else 80
    return parts._replace(netloc=f"{parts.netloc}:{port}").geturl()


def _cause(error: BaseException) -> BaseException:
    """What is behind the client's "Connection error"; a timeout says so itself."""
    if "Timeout" in type(error).__name__:
        return error
    return error.__cause__ or error.__context__ or error


def _refused(error: Any) -> ElasticError:
    body = error.body
    data = body if isinstance(body, bytes | str) else json.dumps(body)
    raw = data if isinstance(data, bytes) else data.encode()
    status = error.meta.status
    base = http_errors.of_status(NAME, status, error.meta.headers, raw)
    clean_body = clean_tree(body)
    reasons = _reasons(clean_body)
    if base.kind == "server" and len(reasons) > 1 and reasons[-1][1]:
        # "all shards failed" says nothing; the cause at the end of the chain does
        words = f"{NAME}: HTTP {status} ({reasons[-1][1][:200]})"
        base = SourceError(base.kind, words, base.hint)
    return ElasticError(base, status, clean_body)


def _reasons(body: Any) -> list[tuple[str, str]]:
    """The chain of causes in an error's body, the root cause and then what caused that last."""
    found: list[tuple[str, str]] = []
    node = body.get("error") if isinstance(body, dict) else None
    while isinstance(node, dict) and len(found) < 10:
        found.append((str(node.get("type", "")), clean(str(node.get("reason") or ""))))
        shards = node.get("failed_shards") or ()
        first = shards[0].get("reason") if shards and isinstance(shards[0], dict) else None
        node = node.get("caused_by") or first
    return found


def _html(text: bytes) -> bytes:
    start = text.lower().find(b"<")
    return text[start:] if start >= 0 else text or b"{"
