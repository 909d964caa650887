"""Puts messages into the broker's queues and takes them out, so that every count stays exact.

What a queue holds is `letters` (messages that somebody may look at) and a count of others that the
simulated pipeline moves. Whoever takes from a queue gets real messages: those that were only
counted are made when somebody first asks.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING

from mailtui.sandbox.world.broker import Broker, Queue
from mailtui.sandbox.world.messages import Message, buried

if TYPE_CHECKING:
    from mailtui.sandbox.world import World

DEFAULT_LIMIT = 20
"""Deliveries that a quorum queue allows since RabbitMQ 4.0 where nobody set a limit."""


class Messages:
    """The messages of a world's broker."""

    def __init__(self, world: World, make: Callable[[Queue], Message]) -> None:
        """`make` gives a message for one that a queue has only counted."""
        self._world = world
        self._make = make
        self.arrived: list[Callable[[Queue], None]] = []
        """Told of each queue that has something new to deliver."""
        self.deleted: list[Callable[[Queue], None]] = []
        """Told of each queue that is gone."""

    @property
    def _broker(self) -> Broker:
        return self._world.broker

    # in --------------------------------------------------------------------------------------

    def route(self, vhost: str, exchange: str, key: str) -> list[Queue]:
        """The queues that a message to an exchange reaches; LookupError: no such exchange."""
        queues = self._broker.queues
        if not exchange:
            queue = queues.get((vhost, key))
            return [] if queue is None else [queue]
        kind = next(
            (e.type for e in self._broker.exchanges if (e.vhost, e.name) == (vhost, exchange)), None
        )
        if kind is None:
            raise LookupError(exchange)
        names = {
            b.destination: None
            for b in self._broker.bindings
            if (b.vhost, b.source) == (vhost, exchange) and _matches(kind, b.routing_key, key)
        }
        return [queues[vhost, name] for name in names if (vhost, name) in queues]

    def put(self, queue: Queue, message: Message) -> None:
        """Add a message at the end; a queue with a greatest length loses its oldest."""
        queue.next_order += 1
        message.order = queue.next_order
        queue.letters.append(message)
        queue.ready += 1
        queue.published += 1
        limit = self._max_length(queue)
        if limit is not None and queue.ready >= limit + 1:
            self._drop_oldest(queue, limit)
        for told in self.arrived:
            told(queue)

    def refuses(self, queue: Queue) -> bool:
        """Whether the queue is full and rejects what is published to it."""
        if queue.arguments.get("x-overflow") != "reject-publish":
            return False
        limit = self._max_length(queue)
        return limit is not None and queue.ready >= limit

    def _max_length(self, queue: Queue) -> int | None:
        limit = queue.arguments.get("x-max-length")
        for policy in self._broker.policies if limit is None else ():
            if (policy.vhost, policy.name) == (queue.vhost, queue.policy):
                limit = policy.definition.get("max-length")
        return int(limit) if limit is not None else None

    def _drop_oldest(self, queue: Queue, limit: int) -> None:
        self.fill(queue)
        while queue.letters and int(queue.ready) > limit:
            oldest = queue.letters.popleft()
            queue.ready -= 1
            self.bury(queue, oldest, "maxlen")

    # out -------------------------------------------------------------------------------------

    def fill(self, queue: Queue) -> None:
        """Make real messages of all that the queue has only counted."""
        for _ in range(int(queue.ready) - len(queue.letters)):
            message = self._make(queue)
            queue.next_order += 1
            message.order = queue.next_order
            queue.letters.append(message)

    def take(self, queue: Queue) -> Message | None:
        """The oldest ready message, which is unacknowledged from now on; None if there is none."""
        if not queue.letters:
            self.fill(queue)
            if not queue.letters:
                return None
        message = queue.letters.popleft()
        queue.ready -= 1
        queue.unacked += 1
        queue.held += 1
        queue.delivered += 1
        if message.redelivered:
            queue.redelivered += 1
        return message

    def settle(self, queue: Queue, count: int = 1) -> None:
        """`count` messages that were taken are done with."""
        queue.unacked -= count
        queue.held -= count
        queue.acked += count

    def give_back(self, queue: Queue, messages: Iterable[Message]) -> None:
        """Return messages that were taken to where they were; what a quorum queue has delivered
        too often dies instead.
        """
        limit = self.delivery_limit(queue)
        back: list[Message] = []
        dead: list[Message] = []
        for message in messages:
            queue.unacked -= 1
            queue.held -= 1
            message.redelivered = True
            message.deliveries += 1
            died = limit is not None and message.deliveries > limit
            (dead if died else back).append(message)
        back.sort(key=lambda m: m.order)
        younger: deque[Message] = deque()
        letters = queue.letters
        for message in back:
            while letters and letters[0].order < message.order:
                younger.append(letters.popleft())
            younger.append(message)
        letters.extendleft(reversed(younger))
        queue.ready += len(back)
        for message in dead:
            self.bury(queue, message, "delivery_limit")
        for told in self.arrived if back else ():
            told(queue)

    def reject(self, queue: Queue, message: Message) -> None:
        """A message that was taken is refused for good: it becomes a dead letter or is gone."""
        queue.unacked -= 1
        queue.held -= 1
        self.bury(queue, message, "rejected")

    def delivery_limit(self, queue: Queue) -> int | None:
        """How often a message may be given back; None: as often as one likes."""
        if queue.type != "quorum":
            return None
        own = queue.arguments.get("x-delivery-limit")
        limits = [int(limit) for limit in (own, queue.delivery_limit) if limit is not None]
        if limits:
            return min(limits)
        return None if self._broker.version.startswith("3.") else DEFAULT_LIMIT

    def bury(self, queue: Queue, message: Message, reason: str) -> None:
        """Send a message that has left `queue` on to its dead-letter exchange, if it has one."""
        exchange = queue.dead_letter_exchange
        if exchange is None:
            return
        key = queue.dead_letter_routing_key
        key = message.routing_key if key is None else key
        properties = buried(message, queue.name, reason, self._world.now)
        try:
            graves = self.route(queue.vhost, exchange, key)
        except LookupError:
            return
        for grave in graves:
            letter = Message(message.body, properties, exchange, key)
            if not _circles(letter, grave):
                self.put(grave, letter)

    # queues ----------------------------------------------------------------------------------

    def purge(self, queue: Queue) -> int:
        """Remove all ready messages; how many."""
        count = int(queue.ready)
        queue.letters.clear()
        queue.ready = 0.0
        return count

    def remove(self, queue: Queue) -> int:
        """Delete a queue with its bindings; how many ready messages went with it."""
        count = int(queue.ready)
        del self._broker.queues[queue.vhost, queue.name]
        self._broker.bindings = [
            b
            for b in self._broker.bindings
            if (b.vhost, b.destination) != (queue.vhost, queue.name)
        ]
        for told in self.deleted:
            told(queue)
        return count

    def at(self, queue: Queue, position: int) -> Message | None:
        """The ready message at a position from 1, left where it is; None: there is none."""
        self.fill(queue)
        found: Iterator[Message] = islice(queue.letters, position - 1, position)
        return next(found, None)


def _circles(letter: Message, grave: Queue) -> bool:
    """Whether a letter goes round without anybody having rejected it: the broker drops those."""
    deaths = letter.deaths
    for i, death in enumerate(deaths):
        if i and death.get("queue") == grave.name:
            return not any(d.get("reason") == "rejected" for d in deaths[: i + 1])
    return False


def _matches(kind: str, pattern: str, key: str) -> bool:
    """Whether a binding takes a message; bindings of a headers exchange are not modelled."""
    if kind == "fanout":
        return True
    if kind == "direct":
        return pattern == key
    return kind == "topic" and _topic(pattern).fullmatch(key) is not None


@lru_cache(maxsize=256)
def _topic(pattern: str) -> re.Pattern[str]:
    """A topic pattern: `*` is one word, `#` any number of words."""
    found = ""
    for i, word in enumerate(pattern.split(".")):
        if word == "#":
            found += r"(?:(?:^|\.)[^.]*)*"
        else:
            separator = r"(?:^|\.)" if i else ""
            found += separator + (r"[^.]*" if word == "*" else re.escape(word))
    return re.compile(found)
