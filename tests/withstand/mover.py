"""Operations on the broker through the gate, each in a process that is killed at a chosen point.

One JSON object a line on standard input: `config`, `folder` of the journal, `operation`, `queue`,
`window`; `point` (see POINTS) and `passes`: at which pass of it the process kills itself; or
`after`: so many seconds after the run began it is killed from outside. One line comes back: the
exit status, negative for a signal. Everything is imported once, so a process is a fork.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from mailtui.access.evidence import Box, Evidence
from mailtui.access.journal import Journal
from mailtui.collectors.platform import Platform
from mailtui.config.load import load
from mailtui.connections.amqp import Channel
from mailtui.model.broker import BrokerQueue
from mailtui.operations import rabbitmq_report, registry
from mailtui.operations.base import Request
from mailtui.operations.consent import Consent
from mailtui.operations.gate import Gate
from mailtui.operations.rabbitmq_session import Session
from mailtui.operations.running import Run
from tests.unit.acting import Person


class Point(NamedTuple):
    """Where a process kills itself."""

    owner: type
    method: str
    after: bool
    """After the method, instead of before it."""
    kind: str = ""
    """Of `Run.record`: only of such a record."""


POINTS: dict[str, Point] = {
    "before-intent": Point(Run, "record", False, "intent"),
    "after-intent": Point(Run, "record", True, "intent"),
    "before-begin": Point(Run, "begin", False),
    "after-begin": Point(Run, "begin", True),
    "before-end": Point(Run, "end", False),
    "after-end": Point(Run, "end", True),
    "before-publish": Point(Channel, "publish", False),
    "after-publish": Point(Channel, "publish", True),
    "before-confirm": Point(Session, "_on_confirm", False),
    "before-ack": Point(Channel, "ack", False),
    "after-ack": Point(Channel, "ack", True),
    "before-cancel": Point(Channel, "cancel", False),
    "after-settle": Point(Session, "settle", True),
    "before-outcome": Point(Run, "record", False, "outcome"),
    "after-put": Point(Box, "put", True),
    "before-flush": Point(Box, "flush", False),
    "after-flush": Point(Box, "flush", True),
}


def gate_of(config: str, folder: str) -> Gate:
    """A gate on the sandbox's platform, with a journal and an evidence store of its own."""
    _, context = load(Path(config)).choose()
    evidence = Evidence(Path(folder) / "evidence", b"k" * 32, keep=3600.0, limit=1 << 30)
    person = Person("tester", evidence=evidence)
    return Gate(Platform("test", context), person, Journal(Path(folder) / "journal.jsonl"))  # type: ignore[arg-type]


def arm(point: Point, passes: int) -> None:
    """Die at the `passes`-th time that the point is passed."""
    real: Callable[..., Any] = getattr(point.owner, point.method)
    left = passes

    def passed(args: tuple[Any, ...]) -> None:
        nonlocal left
        if not point.kind or args[1] == point.kind:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    def plain(*args: Any, **more: Any) -> Any:
        if not point.after:
            passed(args)
        found = real(*args, **more)
        if point.after:
            passed(args)
        return found

    async def awaited(*args: Any, **more: Any) -> Any:
        if not point.after:
            passed(args)
        found = await real(*args, **more)
        if point.after:
            passed(args)
        return found

    setattr(point.owner, point.method, awaited if asyncio.iscoroutinefunction(real) else plain)


async def act(order: dict[str, Any], begun: Callable[[], None]) -> int:
    """Plan and run, as a front end does."""
    rabbitmq_report.WINDOW = order["window"]
    gate = gate_of(order["config"], order["folder"])
    operation = registry.find(order["operation"])
    parameters = {"watch": "0.1"} if operation.id == "rabbitmq.requeue" else {}
    row = BrokerQueue("mail", order["queue"], "quorum")
    plan = await gate.plan(Request(operation.id, (row,), (), "test", parameters))
    if point := order.get("point"):
        arm(POINTS[point], order["passes"])
    begun()
    word = gate.demands(operation, plan).word
    outcome = await gate.run(gate.new_run(plan), Consent(confirmed=True, word=word))
    return 0 if outcome.state == "done" else 1


def child(order: dict[str, Any]) -> int:
    """The status of one process."""
    reader, writer = os.pipe()
    process = os.fork()
    if not process:
        status = 70
        try:
            status = asyncio.run(act(order, lambda: os.close(writer)))
        finally:
            os._exit(status)
    os.close(writer)
    if (after := order.get("after")) is not None:
        os.read(reader, 1)  # until the run begins, or the process is dead
        time.sleep(after)
        os.kill(process, signal.SIGKILL)
    os.close(reader)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


if __name__ == "__main__":
    from mailtui.connections import amqp, http  # noqa: F401

    for line in sys.stdin:
        print(child(json.loads(line)), flush=True)
