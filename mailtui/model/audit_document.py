"""The document behind an audit event, kept as JSON text: as a tree, as lines, as leaves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any


def tree(text: str) -> Any:
    """The document; None if it is no JSON."""
    try:
        return json.loads(text) if text else None
    except ValueError:
        return None


def pretty(text: str) -> str:
    """The document indented; what is no JSON is given as it is."""
    found = tree(text)
    return text if found is None else json.dumps(found, ensure_ascii=False, indent=2)


def leaves(node: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """(dotted name, value) of every leaf; a list gives one for each of its items."""
    if isinstance(node, dict):
        for name, value in node.items():
            yield from leaves(value, f"{prefix}.{name}" if prefix else str(name))
    elif isinstance(node, list):
        for value in node:
            yield from leaves(value, prefix)
    elif isinstance(node, bool):
        yield prefix, "true" if node else "false"
    elif node is not None:
        yield prefix, str(node)
