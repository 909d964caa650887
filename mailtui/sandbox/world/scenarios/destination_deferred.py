"""One destination takes no more mail: gmail.com answers 421-4.7.0 since 22 minutes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailtui.sandbox.world.causes import GMAIL, RATE_LIMITED, UNAUTHENTICATED, Cause
from mailtui.sandbox.world.clock import Course
from mailtui.sandbox.world.scenarios import MINUTE, BasePlan

if TYPE_CHECKING:
    from mailtui.sandbox.world import World


class Plan(BasePlan):
    """4,300 of some 5,200 deferred messages go to gmail.com; example.net times out as well."""

    title = "gmail.com rate limits us, example.net does not answer"

    def __init__(self, start: float) -> None:
        super().__init__(start)
        begin = start - 22 * MINUTE
        slow = start - 58 * MINUTE
        # the limit is lifted slowly, so that the queue levels off instead of growing for ever
        accept = Course([(start, 0.004), (start + 5400.0, 0.06), (start + 4 * 3600.0, 0.3)])
        news = ("news@dept1.example.org", "news@dept1.example.org", "billing@example.org", "")
        self.causes += [
            Cause(
                "gmail-rate-limited",
                Course(
                    [
                        (begin, 0.0),
                        (begin + 120.0, 3.42),
                        (start + 900.0, 2.4),
                        (start + 2700.0, 0.5),
                        (start + 5400.0, 0.1),
                    ]
                ),
                accept,
                (("gmail.com", 1),),
                ((RATE_LIMITED, 1),),
                GMAIL,
                news,
            ),
            Cause(
                "gmail-unauthenticated",
                Course([(begin, 0.0), (begin + 60.0, 0.018)]),
                Course(0.0),
                (("gmail.com", 1),),
                ((UNAUTHENTICATED, 1),),
                GMAIL,
                ("forwarder@stadtwerke.example.org",),
            ),
            Cause(
                "example-net-timeout",
                Course([(slow, 0.0), (slow + 60.0, 0.24), (start, 0.22), (start + 5400.0, 0.01)]),
                Course(0.01),
                (("example.net", 1),),
                (("connect to mx.example.net[192.0.2.25]:25: Connection timed out", 1),),
            ),
        ]

    def prepare(self, world: World) -> None:
        begin = self.start - 22 * MINUTE
        world.rates.arrivals = Course([(begin - 600.0, 6.4), (begin, 7.1)])
        world.rates.connects = Course([(begin - 600.0, 6.9), (begin, 7.6)])
