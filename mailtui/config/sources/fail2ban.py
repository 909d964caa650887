"""fail2ban's jails and bans, read by `fail2ban-client` on the hosts (needs root)."""

from __future__ import annotations

from pydantic import Field

from mailtui.config.base import Duration, HostSource


class Settings(HostSource):
    """`sources.fail2ban`."""

    interval: Duration = 20.0
    timeout: Duration = 30.0
    """Each question is a Python start on the host; the first read asks five for each jail."""
    limit: int = Field(default=20_000, ge=1)
    """Bans kept of one host."""
    burst_window: Duration = 600.0
    burst_warning: int = Field(default=20, ge=1)
    """Bans on one host within `burst_window` from which it is a problem."""
