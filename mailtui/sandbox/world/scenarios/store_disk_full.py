"""The mail store's disk fills: 94 % at +1.2 GB/h, and first messages are deferred to LMTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailtui.sandbox.world.causes import STORE_FULL, Cause
from mailtui.sandbox.world.clock import Course
from mailtui.sandbox.world.hosts import GIB
from mailtui.sandbox.world.scenarios import MINUTE, BasePlan

if TYPE_CHECKING:
    from mailtui.sandbox.world import World

GROWTH = 1.2e9 / 3600.0
"""Bytes a second."""


class Plan(BasePlan):
    """/var/vmail of store1 is full in about two and a half hours."""

    title = "/var/vmail on store1 fills up"

    def __init__(self, start: float) -> None:
        super().__init__(start)
        begin = start - 26 * MINUTE
        self.causes.append(
            Cause(
                "store-no-space",
                Course([(begin, 0.0), (begin + 600.0, 0.05), (start, 0.09), (start + 9000.0, 0.9)]),
                Course(0.25),
                (),
                ((STORE_FULL, 1),),
            )
        )

    def finish(self, world: World) -> None:
        if "store1" not in world.hosts:
            return
        mount = world.hosts["store1"].mount("/var/vmail")
        # 94 % used with three hours to go at this growth: a disk of 50 GiB
        mount.size = 52 * GIB
        mount.used = 0.94 * mount.size
        mount.growth = GROWTH
        mount.inodes = 52 * 524_288
        mount.inodes_used = mount.inodes * 0.09
