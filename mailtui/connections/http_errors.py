"""What went wrong over HTTP, in words that say what to do next."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from mailtui.connections.clean import clean
from mailtui.connections.errors import SourceError

_TITLE = re.compile(rb"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)
_EXCERPT = 120


def of_status(name: str, status: int, headers: Mapping[str, str], body: bytes) -> SourceError:
    """The error that an HTTP status of 400 or more means."""
    said = excerpt(body)
    tail = f" ({said})" if said else ""
    if status == 401:
        return SourceError(
            "auth", f"{name}: 401 not authorised{tail}", f"check the credentials of {name}"
        )
    if status == 403:
        return SourceError("auth", f"{name}: 403 forbidden{tail}", "this user lacks a permission")
    if status == 429:
        wait = headers.get("Retry-After", "")
        return SourceError(
            "rate-limited",
            f"{name}: 429 too many requests{tail}",
            f"it asks to wait {clean(wait)} s" if wait else "raise its interval",
        )
    return SourceError("server", f"{name}: HTTP {status}{tail}")


def of_exception(name: str, url: str, error: BaseException, timeout: float) -> SourceError:
    """The error that an exception of an HTTP client means; told apart by name, so that
    aiohttp's, requests' and the Elasticsearch client's read the same."""
    names = {base.__name__ for base in type(error).__mro__}
    words = clean(str(error)) or type(error).__name__
    if isinstance(error, TimeoutError) or any("Timeout" in base for base in names):
        return SourceError("timeout", f"{name}: {url} gave no answer within {timeout:g} s")
    if "certificate" in words.lower() or any("Certificate" in base for base in names):
        return SourceError(
            "auth", f"{name}: TLS at {url}: {words[:_EXCERPT]}", "check tls.ca and the name in url"
        )
    if "ClientPayloadError" in names or "ContentDecodingError" in names:
        return SourceError("protocol", f"{name}: {url} broke off in the middle of its answer")
    return SourceError("unreachable", f"{name}: {url}: {reason(error)}")


def not_json(name: str, url: str, body: bytes) -> SourceError:
    """The answer was not JSON: HTML, cut off, empty."""
    start = body.lstrip()[:200].lower()
    if start.startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        title = _TITLE.search(body[:4096])
        said = f" {clean(title.group(1).decode('utf-8', 'replace').strip())!r}" if title else ""
        return SourceError(
            "protocol",
            f"{name}: {url} answers an HTML page{said}, not JSON",
            "is the URL right, or is a proxy or a login page in between?",
        )
    if not start:
        return SourceError("protocol", f"{name}: {url} answers nothing")
    return SourceError("protocol", f"{name}: {url} answers JSON that is cut off or broken")


def reason(error: BaseException) -> str:
    """The plain cause of a connection error: `Connection refused`, `does not resolve`…"""
    text = clean(str(error))
    for pattern, words in (
        ("Connection refused", "connection refused"),
        ("Connect call failed", "connection refused"),
        ("Name or service not known", "the name does not resolve"),
        ("Temporary failure in name resolution", "the name does not resolve"),
        ("No route to host", "no route to the host"),
        ("Network is unreachable", "the network is unreachable"),
        ("Connection reset", "the connection was reset"),
        ("Server disconnected", "the server closed the connection"),
        ("RemoteDisconnected", "the server closed the connection"),
        ("Connection aborted", "the server closed the connection"),
    ):
        if pattern in text:
            return words
    return text[:_EXCERPT] or type(error).__name__


def excerpt(body: bytes) -> str:
    """A short, clean part of an error's body: its `reason`, `error` or title, if it has one."""
    try:
        data = json.loads(body)
    except ValueError:
        title = _TITLE.search(body[:4096])
        return clean(title.group(1).decode("utf-8", "replace").strip())[:_EXCERPT] if title else ""
    while isinstance(data, dict):
        found = next((data[k] for k in ("reason", "error", "message") if data.get(k)), None)
        if not isinstance(found, dict):
            return clean(str(found))[:_EXCERPT] if found else ""
        data = found
    return ""
