"""Delay reasons made comparable: the code and the stable words, without what varies.

Postfix writes `host NAME[IP] said: TEXT (in reply to COMMAND command)`, where TEXT is one remote
server's answer with its continuation codes inside (smtp_proto.c, smtp_trouble.c; RFC 5321 4.2.1,
RFC 3463 for enhanced status codes). Two messages that wait for the same reason must give the same
string here, so addresses, IPs, identifiers and links are removed and the text is cut.
"""

from __future__ import annotations

import re

WIDTH = 80
"""Characters of a normalised reason, at most."""
_HEAD = 200
"""Characters of the remote text that are looked at: enough for WIDTH after removal."""
_MEMO_LIMIT = 20_000

_ANSWER = re.compile(r"(?P<code>[245]\d\d)(?:[ -](?P<status>[245]\.\d{1,3}\.\d{1,3}))?[ -]?\s*")
_CONNECT = re.compile(r"connect to \S*?(?:\[[^\]]*\])?(?::[\w-]+)?: ")
_VARIABLE = re.compile(
    r"""
      <[^<>\s]*>                            # <address>
    | \[[^\[\]]*[\da-f:][.:\s][^\[\]]*\]    # [203.0.113.9      15], [2001:db8::1]
    | \(?https?://\S+                       # links
    | \b[\w.+-]+@[\w.-]+                    # addresses without brackets
    | \b\d{1,3}(?:\.\d{1,3}){3}(?:/\d+)?\b  # IPv4
    | (?<![\w:])(?=[\da-f:]*:[\da-f:]*:)[\da-f:]{6,}(?![\w:])  # IPv6
    | \b(?=\w*\d)(?=\w*[A-Za-z])[\w-]{10,}\b                   # identifiers
    | \(S\d+\)                              # server numbers
    | \b\d+\b(?=\s*(?:seconds?|minutes?|mins?|hours?|secs?|s)\b)
    """,
    re.VERBOSE | re.IGNORECASE,
)
_CONTINUED = re.compile(r"\s[245]\d\d[ -](?:[245]\.\d{1,3}\.\d{1,3}\s?)?")
"""A continuation line's code, which Postfix joins into the text."""
_PATH = re.compile(r"(?<=[\s(])/[^\s()]*/[^\s()]*")
_SPACES = re.compile(r"\s+")
_HOST_NAME = re.compile(r"\b(for|name|host|with)([= ])[\w.-]+\.[a-z][\w-]*", re.IGNORECASE)
_NO_HOST = "Host or domain name not found. "

_SAID = " said: "
_REFUSED = " refused to talk to me: "

_answers: dict[str, str] = {}
"""Head of a remote server's text → its normalised form."""
_memo: dict[str, str] = {}
"""The same for what Postfix says itself."""


def normalise(reason: str) -> str:
    """`reason` in short, comparable form; empty for none. Any string is accepted.

    >>> normalise("connect to mx.example.net[192.0.2.1]:25: Connection timed out")
    'connect: Connection timed out'
    """
    if not reason:
        return ""
    start = reason.find(_SAID)
    if start >= 0:
        start += len(_SAID)
    elif (start := reason.find(_REFUSED)) >= 0:
        start += len(_REFUSED)
    else:
        start = 0
    # what varies most (identifiers at the end) is behind the head, so that this hits often
    key = reason[start : start + _HEAD]
    found = (_answers if start else _memo).get(key)
    return _remembered(reason, start, key) if found is None else found


def _remembered(reason: str, start: int, key: str) -> str:
    memo = _answers if start else _memo
    if len(memo) >= _MEMO_LIMIT:
        memo.clear()
    found = memo[key] = _normalise(reason, start)
    return found


def _normalise(reason: str, start: int) -> str:
    text = reason[start : start + _HEAD]
    if start:
        answer = _ANSWER.match(text)
        if answer is not None:
            code = answer["code"] + (f" {answer['status']}" if answer["status"] else "")
            if answer["status"] and text[3] == "-":
                code = f"{answer['code']}-{answer['status']}"
            words = _words(text[answer.end() :])
            return f"{code} {words}".rstrip()
        return _words(text)
    text = text.removeprefix("delivery temporarily suspended: ")
    connect = _CONNECT.match(text)
    if connect is not None:
        return f"connect: {_words(text[connect.end() :])}"
    return _words(_HOST_NAME.sub(r"\1\2…", text.removeprefix(_NO_HOST)))


def _words(text: str) -> str:
    """Stable words of a text, cut at WIDTH."""
    long = len(text) >= _HEAD - 8
    text = text.partition(" (in reply to ")[0]
    text = _CONTINUED.sub(" ", text)
    text = _PATH.sub("…", _VARIABLE.sub(" ", text))
    text = _SPACES.sub(" ", text).replace(" :", ":").strip(" :;,.-()").removesuffix(", see")
    if len(text) > WIDTH:
        cut = text.rfind(" ", WIDTH // 2, WIDTH)
        return text[: cut if cut > 0 else WIDTH].rstrip(" :;,.-(") + " …"
    return f"{text} …" if long and text else text
