"""Everything that could make a picture differ between machines is pinned here."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from mailtui.model import clock
from mailtui.widgets import prompt


@pytest.fixture(autouse=True)
def steady(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No colour switch, one time zone, one locale, a clock that stands."""
    for name in ("NO_COLOR", "TEXTUAL_THEME", "COLORTERM", "LANG", "LC_ALL", "LC_TIME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TEXTUAL_ANIMATIONS", "none")
    monkeypatch.setattr(prompt, "DEBOUNCE", 0.001)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    clock.set_clock(None)
    monkeypatch.undo()
    time.tzset()
