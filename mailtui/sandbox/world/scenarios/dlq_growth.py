"""Dead letters pile up: scan workers died, what they reject grows from 12 to 2,400."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailtui.sandbox.world.clock import Course
from mailtui.sandbox.world.scenarios import MINUTE, BasePlan

if TYPE_CHECKING:
    from mailtui.sandbox.world import World


class Plan(BasePlan):
    """Since 35 minutes; two of six scan workers are left."""

    title = "the dead-letter queue grows"

    def __init__(self, start: float) -> None:
        super().__init__(start)
        self.dead_letter_reasons = (("rejected", 78), ("expired", 20), ("delivery_limit", 2))

    def prepare(self, world: World) -> None:
        begin = self.start - 35 * MINUTE
        rates = world.rates
        rates.dead_depth = Course([(begin, 12.0), (self.start, 2400.0)])
        rates.dead_letters = Course(
            [
                (begin, 0.0),
                (begin + 1.0, 1.14),
                (self.start + 1800.0, 0.8),
                (self.start + 9000.0, 0.1),
            ]
        )
        rates.scan_consumers = Course(
            [
                (begin - 1.0, 6.0),
                (begin, 2.0),
                (self.start + 5400.0, 2.0),
                (self.start + 5401.0, 5.0),
            ]
        )
        rates.scan_depth = Course([(begin, 3.0), (self.start, 3100.0)])
