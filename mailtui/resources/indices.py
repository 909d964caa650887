"""Elasticsearch's indices."""

from __future__ import annotations

from mailtui.collectors.state import State
from mailtui.model import format as fmt
from mailtui.model.search import Index, SearchReport
from mailtui.resources.base import Column, Level, Resource

SOURCES = ("elasticsearch",)

_LEVELS: dict[str, Level] = {"green": "ok", "yellow": "warning", "red": "critical"}


def _shards(index: Index) -> str:
    if index.primaries is None or index.replicas is None:
        return "?"
    return f"{index.primaries}×{index.replicas + 1}"


RESOURCE: Resource[Index] = Resource(
    name="indices",
    title="indices",
    columns=(
        Column(
            "health",
            "health",
            lambda i: i.health or None,
            lambda i: i.health or ("-" if i.status == "close" else "?"),
            width=8,
            level=lambda i: _LEVELS.get(i.health, "unknown" if i.status != "close" else "muted"),
        ),
        Column("index", "index", lambda i: i.name, width=20, flex=1, truncate="middle"),
        Column(
            "writable",
            "writes",
            lambda i: "blocked" if i.read_only else "allowed",
            width=8,
            level=lambda i: "critical" if i.read_only else "",
        ),
        Column("docs", "documents", lambda i: i.docs, lambda i: fmt.count(i.docs), "right", 12),
        Column("size", "bytes", lambda i: i.size, lambda i: fmt.size(i.size), "right", 7),
        Column("shards", "shards", _shards, width=7, align="right", priority=2),
        Column("status", "status", lambda i: i.status, width=7, priority=1),
    ),
    key=lambda i: i.key,
    empty="the cluster has no index",
    sort="index",
)


def rows(state: State) -> list[Index]:
    """Every index."""
    report = state.value("elasticsearch", SearchReport)
    return [] if report is None else list(report.indices)


def more(state: State) -> int | None:
    """None are left out."""
    return 0 if state.value("elasticsearch", SearchReport) is not None else None
