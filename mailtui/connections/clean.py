"""Every string that enters is cleaned here, once, before anything else sees it.

ESC and C1 bytes would reach the operator's terminal (an OSC 52 sequence in a subject writes the
clipboard), and bidirectional controls make a line read as what it is not. They become U+FFFD, so
that a reader sees that something stood there. Line breaks become spaces.
"""

from __future__ import annotations

from typing import Any

REPLACEMENT = "\ufffd"

_TABLE: dict[int, str] = {
    **dict.fromkeys(range(0x20), REPLACEMENT),
    **dict.fromkeys(range(0x7F, 0xA0), REPLACEMENT),
    **dict.fromkeys(range(0xD800, 0xE000), REPLACEMENT),
    **dict.fromkeys(range(0xE0000, 0xE0080), REPLACEMENT),  # tag characters
    **dict.fromkeys(range(0x202A, 0x202F), REPLACEMENT),  # embeddings and overrides
    **dict.fromkeys(range(0x2066, 0x206A), REPLACEMENT),  # isolates
    **dict.fromkeys((0x061C, 0x200E, 0x200F, 0xFEFF), REPLACEMENT),  # marks
    **dict.fromkeys((0x09, 0x0A, 0x0D, 0x2028, 0x2029), " "),
    0x85: " ",
}
_LINES = {**_TABLE, 0x0A: "\n", 0x09: "    "}
del _LINES[0x0D]
_LINES[0x0D] = ""


def clean(text: str) -> str:
    """`text` as one line with no control character. Costs nothing for printable text."""
    return text if text.isprintable() else text.translate(_TABLE)


def clean_lines(text: str) -> str:
    """`text` with its line feeds kept and no other control character."""
    return text if text.isprintable() else text.translate(_LINES)


def decode(data: bytes) -> str:
    """Bytes as text, line feeds kept; what is not UTF-8 becomes U+FFFD."""
    return clean_lines(data.decode("utf-8", errors="replace"))


def clean_tree(value: Any) -> Any:
    """A decoded JSON value with every string in it cleaned, keys too."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {clean(str(key)): clean_tree(item) for key, item in value.items()}
    if isinstance(value, list):
        return [clean_tree(item) for item in value]
    return value
