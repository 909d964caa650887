"""No string from outside keeps a character that acts on the terminal or on the eye."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailtui.connections.clean import clean, clean_lines, clean_tree, decode

BIDI = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c"


def harmless(text: str, allowed: str = "") -> bool:
    return not any(
        (unicodedata.category(c) in ("Cc", "Cs") or c in BIDI or "\U000e0000" <= c <= "\U000e007f")
        and c not in allowed
        for c in text
    )


@given(st.text(alphabet=st.characters(codec=None, categories=None), max_size=200))
def test_any_text_becomes_one_harmless_line(text: str) -> None:
    cleaned = clean(text)
    assert harmless(cleaned)
    assert "\n" not in cleaned
    assert clean(cleaned) == cleaned


@given(st.text(max_size=200))
def test_lines_keep_their_feeds_and_nothing_else(text: str) -> None:
    assert harmless(clean_lines(text), "\n")
    assert clean_lines(text).count("\n") == text.count("\n")


@given(st.binary(max_size=300))
def test_any_bytes_decode(data: bytes) -> None:
    assert harmless(decode(data), "\n")


@pytest.mark.parametrize("text", ["Grüße", "наш заказ №6 ✉", "日本語", "a b", "👩‍👩‍👧", "ﷺ"])
def test_what_can_be_read_stays(text: str) -> None:
    assert clean(text).replace("\ufffd", "") == clean(text)
    assert decode(text.encode()) == clean_lines(text)


def test_an_escape_sequence_is_seen_and_does_nothing() -> None:
    assert clean("\x1b]52;c;ZXZpbA==\x07") == "\ufffd]52;c;ZXZpbA==\ufffd"
    assert clean("\x9b31m") == "\ufffd31m"
    assert clean("invoice\u202efdp.exe") == "invoice\ufffdfdp.exe"
    assert clean("a\r\nb\tc") == "a  b c"
    assert clean_lines("a\r\nb") == "a\nb"


def test_trees_are_cleaned_to_the_leaves_and_the_keys() -> None:
    assert clean_tree({"a\x1b": ["\x07", {"b": "\x9b"}, 1, None, True]}) == {
        "a\ufffd": ["\ufffd", {"b": "\ufffd"}, 1, None, True]
    }
