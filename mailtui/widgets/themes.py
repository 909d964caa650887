"""The console's own colours; any of Textual's themes works too."""

from __future__ import annotations

from textual.theme import Theme

THEMES = (
    Theme(
        name="mailtui",
        primary="#5fafd7",
        secondary="#87afaf",
        accent="#5fd7d7",
        warning="#ffaf00",
        error="#d7303a",
        success="#5faf5f",
        foreground="#d8d8d8",
        background="#121416",
        surface="#121416",
        panel="#23272b",
        dark=True,
    ),
    Theme(
        name="mailtui-light",
        primary="#005f87",
        secondary="#3a6a6a",
        accent="#00687a",
        warning="#8a5a00",
        error="#b00020",
        success="#2e6b2e",
        foreground="#1c1c1c",
        background="#fafafa",
        surface="#fafafa",
        panel="#e4e6e8",
        dark=False,
    ),
)
