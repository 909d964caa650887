"""A QR code as lines of text, to be painted black on white: a phone needs dark on light."""

from __future__ import annotations

QUIET = 4
"""Light modules around the code (ISO/IEC 18004, 5.3.8)."""

_HALVES = {(True, True): "█", (True, False): "▀", (False, True): "▄", (False, False): " "}

Matrix = tuple[tuple[bool, ...], ...]
"""Rows of modules, True is dark; the quiet zone is in it."""


def matrix(text: str) -> Matrix:
    """The code of `text`, as small as it gets (error correction L: a screen has no scratches)."""
    import segno

    code = segno.make(text, error="l", micro=False, boost_error=False)
    return tuple(tuple(bool(m) for m in row) for row in code.matrix_iter(border=QUIET))


def half_blocks(modules: Matrix) -> list[str]:
    """Two modules a character: `█▀▄` are dark and the space is light. 45 × 23 for an enrolment."""
    rows = [*modules]
    if len(rows) % 2:
        rows.append((False,) * len(rows[0]))
    return [
        "".join(_HALVES[pair] for pair in zip(upper, lower, strict=True))
        for upper, lower in zip(rows[::2], rows[1::2], strict=True)
    ]


def ascii_blocks(modules: Matrix) -> list[str]:
    """Two characters a module: `##` is dark, spaces are light. For terminals without blocks."""
    return ["".join("##" if dark else "  " for dark in row) for row in modules]


def inverted(modules: Matrix) -> Matrix:
    """Dark and light exchanged, for lines that are not painted on a dark terminal."""
    return tuple(tuple(not dark for dark in row) for row in modules)


def painted(lines: list[str]) -> list[str]:
    """`lines` black on white whatever the terminal's colours are (ECMA-48 SGR; 107 is aixterm's
    bright white, and 47 stands before it for terminals that do not know it)."""
    return [f"\x1b[30;47;107m{line}\x1b[0m" for line in lines]
