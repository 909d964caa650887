"""Reading a filter expression: text to terms, with the position of each piece.

The language itself is described in `mailtui.model.where`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec


class WhereError(ValueError):
    """An expression that cannot be understood."""

    def __init__(self, message: str, position: int, near: list[str] | None = None) -> None:
        super().__init__(message)
        self.position = position
        """Index in the expression of the character at fault."""
        self.near = near or []
        """Valid names that look like the one at fault, nearest first."""


class Choice(msgspec.Struct, frozen=True):
    """One alternative of a term."""

    operator: str
    """`` contained, `=` equal, `~` regular expression, `> >= < <=`, `?` unknown."""
    text: str
    position: int
    """Index of `text` in the expression."""
    quoted: bool = False


class Term(msgspec.Struct, frozen=True):
    """One condition; it holds if one of its choices does (or none, when negated)."""

    field: str | None
    """Case-folded field name, None for any column."""
    choices: tuple[Choice, ...]
    negated: bool
    position: int


class Token(msgspec.Struct, frozen=True):
    """A stretch of the expression without unquoted spaces."""

    start: int
    end: int


FIELD = re.compile(r"([A-Za-z_][\w.-]*):")
OPERATOR = re.compile(r">=|<=|>|<|=|~")
NUMBER = re.compile(r"([+-]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?)([A-Za-z%]*)")
DURATION = re.compile(r"(?:\d+[wdhms])+")
OPENS_QUOTE = frozenset('!-:=<>~|"')
"""A quotation mark opens a quote after these; elsewhere (5") it is a character."""

UNITS: dict[str, float] = {
    **{"": 1, "b": 1},
    **{"k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12},
    **{"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40},
    **{"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800},
}


def parse_number(text: str) -> float | None:
    """The number that `text` writes, with its unit applied, or None.

    >>> parse_number("10k"), parse_number("2Ki"), parse_number("3h12m"), parse_number("94%")
    (10000.0, 2048.0, 11520.0, 0.94)
    """
    if DURATION.fullmatch(text):
        parts = re.findall(r"(\d+)([wdhms])", text)
        return float(sum(int(number) * UNITS[unit] for number, unit in parts))
    match = NUMBER.fullmatch(text)
    if match is None:
        return None
    unit = match[2]
    if len(unit) > 1 and unit[-1] in "bB":
        unit = unit[:-1]
    number = float(match[1].replace(",", ""))
    if unit == "%":
        return number / 100  # a product with 0.01 is not the nearest float
    factor = UNITS.get("b" if unit == "B" else unit)
    return None if factor is None else number * factor


def tokens(expr: str, *, lenient: bool = False) -> Iterator[Token]:
    """The space-separated pieces of `expr`; `lenient` accepts a quote still open at the end."""
    at, end = 0, len(expr)
    while at < end:
        if expr[at].isspace():
            at += 1
            continue
        start = at
        while at < end and not expr[at].isspace():
            if expr[at] == '"' and (at == start or expr[at - 1] in OPENS_QUOTE):
                closing = _closing_quote(expr, at)
                if closing < 0:
                    if not lenient:
                        raise WhereError("this quote is not closed", at)
                    at = end
                    break
                at = closing
            at += 1
        yield Token(start, at)


_BARE = re.compile(r"[A-Za-z0-9/][\w.@/+-]*", re.ASCII)
_ESCAPED = re.compile(r'\\(["\\])')


def _closing_quote(expr: str, opening: int) -> int:
    """Index of the mark that closes the quote at `opening`, or -1."""
    at = opening + 1
    while (at := expr.find('"', at)) >= 0:
        before = expr[opening + 1 : at]
        if (len(before) - len(before.rstrip("\\"))) % 2 == 0:
            return at
        at += 1
    return -1


def exactly(name: str, value: str) -> str:
    """The term that is true where the column `name` is `value`, whatever `value` holds."""
    if _BARE.fullmatch(value):
        return f"{name}:={value}"
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'{name}:="{escaped}"'


def parse_where(expr: str) -> list[Term]:
    """The terms of `expr`. Raises WhereError."""
    return [_term(expr, token) for token in tokens(expr)]


def _term(expr: str, token: Token) -> Term:
    at = token.start
    negated = expr[at] in "!-"
    if negated:
        at += 1
        if at == token.end:
            raise WhereError(f"nothing follows {expr[at - 1]}", at - 1)
    name = field_at(expr, at, token.end)
    if name is not None:
        start = at + len(name) + 1
        choices = list(_choices(expr, start, token.end, is_field=True))
        if not choices:
            raise WhereError(f"{name}: needs a value, or ? for unknown", start)
        return Term(name.casefold(), tuple(choices), negated, at)
    body = expr[at : token.end]
    if body[0] == "~" and len(body) > 1:
        choice = _regex_choice(expr, at + 1, token.end)
    elif len(body) > 2 and body[0] == body[-1] == "/":
        choice = Choice("~", body[1:-1], at + 1)
    else:
        choices = list(_choices(expr, at, token.end, is_field=False))
        if not choices:
            raise WhereError("| needs words on its sides", at)
        return Term(None, tuple(choices), negated, at)
    return Term(None, (choice,), negated, at)


def field_at(expr: str, start: int, end: int) -> str | None:
    """The field name that a term starting at `start` begins with, or None if it is text."""
    match = FIELD.match(expr, start, end)
    if match is None or expr.startswith("//", match.end()):
        return None
    body = expr[start:end]
    if body.count(":") > 1 and all(c in "0123456789abcdefABCDEF:./%" for c in body):
        return None  # an IPv6 address or network
    return match[1]


def _choices(expr: str, start: int, end: int, *, is_field: bool) -> Iterator[Choice]:
    """Alternatives in `expr[start:end]`; one without an operator takes the one before it."""
    at, inherited = start, ""
    while at < end:
        match = OPERATOR.match(expr, at, end) if is_field else None
        sign = match[0] if match else inherited
        if match:
            at, inherited = match.end(), sign
        if sign == "~":
            yield _regex_choice(expr, at, end)
            return
        if at < end and expr[at] == '"':
            closing = _closing_quote(expr, at)
            text = _ESCAPED.sub(r"\1", expr[at + 1 : closing])
            yield Choice(sign, text, at + 1, quoted=True)
            at = closing + 1
            if at < end and expr[at] != "|":
                raise WhereError("a space or | belongs after the closing quote", at)
            at += 1
            continue
        bar = expr.find("|", at, end)
        stop = end if bar < 0 else bar
        text = expr[at:stop]
        if is_field and text == "?" and not match:
            yield Choice("?", text, at)
        elif text or match:
            yield Choice(sign, text, at)
        at = stop + 1


def _regex_choice(expr: str, start: int, end: int) -> Choice:
    if start >= end:
        raise WhereError("~ needs a regular expression", start)
    if expr[start] == '"' and end - start > 1 and expr[end - 1] == '"':
        return Choice("~", expr[start + 1 : end - 1].replace('\\"', '"'), start + 1, quoted=True)
    return Choice("~", expr[start:end], start)
