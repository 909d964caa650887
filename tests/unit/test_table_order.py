"""Sorting, following and fitting: the parts of the table that need no screen."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest
from rich.cells import cell_len

from mailtui.model.where import compile_where
from mailtui.resources.base import Column
from mailtui.widgets.table_layout import GUTTER, clean, fit, lay_out
from mailtui.widgets.table_order import SLICE, drain, filtered, follow, kept, ordered

Pair = tuple[str, Any]


def key(row: Pair) -> str:
    return row[0]


def pairs(values: list[Any]) -> list[Pair]:
    return [(str(i), value) for i, value in enumerate(values)]


def expected(rows: list[Pair], reverse: bool) -> list[Pair]:
    known = sorted((r for r in rows if r[1] is not None), key=lambda r: r[1], reverse=reverse)
    return known + [r for r in rows if r[1] is None]


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("distinct", [1, 7, 10**9])
def test_long_lists_sort_like_short_ones(reverse: bool, distinct: int) -> None:
    chance = random.Random(distinct)
    values = [chance.randrange(distinct) if chance.random() > 0.1 else None for _ in range(41_234)]
    rows = pairs(values)
    assert drain(ordered(rows, lambda r: r[1], reverse)) == expected(rows, reverse)


def test_already_sorted_and_reversed_lists() -> None:
    rows = pairs(list(range(3 * SLICE)))
    assert drain(ordered(rows, lambda r: r[1], False)) == rows
    assert drain(ordered(rows, lambda r: r[1], True)) == rows[::-1]


@pytest.mark.parametrize(
    ("values", "ascending", "descending"),
    [
        (["b", "A", None, "c"], ["A", "b", "c", None], ["c", "b", "A", None]),
        ([2, None, 1.5], [1.5, 2, None], [2, 1.5, None]),
        ([True, 0, 3], [0, True, 3], [3, True, 0]),
        (["x", 3, None, 1], [1, 3, "x", None], ["x", 3, 1, None]),
        ([("b", "a"), ("a",), None], [("a",), ("b", "a"), None], [("b", "a"), ("a",), None]),
        ([], [], []),
        ([None, None], [None, None], [None, None]),
    ],
)
def test_unknown_is_last_both_ways(
    values: list[Any], ascending: list[Any], descending: list[Any]
) -> None:
    rows = pairs(values)
    assert [v for _, v in drain(ordered(rows, lambda r: r[1], False))] == ascending
    assert [v for _, v in drain(ordered(rows, lambda r: r[1], True))] == descending


def test_not_a_number_is_unknown() -> None:
    result = drain(ordered(pairs([math.nan, 2.0, 1.0]), lambda r: r[1], False))
    assert [i for i, _ in result] == ["2", "1", "0"]


def test_filter_in_slices_keeps_order() -> None:
    columns: tuple[Column[Pair], ...] = (Column("n", "n", lambda r: r[1]),)
    rows = pairs(list(range(2 * SLICE + 10)))
    found = drain(filtered(rows, compile_where(f"n:>={SLICE}", columns)))
    assert found == rows[SLICE:]


def test_kept_rows_stay_in_place_and_new_ones_are_counted() -> None:
    view = [("a", 1), ("b", 1), ("c", 1)]
    fresh = [("z", 2), ("c", 2), ("a", 2), ("y", 2)]
    assert drain(kept(view, fresh, key)) == ([("a", 2), ("c", 2)], 2)


def test_kept_survives_a_row_listed_twice() -> None:
    view = [("a", 1), ("b", 1)]
    assert drain(kept(view, [("a", 2), ("a", 3), ("b", 2)], key)) == ([("a", 3), ("b", 2)], 0)


@pytest.mark.parametrize(
    ("old", "at", "new", "where"),
    [
        ("abc", 1, "abc", (1, False)),
        ("abc", 2, "cab", (0, False)),
        ("abcd", 1, "acd", (1, True)),
        ("abcd", 1, "dca", (1, True)),
        ("abcd", 3, "abc", (2, True)),
        ("abcd", 3, "bax", (0, True)),
        ("abc", 1, "xyz", (1, True)),
        ("abc", 2, "x", (0, True)),
        ("abc", 1, "", (-1, True)),
        ("", -1, "abc", (0, False)),
        ("", -1, "", (-1, False)),
    ],
)
def test_follow(old: str, at: int, new: str, where: tuple[int, bool]) -> None:
    assert follow([(c, 0) for c in old], at, [(c, 1) for c in new], key) == where


@pytest.mark.parametrize(
    ("text", "width", "align", "truncate", "result"),
    [
        ("abc", 5, "left", "end", "abc  "),
        ("12", 5, "right", "end", "   12"),
        ("abcdef", 4, "left", "end", "abc…"),
        ("abcdef", 5, "left", "middle", "ab…ef"),
        ("abcdef", 3, "left", "never", "abcdef"),
        ("abcdef", 1, "left", "middle", "…"),
        ("abcdef", 0, "left", "end", ""),
        ("漢字漢字", 8, "left", "end", "漢字漢字"),
        ("漢字漢字", 5, "left", "end", "漢字…"),
        ("漢字漢字", 6, "left", "end", "漢字… "),
        ("漢字漢字漢字", 7, "left", "middle", "漢…字  "),
        ("e\u0301" * 4, 3, "left", "end", "e\u0301e\u0301…"),
        ("ab cdef", 4, "left", "end", "ab… "),
    ],
)
def test_fit(text: str, width: int, align: Any, truncate: Any, result: str) -> None:
    assert fit(text, width, align, truncate) == result


@pytest.mark.parametrize(
    "text", ["漢字漢字漢字", "e\u0301e\u0301e\u0301", "👩‍👩‍👧x👩‍👩‍👧y", "⚠️⚠️⚠️", "aé漢"]
)
@pytest.mark.parametrize("truncate", ["end", "middle"])
@pytest.mark.parametrize("width", range(12))
def test_fit_is_exact_in_cells(text: str, truncate: Any, width: int) -> None:
    assert cell_len(fit(text, width, "left", truncate)) == width


def test_clean_leaves_one_harmless_line() -> None:
    assert clean("a\nb\tc\r\n") == "a b c  "
    assert clean("\x1b]52;c;x\x07") == "·]52;c;x·"
    assert clean("a\u202eb\u2066") == "ab"
    assert clean("1\u202f234 é漢👩‍👧") == "1\u202f234 é漢👩‍👧"
    assert clean("\x9b31m\u2028") == "·31m "


def columns(*specs: tuple[str, int, int, int]) -> list[Column[Any]]:
    return [
        Column(name, name, lambda row: row, width=width, flex=flex, priority=priority)
        for name, width, flex, priority in specs
    ]


def test_columns_leave_by_priority_and_spare_width_is_shared() -> None:
    wide = columns(("a", 10, 0, 0), ("b", 10, 1, 2), ("c", 10, 2, 1), ("d", 10, 0, 2))
    slots, gap = lay_out(wide, 120)
    assert gap == 2
    assert [s.column.name for s in slots] == ["a", "b", "c", "d"]
    assert slots[-1].x + slots[-1].width == 120
    assert abs(slots[2].width - 10 - 2 * (slots[1].width - 10)) <= 2
    slots, gap = lay_out(wide, 40)
    assert gap == 1
    assert [s.column.name for s in slots] == ["a", "b", "c"]
    slots, _ = lay_out(wide, 28)
    assert [s.column.name for s in slots] == ["a", "c"]
    slots, _ = lay_out(wide, 14)
    assert [s.column.name for s in slots] == ["a"]
    assert slots[0].x == GUTTER


def test_what_may_not_leave_is_squeezed() -> None:
    narrow = columns(("a", 30, 0, 0), ("b", 10, 0, 0))
    slots, _ = lay_out(narrow, 30)
    assert slots[-1].x + slots[-1].width == 30
    assert all(slot.width >= 4 for slot in slots)
    assert lay_out(narrow, 0)[0][0].width == 4
