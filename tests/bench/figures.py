"""What the benches report: figures, their targets, and the table of all of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Figure:
    """One measured figure."""

    what: str
    figure: str
    """With its unit."""
    ratio: float | None = None
    """To the floor that was measured in the same run."""
    target: str = ""
    met: bool | None = None
    """None if there is no target."""


def spread(values: Iterable[float], scale: float = 1.0, unit: str = "") -> str:
    """`median (least-most)`: the noise belongs to the figure."""
    ordered = sorted(value * scale for value in values)
    return f"{median(ordered):.4g} ({ordered[0]:.4g}-{ordered[-1]:.4g}){unit}"


HEAD = ("what", "figure", "ratio", "target", "met")


def table(figures: Iterable[Figure]) -> str:
    """Aligned columns."""
    rows = [HEAD]
    for f in figures:
        met = "" if f.met is None else "yes" if f.met else "NO"
        rows.append((f.what, f.figure, "" if f.ratio is None else f"{f.ratio:.2f}", f.target, met))
    widths = [max(len(row[n]) for row in rows) for n in range(len(HEAD))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
