"""A problem: a sentence that says host, what, how much, since when, how fast, what is behind it."""

from __future__ import annotations

from typing import Literal

import msgspec

Severity = Literal["critical", "warning", "unknown"]
RANK: dict[str, int] = {"critical": 0, "warning": 1, "unknown": 2}


class Problem(msgspec.Struct, frozen=True, gc=False):
    """One line under "what is wrong"; its line leads to `screen` with `where` as the filter."""

    key: str
    """Stable across polls, so that the cursor stays on it: `postfix/destination/gmail.com`."""
    severity: Severity
    hosts: tuple[str, ...]
    text: str
    screen: str
    where: str = ""
    since: float | None = None
    """Epoch seconds at which it began, if a source says so."""
    read_at: float = 0.0
    """Epoch seconds of the reading it comes from."""
    weight: float = 0.0
    """Orders problems of one severity, larger is worse."""
    source: str = ""


def worse(one: Severity | None, other: Severity | None) -> Severity | None:
    """The worse of two; None is no problem."""
    found = [severity for severity in (one, other) if severity is not None]
    return min(found, key=RANK.__getitem__, default=None)


def worst_first(problems: list[Problem]) -> list[Problem]:
    """Sorted by severity, then weight, then key (stable between polls)."""
    return sorted(problems, key=lambda p: (RANK[p.severity], -p.weight, p.key))
