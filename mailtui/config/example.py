"""The commented example that `mailtui config example` prints and the welcome screen writes."""

from __future__ import annotations

from importlib import resources


def text() -> str:
    """The example; it is itself a valid configuration."""
    return resources.files("mailtui").joinpath("config.example.yaml").read_text(encoding="utf-8")
