"""Completion of a filter expression while it is typed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from mailtui.model.where import WhereColumn
from mailtui.model.where_parse import Token, field_at, tokens

MOST = 20
"""As many suggestions as a list below the bar can show."""


def complete_where(
    expr: str, cursor: int, columns: Sequence[WhereColumn], rows_sample: Iterable[Any]
) -> list[str]:
    """Replacements for the piece of `expr` under `cursor` (see `completed_span`), best first.

    Before a `:` these are field names (`destination:`), those that start with what is typed
    before those that contain it; after it, the values of that column in `rows_sample`, the
    most frequent first, quoted where they need it.
    """
    token = completed_span(expr, cursor)
    typed = expr[token.start : cursor]
    sign = typed[:1] if typed[:1] in ("!", "-") else ""
    name = field_at(typed, len(sign), len(typed))
    if name is None:
        word = typed[len(sign) :].casefold()
        names = [column.name for column in columns]
        starts = [n for n in names if n.casefold().startswith(word)]
        inside = [n for n in names if word in n.casefold() and n not in starts]
        return [f"{sign}{n}:" for n in starts + inside][:MOST]
    column = next((c for c in columns if c.name.casefold() == name.casefold()), None)
    if column is None:
        return []
    value = typed[len(sign) + len(name) + 1 :]
    head, bar, last = value.rpartition("|")
    operator = "=" if last.startswith("=") else ""
    word = last[len(operator) :].lstrip('"').casefold()
    if word[:1] in ("~", "<", ">"):
        return []
    lead = f"{sign}{column.name}:{head}{bar}{operator}"
    return [
        lead + _quoted(found).lstrip(operator) for found in _frequent(column, rows_sample, word)
    ]


def completed_span(expr: str, cursor: int) -> Token:
    """The stretch of `expr` that a suggestion of `complete_where` replaces."""
    for token in tokens(expr, lenient=True):
        if token.start < cursor <= token.end:
            return token
    return Token(cursor, cursor)


def _frequent(column: WhereColumn, rows: Iterable[Any], word: str) -> list[str]:
    counts: Counter[str] = Counter()
    unknown = 0
    for row in rows:
        try:
            value = column.value(row)
        except Exception:  # a column that breaks on one row is unknown there
            value = None
        if value is None:
            unknown += 1
        elif isinstance(value, (tuple, list, set, frozenset)):
            counts.update(str(item) for item in value)
        elif isinstance(value, str):
            counts[value] += 1
        elif isinstance(value, int):
            # Painted text of a number has separators and units: only equality finds it again.
            counts[f"={value}" if not isinstance(value, bool) else str(value)] += 1
    found = [
        (not shown.startswith(word), -count, value)
        for value, count in counts.items()
        if word in (shown := value.casefold().lstrip("="))
    ]
    values = [value for _, _, value in sorted(found)[:MOST]]
    if unknown and not word:
        values.append("?")
    return values


def _quoted(value: str) -> str:
    if value == "?" or value[1:].isdecimal():
        return value
    if value and value[0] not in '=~<>"?' and not any(c.isspace() or c == "|" for c in value):
        return value
    escaped = value.replace('"', '\\"')
    return f'"{escaped}"'
