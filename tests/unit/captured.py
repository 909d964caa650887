"""Outputs of real daemons (Debian 12 and 13), recorded once."""

from __future__ import annotations

from pathlib import Path

DIRECTORY = Path(__file__).parent / "captures"


def captured(name: str) -> str:
    """The recorded text, bytes that are not UTF-8 as surrogates."""
    return (DIRECTORY / name).read_text(encoding="utf-8", errors="surrogateescape")
