"""One operation on the broker in a process of its own, which kills itself at a chosen point.

Arguments: configuration, folder of the journal, operation, queue, point, the pass of it that kills,
the window. Points: see POINTS; `none` lets it end.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mailtui.access.evidence import Box, Evidence
from mailtui.access.journal import Journal
from mailtui.collectors.platform import Platform
from mailtui.config.load import load
from mailtui.connections.amqp import Channel
from mailtui.model.broker import BrokerQueue
from mailtui.operations import rabbitmq_report, registry
from mailtui.operations.base import Desk, Request
from mailtui.operations.rabbitmq_session import Session
from mailtui.operations.running import Run

POINTS: dict[str, tuple[type, str, bool]] = {
    "before-begin": (Run, "begin", False),
    "after-begin": (Run, "begin", True),
    "before-end": (Run, "end", False),
    "after-end": (Run, "end", True),
    "before-publish": (Channel, "publish", False),
    "after-publish": (Channel, "publish", True),
    "before-confirm": (Session, "_on_confirm", False),
    "before-ack": (Channel, "ack", False),
    "after-ack": (Channel, "ack", True),
    "before-cancel": (Channel, "cancel", False),
    "after-settle": (Session, "settle", True),
    "after-put": (Box, "put", True),
    "before-flush": (Box, "flush", False),
    "after-flush": (Box, "flush", True),
}
"""Class, method, and whether it is killed after it."""


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def arm(point: str, passes: int) -> None:
    """Die at the `passes`-th time that the point is passed."""
    owner, name, after = POINTS[point]
    real: Callable[..., Any] = getattr(owner, name)
    left = passes

    def passed() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            die()

    def plain(*args: Any, **more: Any) -> Any:
        if not after:
            passed()
        found = real(*args, **more)
        if after:
            passed()
        return found

    async def awaited(*args: Any, **more: Any) -> Any:
        if not after:
            passed()
        found = await real(*args, **more)
        if after:
            passed()
        return found

    setattr(owner, name, awaited if asyncio.iscoroutinefunction(real) else plain)


async def main(
    config: str, folder: str, operation: str, queue: str, point: str, count: str, window: str
) -> int:
    rabbitmq_report.WINDOW = int(window)
    _, context = load(Path(config)).choose()
    platform = Platform("test", context)
    evidence = Evidence(Path(folder) / "evidence", b"k" * 32, keep=3600.0, limit=1 << 30)
    desk = Desk(platform, context.operations, "tester", evidence)
    found = registry.find(operation)
    parameters = {"watch": "0.1"} if operation == "rabbitmq.requeue" else {}
    row = BrokerQueue("mail", queue, "quorum")
    plan = await found.plan(desk, Request(operation, (row,), (), "test", parameters))
    run = Run(plan, Journal(Path(folder) / "journal.jsonl"), "tester")
    await run.record("intent", title=plan.title)
    if point != "none":
        arm(point, int(count))
    await found.apply(desk, plan, run)
    outcome = await found.verify(desk, plan, run)
    await run.record("outcome", sentence=outcome.sentence, state=outcome.state)
    print(outcome.sentence)
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(*sys.argv[1:])))
