"""Requests and answers of the REST layer: bodies, flags, media types, `filter_path`."""

from __future__ import annotations

import json
import re
from typing import Any

from aiohttp import web

from mailtui.sandbox.es_errors import EsError, PlainError, illegal
from mailtui.sandbox.es_source import source_filter

_VENDOR = re.compile(r"application/vnd\.elasticsearch\+(json|x-ndjson)\s*;\s*compatible-with=(\d+)")


def accepted(request: web.Request) -> str:
    """The content type to answer with; EsError (400) for a version that is not spoken here."""
    for header in ("Accept", "Content-Type"):
        for match in _VENDOR.finditer(request.headers.get(header, "")):
            if match[2] not in ("8", "9"):
                raise EsError(
                    400,
                    "media_type_header_exception",
                    f"Invalid media-type value on headers [{header}]",
                    caused_by={
                        "type": "status_exception",
                        "reason": f"{header} version must be either version 9 or 8, but found"
                        f" {match[2]}. {header}={request.headers[header]}",
                    },
                )
    vendor = _VENDOR.search(request.headers.get("Accept", ""))
    if vendor is None:
        return "application/json"
    return f"application/vnd.elasticsearch+json;compatible-with={vendor[2]}"


def answer(request: web.Request, body: Any, status: int = 200) -> web.Response:
    """A JSON answer, with `pretty` and `filter_path` applied."""
    if path := request.query.get("filter_path"):
        spec = {
            "includes": [p for p in path.split(",") if not p.startswith("-")],
            "excludes": [p[1:] for p in path.split(",") if p.startswith("-")],
        }
        keep = source_filter(spec)
        body = keep(body) if keep is not None else body
    pretty = flag(request, "pretty", False)
    text = json.dumps(
        body,
        ensure_ascii=False,
        indent=2 if pretty else None,
        separators=None if pretty else (",", ":"),
    )
    data = (text + "\n" if pretty else text).encode("utf-8", "surrogatepass")
    return web.Response(
        body=data,
        status=status,
        headers={"Content-Type": accepted(request), "X-Elastic-Product": "Elasticsearch"},
    )


def failure(request: web.Request, error: EsError) -> web.Response:
    """The answer for an error."""
    headers = {"Content-Type": "application/json", "X-Elastic-Product": "Elasticsearch"}
    if error.status == 401:
        headers["WWW-Authenticate"] = 'Basic realm="security", charset="UTF-8"'
    pretty = request.query.get("pretty") in ("", "true")
    text = json.dumps(error.body(), ensure_ascii=False, indent=2 if pretty else None)
    return web.Response(body=text.encode(), status=error.status, headers=headers)


def flag(request: web.Request, name: str, default: bool) -> bool:
    """A boolean parameter; `?name` alone is true. EsError (400) for other words."""
    value = request.query.get(name)
    if value is None:
        return default
    if value not in ("", "true", "false"):
        raise illegal(f"Failed to parse value [{value}] as only [true] or [false] are allowed.")
    return value != "false"


async def read(request: web.Request) -> dict[str, Any]:
    """The request's JSON object ({} without one); EsError: 400 bad JSON, 406 another type."""
    raw = await request.read()
    if not raw.strip():
        return {}
    kind = request.headers.get("Content-Type", "")
    if "json" not in kind:
        raise PlainError(406, "", f"Content-Type header [{kind}] is not supported")
    try:
        body = json.loads(raw)
    except ValueError as error:
        raise EsError(
            400,
            "x_content_parse_exception",
            f"[1:1] {error}",
            caused_by={"type": "json_parse_exception", "reason": str(error)},
        ) from None
    if not isinstance(body, dict):
        raise EsError(400, "parsing_exception", "Expected [START_OBJECT] but found [START_ARRAY]")
    return body


async def read_lines(request: web.Request) -> str:
    """A body of JSON lines as text."""
    return (await request.read()).decode("utf-8", "replace")


def selection(request: web.Request) -> dict[str, Any]:
    """The index options of a request, as `Indices.resolve` takes them."""
    return {
        "ignore_unavailable": flag(request, "ignore_unavailable", False),
        "allow_no_indices": flag(request, "allow_no_indices", True),
        "expand": request.query.get("expand_wildcards", "open"),
    }
