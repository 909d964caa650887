"""What a resource is: a named kind of row, with columns that screens and scripts share."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

import msgspec

if TYPE_CHECKING:
    from mailtui.collectors.state import State
    from mailtui.config.settings import Context

log = logging.getLogger("mailtui.resources")

Row = TypeVar("Row")

Level = Literal["critical", "warning", "ok", "unknown", "stale", "muted", "accent", ""]
"""How bad a cell is; the widget layer turns it into glyph and colour, scripts into a word."""


class Column(msgspec.Struct, Generic[Row], frozen=True):
    """One column of a resource.

    `value` gives what is sorted, filtered and exported (number, string, None for unknown);
    `text` gives what is painted. `priority` 0 never leaves the screen; the highest number
    leaves first when the terminal is narrow.
    """

    name: str
    """Field name in filters (`field:value`) and headless output: lower case, no spaces."""
    title: str
    """Head of the column, with the unit if it has one."""
    value: Callable[[Row], Any]
    text: Callable[[Row], str] | None = None
    align: Literal["left", "right"] = "left"
    width: int = 8
    """Least width in cells."""
    flex: int = 0
    """Share of the spare width; 0 keeps `width`."""
    priority: int = 0
    truncate: Literal["end", "middle", "never"] = "end"
    level: Callable[[Row], Level] | None = None

    def render(self, row: Row) -> str:
        """The text of this column for `row`; unknown is `?`, never a guess."""
        try:
            if self.text is not None:
                return self.text(row)
            value = self.value(row)
        except Exception as error:  # a defect in one column must not take the screen away
            broken(self.name, error)
            return "?"
        return "?" if value is None else str(value)

    def known(self, row: Row) -> Any:
        """The value of this column for `row`; None (unknown) if the column breaks on it."""
        try:
            return self.value(row)
        except Exception as error:
            broken(self.name, error)
            return None

    def grade(self, row: Row) -> Level:
        """How bad the cell is."""
        if self.level is None:
            return ""
        try:
            return self.level(row)
        except Exception as error:
            broken(self.name, error)
            return "unknown"


_told: set[tuple[str, str]] = set()


def broken(name: str, error: Exception) -> None:
    """Log that a column broke on a row, once for each kind of error."""
    if (key := (name, type(error).__name__)) not in _told:
        _told.add(key)
        log.error("column %s", name, exc_info=error)


class Resource(msgspec.Struct, Generic[Row], frozen=True):
    """A kind of row: what `mailtui get NAME` prints and a table shows."""

    name: str
    title: str
    columns: tuple[Column[Row], ...]
    key: Callable[[Row], str]
    """Identity of a row across polls: cursor, marks and scroll follow it."""
    empty: str
    """What an empty table says, as a sentence: `no message is deferred`."""
    sort: str = ""
    """Default sort column, `-name` for descending."""
    tick: float = 0.0
    """Seconds after which its ages must be painted again; 0: it shows none."""

    def column(self, name: str) -> Column[Row] | None:
        """The column called `name`, or None."""
        return next((c for c in self.columns if c.name == name), None)


Rows = Callable[["State", "Context"], Sequence[Any]]


def rows_of(module: ModuleType) -> Rows | None:
    """How the rows of a resource's module are made; None if it makes none by itself.

    `rows_in(state, context)` where they need the settings too, else `rows(state)`.
    """
    if hasattr(module, "rows_in"):
        return module.rows_in  # type: ignore[no-any-return]
    if hasattr(module, "rows"):
        return lambda state, context: module.rows(state)
    return None
