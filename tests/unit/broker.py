"""A broker of the sandbox for tests, and pika as a client of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pika

from mailtui.sandbox.amqp import Server
from mailtui.sandbox.faults import Faults
from mailtui.sandbox.rabbitmq_account import Account
from mailtui.sandbox.world import World
from mailtui.sandbox.world.broker import Queue
from mailtui.sandbox.world.messages import Message, Properties

NOW = 1_795_521_600.0


class Broker:
    """A server that listens, over a world that stands still."""

    def __init__(self, scenario: str = "quiet") -> None:
        self.world = World(seed=3, scenario=scenario, now=NOW, frozen=True)
        self.faults = Faults()
        self.account = Account("mailtui", "secret")
        self.server = Server(self.world, self.faults, self.account)
        self.port = 0

    def queue(self, name: str) -> Queue:
        return self.world.broker.queue(name)

    def fill(self, name: str, count: int) -> None:
        """Put numbered messages into a queue, which holds nothing else afterwards."""
        queue = self.queue(name)
        self.world.messages.purge(queue)
        for number in range(count):
            properties = Properties({"delivery_mode": 2, "message_id": f"m{number}"})
            self.world.messages.put(queue, Message(b"%d" % number, properties, "", name))

    def parameters(self, **changes: Any) -> pika.ConnectionParameters:
        login = pika.PlainCredentials("mailtui", "secret")
        given = {"virtual_host": "mail", "credentials": login, "blocked_connection_timeout": 20}
        return pika.ConnectionParameters("127.0.0.1", self.port, **{**given, **changes})

    async def run(self, work: Callable[[pika.BlockingConnection], Any], **changes: Any) -> Any:
        """Do blocking work with a connection of its own, closed afterwards if it is open."""

        def all_of_it() -> Any:
            connection = pika.BlockingConnection(self.parameters(**changes))
            try:
                return work(connection)
            finally:
                if connection.is_open:
                    connection.close()

        return await asyncio.wait_for(asyncio.to_thread(all_of_it), 30)


@asynccontextmanager
async def serving(scenario: str = "quiet") -> AsyncIterator[Broker]:
    """A broker while it runs."""
    broker = Broker(scenario)
    broker.port = await broker.server.start()
    try:
        yield broker
    finally:
        await broker.server.stop()


def served(connection: pika.BlockingConnection, true: Callable[[], bool]) -> None:
    """Let a blocking connection work until something is true, and then on what is left."""
    end = time.monotonic() + 10
    while not true() and time.monotonic() < end:
        connection.process_data_events(0.05)
    connection.channel().close()
    connection.process_data_events(0)


async def until(true: Callable[[], bool]) -> None:
    """Wait for something that is about to happen."""
    async with asyncio.timeout(10):
        while not true():
            await asyncio.sleep(0.01)
