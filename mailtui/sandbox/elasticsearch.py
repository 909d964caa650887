"""Elasticsearch's REST interface (8.x) over the simulated platform.

What it knows is what the official client, curl and log shippers need for cluster health, searches
and writes of documents. What it does not know it refuses, as the real server refuses what is
unknown to it.
"""

from __future__ import annotations

import base64
import hmac
from typing import TYPE_CHECKING

from aiohttp import web

from mailtui.sandbox import es_rest
from mailtui.sandbox.es_documents import Documents
from mailtui.sandbox.es_errors import EsError
from mailtui.sandbox.es_indices import Indices
from mailtui.sandbox.es_metadata import Metadata
from mailtui.sandbox.es_store import Store
from mailtui.sandbox.faults import Faults
from mailtui.sandbox.http_server import Handler, HttpServer

if TYPE_CHECKING:
    from mailtui.sandbox.world import World


class Server(HttpServer):
    """One node's HTTP interface, security on once credentials are set."""

    name = "elasticsearch"

    def __init__(self, world: World, faults: Faults) -> None:
        super().__init__(world, faults)
        self.username: str | None = None
        self.password: str | None = None
        self.api_key: str | None = None
        """Encoded, as clients send it: Base64 of `id:key`. All None: no security."""
        self.store = Store(world)
        indices = Indices(self.store)
        self._metadata = Metadata(indices)
        self._documents = Documents(indices, world.seed)

    def routes(self) -> list[web.RouteDef]:
        """Documents before indices: `/_search` is no index."""
        return [*self._documents.routes(), *self._metadata.routes()]

    async def guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Authentication, media types, errors in Elasticsearch's form."""
        try:
            self._authenticate(request)
            es_rest.accepted(request)
            return await handler(request)
        except EsError as error:
            return es_rest.failure(request, error)
        except web.HTTPMethodNotAllowed as error:
            allowed = ", ".join(sorted(error.allowed_methods))
            body = {
                "error": f"Incorrect HTTP method for uri [{request.path_qs}] and method"
                f" [{request.method}], allowed: [{allowed}]",
                "status": 405,
            }
            return es_rest.answer(request, body, status=405)
        except web.HTTPNotFound:
            body = {
                "error": f"no handler found for uri [{request.path_qs}] and method"
                f" [{request.method}]"
            }
            return es_rest.answer(request, body, status=400)

    def _authenticate(self, request: web.Request) -> None:
        if self.api_key is None and self.username is None:
            return
        header = request.headers.get("Authorization", "")
        scheme, _, value = header.partition(" ")
        if not header:
            raise _refused(f"missing authentication credentials for REST request [{request.path}]")
        if scheme.lower() == "apikey":
            if self.api_key is not None and hmac.compare_digest(
                value.strip().encode(), self.api_key.encode()
            ):
                return
            raise _refused(
                "unable to authenticate with provided credentials and anonymous access is not"
                " allowed for this request"
            )
        try:
            name, _, password = base64.b64decode(value, validate=True).decode().partition(":")
        except ValueError:
            raise _refused("invalid basic authentication header value") from None
        if self.username is not None and hmac.compare_digest(
            f"{name}:{password}".encode(), f"{self.username}:{self.password}".encode()
        ):
            return
        raise _refused(f"unable to authenticate user [{name}] for REST request [{request.path}]")


def _refused(reason: str) -> EsError:
    challenge = ['Basic realm="security", charset="UTF-8"', "ApiKey"]
    return EsError(401, "security_exception", reason, header={"WWW-Authenticate": challenge})
