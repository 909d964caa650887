"""Secrets that were read in this process, so that they can be masked wherever text leaves it.

A library's exception may quote the header, URL or command that it was given; crash reports, the log
and errors on the screen go through `mask`.
"""

from __future__ import annotations

import base64
import json
from urllib.parse import quote, quote_plus

MASK = "[secret]"
SHORTEST = 4
"""Characters; masking shorter ones would only garble the text."""

_forms: list[str] = []


def remember(secret: str) -> str:
    """Mask this secret from now on, in every form in which it may be quoted; returns it."""
    if len(secret) >= SHORTEST and secret not in _forms:
        encoded = base64.b64encode(secret.encode("utf-8", "surrogateescape")).decode("ascii")
        found = {
            secret,
            repr(secret)[1:-1],
            json.dumps(secret)[1:-1],
            quote(secret, safe="", errors="replace"),
            quote_plus(secret, errors="replace"),
            encoded,
            encoded.rstrip("="),
        }
        # the longest first: one form may be a part of another
        _forms[:] = sorted({*_forms, *found}, key=len, reverse=True)
    return secret


def mask(text: str) -> str:
    """`text` with every remembered secret replaced. Costs nothing while there is none."""
    for form in _forms:
        if form in text:
            text = text.replace(form, MASK)
    return text


def forget() -> None:
    """Mask nothing any more (tests)."""
    _forms.clear()
