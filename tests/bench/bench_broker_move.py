"""Moving dead letters: messages a second, as a ratio to bare pika with pipelined confirms and none
of our guards, against the sandbox's broker; with MAILTUI_LAB also on the lab's, against its shovel.

Each way moves the same messages between the same two queues, one after the other, in the same run.
Bare pika takes, publishes, and acknowledges when it is confirmed: no journal, no window that ends
exactly, no look at headers, no return; so a ratio below 1 means that we are faster than it.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pika
from pika.adapters.asyncio_connection import AsyncioConnection

from tests.bench.figures import Figure
from tests.brokering import LAB_ADMIN, VHOST, Queues, body, death, parameters_of
from tests.operating import bench

SANDBOX_COUNT, LAB_COUNT = 10_000, 100_000
WINDOW = 2000
TARGET = 5000.0
"""Messages a second on the lab's broker, or within SLOWER of its shovel."""
SLOWER = 1.5


def fill(queues: Queues, short: str, count: int, origin: str) -> None:
    """Dead letters of 250 bytes, as fast as pika publishes."""
    connection = pika.BlockingConnection(queues.parameters)
    channel = connection.channel()
    properties = pika.BasicProperties(delivery_mode=2, headers=death(queues.name(origin)))
    for number in range(count):
        channel.basic_publish("", queues.name(short), body(number) + b" " * 200, properties)
    while channel.queue_declare(queues.name(short), passive=True).method.message_count < count:
        time.sleep(0.1)
    connection.close()


async def ours(config: Path, queues: Queues, source: str) -> float:
    """Seconds of the operation's apply; it asserts that everything was moved."""
    with tempfile.TemporaryDirectory() as folder:
        async with bench(Path(folder), config) as found:
            plan = await found.plan("rabbitmq.requeue", [queues.row(source)], watch="0")
            run = found.run(plan)
            from mailtui.operations import registry

            begun = time.perf_counter()
            await registry.find(plan.operation).apply(found.desk, plan, run)
            taken = time.perf_counter() - begun
            outcome = await registry.find(plan.operation).verify(found.desk, plan, run)
            assert outcome.state == "done", outcome
            return taken


async def bare(queues: Queues, source: str, to: str, count: int) -> float:
    """Seconds of pika alone."""
    loop = asyncio.get_running_loop()

    async def opened() -> Any:
        future = loop.create_future()
        AsyncioConnection(
            queues.parameters,
            on_open_callback=future.set_result,
            on_open_error_callback=lambda _, error: future.set_exception(error),
        )
        return await future

    async def called(start: Callable[..., Any], **more: Any) -> Any:
        future = loop.create_future()
        start(callback=future.set_result, **more)
        return await future

    async def channel_of(connection: Any) -> Any:
        future = loop.create_future()
        connection.channel(on_open_callback=future.set_result)
        return await future

    taking, giving = await opened(), await opened()
    taker, giver = await channel_of(taking), await channel_of(giving)
    done = asyncio.Event()

    def confirmed(frame: Any) -> None:
        taker.basic_ack(frame.method.delivery_tag, multiple=frame.method.multiple)
        nonlocal acked
        tag = frame.method.delivery_tag
        acked = max(acked, tag) if frame.method.multiple else acked + 1
        if acked >= count:
            done.set()

    acked = 0
    await called(giver.confirm_delivery, ack_nack_callback=confirmed)
    await called(taker.basic_qos, prefetch_count=WINDOW)
    begun = time.perf_counter()
    taker.basic_consume(
        queues.name(source),
        lambda _, method, properties, content: giver.basic_publish(
            "", queues.name(to), content, properties, mandatory=True
        ),
    )
    await asyncio.wait_for(done.wait(), 600)
    taken = time.perf_counter() - begun
    taking.close()
    giving.close()
    await asyncio.sleep(0.5)
    return taken


