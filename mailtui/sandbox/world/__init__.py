"""The simulated platform: one state, moved by a seed, a scenario and time; no I/O, no protocols.

The protocol servers read it, so what they say agrees: the messages of `postqueue -j` are those that
Prometheus counts, the bans of fail2ban come from the failures in the audit trail.
"""

from __future__ import annotations

import random
import time

from mailtui.sandbox.world import hosts as _hosts
from mailtui.sandbox.world.audit import Audit
from mailtui.sandbox.world.bans import Bans
from mailtui.sandbox.world.broker import Broker
from mailtui.sandbox.world.hosts import Host
from mailtui.sandbox.world.mail import Mail
from mailtui.sandbox.world.search import Search

__all__ = ["HISTORY", "World"]

HISTORY = 3 * 3600.0
"""Seconds of past that a new world has."""

_COARSE = 15.0
"""Seconds of one step in a jump of more than _JUMP seconds."""
_JUMP = 120.0


class World:
    """The platform at one moment.

    The same seed, scenario, start and number of hosts give the same world, and moving it by the
    same calls gives the same future.
    """

    def __init__(
        self,
        seed: int = 1,
        scenario: str = "quiet",
        now: float | None = None,
        hosts: int | None = None,
        frozen: bool = False,
    ) -> None:
        """`now`: epoch seconds (default: the clock); `hosts`: how many (default: the seven of
        `hosts.DEFAULT_HOSTS`); `frozen`: `tick` does nothing. ValueError for an unknown scenario.
        """
        self.seed = seed
        self.start = float(int(time.time() if now is None else now))
        self.now = self.start
        self.frozen = frozen
        self.random = random.Random(f"{seed}/{scenario}/live")
        self.scenario = scenario
        self.hosts: dict[str, Host] = _hosts.build(self, hosts)
        self.mail = Mail()
        self.broker = Broker("", "", "")
        self.bans = Bans()
        self.audit = Audit(self.start, lambda start, end: [])
        self.search = Search("", "", "")

    def tick(self) -> None:
        """Advance to the clock, unless frozen."""
        if not self.frozen:
            self.advance(time.time())

    def advance(self, to: float) -> None:
        """Move on to epoch second `to`, in steps of 1 s; a jump goes in steps of 15 s.

        Fractions of a second wait for the next whole second; going back does nothing.
        """
        target = float(int(to))
        while self.now < target:
            left = target - self.now
            self._step(_COARSE if left > _JUMP else 1.0)

    def _step(self, dt: float) -> None:
        self.now += dt
        for host in self.hosts.values():
            host.step(self.now, dt)
