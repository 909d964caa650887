"""Lists of the management API: filter, sort, pages, columns (HTTP API reference, "Pagination")."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

DEFAULT_PAGE_SIZE = 100
MAX_PAGE_SIZE = 500


class BadRequest(Exception):
    """400 with RabbitMQ's `error` and `reason`."""

    def __init__(self, error: str, reason: str | list[str]) -> None:
        super().__init__(reason)
        self.error = error
        self.reason = reason


def listed(rows: list[dict[str, Any]], query: Mapping[str, str]) -> Any:
    """A list as the request wants it: a plain list, or an object with one page.

    BadRequest for pages that cannot be.
    """
    if "page" not in query and "page_size" not in query:
        return [columns(row, query.get("columns")) for row in _sorted(rows, query)]
    page, size = _number(query, "page", 1), _number(query, "page_size", DEFAULT_PAGE_SIZE)
    if page < 1 or not 1 <= size <= MAX_PAGE_SIZE:
        raise BadRequest(
            "invalid_pagination_parameters",
            f"Invalid pagination parameters: page number {page}, page size {size}",
        )
    kept = _sorted(_filtered(rows, query), query)
    pages = max(1, -(-len(kept) // size))
    if page > pages:
        raise BadRequest(
            "page_out_of_range",
            f"Page out of range, page: {page} page size: {size}, len: {len(kept)}",
        )
    items = [columns(r, query.get("columns")) for r in kept[(page - 1) * size : page * size]]
    return {
        "filtered_count": len(kept),
        "item_count": len(items),
        "items": items,
        "page": page,
        "page_count": pages,
        "page_size": size,
        "total_count": len(rows),
    }


def _number(query: Mapping[str, str], name: str, default: int) -> int:
    text = query.get(name, str(default))
    try:
        return int(text)
    except ValueError:
        raise BadRequest(
            "not_integer_value", f"Invalid pagination parameter: {name} is not an integer: {text}"
        ) from None


def _filtered(rows: list[dict[str, Any]], query: Mapping[str, str]) -> list[dict[str, Any]]:
    name = query.get("name", "")
    if not name:
        return rows
    if query.get("use_regex") == "true":
        try:
            match = re.compile(name, re.IGNORECASE).search
        except re.error as error:
            raise BadRequest("bad_request", f"invalid regular expression: {error}") from None
        return [row for row in rows if match(str(row["name"]))]
    return [row for row in rows if name.lower() in str(row["name"]).lower()]


def _sorted(rows: list[dict[str, Any]], query: Mapping[str, str]) -> list[dict[str, Any]]:
    keys = [key for key in query.get("sort", "").split(",") if key]
    if not keys:
        return rows

    def rank(row: dict[str, Any]) -> list[tuple[int, float, str]]:
        return [_rank(value(row, key)) for key in keys]

    return sorted(rows, key=rank, reverse=query.get("sort_reverse") == "true")


def _rank(item: Any) -> tuple[int, float, str]:
    """Erlang's order of terms: numbers before text; what is missing comes first."""
    if item is None:
        return (0, 0.0, "")
    if isinstance(item, bool):
        return (2, 0.0, str(item).lower())
    return (1, float(item), "") if isinstance(item, int | float) else (2, 0.0, str(item))


def value(row: dict[str, Any], path: str) -> Any:
    """A value below dotted names; None if it is not there."""
    found: Any = row
    for part in path.split("."):
        if not isinstance(found, dict):
            return None
        found = found.get(part)
    return found


def columns(row: dict[str, Any], wanted: str | None) -> dict[str, Any]:
    """The columns that a request names, dotted ones nested; all if it names none."""
    if not wanted:
        return row
    shown: dict[str, Any] = {}
    for path in wanted.split(","):
        found = value(row, path)
        *parents, last = path.split(".")
        if found is None and not (not parents and last in row):
            continue
        node = shown
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last] = found
    return shown
