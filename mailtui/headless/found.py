"""What a run was to find (`Operation.gives`), printed once: it is kept nowhere."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mailtui.resources.base import Resource


def objects(operation: str, rows: Sequence[Any]) -> dict[str, Any]:
    """`found` of the JSON object; nothing for an operation that finds nothing."""
    from mailtui.resources.export import as_object

    resource = _resource(operation)
    if resource is None:
        return {}
    return {"found": [as_object(row, resource.columns) for row in rows]}


def show(operation: str, rows: Sequence[Any]) -> None:
    """Print it as a table."""
    from mailtui.headless import text

    resource = _resource(operation)
    if resource is not None and rows:
        print()
        for line in text.table(resource.columns, rows, sys.stdout):
            print(line)


def _resource(operation: str) -> Resource[Any] | None:
    from mailtui.operations import registry

    gives = registry.find(operation).gives
    if not gives:
        return None
    found: Resource[Any] = importlib.import_module(f"mailtui.resources.{gives}").RESOURCE
    return found
