"""`simple_query_string`: the forgiving syntax; nothing in it is an error.

Operators as in the Elasticsearch guide: `+` and, `|` or, `-` not, quotes a phrase, a trailing `*`
a prefix, parentheses precedence; a backslash escapes.
"""

from __future__ import annotations

import re
from typing import Any

from mailtui.sandbox import es_leaf
from mailtui.sandbox.es_compiled import ALL, NEVER, Compiled, Context
from mailtui.sandbox.es_errors import EsError, parsing, unsupported
from mailtui.sandbox.es_query import boolean, conjunction, disjunction, expand_fields, negation

_OPTIONS = {
    "query", "fields", "default_operator", "lenient", "analyze_wildcard", "flags", "boost",
    "minimum_should_match", "_name", "auto_generate_synonyms_phrase_query",
}  # fmt: skip
_TOKEN = re.compile(r'\s+|(?P<op>[+|()\-])|"(?P<phrase>(?:\\.|[^"\\])*)"(?:~\d+)?'
                    r'|(?P<word>(?:\\.|[^\s+|()"\\])+)|.', re.DOTALL)  # fmt: skip
_FUZZY = re.compile(r"[^\\]~\d*$")


def compile_clause(body: dict[str, Any], context: Context) -> Compiled:
    """Compile a `simple_query_string` clause."""
    for key in body:
        if key not in _OPTIONS:
            raise parsing(f"[simple_query_string] unsupported field [{key}]")
    if body.get("query") is None:
        raise parsing("[simple_query_string] query text missing")
    if body.get("flags", "ALL") != "ALL":
        raise unsupported("[simple_query_string] with [flags]")
    return _Simple(body, context).compile()


class _Simple:
    def __init__(self, body: dict[str, Any], context: Context) -> None:
        self.context = context
        self.conjunctive = str(body.get("default_operator", "or")).lower() == "and"
        self.needed = body.get("minimum_should_match")
        self.names = expand_fields(body.get("fields"), context)
        self.lenient = bool(body.get("lenient", not body.get("fields")))
        self.tokens: list[tuple[str, str]] = []
        for match in _TOKEN.finditer(str(body["query"])):
            kind = match.lastgroup
            if kind:
                self.tokens.append((kind, match[kind]))
        self.position = 0

    def compile(self) -> Compiled:
        parts: list[Compiled] = []
        while self.position < len(self.tokens):
            part = self._sequence()
            if part is not None:
                parts.append(part)
            # A closing parenthesis without its opening one is passed over.
            self.position += 1
        return conjunction(parts) if parts else NEVER

    def _sequence(self) -> Compiled | None:
        """Clauses up to the end or a closing parenthesis, joined left to right."""
        result: Compiled | None = None
        optional: list[Compiled] = []
        operator = ""
        while self.position < len(self.tokens):
            kind, text = self.tokens[self.position]
            if kind == "op" and text == ")":
                break
            if kind == "op" and text in "+|":
                operator = text
                self.position += 1
                continue
            part = self._clause()
            if part is None:
                continue
            joint = operator or ("+" if self.conjunctive else "|")
            operator = ""
            if joint == "+":
                before = [disjunction(optional)] if optional else []
                result = conjunction([*([result] if result else []), *before, part])
                optional = []
            elif result is None:
                optional.append(part)
            else:
                result = disjunction([result, part])
        if optional:
            result = boolean([], optional, [], self.needed)
        return result

    def _clause(self) -> Compiled | None:
        kind, text = self.tokens[self.position]
        self.position += 1
        if kind == "op" and text == "-":
            if self.position >= len(self.tokens):
                return None
            following = self.tokens[self.position]
            if following[0] == "op" and following[1] != "(":
                return None
            inner = self._clause()
            return None if inner is None else negation(inner)
        if kind == "op":
            inner = self._sequence()
            self.position += 1
            return inner
        plain = re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)
        if kind == "phrase":
            return self._each(plain, phrase=True, prefix=False)
        if _FUZZY.search(text):
            raise unsupported("[simple_query_string] with fuzziness [~]")
        if text == "*":
            return ALL
        if text.endswith("*") and not text.endswith("\\*"):
            return self._each(plain[:-1], phrase=True, prefix=True)
        return self._each(plain, phrase=False, prefix=False)

    def _each(self, text: str, *, phrase: bool, prefix: bool) -> Compiled:
        parts = []
        for name in self.names:
            try:
                parts.append(
                    es_leaf.match_text(
                        self.context,
                        name,
                        text,
                        operator="and" if self.conjunctive else "or",
                        phrase=phrase,
                        prefix=prefix,
                    )
                )
            except EsError:
                if not self.lenient:
                    raise
        return disjunction(parts)
