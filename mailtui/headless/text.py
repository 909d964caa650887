"""Text for a terminal or a file: aligned tables, colours only where they are wanted."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from typing import Any, TextIO

from rich.cells import cell_len

from mailtui.resources.base import Column, Level
from mailtui.widgets.glyphs import ASCII, UNICODE, Glyphs
from mailtui.widgets.table_layout import LEAST, clean, fit

SGR: dict[str, str] = {
    "critical": "1;31",
    "warning": "33",
    "ok": "32",
    "unknown": "35",
    "stale": "2",
    "muted": "2",
    "accent": "36",
}
"""Level → the parameters of its ECMA-48 SGR sequence."""


def prepare(stream: TextIO, *, exact: bool) -> None:
    """Make `stream` take any text: `exact` is always UTF-8 (JSON, CSV), else `?` stands in."""
    if hasattr(stream, "reconfigure"):
        if exact:
            stream.reconfigure(encoding="utf-8", errors="replace", newline="\n")
        else:
            stream.reconfigure(errors="replace")


def wants_color(stream: TextIO) -> bool:
    """True on a terminal that has colours, unless NO_COLOR is set (no-color.org)."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM", "dumb") == "dumb"
    return stream.isatty() and not plain


def glyphs_for(stream: TextIO) -> Glyphs:
    """The signs that `stream` can show."""
    if stream.isatty() and os.environ.get("TERM") in ("linux", "vt100", "vt220", "dumb"):
        return ASCII
    try:
        UNICODE.critical.encode(stream.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return ASCII
    return UNICODE


def width_of(stream: TextIO) -> int | None:
    """Cells of a line on the terminal; None: as long as needed (a file, a pipe)."""
    return shutil.get_terminal_size().columns if stream.isatty() else None


def painted(text: str, level: Level, color: bool) -> str:
    """`text` in the colour of its level."""
    code = SGR.get(level) if color else None
    return f"\x1b[{code}m{text}\x1b[0m" if code and text.strip() else text


def table(
    columns: Sequence[Column[Any]], rows: Sequence[Any], stream: TextIO | None = None
) -> Iterator[str]:
    """The lines of a table for `stream`, the head first; columns as wide as what is in them."""
    stream = stream or sys.stdout
    width, color = width_of(stream), wants_color(stream)
    ellipsis = glyphs_for(stream).ellipsis
    cells = [[clean(_cell(column, row)) for column in columns] for row in rows]
    heads = [(column.title or column.name).upper() for column in columns]
    natural = [
        max((cell_len(line[i]) for line in [heads, *cells]), default=0) for i in range(len(columns))
    ]
    shown = list(range(len(columns)))
    if width is not None:
        shown, natural = _squeezed(columns, natural, width)

    def line(texts: Sequence[str], levels: Sequence[Level]) -> str:
        parts = []
        for i in shown:
            c = columns[i]
            text = fit(texts[i], natural[i], c.align, c.truncate, ellipsis)
            if i == shown[-1] and c.align == "left":
                text = text.rstrip()
            parts.append(painted(text, levels[i], color))
        return "  ".join(parts).rstrip()

    none: list[Level] = [""] * len(columns)
    yield line(heads, none)
    for row, texts in zip(rows, cells, strict=True):
        levels = [c.level(row) if color and c.level is not None else "" for c in columns]
        yield line(texts, levels)


def _cell(column: Column[Any], row: Any) -> str:
    text = column.render(row)
    if not text and column.level is not None and not column.title:
        # a sign without a text on screen: here its word
        return str(column.level(row))
    return text


def _squeezed(
    columns: Sequence[Column[Any]], natural: list[int], width: int
) -> tuple[list[int], list[int]]:
    """Indices of the columns that fit, and widths: first the long texts shrink, then what
    matters least leaves."""
    shown = list(range(len(columns)))
    least = [
        natural[i] if c.truncate == "never" else min(natural[i], max(LEAST, c.width))
        for i, c in enumerate(columns)
    ]
    while sum(least[i] for i in shown) + 2 * (len(shown) - 1) > width and len(shown) > 1:
        worst = max(columns[i].priority for i in shown)
        if worst <= 0:
            break
        shown.remove(max(i for i in shown if columns[i].priority == worst))
    widths = list(natural)
    while (excess := sum(widths[i] for i in shown) + 2 * (len(shown) - 1) - width) > 0:
        room = [i for i in shown if widths[i] > least[i]]
        if not room:
            break
        longest = max(room, key=lambda i: widths[i] - least[i])
        widths[longest] -= min(excess, max(1, (widths[longest] - least[longest]) // 2))
    return shown, widths
