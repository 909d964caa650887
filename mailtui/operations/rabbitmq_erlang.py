"""Erlang terms as `--formatter erlang` prints them (~p of io_lib): the part that peek uses."""

from __future__ import annotations

import re
from typing import Any

_TOKEN = re.compile(
    r"\s*(?:(?P<binary><<)|(?P<end>>>)|(?P<punctuation>[\[\]{},])"
    r"|(?P<number>-?\d+(?:\.\d+(?:[eE][-+]?\d+)?)?)"
    r'|(?P<string>"(?:[^"\\]|\\.)*")'
    r"|(?P<atom>[a-z][A-Za-z0-9_@]*|'(?:[^'\\]|\\.)*'))",
    re.DOTALL,
)
_ESCAPE = re.compile(r"\\(x\{[0-9A-Fa-f]+\}|[0-7]{1,3}|.)", re.DOTALL)
_ESCAPES = {
    "n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v", "e": "\x1b", "d": "\x7f",
    "s": " ",
}  # fmt: skip
_DEEPEST = 50


class BadTerm(ValueError):
    """Text that is no term."""


def parse(text: str) -> Any:
    """The term of a text: lists, tuples, bytes for binaries, numbers, text for atoms, booleans.

    Raises BadTerm.
    """
    tokens = _tokens(text)
    value, rest = _value(tokens, 0, 0)
    if rest != len(tokens):
        raise BadTerm("more than one term")
    return value


def _tokens(text: str) -> list[tuple[str, str]]:
    found, at = [], 0
    end = len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None:
            raise BadTerm(f"no term at {text[at : at + 20]!r}")
        found.append((str(match.lastgroup), match.group(match.lastgroup or 0)))
        at = match.end()
    return found


def _value(tokens: list[tuple[str, str]], at: int, depth: int) -> tuple[Any, int]:
    if at >= len(tokens) or depth > _DEEPEST:
        raise BadTerm("cut off or too deep")
    kind, word = tokens[at]
    if kind == "number":
        return (float(word) if "." in word else int(word)), at + 1
    if kind == "string":
        return _string(word), at + 1
    if kind == "atom":
        name = word.strip("'")
        return ({"true": True, "false": False}.get(name, name)), at + 1
    if kind == "binary":
        return _binary(tokens, at + 1)
    if word not in "[{":
        raise BadTerm(f"an unexpected {word}")
    closing = "]" if word == "[" else "}"
    items, at = [], at + 1
    while at < len(tokens) and tokens[at][1] != closing:
        value, at = _value(tokens, at, depth + 1)
        items.append(value)
        if at < len(tokens) and tokens[at] == ("punctuation", ","):
            at += 1
    if at >= len(tokens):
        raise BadTerm("cut off")
    return (items if closing == "]" else tuple(items)), at + 1


def _binary(tokens: list[tuple[str, str]], at: int) -> tuple[bytes, int]:
    found = bytearray()
    while at < len(tokens):
        kind, word = tokens[at]
        at += 1
        if kind == "end":
            return bytes(found), at
        if kind == "number":
            found.append(int(word) & 0xFF)
        elif kind == "string":
            # a character of a binary is a byte; the others came as U+FFFD
            found += _string(word).encode("latin-1", "replace")
        elif word != ",":
            raise BadTerm(f"an unexpected {word} in a binary")
    raise BadTerm("cut off")


def _string(quoted: str) -> str:
    def one(match: re.Match[str]) -> str:
        code = match.group(1)
        if code.startswith("x{"):
            return chr(int(code[2:-1], 16))
        if code[0] in "01234567":
            return chr(int(code, 8))
        return _ESCAPES.get(code, code)

    return _ESCAPE.sub(one, quoted[1:-1])
