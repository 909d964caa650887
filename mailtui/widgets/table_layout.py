"""Which columns a table shows at a width, and how a text fits its cell.

All widths are terminal cells (`rich.cells`): wide characters take two, combining marks none.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Any, Literal

import msgspec
from rich.cells import cell_len, set_cell_size, split_graphemes

from mailtui.resources.base import Column

GUTTER = 3
"""Cells before the first column: cursor, mark, space."""
NARROW = 100
"""Below this many cells one space separates the columns, else two."""
LEAST = 4
"""A column is not squeezed below this many cells."""

BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


class Slot(msgspec.Struct, frozen=True):
    """A column with its place on the line."""

    column: Column[Any]
    x: int
    """First cell, counted from the left edge of the table."""
    width: int


def lay_out(columns: Sequence[Column[Any]], width: int) -> tuple[list[Slot], int]:
    """The columns that fit into `width` cells, and the gap between them.

    The column with the highest priority number leaves first (the rightmost of equals);
    priority 0 never leaves: such columns are squeezed instead. Spare width goes to flexible
    columns by their share.
    """
    gap = 1 if width < NARROW else 2
    room = max(0, width - GUTTER)
    shown = list(columns)

    def needed() -> int:
        return sum(c.width for c in shown) + gap * max(0, len(shown) - 1)

    while needed() > room:
        worst = max((c.priority for c in shown), default=0)
        if worst <= 0:
            break
        last = max(i for i, c in enumerate(shown) if c.priority == worst)
        del shown[last]
    widths = _spread([c.width for c in shown], [c.flex for c in shown], room - needed())
    excess = needed() - room
    while excess > 0:
        squeezable = [i for i, c in enumerate(shown) if c.truncate != "never" and widths[i] > LEAST]
        if not squeezable:
            break
        widths[max(squeezable, key=widths.__getitem__)] -= 1
        excess -= 1
    slots: list[Slot] = []
    x = GUTTER
    for column, size in zip(shown, widths, strict=True):
        slots.append(Slot(column, x, size))
        x += size + gap
    return slots, gap


def _spread(widths: list[int], shares: list[int], spare: int) -> list[int]:
    total = sum(shares)
    if spare <= 0 or total == 0:
        return widths
    given = 0
    last = max(i for i, share in enumerate(shares) if share)
    for i, share in enumerate(shares):
        extra = spare - given if i == last else spare * share // total
        if share:
            widths[i] += extra
            given += extra
    return widths


def clean(text: str) -> str:
    """`text` as one line: line breaks and tabs become spaces, other controls `·`, and marks
    of writing direction go. The second defence; the first is where strings enter."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_safe, text))


def _safe(char: str) -> str:
    if char in "\n\r\t\v\f\x85\u2028\u2029":
        return " "
    if char in BIDI:
        return ""
    return "·" if unicodedata.category(char) in ("Cc", "Cs") else char


def fit(
    text: str,
    width: int,
    align: Literal["left", "right"] = "left",
    truncate: Literal["end", "middle", "never"] = "end",
    ellipsis: str = "…",
) -> str:
    """`text` in exactly `width` cells (or more, if `truncate` is never and it is longer)."""
    length = len(text) if text.isascii() else cell_len(text)
    if length > width:
        if truncate == "never":
            return text
        return _shortened(text, width, truncate, ellipsis)
    padding = " " * (width - length)
    return padding + text if align == "right" else text + padding


def _shortened(text: str, width: int, truncate: str, ellipsis: str) -> str:
    if width <= 0:
        return ""
    room = width - 1
    tail = room // 2 if truncate == "middle" else 0
    start = set_cell_size(text, room - tail).rstrip(" ") if room > tail else ""
    short = start + ellipsis + (_tail(text, tail) if tail else "")
    return set_cell_size(short, width)


def _tail(text: str, width: int) -> str:
    """The longest end of `text` of at most `width` cells, not splitting a character."""
    if text.isascii():
        return text[-width:]
    spans, _ = split_graphemes(text)
    at, used = len(text), 0
    for start, _end, size in reversed(spans):
        if used + size > width:
            break
        at, used = start, used + size
    return text[at:]
