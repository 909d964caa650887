"""Elasticsearch's errors in the form its REST layer gives them.

Shapes as the server's RestResponse and ElasticsearchException write them: `error.root_cause`,
`error.type`, `error.reason`, `status`; failures of the query phase are wrapped in a
`search_phase_execution_exception` that lists the failed shards.
"""

from __future__ import annotations

from typing import Any


class EsError(Exception):
    """An answer that is an error; `body()` is what goes over the wire."""

    def __init__(
        self,
        status: int,
        kind: str,
        reason: str,
        *,
        caused_by: dict[str, Any] | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(reason)
        self.status = status
        self.kind = kind
        self.reason = reason
        self.caused_by = caused_by
        self.extra = extra

    def cause(self) -> dict[str, Any]:
        """This error as an item of `root_cause`."""
        return {"type": self.kind, "reason": self.reason, **self.extra}

    def error(self) -> dict[str, Any]:
        """The value of `error`."""
        body = {"root_cause": [self.cause()], **self.cause()}
        if self.caused_by:
            body["caused_by"] = self.caused_by
        return body

    def body(self) -> dict[str, Any]:
        """The whole answer."""
        return {"error": self.error(), "status": self.status}


class ShardError(EsError):
    """A failure that every shard of an index meets while it builds or runs the query."""

    index = ""
    node = ""

    def error(self) -> dict[str, Any]:
        """The value of `error`: all shards failed."""
        root = {**self.cause(), "index": self.index} if self.index else self.cause()
        reason = dict(root)
        if self.caused_by:
            reason["caused_by"] = self.caused_by
        error: dict[str, Any] = {
            "root_cause": [root],
            "type": "search_phase_execution_exception",
            "reason": "all shards failed",
            "phase": "query",
            "grouped": True,
            "failed_shards": [
                {"shard": 0, "index": self.index, "node": self.node, "reason": reason}
            ],
        }
        if self.kind == "illegal_argument_exception":
            error["caused_by"] = {**self.cause(), "caused_by": self.cause()}
        return error


class PlainError(EsError):
    """An error of the REST layer itself, whose `error` is text."""

    def body(self) -> dict[str, Any]:
        """The whole answer."""
        return {"error": self.reason, "status": self.status}


def parsing(reason: str, cause: str = "") -> EsError:
    """400: the request body is JSON but not a request that this server knows."""
    caused_by = {"type": "named_object_not_found_exception", "reason": cause} if cause else None
    return EsError(400, "parsing_exception", reason, caused_by=caused_by)


def illegal(reason: str) -> EsError:
    """400: a parameter out of its range."""
    return EsError(400, "illegal_argument_exception", reason)


def unknown_query(name: str) -> EsError:
    """400: no such query clause (in this server)."""
    return parsing(f"unknown query [{name}]", f"unknown field [{name}]")


def unsupported(what: str) -> EsError:
    """400: real Elasticsearch can, this server cannot; better said than answered wrongly."""
    return parsing(f"{what} is not supported by this server")


def no_such_index(name: str) -> EsError:
    """404."""
    detail: dict[str, Any] = {
        "resource.type": "index_or_alias",
        "resource.id": name,
        "index_uuid": "_na_",
        "index": name,
    }
    return EsError(404, "index_not_found_exception", f"no such index [{name}]", **detail)
