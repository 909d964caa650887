"""`query_string`: Lucene's classic syntax, parsed with luqum, with Elasticsearch's meaning.

What differs from a naive reading, as in Lucene's QueryParserBase: AND, OR and NOT have no
precedence but mark the clauses beside them as required, optional or excluded; neighbouring plain
words are one text (so a keyword field sees them with the space); a slash starts a regular
expression.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

from luqum import tree

from mailtui.sandbox import es_dates, es_leaf
from mailtui.sandbox.es_compiled import ALL, NEVER, Compiled, Context, any_of
from mailtui.sandbox.es_errors import EsError, ShardError, parsing, unsupported
from mailtui.sandbox.es_fields import NUMBERS, TEXT
from mailtui.sandbox.es_lucene import (
    Clause,
    has_inner_colon,
    has_wildcard,
    joined,
    parse,
    plain,
    syntax_error,
    unexpected,
)
from mailtui.sandbox.es_query import boolean, disjunction, expand_fields
from mailtui.sandbox.es_text import analyze, lucene_regexp, wildcard, within_edits

_OPTIONS = {
    "query", "default_field", "fields", "default_operator", "lenient", "analyze_wildcard",
    "allow_leading_wildcard", "time_zone", "minimum_should_match", "boost", "_name", "type",
    "tie_breaker", "escape", "enable_position_increments", "fuzzy_max_expansions",
    "max_determinized_states", "rewrite", "auto_generate_synonyms_phrase_query",
}  # fmt: skip


_SPECIAL = re.compile(r'([+\-=!(){}\[\]^"~*?:\\/]|&&|\|\|)')


@dataclass(frozen=True, slots=True)
class Scope:
    """Where a bare word is looked for, and how."""

    fields: tuple[str, ...]
    lenient: bool
    conjunctive: bool
    """`default_operator` is AND."""
    zone: str | None = None


def compile_clause(body: dict[str, Any], context: Context) -> Compiled:
    """Compile a `query_string` clause."""
    for key in body:
        if key not in _OPTIONS:
            raise parsing(f"[query_string] query does not support [{key}]")
    if body.get("query") is None:
        raise parsing("[query_string] must be provided with a [query]")
    query = str(body["query"])
    if body.get("escape"):
        query = _SPECIAL.sub(r"\\\1", query)
    fields = body.get("fields") or body.get("default_field") or "*"
    everywhere = fields in ("*", ["*"])
    operator = str(body.get("default_operator", "or")).lower()
    if operator not in ("and", "or"):
        raise EsError(
            400, "illegal_argument_exception",
            f"No enum constant org.elasticsearch.index.query.Operator.{operator.upper()}",
        )  # fmt: skip
    scope = Scope(
        tuple(expand_fields(fields, context)),
        bool(body.get("lenient", everywhere)),
        operator == "and",
        body.get("time_zone"),
    )
    if not query.strip():
        return NEVER
    reader = _Reader(
        query,
        context,
        body.get("minimum_should_match"),
        leading=bool(body.get("allow_leading_wildcard", True)),
    )
    return reader.compile(scope)


class _Reader:
    """Turns one parsed query into tests for one segment."""

    def __init__(self, query: str, context: Context, needed: Any, *, leading: bool) -> None:
        self.query = query
        self.context = context
        self.needed = needed
        self.leading = leading
        """`allow_leading_wildcard`."""

    def compile(self, scope: Scope) -> Compiled:
        return self._node(parse(self.query), scope, top=True)

    def _node(self, node: Any, scope: Scope, *, top: bool = False) -> Compiled:
        match node:
            case tree.Group() | tree.FieldGroup():
                return self._node(node.expr, scope, top=top)
            case tree.Boost():
                return self._node(node.expr, scope, top=top)
            case (
                tree.AndOperation()
                | tree.OrOperation()
                | tree.UnknownOperation()
                | tree.Plus()
                | tree.Not()
                | tree.Prohibit()
            ):
                return self._operation(node, scope, top=top)
            case tree.SearchField():
                return self._field(node, scope)
            case tree.Phrase():
                return self._each(scope, lambda name: self._phrase(name, node.value, scope))
            case tree.Word():
                return self._word(node.value, scope)
            case tree.Regex():
                compiled = lucene_regexp(node.value[1:-1].replace("\\/", "/"))
                return self._each(
                    scope, lambda name: es_leaf.pattern(self.context, name, "regexp", compiled)
                )
            case tree.Range():
                bounds = {
                    "gte" if node.include_low else "gt": self._bound(node.low),
                    "lte" if node.include_high else "lt": self._bound(node.high),
                }
                return self._each(scope, lambda name: self._range(name, bounds, scope))
            case tree.From() | tree.To():
                key = {"From": "gt", "To": "lt"}[type(node).__name__]
                bounds = {key + ("e" if node.include else ""): self._bound(node.a)}
                return self._each(scope, lambda name: self._range(name, bounds, scope))
            case tree.Fuzzy():
                return self._fuzzy(node, scope)
            case tree.Proximity():
                if node.degree:
                    raise unsupported("[query_string] with a phrase slop [~]")
                return self._node(node.term, scope)
        raise unsupported(f"[query_string] with [{node}]")

    def _bound(self, node: Any) -> str | None:
        text = str(node.value)
        if isinstance(node, tree.Phrase):
            return plain(text[1:-1])
        return None if text == "*" else plain(text)

    def _flat(self, node: Any, conjunction: str = "", modifier: str = "") -> list[Clause]:
        """The clauses of operators without parentheses between them, in the order written."""
        if isinstance(node, tree.AndOperation | tree.OrOperation | tree.UnknownOperation):
            own = {"AndOperation": "AND", "OrOperation": "OR"}.get(type(node).__name__, "")
            clauses: list[Clause] = []
            for position, child in enumerate(node.children):
                clauses += self._flat(child, own if position else conjunction)
            return clauses
        if isinstance(node, tree.Plus):
            return [Clause(conjunction, "+", node.a)]
        if isinstance(node, tree.Not | tree.Prohibit):
            return [Clause(conjunction, "-", node.a)]
        return [Clause(conjunction, modifier, node)]

    def _operation(self, node: Any, scope: Scope, *, top: bool) -> Compiled:
        clauses = joined(self._flat(node))
        marks: list[str] = []
        for clause in clauses:
            if marks and clause.conjunction == "AND" and marks[-1] != "-":
                marks[-1] = "+"
            if marks and scope.conjunctive and clause.conjunction == "OR" and marks[-1] != "-":
                marks[-1] = ""
            if clause.modifier == "-":
                marks.append("-")
            elif scope.conjunctive:
                marks.append("" if clause.conjunction == "OR" else "+")
            else:
                required = clause.modifier == "+" or clause.conjunction == "AND"
                marks.append("+" if required else "")
        parts = [(mark, self._node(c.node, scope)) for mark, c in zip(marks, clauses, strict=True)]
        return boolean(
            [part for mark, part in parts if mark == "+"],
            [part for mark, part in parts if mark == ""],
            [part for mark, part in parts if mark == "-"],
            self.needed if top else None,
        )

    def _field(self, node: Any, scope: Scope) -> Compiled:
        inner = node.expr
        if isinstance(inner, tree.SearchField | tree.Plus | tree.Prohibit | tree.Not):
            raise unexpected(
                self.query, self.query.find(":", self.query.find(node.name) + len(node.name) + 1)
            )
        name = plain(node.name)
        if name == "_exists_":
            return es_leaf.exists(self.context, plain(str(inner)))
        if name == "*" and isinstance(inner, tree.Word) and inner.value == "*":
            return ALL
        names = tuple(self.context.mapping.matching(name))
        return self._node(inner, replace(scope, fields=names, lenient=scope.lenient or "*" in name))

    def _each(self, scope: Scope, leaf: Any) -> Compiled:
        """Any of the fields; what a field's type cannot do is skipped if lenient."""
        parts = []
        for name in scope.fields:
            try:
                parts.append(leaf(name))
            except EsError:
                if not scope.lenient:
                    raise
        return disjunction(parts)

    def _word(self, raw: str, scope: Scope) -> Compiled:
        if has_inner_colon(raw):
            raise unexpected(self.query, self.query.find(raw) + raw.find(":"))
        if raw == "*":
            return disjunction([es_leaf.exists(self.context, name) for name in scope.fields])
        if has_wildcard(raw):
            return self._pattern(raw, scope)
        text = plain(raw)
        part = self._each(scope, lambda name: self._text(name, text, scope))
        needles = analyze(text) or (text.lower(),)
        return self._narrowed(part, scope, text, needles)

    def _pattern(self, raw: str, scope: Scope) -> Compiled:
        if raw[0] in "*?" and not self.leading:
            raise syntax_error(
                self.query, "'*' or '?' not allowed as first character in WildcardQuery"
            )
        prefix = raw.endswith("*") and not has_wildcard(raw[:-1])
        exact, folded = wildcard(raw), wildcard(raw.lower())
        what = "prefix" if prefix else "wildcard"

        def leaf(name: str) -> Compiled:
            text = self.context.mapping.kind(name) in TEXT
            return es_leaf.pattern(self.context, name, what, folded if text else exact)

        literals = [plain(p) for p in re.split(r"(?<!\\)[*?]", raw)]
        longest = max(literals, key=len).lower()
        return self._narrowed(self._each(scope, leaf), scope, "", (longest,))

    def _narrowed(
        self, part: Compiled, scope: Scope, text: str, needles: tuple[str, ...]
    ) -> Compiled:
        """The same condition behind a cheap look at all values, where it spans many fields.

        Not where a value may match that does not contain the text: addresses in a block, the days
        of a month, 5 and 5.0.
        """
        if len(scope.fields) < 4 or part.never or part.test is None or part.low or part.high:
            return part
        if any(char in text for char in "/:") or (text[:1].isdigit() and "." not in text):
            return part
        if any(self.context.mapping.kind(name) in NUMBERS for name in scope.fields):
            return part
        values, test = self.context.segment.text, part.test
        if len(needles) == 1:
            only = needles[0]
            return Compiled(test=lambda row: only in values(row) and test(row))

        def narrowed(row: Any) -> bool:
            every = values(row)
            return any(needle in every for needle in needles) and test(row)

        return Compiled(test=narrowed)

    def _text(self, name: str, text: str, scope: Scope) -> Compiled:
        kind = self.context.mapping.kind(name)
        if kind in TEXT:
            operator = "and" if scope.conjunctive else "or"
            return es_leaf.match_text(self.context, name, text, operator=operator)
        return self._exact(name, text, scope)

    def _exact(self, name: str, text: str, scope: Scope) -> Compiled:
        if self.context.mapping.kind(name) == "date":
            return self._range(name, {"gte": text, "lte": text}, scope)
        return es_leaf.term(self.context, name, text)

    def _phrase(self, name: str, quoted: str, scope: Scope) -> Compiled:
        text = plain(quoted[1:-1])
        if self.context.mapping.kind(name) in TEXT:
            return es_leaf.match_text(self.context, name, text, phrase=True)
        return self._exact(name, text, scope)

    def _range(self, name: str, bounds: dict[str, str | None], scope: Scope) -> Compiled:
        kind = self.context.mapping.kind(name)
        if kind is None:
            return NEVER
        if kind == "date":
            return es_leaf.date_range(
                self.context, name, dict(bounds), tz=es_dates.zone(scope.zone)
            )
        return es_leaf.value_range(self.context, name, dict(bounds))

    def _fuzzy(self, node: Any, scope: Scope) -> Compiled:
        text = plain(node.term.value)
        limit = min(2, int(node.degree))
        if getattr(node, "_implicit_degree", False):
            # AUTO: none up to two characters, one up to five, then two.
            limit = 0 if len(text) < 3 else 1 if len(text) < 6 else 2

        def leaf(name: str) -> Compiled:
            kind = self.context.mapping.kind(name)
            if kind is None:
                return NEVER
            get = self.context.get(name)
            if kind in TEXT:
                low = text.lower()
                return Compiled(
                    test=any_of(
                        get, lambda value: any(within_edits(low, t, limit) for t in analyze(value))
                    )
                )
            if kind not in ("keyword", "wildcard"):
                raise ShardError(
                    400, "query_shard_exception",
                    "Can only use fuzzy queries on keyword and text fields - not on "
                    f"[{name}] which is of type [{kind}]",
                )  # fmt: skip
            return Compiled(test=any_of(get, lambda value: within_edits(text, value, limit)))

        return self._each(scope, leaf)
