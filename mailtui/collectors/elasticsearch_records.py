"""Records from the cluster's answers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mailtui.model.search import Index, SearchNode
from mailtui.model.where import parse_number

_WATERMARK = "cluster.routing.allocation.disk.watermark.flood_stage"
_BLOCKS = ("index.blocks.read_only_allow_delete", "index.blocks.read_only")


def whole(value: Any) -> int | None:
    """An integer of a number or of its text (`_cat` gives texts); None for what is neither."""
    try:
        return int(float(value))
    except (TypeError, ValueError, OverflowError):
        return None


def indices(cat: Any, blocks: Any) -> tuple[Index, ...]:
    """Of `/_cat/indices?format=json&bytes=b` and of the block settings; hidden ones left out."""
    blocked = {
        name
        for name, item in (blocks or {}).items()
        if any(str((item.get("settings") or {}).get(b, "")) == "true" for b in _BLOCKS)
    }
    found = [
        Index(
            name=str(item.get("index", "")),
            # a closed index has no health that means anything for searching
            health=str(item.get("health") or ""),
            status=str(item.get("status") or ""),
            docs=whole(item.get("docs.count")),
            size=whole(item.get("store.size")),
            primaries=whole(item.get("pri")),
            replicas=whole(item.get("rep")),
            read_only=str(item.get("index", "")) in blocked,
        )
        for item in cat or ()
    ]
    return tuple(sorted(found, key=lambda index: index.name))


def nodes(stats: Any) -> tuple[SearchNode, ...]:
    """Of `/_nodes/stats/fs,jvm`."""
    found = []
    for item in ((stats or {}).get("nodes") or {}).values():
        total = (item.get("fs") or {}).get("total") or {}
        found.append(
            SearchNode(
                name=str(item.get("name", "")),
                disk_total=whole(total.get("total_in_bytes")),
                disk_available=whole(total.get("available_in_bytes")),
                heap_percent=whole(
                    ((item.get("jvm") or {}).get("mem") or {}).get("heap_used_percent")
                ),
            )
        )
    return tuple(sorted(found, key=lambda node: node.name))


def flood_stage(settings: Any, known: Iterable[SearchNode]) -> float | None:
    """Share of a disk at which indices turn read-only; None if the cluster does not say.

    The setting is `95%`, `0.95` or the bytes that stay free (`10gb`), which the smallest disk
    turns into a share. A transient value wins over a persistent one, and that over the default.
    """
    for scope in ("transient", "persistent", "defaults"):
        found = ((settings or {}).get(scope) or {}).get(_WATERMARK)
        if found is None:
            continue
        text = str(found).strip().lower()
        if text.endswith("%"):
            return float(text[:-1]) / 100.0
        free = _bytes(text)
        if free is None:
            return None
        if free <= 1.0:
            return free
        smallest = min((node.disk_total for node in known if node.disk_total), default=0)
        return 1.0 - free / smallest if smallest > free else None
    return None


def _bytes(text: str) -> float | None:
    """`10gb` in bytes (Elasticsearch's units are binary), or a plain number."""
    number = text.rstrip("bkmgtp")
    unit = text[len(number) :].removesuffix("b")
    return parse_number(f"{number}{unit.upper()}i" if unit else number)
