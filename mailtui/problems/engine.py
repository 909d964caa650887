"""All problems of a platform, worst first."""

from __future__ import annotations

import importlib
import logging
import pkgutil
from collections.abc import Callable, Iterable
from functools import cache
from typing import TYPE_CHECKING

import mailtui.problems
from mailtui.collectors.state import State
from mailtui.model.problem import RANK, Problem, worst_first

if TYPE_CHECKING:
    from mailtui.config.settings import Context

log = logging.getLogger("mailtui.problems")

Finder = Callable[[State, "Context", float], Iterable[Problem]]


@cache
def finders() -> dict[str, Finder]:
    """Name → `find` of every module in this package that has one."""
    found: dict[str, Finder] = {}
    for module in pkgutil.iter_modules(mailtui.problems.__path__):
        loaded = importlib.import_module(f"{mailtui.problems.__name__}.{module.name}")
        if hasattr(loaded, "find"):
            found[module.name] = loaded.find
    return found


def find_all(state: State, context: Context, now: float) -> list[Problem]:
    """Every problem, worst first. A rule that breaks is itself shown, and stops no other."""
    problems: list[Problem] = []
    for name, find in finders().items():
        try:
            problems.extend(find(state, context, now))
        except Exception as error:  # a defect in a rule must not hide the other rules' answers
            log.exception("problem rule %s", name)
            problems.append(
                Problem(
                    key=f"rule/{name}",
                    severity="unknown",
                    hosts=(),
                    text=f"the check of {name} broke ({type(error).__name__}); see the log",
                    screen="overview",
                    source=name,
                )
            )
    return worst_first(_once(problems))


def _once(problems: Iterable[Problem]) -> list[Problem]:
    """One problem per key: two sources may see the same one, and the worse account stays."""
    found: dict[str, Problem] = {}
    for problem in problems:
        held = found.get(problem.key)
        if held is None or _badness(problem) < _badness(held):
            found[problem.key] = problem
    return list(found.values())


def _badness(problem: Problem) -> tuple[int, float]:
    # something unknown is no account of what is wrong: any other one is better
    return RANK[problem.severity], -problem.weight
