"""What a plan asks of its operator before it is run, and what he gave."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Confirm = Literal["none", "dialog", "word"]


@dataclass(frozen=True)
class Demands:
    """What has to be given before a plan is run."""

    confirm: Confirm
    word: str = ""
    """To be typed, where `confirm` is "word"."""
    code: bool = False
    """A code of the second factor, because it is not armed now."""
    approval: bool = False
    """Another operator must approve it first."""
    refusal: str = ""
    """Why it is not run at all; empty if it can be."""


@dataclass(frozen=True)
class Consent:
    """What the operator gave for one plan."""

    confirmed: bool = False
    word: str = ""
    code: str = field(default="", repr=False)
