"""An ordinary day."""

from __future__ import annotations

from mailtui.sandbox.world.scenarios import BasePlan


class Plan(BasePlan):
    """Nothing is wrong."""
