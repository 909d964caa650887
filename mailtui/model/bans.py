"""fail2ban's jails and bans (fail2ban-client(1))."""

from __future__ import annotations

import msgspec


class Ban(msgspec.Struct, frozen=True, gc=False):
    """One address banned in one jail of one host."""

    host: str
    jail: str
    address: str
    banned_at: float | None = None
    """Epoch seconds."""
    expires_at: float | None = None
    """Epoch seconds; None with `permanent`, or if unknown."""
    permanent: bool = False

    @property
    def key(self) -> str:
        """Identity across polls."""
        return f"{self.host}/{self.jail}/{self.address}"

    def time_left(self, now: float) -> float | None:
        """Seconds until it ends, 0 when over; None if permanent or unknown."""
        return None if self.expires_at is None else max(0.0, self.expires_at - now)


class Jail(msgspec.Struct, frozen=True, gc=False):
    """One jail's counters (`fail2ban-client status JAIL`)."""

    host: str
    name: str
    currently_failed: int | None = None
    total_failed: int | None = None
    currently_banned: int | None = None
    total_banned: int | None = None
    """Since fail2ban started."""
    ban_time: float | None = None
    """Seconds; negative: permanent."""
    find_time: float | None = None
    max_retry: int | None = None

    @property
    def key(self) -> str:
        """Identity across polls."""
        return f"{self.host}/{self.name}"


class BanReport(msgspec.Struct, frozen=True):
    """What one host's fail2ban said in one read."""

    version: str = ""
    jails: tuple[Jail, ...] = ()
    bans: tuple[Ban, ...] = ()
    total: int = 0
    """Bans seen, also those beyond the limit."""
