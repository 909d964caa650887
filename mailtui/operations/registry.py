"""Every operation, found by looking into the room's modules."""

from __future__ import annotations

import importlib
import pkgutil
from difflib import get_close_matches
from functools import cache

from mailtui import operations
from mailtui.operations.base import Operation, Refused

SHAPES = ("base", "registry", "gate", "person", "running", "rehearsed", "acting", "shipping")
"""Modules of the room that are no source's."""


@cache
def every() -> tuple[Operation, ...]:
    """All operations, by their IDs."""
    found: dict[str, Operation] = {}
    for module in pkgutil.iter_modules(operations.__path__):
        if module.name in SHAPES:
            continue
        loaded = importlib.import_module(f"{operations.__name__}.{module.name}")
        for operation in getattr(loaded, "OPERATIONS", ()):
            if operation.id in found:
                raise RuntimeError(f"two operations are called {operation.id}")
            found[operation.id] = operation
    return tuple(found[name] for name in sorted(found))


def find(name: str) -> Operation:
    """The operation called `name`. Raises Refused with the nearest names."""
    names = [operation.id for operation in every()]
    for operation in every():
        if operation.id == name:
            return operation
    near = get_close_matches(name, names, n=3)
    raise Refused(
        f"there is no operation {name!r}"
        + (f"; did you mean {' or '.join(near)}?" if near else f" (there are {', '.join(names)})")
    )


def of_resource(resource: str) -> tuple[Operation, ...]:
    """What can be done with rows of a resource; those with a key first."""
    found = [o for o in every() if o.resource == resource and not o.hidden]
    return tuple(sorted(found, key=lambda o: (not o.key, o.id)))
