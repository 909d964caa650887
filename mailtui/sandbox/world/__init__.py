"""The simulated platform: one state, moved by a seed, a scenario and time; no I/O, no protocols.

The protocol servers read it, so what they say agrees: the messages of `postqueue -j` are those that
Prometheus counts, the bans of fail2ban come from the failures in the audit trail.
"""

from __future__ import annotations

import time

from mailtui.sandbox.world import broker_traffic, scenarios
from mailtui.sandbox.world import hosts as machines
from mailtui.sandbox.world.attacks import Attacks
from mailtui.sandbox.world.audit import Audit
from mailtui.sandbox.world.audit_source import AuditSource
from mailtui.sandbox.world.bans import Bans
from mailtui.sandbox.world.broker import Broker
from mailtui.sandbox.world.clock import Course
from mailtui.sandbox.world.hosts import Host
from mailtui.sandbox.world.mail import Mail
from mailtui.sandbox.world.rates import Rates
from mailtui.sandbox.world.search import Search
from mailtui.sandbox.world.search_state import Indexing
from mailtui.sandbox.world.series import Scraper
from mailtui.sandbox.world.traffic import Traffic

__all__ = ["HISTORY", "World"]

HISTORY = 3 * 3600.0
"""Seconds of past that a new world has."""

_COARSE = 15.0
"""Seconds of one step in a jump of more than _JUMP seconds."""
_JUMP = 120.0


class World:
    """The platform at one moment.

    The same seed, scenario, start and number of hosts give the same world, and moving it to the
    same times gives the same future.
    """

    search: Search

    def __init__(
        self,
        seed: int = 1,
        scenario: str = "quiet",
        now: float | None = None,
        hosts: int | None = None,
        frozen: bool = False,
    ) -> None:
        """`now`: epoch seconds (default: the clock); `hosts`: how many (default: the seven
        of `hosts.DEFAULT_HOSTS`); `frozen`: `tick` does nothing. ValueError: unknown scenario.
        """
        self.seed = seed
        self.scenario = scenario
        self.start = float(int(time.time() if now is None else now))
        self.now = self.start
        """Epoch seconds, whole."""
        self.frozen = frozen
        self.plan = scenarios.load(scenario, self.start)
        self.hosts: dict[str, Host] = machines.build(self, hosts)
        self.rates = Rates()
        for host in self.hosts.values():
            if "mx" in host.roles:
                self.rates.sasl_failures[host.name] = Course(0.02)
        self.plan.prepare(self)
        self.audit = Audit(self.start, AuditSource(self).make)
        self.mail = Mail()
        self.traffic = Traffic(self, self.plan.causes)
        self.broker: Broker = broker_traffic.build(self)
        self.pipeline = broker_traffic.Pipeline(self)
        self.messages = self.pipeline.messages
        self.bans = Bans()
        self._attacks = Attacks(self, self.plan.waves)
        self._indexing = Indexing(self)
        self.plan.finish(self)
        self.series = Scraper(self)

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
        self.audit.advance(int(self.now))
        self.traffic.step(self.now, dt)
        self.pipeline.step(self.now, dt)
        self._attacks.step(self.now, dt)
        self._indexing.step(self.now, dt)
        self.plan.step(self, dt)
        self.series.step(self.now)
