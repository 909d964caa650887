"""fail2ban on each host that has it: jails, failures, bans.

How bans come and go is in `attacks.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Ban:
    """One address banned by one jail."""

    address: str
    at: float
    """Epoch seconds."""
    duration: float
    """Seconds; negative: permanent."""
    count: int = 1
    """How often this jail has banned it (the `bips` table)."""
    failures: int = 5

    @property
    def until(self) -> float | None:
        """Epoch seconds of its end; None if permanent."""
        return None if self.duration < 0 else self.at + self.duration


@dataclass(slots=True)
class Jail:
    """One jail."""

    name: str
    file_list: tuple[str, ...]
    max_retry: int
    find_time: float
    ban_time: float
    """Seconds; negative: permanent."""
    failures: dict[str, list[float]] = field(default_factory=dict)
    """Address → times of its failures within find_time."""
    total_failed: int = 0
    total_banned: int = 0
    bans: dict[str, Ban] = field(default_factory=dict)
    """Current bans by address, oldest first."""
    history: dict[str, int] = field(default_factory=dict)
    """Address → how often it was banned; what `unban` forgets."""
    ignore: tuple[str, ...] = ("127.0.0.1/8", "::1", "10.77.0.0/24")
    actions: tuple[str, ...] = ("nftables-multiport",)

    @property
    def currently_failed(self) -> int:
        """As `status` shows: addresses with failures inside find_time."""
        return len(self.failures)

    def ban(self, address: str, now: float, failures: int = 5) -> Ban | None:
        """Ban an address; None if it is banned already."""
        if address in self.bans:
            return None
        count = self.history.get(address, 0) + 1
        self.history[address] = count
        duration = self.ban_time if self.ban_time < 0 else self.ban_time * min(2 ** (count - 1), 64)
        ban = Ban(address, now, duration, count, failures)
        self.bans[address] = ban
        self.failures.pop(address, None)
        self.total_banned += 1
        return ban

    def unban(self, address: str) -> bool:
        """As `set JAIL unbanip`: True if it was banned; its history is forgotten."""
        self.history.pop(address, None)
        return self.bans.pop(address, None) is not None


@dataclass(slots=True)
class Fail2ban:
    """fail2ban of one host."""

    host: str
    version: str
    started: float
    jails: dict[str, Jail] = field(default_factory=dict)
    database: str = "/var/lib/fail2ban/fail2ban.sqlite3"


@dataclass(slots=True)
class Bans:
    """All of them."""

    hosts: dict[str, Fail2ban] = field(default_factory=dict)
    """By host; only hosts with fail2ban."""
