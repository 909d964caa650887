"""One taking of messages from a queue and giving them to others, none of which can be lost.

A message is acknowledged to its queue only after the broker confirmed its copy and returned none.
At most `window` messages are taken and not acknowledged, so that at most so many may exist twice
when the console or the broker dies. Exactly `target` messages are taken, none that came later.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mailtui.connections.amqp_table import BadTable
from mailtui.connections.clean import clean
from mailtui.connections.errors import SourceError
from mailtui.operations.rabbitmq_back import Owner, give_back
from mailtui.operations.rabbitmq_envelope import Origin, envelope, number

if TYPE_CHECKING:
    from mailtui.connections.amqp import Channel, Message

CAME_BACK = "it came back while the run was at work"


@dataclass(frozen=True)
class Order:
    """What a session does."""

    source: str
    to: str | None
    """Queue for all; None: each to its origin."""
    run: str
    user: str
    """Whom the connection is logged in as."""
    limit: int | None = None
    """Deliveries after which the queue drops a message; None: it never does."""
    only_run: str = ""
    """Only messages that this run moved; empty: all."""


@dataclass
class Tally:
    """What sessions have done so far."""

    moved: int = 0
    moved_to: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    """Properties that were left out, by name."""
    again: int = 0
    """Messages that an earlier run had moved already."""
    came_back: int = 0
    """Messages of this run that were taken again."""
    renewed: int = 0
    """Messages that could not be given back without being dropped, and were put at the tail."""


class Session:
    """Between two channels; callbacks run on the loop, `settle` ends it."""

    def __init__(
        self, channels: tuple[Channel, Channel], order: Order, target: int, window: int,
        *, tally: Tally, known: dict[str, bool],
    ) -> None:  # fmt: skip
        self.order, self.tally = order, tally
        self.target, self.window = target, min(window, target)
        self.known = known
        """Destination → whether there is such a queue."""
        self.unknown: set[str] = set()
        """Destinations to be asked for."""
        self.budget = 0
        """How many may still be published: what the journal has announced."""
        self.tokens: float | None = None
        """The same by the rate limit; None: there is none."""
        self.delivered = self.published = self.acked = self.renewed = 0
        self.stuck: dict[int, tuple[str, Message]] = {}
        """Delivery tag → why it is not moved."""
        self.stopping = ""
        """Why no more is published; empty: it goes on."""
        self.wake = asyncio.Event()
        self.progress = time.monotonic()
        """When something was last delivered or confirmed."""
        self._taker, self._giver = channels
        self._inbox: deque[Message] = deque()
        self._flight: dict[int, tuple[Message, str]] = {}
        """Number on the channel → what was published and is not confirmed, in order."""
        self._order: deque[int] = deque()
        """Delivery tags of what was published, in order, until they are confirmed."""
        self._confirmed: set[int] = set()
        self._ready: deque[int] = deque()
        """Delivery tags that may be acknowledged, in order."""
        self._returned: set[int] = set()
        self._lowest = 1 << 62
        """The lowest delivery tag that must not be acknowledged."""
        self._tag = ""
        self._open = False
        """The consumer is on."""

    async def begin(self) -> None:
        """Begin to take. Raises SourceError."""
        self._taker.on_end = self._giver.on_end = self.wake.set
        await self._giver.confirm(self._on_confirm, self._on_return)
        self._open = True
        self._tag = await self._taker.consume(self.order.source, self.window, self._on_message)

    @property
    def fault(self) -> SourceError | None:
        """Why one of the channels ended."""
        return self._taker.fault or self._giver.fault

    @property
    def unconfirmed(self) -> int:
        """Published and not confirmed."""
        return len(self._flight)

    @property
    def in_hand(self) -> int:
        """Taken and not acknowledged."""
        return self.delivered - self.acked

    @property
    def complete(self) -> bool:
        """True if there is nothing to wait for."""
        if self._flight:
            return False
        if self.stopping or len(self.stuck) >= self.window:
            return True
        return self.delivered >= self.target and not self._inbox

    @property
    def may_be_double(self) -> int:
        """Messages whose copy may exist although their queue keeps them, if all ended now."""
        return min(self.window, self.published)

    def pump(self) -> None:
        """Publish what waits, as far as budget and rate allow."""
        while self._inbox and self._may() and self._handle(self._inbox[0]):
            self._inbox.popleft()

    async def settle(self) -> int:
        """End it: everything confirmed is acknowledged, the rest goes back; how many went back.

        Raises SourceError.
        """
        await self.stop_taking()
        for message in self._inbox:
            self.stuck[message.tag] = (self.stopping or "it was not reached", message)
        self._inbox.clear()
        rest = [message for _, message in self.stuck.values()]
        order = self.order
        owner = Owner(order.source, order.run, order.user, order.limit)
        self.renewed = await give_back(self._taker, self._giver.link, owner, rest)
        self.tally.renewed += self.renewed
        return len(rest)

    async def stop_taking(self) -> None:
        """Take no more, and acknowledge everything that is confirmed."""
        if self._open:
            await self._taker.cancel(self._tag)
            self._open = False
            self._acknowledge()

    # --- deliveries ---

    def _may(self) -> bool:
        return (
            self.budget > 0
            and not self.stopping
            and (self.tokens is None or self.tokens >= 1)
            and not self._giver.link.blocked
        )

    def _on_message(self, message: Message) -> None:
        self.delivered += 1
        self.progress = time.monotonic()
        if self._inbox or not self._may() or not self._handle(message):
            self._inbox.append(message)
            self.wake.set()
        if self.delivered >= self.target:
            self.wake.set()

    def _handle(self, message: Message) -> bool:
        """Publish it, or put it aside; False if its destination has to be asked for first."""
        order = self.order
        try:
            wrapped = envelope(message.properties, order.run, order.user)
        except BadTable as error:
            self._put_aside(message, f"its properties cannot be read ({error})")
            return True
        came = wrapped.origin
        queue = order.to if order.to is not None else came.queue
        if queue is None or (why := self._why_not(came, queue)):
            self._put_aside(message, came.why if queue is None else why)
            return True
        known = self.known.get(queue)
        if known is None:
            self.unknown.add(queue)
            self.wake.set()
            return False
        if not known:
            self._put_aside(message, f"there is no queue {clean(queue)}; it is never made")
            return True
        number = self.published + 1
        self._giver.publish(queue, wrapped.numbered(number), message.body)
        self.published = number
        self._flight[number] = (message, queue)
        self._order.append(message.tag)
        self.budget -= 1
        if self.tokens is not None:
            self.tokens -= 1
        if wrapped.dropped:
            self.tally.dropped.update(wrapped.dropped)
        if came.attempt:
            self.tally.again += 1
        return True

    def _why_not(self, came: Origin, queue: str) -> str:
        order = self.order
        if came.run == order.run:
            self.tally.came_back += 1
            self.stopping = self.stopping or "messages come back"
            self.wake.set()
            return CAME_BACK
        if order.only_run and came.run != order.only_run:
            return f"it is none that run {order.only_run} moved"
        if queue == order.source:
            return "its origin is this queue itself"
        return ""

    def _put_aside(self, message: Message, why: str) -> None:
        self.stuck[message.tag] = (why, message)
        self._lowest = min(self._lowest, message.tag)
        if len(self.stuck) >= self.window:
            self.wake.set()

    # --- confirms ---

    def _on_return(self, message: Message) -> None:
        found = number(message.properties)
        if found is not None:
            self._returned.add(found)

    def _on_confirm(self, last: int, multiple: bool, accepted: bool) -> None:
        self.progress = time.monotonic()
        if multiple:
            numbers = []
            for one in self._flight:
                if one > last:
                    break
                numbers.append(one)
        else:
            numbers = [last] if last in self._flight else []
        moved_to = self.tally.moved_to
        for one in numbers:
            message, queue = self._flight.pop(one)
            if one in self._returned:
                self._returned.discard(one)
                self.known.pop(queue, None)
                self._put_aside(
                    message, f"no queue took it at {clean(queue)}: the broker returned it"
                )
            elif not accepted:
                self._put_aside(
                    message, f"the broker refused it at {clean(queue)} (the queue is full?)"
                )
            else:
                moved_to[queue] += 1
            self._confirmed.add(message.tag)
        order, confirmed = self._order, self._confirmed
        while order and order[0] in confirmed:
            tag = order.popleft()
            confirmed.discard(tag)
            if tag not in self.stuck:
                self._ready.append(tag)
        self._acknowledge()
        if not self._flight or self.budget < self.window:
            self.wake.set()

    def _acknowledge(self) -> None:
        """Acknowledge what is confirmed. While the consumer is on, not so many that the broker
        would deliver more than `target` in all."""
        count = len(self._ready)
        if self._open:
            count = min(count, self.target - self.window - self.acked)
        if count <= 0:
            return
        tags = [self._ready.popleft() for _ in range(count)]
        if tags[-1] < self._lowest:
            self._taker.ack(tags[-1], multiple=True)
        else:
            for tag in tags:
                self._taker.ack(tag)
        self.acked += count
        self.tally.moved += count
