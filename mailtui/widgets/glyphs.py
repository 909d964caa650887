"""Glyph and word of each state; plain ASCII where the terminal has no more."""

from __future__ import annotations

import os

import msgspec

from mailtui.resources.base import Level


class Glyphs(msgspec.Struct, frozen=True):
    """One set of signs; every one is a single cell wide."""

    critical: str = "✖"
    warning: str = "▲"
    ok: str = "●"
    unknown: str = "?"
    stale: str = "◌"
    separator: str = "│"
    breadcrumb: str = "›"
    enter: str = "⏎"
    ellipsis: str = "…"
    rule: str = "─"
    ascii: bool = False

    def of(self, level: Level) -> str:
        """The glyph of a level; a blank for those that are no state."""
        return {
            "critical": self.critical,
            "warning": self.warning,
            "ok": self.ok,
            "unknown": self.unknown,
            "stale": self.stale,
        }.get(level, " ")


UNICODE = Glyphs()
ASCII = Glyphs(
    critical="X",
    warning="!",
    ok="+",
    stale="~",
    separator="|",
    breadcrumb=">",
    enter="Enter",
    ellipsis="~",
    rule="-",
    ascii=True,
)

_SIGNS = str.maketrans("▁▂▃▄▅▆▇█✖▲▼●◌…→·", "_.-=+*##X!v+~~>.")


def plain(text: str) -> str:
    """`text` with our own signs as ASCII; what came from outside keeps its letters."""
    return text.translate(_SIGNS)


def for_terminal(ascii_only: bool | None = None) -> Glyphs:
    """The set for this terminal: ASCII on the Linux console, whose font lacks the signs."""
    if ascii_only is None:
        ascii_only = os.environ.get("TERM", "") in ("linux", "vt100", "vt220", "dumb")
    return ASCII if ascii_only else UNICODE
