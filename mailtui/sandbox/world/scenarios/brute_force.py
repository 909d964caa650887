"""A network tries passwords: SASL failures, 61 bans in ten minutes on mx2, one user's name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailtui.sandbox.world.attacks import Wave
from mailtui.sandbox.world.clock import Course
from mailtui.sandbox.world.scenarios import MINUTE, BasePlan

if TYPE_CHECKING:
    from mailtui.sandbox.world import World


class Plan(BasePlan):
    """Most of it comes from 203.0.113.0/24, against bob@example.org."""

    title = "passwords are tried from 203.0.113.0/24"

    def __init__(self, start: float) -> None:
        super().__init__(start)
        begin = start - 10 * MINUTE
        rise = [(begin - 900.0, 0.0), (begin - 600.0, 0.3), (begin, 1.4), (start + 7200.0, 1.1)]
        self.audit_failures = Course(rise)
        self.attacked_hosts = ("mx2",)
        rate = Course([(begin, 0.0), (begin + 1.0, 0.487), (start + 7200.0, 0.35)])
        self.waves = [Wave("mx2", "postfix-sasl", "203.0.113", rate, 250, begin)]

    def prepare(self, world: World) -> None:
        if "mx2" not in world.hosts:
            self.waves, self.attacked_hosts = [], ()
        target = "mx2" if "mx2" in world.hosts else next(iter(world.hosts))
        world.rates.sasl_failures[target] = Course(
            [(self.start - 1500.0, 0.02), (self.start - 1200.0, 0.32), (self.start - 600.0, 1.42)]
        )
        world.rates.connects = Course([(self.start - 1500.0, 7.4), (self.start - 600.0, 9.0)])
        world.rates.login_failures = Course(
            [(self.start - 1500.0, 0.085), (self.start - 600.0, 1.48)]
        )
