"""Pieces of Elasticsearch's `query_string` language, correctly escaped.

Source: "Query string query", Elasticsearch reference: inside quotation marks only the quotation
mark and the backslash are special; in a field's name every reserved character and the space are.
"""

from __future__ import annotations

import re

_RESERVED = re.compile(r'([\\+\-=&|!(){}\[\]^"~*?:/\s])')
_PIECE = re.compile(r'"(?:[^"\\]|\\.)*"|\\.|\(|\)|\|\||\bOR\b|.', re.DOTALL)


def term(field: str, value: str, *, exclude: bool = False) -> str:
    """`field:"value"`, or `NOT field:"value"`."""
    name = _RESERVED.sub(r"\\\1", field)
    quoted = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'{"NOT " if exclude else ""}{name}:"{quoted}"'


def narrowed(query: str, added: str) -> str:
    """`query` AND `added`; the same query if it has that term already."""
    query = query.strip()
    if not query:
        return added
    if _has_alternatives(query):
        return f"({query}) AND {added}"
    # each term stands between the ANDs: nothing else splits a query without alternatives
    if added in query.split(" AND "):
        return query
    return f"{query} AND {added}"


def _has_alternatives(query: str) -> bool:
    """True if an OR stands outside of parentheses and quotation marks."""
    depth = 0
    for found in _PIECE.finditer(query):
        piece = found[0]
        if piece == "(":
            depth += 1
        elif piece == ")":
            depth -= 1
        elif depth == 0 and piece in ("OR", "||"):
            return True
    return False
