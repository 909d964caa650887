"""Lucene's classic syntax read with luqum: what differs between the two, and flat clauses.

luqum does not know `&&`, `||` and `!`, and takes a slash inside a word; Lucene reads those as
operators and as the start of a regular expression.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from luqum import tree
from luqum.exceptions import ParseError
from luqum.parser import parser

from mailtui.sandbox.es_errors import ShardError

_UNESCAPED = re.compile(r"\\.|([*?])", re.DOTALL)


_INNER_COLON = re.compile(r"\\.|(:)", re.DOTALL)


@dataclass(slots=True)
class Clause:
    """One clause of Lucene's flat boolean."""

    conjunction: str
    """What stands before it: "", "AND", "OR"."""
    modifier: str
    """"", "+", "-"."""
    node: Any


def syntax_error(query: str, detail: str) -> ShardError:
    """400, as every shard answers for a query that Lucene cannot parse."""
    reason = f"Cannot parse '{query}': {detail}"
    return ShardError(
        400,
        "query_shard_exception",
        f"Failed to parse query [{query}]",
        caused_by={
            "type": "parse_exception",
            "reason": f"parse_exception: {reason}",
            "caused_by": {"type": "parse_exception", "reason": f"parse_exception: {detail}"},
        },
    )


def unexpected(query: str, position: int) -> ShardError:
    """The error for a token that cannot stand at a position (0-based) of the query."""
    line = query.count("\n", 0, position) + 1
    column = position - (query.rfind("\n", 0, position) + 1)
    token = query[position : position + 1]
    shown = f'" "{token}" "{token} ""' if token else '"<EOF>"'
    return syntax_error(query, f"Encountered {shown} at line {line}, column {column}.")


def _located(query: str, detail: str) -> ShardError:
    """luqum's error in Lucene's words, with the place of the fault."""
    found = re.search(r"at position (\d+)", detail)
    if found is None:
        return unexpected(query, len(query))
    position = min(int(found[1]), len(query))
    if "Illegal character" in detail:
        return syntax_error(
            query,
            f"Lexical error at line 1, column {len(query) + 1}.  Encountered: <EOF> after :"
            f' "{query[position:]}"',
        )
    return unexpected(query, position)


@lru_cache(maxsize=64)
def parse(query: str) -> Any:
    try:
        return parser.parse(_lucene(query))
    except ParseError as error:
        raise _located(query, str(error)) from None


def _lucene(query: str) -> str:
    """The same query with `&&`, `||`, `!` as words and slashes apart, as luqum reads them."""
    out: list[str] = []
    position = 0
    while position < len(query):
        char = query[position]
        if char == "\\":
            out.append(query[position : position + 2])
            position += 2
            continue
        if char in '"[{':
            end = _end(query, position, {'"': '"', "[": "]}", "{": "]}"}[char])
            out.append(query[position:end])
            position = end
            continue
        if char == "/":
            end = _end(query, position, "/")
            if end > len(query) or query[end - 1] != "/" or end - 1 == position:
                raise syntax_error(
                    query,
                    f"Lexical error at line 1, column {len(query) + 1}.  Encountered: <EOF> after :"
                    f' "{query[position:]}"',
                )
            out.append(f" {query[position:end]} " if _glued(out) else query[position:end])
            position = end
            continue
        pair = query[position : position + 2]
        if pair in ("&&", "||"):
            out.append(" AND " if pair == "&&" else " OR ")
            position += 2
            continue
        out.append(" NOT " if char == "!" else char)
        position += 1
    return "".join(out)


def _glued(out: list[str]) -> bool:
    """Whether what was written before belongs to a word."""
    return bool(out) and out[-1][-1] not in " \t\n(:+-"


def _end(query: str, start: int, closing: str) -> int:
    position = start + 1
    while position < len(query):
        if query[position] == "\\":
            position += 2
            continue
        if query[position] in closing:
            return position + 1
        position += 1
    return len(query)


def plain(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)


def has_wildcard(text: str) -> bool:
    return any(match[1] for match in _UNESCAPED.finditer(text))


def joined(clauses: list[Clause]) -> list[Clause]:
    """Runs of plain words as one text, as Lucene's MultiTerm reads them."""
    out: list[Clause] = []
    position = 0
    while position < len(clauses):
        end = position
        while (
            end < len(clauses)
            and _bare(clauses[end])
            and (end + 1 >= len(clauses) or not clauses[end + 1].conjunction)
        ):
            end += 1
        if end - position >= 2:
            text = " ".join(clause.node.value for clause in clauses[position:end])
            out.append(Clause("", "", tree.Word(text)))
            position = end
        else:
            out.append(clauses[position])
            position += 1
    return out


def _bare(clause: Clause) -> bool:
    return (
        not clause.conjunction
        and not clause.modifier
        and isinstance(clause.node, tree.Word)
        and not isinstance(clause.node, tree.Phrase)
        and not has_wildcard(clause.node.value)
    )


def has_inner_colon(text: str) -> bool:
    """Whether a word holds a colon that is not escaped."""
    return any(match[1] for match in _INNER_COLON.finditer(text))
