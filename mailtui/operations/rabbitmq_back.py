"""Giving messages back to their queue so that none is dropped by its delivery limit."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mailtui.connections.amqp_table import BadTable
from mailtui.connections.errors import SourceError
from mailtui.operations.rabbitmq_envelope import envelope, number

if TYPE_CHECKING:
    from mailtui.connections.amqp import Channel, Link, Message

CONFIRM_TIMEOUT = 30.0
"""Seconds without any confirm, while some are awaited, after which the connection is given up."""


def silent() -> SourceError:
    """The broker confirms nothing."""
    return SourceError(
        "timeout",
        f"rabbitmq: nothing was confirmed for {CONFIRM_TIMEOUT:g} s",
        "see the broker's log; a queue without a majority of its members confirms nothing",
    )


@dataclass(frozen=True)
class Owner:
    """Whose messages they are, and who gives them back."""

    queue: str
    run: str
    user: str
    """Whom the connection is logged in as."""
    limit: int | None = None
    """Deliveries after which the queue drops a message; None: it never does."""


def on_the_edge(message: Message, owner: Owner) -> bool:
    """True if one more delivery is more than the queue allows: given back, it would be dropped."""
    if owner.limit is None:
        return False
    try:
        came = envelope(message.properties, owner.run, owner.user).origin
    except BadTable:
        return False
    return came.deliveries >= owner.limit


async def give_back(taker: Channel, link: Link, owner: Owner, messages: Sequence[Message]) -> int:
    """Give messages back; those that would be dropped are put at the tail as new ones instead, by
    a channel of `link`. How many these were. Raises SourceError.
    """
    edge = [message for message in messages if on_the_edge(message, owner)]
    renewed = await _renew(taker, link, owner, edge) if edge else set()
    # in order: a quorum queue delivers first what was given back first
    for message in sorted(messages, key=lambda one: one.tag):
        if message.tag not in renewed:
            taker.give_back(message.tag)
    # a synchronous method: after its answer the broker has taken what was sent before
    await taker.depth(owner.queue)
    return len(renewed)


async def release(taker: Channel, link: Link, owner: Owner, messages: Sequence[Message]) -> int:
    """Give back all that a channel holds by closing it. Each comes to where it was, also in a
    quorum queue without a delivery limit, where basic.nack puts it at the tail; it counts as a
    delivery (seen on RabbitMQ 3.10.8). Those that would be dropped are put at the tail as new ones.
    How many these were. Raises SourceError.
    """
    edge = [message for message in messages if on_the_edge(message, owner)]
    renewed = await _renew(taker, link, owner, edge) if edge else set()
    # a synchronous method: after its answer the broker has taken what was acknowledged before
    await taker.depth(owner.queue)
    await taker.close()
    return len(renewed)


async def _renew(taker: Channel, link: Link, owner: Owner, messages: Sequence[Message]) -> set[int]:
    """Delivery tags of those that are in the queue as new messages."""
    publisher = await Publisher.on(link)
    for count, message in enumerate(messages, 1):
        wrapped = envelope(message.properties, owner.run, owner.user)
        publisher.publish(owner.queue, wrapped.numbered(count), message.body)
    refused = await publisher.confirmed()
    done = {message.tag for count, message in enumerate(messages, 1) if count not in refused}
    for tag in done:
        taker.ack(tag)
    return done


class Publisher:
    """Publishes with confirms; messages are numbered from 1."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._waiting: set[int] = set()
        self._refused: set[int] = set()
        self._count = 0
        self._wake = asyncio.Event()

    @classmethod
    async def on(cls, link: Link) -> Publisher:
        """On a channel of its own. Raises SourceError."""
        publisher = cls(await link.channel())
        publisher._channel.on_end = publisher._wake.set
        await publisher._channel.confirm(publisher._on_confirm, publisher._on_return)
        return publisher

    def publish(self, queue: str, properties: bytes, body: bytes) -> int:
        """Publish; the message's number. Raises SourceError."""
        self._channel.publish(queue, properties, body)
        self._count += 1
        self._waiting.add(self._count)
        return self._count

    @property
    def unconfirmed(self) -> int:
        """Published and not confirmed."""
        return len(self._waiting)

    async def confirmed(self, most: int = 0) -> set[int]:
        """Wait until at most so many are not confirmed; all that no queue took. Raises
        SourceError."""
        while len(self._waiting) > most:
            self._wake.clear()
            try:
                await asyncio.wait_for(self._wake.wait(), CONFIRM_TIMEOUT)
            except TimeoutError:
                raise silent() from None
            if self._channel.fault is not None:
                raise self._channel.fault
        return set(self._refused)

    def _on_return(self, message: Message) -> None:
        found = number(message.properties)
        if found is not None:
            self._refused.add(found)

    def _on_confirm(self, last: int, multiple: bool, accepted: bool) -> None:
        done = {one for one in self._waiting if one <= last} if multiple else {last}
        self._waiting -= done
        if not accepted:
            self._refused |= done
        self._wake.set()
