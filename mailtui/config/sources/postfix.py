"""Postfix's queues, read by `postqueue -j` on the hosts."""

from __future__ import annotations

from pydantic import Field

from mailtui.config.base import Duration, HostSource


class Settings(HostSource):
    """`sources.postfix`."""

    interval: Duration = 20.0
    timeout: Duration = 60.0
    """A listing of 100,000 messages takes up to 10 s."""
    limit: int = Field(default=200_000, ge=1)
    """Messages kept of one host; the screen says how many more there are."""
    deferred_warning: int = Field(default=500, ge=1)
    """Deferred messages on the platform from which a destination that dominates is a problem."""
    dominates: float = Field(default=0.5, gt=0, le=1)
    """Share of the deferred messages from which one destination or sender dominates."""