def shovel(api: str, queues: Queues, source: str, to: str, count: int) -> float | None:
    """Seconds of the broker's own shovel; None if it has none."""
    login = base64.b64encode(":".join(LAB_ADMIN).encode()).decode()
    name = f"bench-{secrets.token_hex(4)}"
    uri = f"amqp://{':'.join(LAB_ADMIN)}@127.0.0.1:{queues.parameters.port}/{VHOST}"
    value = {
        "src-protocol": "amqp091", "src-uri": uri, "src-queue": queues.name(source),
        "src-delete-after": "queue-length", "src-prefetch-count": WINDOW,
        "dest-protocol": "amqp091", "dest-uri": uri, "dest-queue": queues.name(to),
        "ack-mode": "on-confirm",
    }  # fmt: skip
    request = urllib.request.Request(
        f"{api}/api/parameters/shovel/{VHOST}/{name}",
        json.dumps({"value": value}).encode(),
        {"Authorization": f"Basic {login}", "Content-Type": "application/json"},
        method="PUT",
    )
    begun = time.perf_counter()
    try:
        urllib.request.urlopen(request, timeout=10).close()
    except OSError:
        return None
    connection = pika.BlockingConnection(queues.parameters)
    channel = connection.channel()
    while channel.queue_declare(queues.name(to), passive=True).method.message_count < count:
        time.sleep(0.05)
    taken = time.perf_counter() - begun
    connection.close()
    return taken


async def compared(config: Path, count: int, *, lab: bool, api: str = "") -> dict[str, float]:
    """Name → seconds."""
    queues = Queues(parameters_of(config, lab=lab))
    await queues.make("dead", "work")
    taken: dict[str, float] = {}
    try:
        ways: dict[str, Callable[[], Any]] = {
            "pika": lambda: bare(queues, "dead", "work", count),
            "mailtui": lambda: ours(config, queues, "dead"),
        }
        if lab:
            ways["shovel"] = lambda: asyncio.to_thread(shovel, api, queues, "dead", "work", count)
        for name, way in ways.items():
            await queues.do(lambda channel: channel.queue_purge(queues.name("work")))
            await asyncio.to_thread(fill, queues, "dead", count, "work")
            seconds = await way()
            if seconds is not None:
                taken[name] = seconds
    finally:
        await queues.delete()
    return taken


async def main() -> list[Figure]:
    """The sandbox; and the lab if it is there."""
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory() as folder:
        sandbox = subprocess.Popen(
            [sys.executable, "-m", "mailtui.sandbox.main", "--parent", "--seed", "7",
             "--directory", f"{folder}/platform"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert sandbox.stdin is not None and sandbox.stdout is not None
        try:
            config = Path(json.loads(sandbox.stdout.readline())["config"])
            taken = await compared(config, SANDBOX_COUNT, lab=False)
        finally:
            sandbox.stdin.close()
            sandbox.wait(10)
    figures.append(_figure("sandbox's broker", SANDBOX_COUNT, taken))
    if lab := os.environ.get("MAILTUI_LAB"):
        from mailtui.config.load import load

        _, context = load(Path(lab)).choose()
        taken = await compared(Path(lab), LAB_COUNT, lab=True, api=context.sources.rabbitmq.url)
        figures.append(_figure("lab's broker", LAB_COUNT, taken))
        rate = LAB_COUNT / taken["mailtui"]
        if "shovel" in taken:
            ratio = taken["mailtui"] / taken["shovel"]
            figures.append(
                Figure(
                    "the same by the broker's shovel", f"{LAB_COUNT / taken['shovel']:,.0f}/s",
                    ratio, f"≥ {TARGET:,.0f}/s or ratio ≤ {SLOWER}",
                    rate >= TARGET or ratio <= SLOWER,
                )
            )  # fmt: skip
    return figures


def _figure(where: str, count: int, taken: dict[str, float]) -> Figure:
    return Figure(
        f"{count:,} dead letters requeued on the {where} (pika: {count / taken['pika']:,.0f}/s)",
        f"{count / taken['mailtui']:,.0f}/s",
        taken["mailtui"] / taken["pika"],
    )


if __name__ == "__main__":
    from tests.bench.figures import table

    print(table(asyncio.run(main())))
