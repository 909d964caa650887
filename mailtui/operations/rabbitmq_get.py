"""Looking at messages by taking them and giving them back: what is left where nothing else is.

Each is delivered once more: it is marked as redelivered, and a quorum queue counts it, after so
many of which it drops the message (rabbitmq.com/docs/quorum-queues, poison message handling).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from mailtui.model.broker import BrokerQueue
from mailtui.model.letters import Letter
from mailtui.operations import rabbitmq_broker as asked
from mailtui.operations.base import Desk, Refused
from mailtui.operations.rabbitmq_back import Owner, release
from mailtui.operations.rabbitmq_letters import of_message

if TYPE_CHECKING:
    from mailtui.connections.amqp import Message
    from mailtui.operations.running import Run

EDGE = 2
"""Returns left from which on a message is not taken to be looked at."""
HELD = 32 * 1024 * 1024
"""Bytes of bodies that are taken at the same time, about."""


async def by_taking(
    desk: Desk, queue: BrokerQueue, count: int, limit: int | None, run: Run | None = None
) -> list[Letter]:
    """The first `count` messages, taken by basic.get and given back by closing the channel, which
    keeps their order. Fewer where they are too big to be held together, or `run` is stopped.

    Raises Refused at the edge of the delivery limit, SourceError.
    """
    owner = Owner(queue.name, "", asked.settings_of(desk).username or "", limit)
    taken: list[Message] = []
    letters: list[Letter] = []
    worn: Letter | None = None
    async with asked.amqp(asked.settings_of(desk), queue.vhost, desk.operator) as link:
        taker = await link.channel()
        while len(taken) < count and sum(len(one.body) for one in taken) < HELD:
            if run is not None and run.stopping:
                break
            message = await taker.get(queue.name)
            if message is None:
                break
            taken.append(message)
            letter = of_message(message, queue.vhost, queue.name, len(taken), limit)
            if letter.remaining is not None and letter.remaining <= EDGE:
                worn = letter
                break
            letters.append(_returned(letter, queue))
        await release(taker, link, owner, taken)
    if worn is not None:
        raise Refused(
            f"{queue.name}: message {worn.position} could be given back {worn.remaining:,} times "
            "more before the queue drops it, and each look counts as one: it is not looked at "
            "that way; move the messages, or use by=peek"
        )
    return letters


def _returned(letter: Letter, queue: BrokerQueue) -> Letter:
    """As it is once it is back; classic queues count no deliveries."""
    counts = queue.type == "quorum" and letter.deliveries is not None
    deliveries = (letter.deliveries or 0) + 1 if counts else None
    return msgspec.structs.replace(letter, redelivered=True, deliveries=deliveries)
