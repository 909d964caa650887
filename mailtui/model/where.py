"""The filter language of the `/` bar and of `mailtui get RESOURCE --where EXPRESSION`.

Terms separated by spaces must all hold::

    gmail                 text contained in any column, upper and lower case alike
    "rate limited"        the same with spaces; quotes also keep | : ! literal
    ~^4\\d\\d             regular expression in any column; /^4\\d\\d/ is the same
    reason:limited        text contained in the column `reason`
    queue:=hold           equal to
    reason:~^421          regular expression in one column (quote it if it has spaces)
    size:>10k  age:<=3h   numbers: > >= < <= with k M G T (1000), Ki Mi Gi Ti (1024), and
                          s m h d w for columns which hold seconds; 3h12m and 4,312 work;
                          94% is 0.94, because columns hold shares as ratios
    owner:?               unknown; `?` never matches text, numbers never match unknown
    !gmail  -queue:hold   the opposite of a term (unknown is not gmail, so it matches !gmail)
    queue:hold|deferred   one of several; also a|b for any column, size:<1k|>10M

Lower-case `m` is minutes, `M` is a million. A word such as `2001:db8::1` or `http://x` is text.
An expression without terms matches every row; callers that act on rows must look at
`Where.empty` and refuse.
"""

from __future__ import annotations

import operator
import warnings
from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches
from re import IGNORECASE, Match
from re import compile as compile_regex
from re import error as RegexError
from typing import Any, Protocol

from mailtui.model.where_parse import (
    Choice,
    Term,
    WhereError,
    parse_number,
    parse_where,
)

__all__ = ["Where", "WhereColumn", "WhereError", "compile_where", "parse_number"]

Test = Callable[[Any], bool]
"""A question about a row, or about the value of one column of it."""

COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}


class WhereColumn(Protocol):
    """What a filter needs of a column; `mailtui.resources.base.Column` has it."""

    @property
    def name(self) -> str: ...
    @property
    def value(self) -> Callable[[Any], Any]: ...
    @property
    def text(self) -> Callable[[Any], str] | None: ...


class Where:
    """A compiled filter."""

    __slots__ = ("_tests", "empty", "fields", "text")

    def __init__(
        self, text: str, fields: tuple[str, ...], tests: tuple[Test, ...], *, empty: bool
    ) -> None:
        self.text = text
        """The expression as it was written."""
        self.fields = fields
        """Columns that the expression names, in order, each once."""
        self._tests = tests
        self.empty = empty
        """True when no term says anything (there is none, or only `""`): no filter was meant."""

    def matches(self, row: Any) -> bool:
        """True if every term holds for `row`."""
        return all(test(row) for test in self._tests)

    def filter(self, rows: Iterable[Any]) -> list[Any]:
        """The rows that match, in their order."""
        found = list(rows)
        for test in self._tests:
            try:
                found = [row for row in found if test(row)]
            except Exception:  # a column that breaks on one row: that row does not match
                found = [row for row in found if _holds(test, row)]
        return found

    def __repr__(self) -> str:
        return f"Where({self.text!r})"


def _holds(test: Test, row: Any) -> bool:
    try:
        return test(row)
    except Exception:
        return False


def compile_where(expr: str, columns: Sequence[WhereColumn]) -> Where:
    """Compile `expr` for rows with these columns.

    Raises WhereError for an unknown field, a bad regular expression, a bad number, or an
    unclosed quote, with the position in `expr`.
    """
    by_name = {column.name.casefold(): column for column in columns}
    ranked: list[tuple[int, Test]] = []
    fields: dict[str, None] = {}
    empty = True
    for term in parse_where(expr):
        cost, test = _compile_term(term, by_name)
        # `gmail|""` says nothing either: its second half is in everything
        empty = empty and not all(c.text or c.operator in ("?", "=") for c in term.choices)
        if term.field is not None:
            fields[by_name[term.field].name] = None
        ranked.append((cost, _negated(test) if term.negated else test))
    # The cheapest test first: the dear ones then see only the rows that are left.
    ranked.sort(key=lambda pair: pair[0])
    return Where(expr.strip(), tuple(fields), tuple(test for _, test in ranked), empty=empty)


