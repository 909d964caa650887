"""The resources that `mailtui get` knows: every module of `mailtui.resources` with a RESOURCE."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import mailtui.resources
from mailtui.headless.errors import Refused
from mailtui.resources.base import Resource, Rows, rows_of

if TYPE_CHECKING:
    from mailtui.collectors.state import State


@dataclass(frozen=True)
class Known:
    """One resource, and how its rows are made."""

    name: str
    """As the command line has it: dashes, no underscores."""
    resource: Resource[Any]
    sources: tuple[str, ...]
    """What has to be read for it; empty: everything."""
    rows: Rows
    more: Callable[[State], int | None]
    """How many rows the sources have beyond those that were read; None if they do not say."""


def known() -> dict[str, Known]:
    """Every resource by its name."""
    found: dict[str, Known] = {}
    for entry in pkgutil.iter_modules(mailtui.resources.__path__):
        module = importlib.import_module(f"{mailtui.resources.__name__}.{entry.name}")
        resource = getattr(module, "RESOURCE", None)
        rows = rows_of(module)
        if isinstance(resource, Resource) and rows is not None:
            name = entry.name.replace("_", "-")
            more = getattr(module, "more", lambda state: 0)
            found[name] = Known(name, resource, tuple(getattr(module, "SOURCES", ())), rows, more)
    return found


def one(name: str) -> Known:
    """The resource called `name`. Raises Refused."""
    every = known()
    wanted = name.replace("_", "-").lower()
    if wanted in every:
        return every[wanted]
    near = get_close_matches(wanted, every, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise Refused(f"there is no resource {name!r}{hint} (expected one of {', '.join(every)})")
