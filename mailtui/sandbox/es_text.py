"""Analysis of text: the standard analyzer, and Lucene's patterns as Python's."""

from __future__ import annotations

import functools
import re

from mailtui.sandbox.es_errors import illegal

# Unicode word boundaries (UAX #29) as the standard tokenizer applies them: a dot or an apostrophe
# stays inside letters, a dot or a comma inside digits.
_TOKEN = re.compile(r"\w+(?:(?:(?<=[^\W\d])['.’·](?=[^\W\d])|(?<=\d)['.,;](?=\d))\w+)*", re.UNICODE)
_LUCENE_ONLY = {"~": "complement", "<": "interval", "&": "intersection", "#": "empty language"}


@functools.lru_cache(maxsize=20_000)
def analyze(text: str) -> tuple[str, ...]:
    """The tokens of a text field, in order."""
    return tuple(token.lower() for token in _TOKEN.findall(text))


def wildcard(pattern: str, *, ignore_case: bool = False) -> re.Pattern[str]:
    """A pattern with `*` and `?` (`\\` escapes)."""
    out = []
    position = 0
    while position < len(pattern):
        char = pattern[position]
        if char == "\\" and position + 1 < len(pattern):
            position += 1
            out.append(re.escape(pattern[position]))
        elif char == "*":
            out.append(".*")
        elif char == "?":
            out.append(".")
        else:
            out.append(re.escape(char))
        position += 1
    return re.compile("".join(out), re.DOTALL | (re.IGNORECASE if ignore_case else 0))


def lucene_regexp(pattern: str, *, ignore_case: bool = False) -> re.Pattern[str]:
    """A Lucene regular expression (always anchored, `^` and `$` are ordinary characters).

    Raises EsError (400) for a syntax error and for operators that Python has no equal of.
    """
    out = []
    position = 0
    in_class = False
    while position < len(pattern):
        char = pattern[position]
        if char == "\\" and position + 1 < len(pattern):
            position += 1
            following = pattern[position]
            out.append("\\" + following if following in "dDwWsS" else re.escape(following))
        elif in_class:
            in_class = char != "]"
            out.append("\\[" if char == "[" else char)
        elif char == "[":
            in_class = True
            out.append(char)
        elif char == '"':
            end = pattern.find('"', position + 1)
            if end < 0:
                raise illegal(f"expected '\"' at position {len(pattern)}")
            out.append(re.escape(pattern[position + 1 : end]))
            position = end
        elif char == "@":
            out.append(".*")
        elif char in "^$":
            out.append("\\" + char)
        elif char in _LUCENE_ONLY:
            raise illegal(
                f"the {_LUCENE_ONLY[char]} operator [{char}] is not supported by this server"
            )
        else:
            out.append(char)
        position += 1
    try:
        return re.compile("".join(out), re.DOTALL | (re.IGNORECASE if ignore_case else 0))
    except re.error as error:
        raise illegal(f"invalid regular expression [{pattern}]: {error.msg}") from error


def within_edits(left: str, right: str, limit: int) -> bool:
    """Whether two terms differ by at most `limit` edits; a swap of neighbours counts as one."""
    if abs(len(left) - len(right)) > limit:
        return False
    before: list[int] = []
    row = list(range(len(right) + 1))
    for i, char in enumerate(left, 1):
        current = [i]
        for j, other in enumerate(right, 1):
            cost = min(row[j] + 1, current[j - 1] + 1, row[j - 1] + (char != other))
            if i > 1 and j > 1 and char == right[j - 2] and left[i - 2] == other:
                cost = min(cost, before[j - 2] + 1)
            current.append(cost)
        before, row = row, current
    return row[-1] <= limit
