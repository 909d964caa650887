"""Scenarios: what goes wrong on the platform, and when. One module each, found by its name.

A module `store_disk_full` has a class `Plan(BasePlan)`; the command line calls it
`store-disk-full`.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING

from mailtui.sandbox.world.attacks import Wave
from mailtui.sandbox.world.causes import Cause, everyday
from mailtui.sandbox.world.clock import Course

if TYPE_CHECKING:
    from mailtui.sandbox.world import World

MINUTE = 60.0


class BasePlan:
    """A quiet platform; scenarios override what differs."""

    title = "nothing is wrong"

    def __init__(self, start: float) -> None:
        """`start`: epoch seconds at which the world begins to move."""
        self.start = start
        self.causes: list[Cause] = everyday()
        self.waves: list[Wave] = []
        self.audit_failures = Course(0.0)
        """Failed logins a second by attackers, in the audit trail."""
        self.attacked_hosts: tuple[str, ...] = ()
        self.dead_letter_reasons: tuple[tuple[str, int], ...] = (
            ("rejected", 8),
            ("expired", 2),
            ("delivery_limit", 1),
        )

    def prepare(self, world: World) -> None:
        """Bend `world.rates`, before anything is built from them."""

    def finish(self, world: World) -> None:
        """Change what was built."""

    def step(self, world: World, dt: float) -> None:
        """Called after each step."""


def names() -> list[str]:
    """Every scenario's name for the command line, `quiet` first."""
    found = {m.name.replace("_", "-") for m in pkgutil.iter_modules(__path__)}
    return sorted(found, key=lambda n: (n != "quiet", n))


def load(name: str, start: float) -> BasePlan:
    """The scenario of that name; ValueError if there is none."""
    if name not in names():
        raise ValueError(f"no scenario {name!r}; there are: {', '.join(names())}")
    module = importlib.import_module(f"{__name__}.{name.replace('-', '_')}")
    plan: BasePlan = module.Plan(start)
    return plan