def _negated(test: Test) -> Test:
    return lambda row: not test(row)


def _compile_term(term: Term, by_name: dict[str, WhereColumn]) -> tuple[int, Test]:
    """Cost class and row test of one term."""
    if term.field is None:
        tests = [_any_column(choice, list(by_name.values())) for choice in term.choices]
        return 2, _one_of(tests)
    column = by_name.get(term.field)
    if column is None:
        names = [c.name for c in by_name.values()]
        near = get_close_matches(term.field, names, n=1, cutoff=0.5)
        hint = f", did you mean {near[0]}?" if near else ""
        raise WhereError(
            f"no field {term.field!r}{hint} (fields: {', '.join(names)})", term.position, near
        )
    regex = any(choice.operator == "~" for choice in term.choices)
    return int(regex), _one_of([_one_column(choice, column) for choice in term.choices])


def _one_of(tests: list[Test]) -> Test:
    if len(tests) == 1:
        return tests[0]
    return lambda row: any(test(row) for test in tests)


def _any_column(choice: Choice, columns: list[WhereColumn]) -> Test:
    if choice.operator == "~":
        tests = [_one_column(choice, column) for column in columns]
    else:
        needle = Choice("", choice.text, choice.position, choice.quoted)
        tests = [_one_column(needle, column) for column in columns]
    return lambda row: any(test(row) for test in tests)


def _one_column(choice: Choice, column: WhereColumn) -> Test:
    value, text = column.value, column.text
    if choice.operator == "?":
        return lambda row: value(row) is None
    if choice.operator in COMPARISONS:
        return _comparison(choice, value)
    test, equals_number = _text_test(choice)
    if text is None and equals_number is None:

        def plain(row: Any) -> bool:
            found = value(row)
            if found.__class__ is str:
                return test(found)
            return found is not None and _test_value(test, found)

        return plain

    def painted(row: Any) -> bool:
        # The value is what scripts see and the text is what the eye sees: either may match.
        found = value(row)
        if found is None:
            return False
        if equals_number is not None and _is_number(found) and found == equals_number:
            return True
        if not _is_number(found) and _test_value(test, found):
            return True
        return test(str(found) if text is None else text(row))

    return painted


def _test_value(test: Test, value: Any) -> bool:
    if isinstance(value, str):
        return test(value)
    if isinstance(value, (tuple, list, set, frozenset)):
        return any(test(str(item)) for item in value)
    return test(str(value))


def _text_test(choice: Choice) -> tuple[Test, float | None]:
    """A test of one string, and the number that `=` also accepts."""
    if choice.operator == "~":
        search = _regex(choice)
        return lambda text: search(text) is not None, None
    needle = choice.text.casefold()
    if choice.operator == "=":
        number = None if choice.quoted else parse_number(choice.text)
        return lambda text: text.casefold() == needle, number
    return lambda text: needle in text.casefold(), None


def _regex(choice: Choice) -> Callable[[str], Match[str] | None]:
    try:
        with warnings.catch_warnings():
            # "Possible nested set" would be written over the screen.
            warnings.simplefilter("ignore")
            return compile_regex(choice.text, IGNORECASE).search
    except RegexError as error:
        position = choice.position + (error.pos or 0)
        raise WhereError(f"bad regular expression: {error.msg}", position) from None
    except (OverflowError, RecursionError) as error:
        raise WhereError(f"bad regular expression: {error}", choice.position) from None


def _comparison(choice: Choice, value: Callable[[Any], Any]) -> Test:
    limit = parse_number(choice.text)
    if limit is None:
        raise WhereError(
            f"{choice.text!r} is not a number (10k, 2.5M, 512Ki, 94%, 90s, 3h12m)",
            choice.position,
        )
    compare = COMPARISONS[choice.operator]

    def test(row: Any) -> bool:
        found = value(row)
        return _is_number(found) and compare(found, limit)

    return test


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
