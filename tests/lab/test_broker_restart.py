"""A real broker that goes down in the middle of a move, politely and not: no message is lost, and
no more exist twice than the outcome says.

MAILTUI_LAB_BROKER_RESTART is a command for a broker that is not the lab's; its argument is the way.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pika
import pytest

from mailtui.config.sources.rabbitmq import Settings
from mailtui.connections.errors import SourceError
from mailtui.operations import rabbitmq_broker as asked
from mailtui.operations.rabbitmq_outcome import from_journal
from mailtui.operations.running import Progress
from tests.brokering import Queues, body, death, queues
from tests.lab.conftest import PATIENCE, on
from tests.operating import Bench, bench

COUNT = 20_000
UNIT = "rabbitmq-server"
WAYS = {
    "restart": f"systemctl restart {UNIT}",
    "kill": f"systemctl kill -s KILL {UNIT}; systemctl restart {UNIT}",
}


def go_down(way: str) -> None:
    """The broker goes, and comes again."""
    if command := os.environ.get("MAILTUI_LAB_BROKER_RESTART"):
        subprocess.run([command, way], check=True, timeout=PATIENCE)
    else:
        on("mon1", WAYS[way])


def fill(made: Queues) -> None:
    """Dead letters as fast as pika publishes."""
    connection = pika.BlockingConnection(made.parameters)
    channel = connection.channel()
    properties = pika.BasicProperties(delivery_mode=2, headers=death(made.name("work")))
    for number in range(COUNT):
        channel.basic_publish("", made.name("dead"), body(number), properties)
    while channel.queue_declare(made.name("dead"), passive=True).method.message_count < COUNT:
        time.sleep(0.1)
    connection.close()


def taken(made: Queues, short: str) -> list[int]:
    """The numbers of everything in a queue, which is empty then."""
    found: list[int] = []
    connection = pika.BlockingConnection(made.parameters)
    channel = connection.channel()
    channel.basic_qos(prefetch_count=2000)
    for method, _, content in channel.consume(made.name(short), inactivity_timeout=3):
        if method is None:
            break
        found.append(json.loads(content)["number"])
        channel.basic_ack(method.delivery_tag)
    connection.close()
    return found


async def shown(found: Bench, made: Queues, short: str, count: int) -> int:
    """Messages as the management API tells, once its statistics have caught up with `count`."""
    settings = found.platform.context.source("rabbitmq", Settings)
    assert settings is not None
    ready = -1
    for _ in range(40):
        try:
            async with asked.broker(settings) as api:
                answer = await api.queue("mail", made.name(short))
        except SourceError:
            answer = None
        ready = answer[0].ready if answer is not None and answer[0].ready is not None else -1
        if ready == count:
            break
        await asyncio.sleep(0.5)
    return ready


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", ["quorum", "classic"])
async def test_a_move_over_a_broker_that_goes_down(way: str, kind: str, tmp_path: Path) -> None:
    config = Path(os.environ["MAILTUI_LAB"])
    async with bench(tmp_path, config) as found, queues(config, lab=True) as made:
        await made.make("dead")
        await made.make("work", kind=kind)
        await asyncio.to_thread(fill, made)
        plan = await found.plan("rabbitmq.requeue", [made.row("dead")], watch="0", rate="3000")
        going: list[asyncio.Task[Any]] = []

        def watch(progress: Progress) -> None:
            if progress.done >= COUNT / 4 and not going:
                going.append(asyncio.create_task(asyncio.to_thread(go_down, way)))

        run = found.run(plan, watch)
        outcome = await found.carry_out(plan, run)
        await going[0]
        counts = outcome.counts
        assert counts["in"] == counts["moved"] + counts["kept"] + counts["returned"] == COUNT
        assert (outcome.state, outcome.done) == ("done", COUNT), outcome
        bound = counts["doubled_at_most"]
        assert bound > 0, "it did not go down in the middle"
        assert (await asyncio.to_thread(from_journal, run))[1] >= bound
        at_work = await made.do(
            lambda channel: (
                channel.queue_declare(made.name("work"), passive=True).method.message_count
            )
        )
        assert COUNT <= at_work <= COUNT + bound
        assert await shown(found, made, "work", at_work) == at_work
        assert await shown(found, made, "dead", 0) == 0
        work = await asyncio.to_thread(taken, made, "work")
        assert set(work) == set(range(COUNT)), "lost"
        twice = sum(count - 1 for count in Counter(work).values())
        assert twice == at_work - COUNT
        assert await asyncio.to_thread(taken, made, "dead") == []
