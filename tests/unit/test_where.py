"""The filter language: what matches, what is refused and where, what is suggested."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailtui.model.where import WhereError, compile_where, parse_number
from mailtui.model.where_complete import complete_where, completed_span
from mailtui.model.where_parse import exactly
from mailtui.resources.base import Column


@dataclass(frozen=True)
class Mail:
    id: str
    destination: str | None
    reason: str
    size: float | None
    age: float
    queue: str = "deferred"
    recipients: tuple[str, ...] = ()
    used: float | None = None


COLUMNS: tuple[Column[Mail], ...] = (
    Column("id", "queue id", lambda m: m.id),
    Column("destination", "destination", lambda m: m.destination),
    Column("reason", "reason", lambda m: m.reason),
    Column("size", "size", lambda m: m.size, lambda m: "?" if m.size is None else f"{m.size:,.0f}"),
    Column("age", "age", lambda m: m.age),
    Column("queue", "queue", lambda m: m.queue),
    Column("recipients", "rcpt", lambda m: m.recipients, lambda m: f"+{len(m.recipients)}"),
    Column("used", "used", lambda m: m.used),
)
GMAIL = Mail("4bXk2Q", "gmail.com", "421-4.7.0 rate limited", 4312, 11520, used=0.95)
LOCAL = Mail("4bXk2R", "Straße.example", "451 try later", 20_000_000, 60, "hold", ("ann@x.org",))
LOST = Mail("9zz|a b", None, 'said "no"', None, 5, "active", used=0.5)
ROWS = [GMAIL, LOCAL, LOST]


def found(expr: str) -> list[Mail]:
    where = compile_where(expr, COLUMNS)
    rows = where.filter(ROWS)
    assert rows == [row for row in ROWS if where.matches(row)]
    return rows


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        ("", ROWS),
        ("   ", ROWS),
        ("GMAIL", [GMAIL]),
        ("strasse", [LOCAL]),
        ("gmail rate", [GMAIL]),
        ("gmail later", []),
        ('"rate limited"', [GMAIL]),
        ('"limited rate"', []),
        ("~^4\\d1", [GMAIL, LOCAL]),
        ("/^4.1/", [GMAIL, LOCAL]),
        ("/bXk", []),
        ("destination:mail", [GMAIL]),
        ("DESTINATION:=gmail.com", [GMAIL]),
        ("destination:=gmail", []),
        ("destination:?", [LOST]),
        ("!destination:?", [GMAIL, LOCAL]),
        ("destination:none", []),
        ("reason:~^421", [GMAIL]),
        ('reason:~"rate +lim"', [GMAIL]),
        ("reason:~421|451", [GMAIL, LOCAL]),
        ("!gmail", [LOCAL, LOST]),
        ("-destination:gmail", [LOCAL, LOST]),
        ("queue:=hold|deferred", [GMAIL, LOCAL]),
        ("queue:hold|=active", [LOCAL, LOST]),
        ("gmail|later", [GMAIL, LOCAL]),
        ('id:"9zz|a b"', [LOST]),
        ('reason:"said \\"no\\""', [LOST]),
        ('""', ROWS),
        ("size:>10k", [LOCAL]),
        ("size:>=4,312", [GMAIL, LOCAL]),
        ("size:<5k", [GMAIL]),
        ("size:=4312", [GMAIL]),
        ("size:4,3", [GMAIL]),
        ("size:<1k|>10M", [LOCAL]),
        ("size:?|<5k", [GMAIL, LOST]),
        ("age:<=1m", [LOCAL, LOST]),
        ("age:>3h", [GMAIL]),
        ("age:<3h12m", [LOCAL, LOST]),
        ("used:>94%", [GMAIL]),
        ("used:<=0.5", [LOST]),
        ("reason:>5", []),
        ("recipients:ann", [LOCAL]),
        ("recipients:=ann@x.org", [LOCAL]),
        ("recipients:+1", [LOCAL]),
        ("2001:db8::1", []),
        ("http://x", []),
    ],
)
def test_matches(expr: str, expected: list[Mail]) -> None:
    assert found(expr) == expected


def test_address_with_colons_is_text() -> None:
    columns: tuple[Column[str], ...] = (Column("name", "name", lambda s: s),)
    assert compile_where("fe80::1", columns).filter(["fe80::1", "x"]) == ["fe80::1"]
    assert compile_where("!/var/vmail", columns).filter(["/var/vmail", "x"]) == ["x"]


@pytest.mark.parametrize(
    ("expr", "position", "says"),
    [
        ("gmail destinaton:x", 6, "did you mean destination?"),
        ("zzz:x", 0, "fields: id, destination"),
        ("reason:~4(2", 9, "bad regular expression"),
        ('reason:~"a b("', 12, "bad regular expression"),
        ("/a[/", 2, "bad regular expression"),
        ("size:>many", 6, "not a number"),
        ("age:<", 5, "not a number"),
        ('gmail "rate', 6, "not closed"),
        ('"a"b', 3, "after the closing quote"),
        ("reason:", 7, "needs a value"),
        ("reason:~", 8, "needs a regular expression"),
        ("a !", 2, "nothing follows"),
        ("|", 0, "needs words"),
    ],
)
def test_refuses_with_position(expr: str, position: int, says: str) -> None:
    with pytest.raises(WhereError, match=says.replace("?", r"\?")) as error:
        compile_where(expr, COLUMNS)
    assert error.value.position == position


def test_unknown_field_names_the_nearest() -> None:
    with pytest.raises(WhereError) as error:
        compile_where("quue:hold", COLUMNS)
    assert error.value.near == ["queue"]


def test_describes_itself() -> None:
    where = compile_where(" queue:hold age:>1m -queue:x ", COLUMNS)
    assert where.text == "queue:hold age:>1m -queue:x"
    assert where.fields == ("queue", "age")
    assert not where.empty
    assert compile_where(" ", COLUMNS).empty


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0),
        ("-5", -5),
        ("1.5k", 1500),
        ("2KiB", 2048),
        ("3GB", 3e9),
        ("2M", 2e6),
        ("2m", 120),
        ("1d2h", 93600),
        ("1,000", 1000),
        ("94%", 0.94),
        ("x", None),
        ("", None),
        ("10q", None),
        ("1,0", None),
    ],
)
def test_numbers_with_units(text: str, number: float | None) -> None:
    assert parse_number(text) == number


def complete(expr: str, rows: list[Any] = ROWS) -> list[str]:
    return complete_where(expr, len(expr), COLUMNS, rows)


def test_completes_fields_then_values() -> None:
    assert complete("de") == ["destination:"]
    assert complete("gmail !qu") == ["!queue:"]
    assert complete("e")[-1] == "used:"
    assert complete("")[0] == "id:"
    assert complete("zz:x") == []
    many = [replace(GMAIL, id=str(i)) for i in range(3)] + [LOCAL, LOST]
    assert complete("destination:", many) == [
        "destination:gmail.com",
        "destination:Straße.example",
        "destination:?",
    ]
    assert complete("queue:=hold|=a") == ["queue:=hold|=active"]
    assert complete("reason:421")[0] == 'reason:"421-4.7.0 rate limited"'
    assert complete("size:20") == ["size:=20000000"]
    assert complete("size:=20") == ["size:=20000000"]
    assert complete("size:>") == []
    assert complete("reason:~4") == []


def test_every_value_suggestion_compiles_and_matches() -> None:
    for column in COLUMNS:
        for suggestion in complete(f"{column.name}:"):
            assert found(suggestion), suggestion


def test_completed_span_is_the_piece_under_the_cursor() -> None:
    expr = 'gmail reason:"rate lim'
    span = completed_span(expr, len(expr))
    assert expr[span.start : span.end] == 'reason:"rate lim'
    span = completed_span(expr, 6)
    assert (span.start, span.end) == (6, 6)


@given(st.text(max_size=30), st.text(max_size=30))
def test_exactly_is_true_for_its_value_alone(value: str, other: str) -> None:
    columns: list[Column[str]] = [Column("name", "name", lambda row: row)]
    where = compile_where(exactly("name", value), columns)
    assert where.matches(value)
    assert where.matches(other) == (other.casefold() == value.casefold())


@pytest.mark.parametrize(
    ("expression", "empty"),
    [("", True), ('""', True), ('queue:""', True), ('x|""', True), ("x", False),
     ('queue:=""', False), ('"" x', False), ("queue:?", False)],
)  # fmt: skip
def test_a_filter_that_says_nothing_is_empty(expression: str, empty: bool) -> None:
    assert compile_where(expression, COLUMNS).empty is empty
