"""Queues of one test on a broker, filled with numbered dead letters and emptied again, by pika."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pika

from mailtui.config.load import load
from mailtui.config.sources.rabbitmq import Settings
from mailtui.model.broker import BrokerQueue

VHOST = "mail"
LAB_ADMIN = ("admin", "lab-admin")
"""The lab's user that may declare queues (lab/roles/broker.py); the console's may not."""


class Queues:
    """Queues that a test made, by short names."""

    def __init__(self, parameters: pika.ConnectionParameters) -> None:
        self.parameters = parameters
        self._prefix = f"mail.op-{secrets.token_hex(4)}"
        self._made: dict[str, str] = {}

    def name(self, short: str) -> str:
        """The name on the broker."""
        return f"{self._prefix}-{short}"

    def row(self, short: str, **facts: Any) -> BrokerQueue:
        """The queue as a screen has it."""
        return BrokerQueue(VHOST, self.name(short), self._made.get(short, "quorum"), **facts)

    async def do(self, work: Callable[[Any], Any]) -> Any:
        """Blocking work with a channel, on a thread."""

        def all_of_it() -> Any:
            connection = pika.BlockingConnection(self.parameters)
            try:
                return work(connection.channel())
            finally:
                if connection.is_open:
                    connection.close()

        return await asyncio.to_thread(all_of_it)

    async def make(self, *shorts: str, kind: str = "quorum", **arguments: Any) -> None:
        """Declare queues; `x_delivery_limit=3` is the argument x-delivery-limit."""
        given = {k.replace("_", "-"): v for k, v in arguments.items()} | {"x-queue-type": kind}

        def work(channel: Any) -> None:
            for short in shorts:
                channel.queue_declare(self.name(short), durable=True, arguments=given)
                self._made[short] = kind

        await self.do(work)

    async def fill(
        self, short: str, numbers: Iterable[int], origin: str | None = None, **properties: Any
    ) -> None:
        """Dead letters of the queue `origin` (a short name), persistent and confirmed."""
        headers = dict(properties.pop("headers", {}))
        if origin is not None:
            headers |= death(self.name(origin))

        def work(channel: Any) -> None:
            channel.confirm_delivery()
            for number in numbers:
                channel.basic_publish(
                    "", self.name(short), body(number),
                    pika.BasicProperties(delivery_mode=2, headers=headers, **properties),
                )  # fmt: skip

        await self.do(work)

    async def taken(self, short: str) -> list[tuple[int, pika.BasicProperties]]:
        """Everything that is in a queue, which is empty then: (number, properties), in order."""

        def work(channel: Any) -> list[tuple[int, pika.BasicProperties]]:
            found: list[tuple[int, pika.BasicProperties]] = []
            while True:
                method, properties, content = channel.basic_get(self.name(short), auto_ack=True)
                if method is None:
                    return found
                found.append((json.loads(content)["number"], properties))

        found: list[tuple[int, pika.BasicProperties]] = await self.do(work)
        return found

    async def numbers(self, short: str) -> list[int]:
        """The numbers of all messages in a queue, which is empty then."""
        return [number for number, _ in await self.taken(short)]

    async def delete(self) -> None:
        """All of them."""

        def work(channel: Any) -> None:
            for short in self._made:
                channel.queue_delete(self.name(short))

        await self.do(work)


def body(number: int) -> bytes:
    return json.dumps({"number": number, "to": f"user{number}@example.org"}).encode()


def death(queue: str) -> dict[str, Any]:
    """The headers of a message that a worker rejected."""
    entry = {"count": 1, "reason": "rejected", "queue": queue, "exchange": "",
             "routing-keys": [queue]}  # fmt: skip
    return {"x-death": [entry], "x-first-death-queue": queue, "x-first-death-reason": "rejected"}


def parameters_of(config: Path, *, lab: bool = False) -> pika.ConnectionParameters:
    """Of a user that may declare, on the broker of a configuration."""
    _, context = load(config).choose()
    settings = context.source("rabbitmq", Settings)
    assert settings is not None and settings.password is not None
    host, port, _ = settings.broker()
    user, password = settings.username or "", settings.password.reveal()
    if lab:
        user = os.environ.get("MAILTUI_LAB_BROKER_USER", LAB_ADMIN[0])
        password = os.environ.get("MAILTUI_LAB_BROKER_PASSWORD", LAB_ADMIN[1])
    return pika.ConnectionParameters(
        host, port, VHOST, pika.PlainCredentials(user, password), heartbeat=0
    )


@asynccontextmanager
async def queues(config: Path, *, lab: bool = False) -> AsyncIterator[Queues]:
    """Queues that are deleted at the end."""
    found = Queues(parameters_of(config, lab=lab))
    try:
        yield found
    finally:
        await found.delete()
