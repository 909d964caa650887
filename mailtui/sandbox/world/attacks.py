"""Who knocks at the doors: failures that fail2ban counts, and the bans that follow."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mailtui.sandbox.world import corpus
from mailtui.sandbox.world.bans import Fail2ban, Jail
from mailtui.sandbox.world.clock import Course, poisson

if TYPE_CHECKING:
    from mailtui.sandbox.world import World

_JAILS: dict[str, tuple[tuple[str, str, int, float, float, float], ...]] = {
    # role: jail, log, maxretry, findtime, bantime, failures a second
    "mx": (
        ("sshd", "/var/log/auth.log", 5, 600.0, 3600.0, 0.012),
        ("postfix-sasl", "/var/log/mail.log", 5, 600.0, 3600.0, 0.02),
        ("recidive", "/var/log/fail2ban.log", 3, 86400.0, 604_800.0, 0.0),
    ),
    "store": (
        ("sshd", "/var/log/auth.log", 5, 600.0, 3600.0, 0.006),
        ("dovecot", "/var/log/mail.log", 5, 600.0, 3600.0, 0.014),
    ),
}
_AT_ONCE = 8
"""Addresses of a wave that try at the same time."""
_REPEATED = ("203.0.113.250", "198.51.100.13")


@dataclass(slots=True)
class Wave:
    """An attack on one jail of one host."""

    host: str
    jail: str
    network: str
    """First three numbers of an IPv4 network: `203.0.113`."""
    rate: Course
    """Failures a second."""
    addresses: int = 200
    begin: float = 0.0
    """Epoch seconds."""
    next: int = 0
    """How many of its addresses have begun."""
    busy: list[str] = field(default_factory=list)
    """Addresses that try at the moment."""

    def begun(self) -> str:
        """One more address; after the last one they start again."""
        self.next += 1
        return f"{self.network}.{1 + (self.next - 1) % min(self.addresses, 254)}"


@dataclass(slots=True)
class _Door:
    host: str
    jail: Jail
    recidive: Jail | None
    rate: float
    attackers: list[str] = field(default_factory=list)


class Attacks:
    """Moves the bans of a world."""

    def __init__(self, world: World, waves: list[Wave]) -> None:
        """Makes fail2ban on the hosts that have it, with the bans of the past."""
        self._world = world
        self._random = random.Random(f"{world.seed}/{world.scenario}/bans")
        self._waves = waves
        self._doors: list[_Door] = []
        for host in world.hosts.values():
            if host.fail2ban_version:
                self._install(host.name, host.roles[0], host.fail2ban_version)
        for door in self._doors:
            self._past(door)
        for wave in waves:
            self._past_wave(wave)
        for server in world.bans.hosts.values():
            for jail in server.jails.values():
                order = sorted(jail.bans.values(), key=lambda b: (b.at, b.address))
                jail.bans = {b.address: b for b in order}

    def _install(self, host: str, role: str, version: str) -> None:
        unit = self._world.hosts[host].units["fail2ban.service"]
        server = Fail2ban(host, version, unit.since)
        for name, log, retries, find, ban, _ in _JAILS[role]:
            server.jails[name] = Jail(name, (log,), retries, find, ban)
        self._world.bans.hosts[host] = server
        recidive = server.jails.get("recidive")
        for name, _, _, _, _, rate in _JAILS[role]:
            if rate:
                attackers = [corpus.public_ip(self._random) for _ in range(40)]
                self._doors.append(_Door(host, server.jails[name], recidive, rate, attackers))
        if recidive is not None:
            for i, address in enumerate(_REPEATED):
                old = recidive.ban(address, self._world.start - 86400.0 * (5 - 2 * i))
                if old is not None and i == 0:
                    old.duration = -1.0

    def _past(self, door: _Door) -> None:
        """Bans of the last hour, and the totals since fail2ban started."""
        start = self._world.start
        span = start - self._world.bans.hosts[door.host].started
        door.jail.total_failed = int(door.rate * span)
        door.jail.total_banned = int(door.rate * span / 9)
        for _ in range(poisson(self._random, door.rate * 3600.0 / 9)):
            at = start - self._random.random() * door.jail.ban_time
            door.jail.ban(self._random.choice(door.attackers), float(int(at)))
        for _ in range(poisson(self._random, door.rate * door.jail.find_time)):
            at = start - self._random.random() * door.jail.find_time
            door.jail.failures.setdefault(self._random.choice(door.attackers), []).append(at)

    def _past_wave(self, wave: Wave) -> None:
        jail = self._world.bans.hosts[wave.host].jails[wave.jail]
        start = self._world.start
        failures = wave.rate.integral(wave.begin, start)
        for i in range(min(int(failures / jail.max_retry), wave.addresses)):
            at = wave.begin + (i + self._random.random()) * jail.max_retry * (
                start - wave.begin
            ) / max(failures, 1.0)
            jail.ban(wave.begun(), float(int(min(at, start - 1))))
        jail.total_failed += int(failures)

    def step(self, now: float, dt: float) -> None:
        """Failures of dt seconds, bans that begin and bans that end."""
        for door in self._doors:
            for _ in range(poisson(self._random, door.rate * dt)):
                self._fail(door.host, door.jail, self._random.choice(door.attackers), now)
        for wave in self._waves:
            jail = self._world.bans.hosts[wave.host].jails[wave.jail]
            wave.busy = [a for a in wave.busy if a not in jail.bans]
            while len(wave.busy) < _AT_ONCE:
                wave.busy.append(wave.begun())
            for _ in range(poisson(self._random, wave.rate.at(now) * dt)):
                self._fail(wave.host, jail, self._random.choice(wave.busy), now)
        for server in self._world.bans.hosts.values():
            for jail in server.jails.values():
                self._forget(jail, now)

    def _fail(self, host: str, jail: Jail, address: str, now: float) -> None:
        if address in jail.bans:
            return
        jail.total_failed += 1
        times = jail.failures.setdefault(address, [])
        times.append(now)
        if len(times) < jail.max_retry:
            return
        jail.ban(address, now, len(times))
        recidive = self._world.bans.hosts[host].jails.get("recidive")
        if recidive is None or address in recidive.bans:
            return
        recidive.total_failed += 1
        again = recidive.failures.setdefault(address, [])
        again.append(now)
        if len(again) >= recidive.max_retry:
            recidive.ban(address, now, len(again))

    @staticmethod
    def _forget(jail: Jail, now: float) -> None:
        """End the bans that are over, and the failures that are too old to count."""
        over = [b.address for b in jail.bans.values() if b.until is not None and b.until <= now]
        for address in over:
            del jail.bans[address]
        limit = now - jail.find_time
        old = [a for a, times in jail.failures.items() if times[-1] < limit]
        for address in old:
            del jail.failures[address]
