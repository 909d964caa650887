"""What is wrong, as rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailtui.collectors.state import State
from mailtui.model import clock
from mailtui.model import format as fmt
from mailtui.model.problem import Problem
from mailtui.resources.base import Column, Level, Resource

if TYPE_CHECKING:
    from mailtui.config.settings import Context


def _level(problem: Problem) -> Level:
    return problem.severity


def _age(problem: Problem) -> float | None:
    return max(0.0, clock.now() - problem.read_at) if problem.read_at else None


RESOURCE: Resource[Problem] = Resource(
    name="problems",
    title="What is wrong",
    columns=(
        Column(
            "severity",
            "",
            lambda p: p.severity,
            text=lambda p: "",
            width=2,
            level=_level,
        ),
        Column(
            "hosts",
            "host",
            lambda p: " ".join(p.hosts),
            width=8,
            flex=1,
            priority=1,
        ),
        Column("text", "what", lambda p: p.text, width=50, flex=8),
        Column(
            "since",
            "since",
            lambda p: p.since,
            text=lambda p: fmt.since(p.since, clock.now()) if p.since else "",
            align="right",
            width=6,
            priority=3,
        ),
        Column(
            "age",
            "read",
            _age,
            text=lambda p: fmt.age(_age(p)) if p.read_at else "",
            align="right",
            width=9,
            priority=2,
            level=lambda p: "muted",
        ),
        Column("source", "source", lambda p: p.source, width=13, priority=4),
    ),
    key=lambda p: p.key,
    empty="nothing is wrong, as far as the sources tell",
    tick=1.0,
)


SOURCES: tuple[str, ...] = ()
"""Every source may have a problem."""


def rows_in(state: State, context: Context) -> list[Problem]:
    """The problems, worst first; their rules need the settings of the context."""
    from mailtui.problems.engine import find_all

    return find_all(state, context, clock.now())
