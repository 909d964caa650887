"""Taking messages out of a queue into the evidence: each is on disk before it is acknowledged."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mailtui.access.evidence import EvidenceError
from mailtui.connections import amqp_table as table
from mailtui.connections.errors import SourceError
from mailtui.operations.rabbitmq_back import Owner, give_back, release

if TYPE_CHECKING:
    from mailtui.access.evidence import Box
    from mailtui.connections.amqp import Channel, Link, Message
    from mailtui.model.operation import Step
    from mailtui.operations.running import Run

IDLE = 2.0
"""Seconds without a delivery after which the queue is asked whether there is more."""
BATCH = 500
"""Messages that are kept and acknowledged together at most."""
GRAIN = 512
"""Bytes of evidence that a message takes beyond its body, about."""


@dataclass
class Kept:
    """What a taking has done."""

    kept: int = 0
    """Items in the evidence."""
    acked: list[tuple[int, int]] = field(default_factory=list)
    """Numbers of the items whose messages were acknowledged, as ranges (first, last)."""
    doubtful: int = 0
    """Items whose messages may be gone or in the queue."""
    ended: str = ""
    """Why it ended early."""

    @property
    def destroyed(self) -> int:
        """Messages that are gone from the queue."""
        return sum(last - first + 1 for first, last in self.acked)

    def add(self, first: int, count: int) -> None:
        """Items `first` and following are acknowledged."""
        last = first + count - 1
        if self.acked and self.acked[-1][1] == first - 1:
            first = self.acked.pop()[0]
        self.acked.append((first, last))

    def remove(self, numbers: set[int]) -> None:
        """These items are not sure to be gone."""
        every = [n for first, last in self.acked for n in range(first, last + 1)]
        self.acked = []
        for number in every:
            if number not in numbers:
                self.add(number, 1)


class Taking:
    """Takes `target` messages and no more, `window` at a time."""

    def __init__(
        self, link: Link, channel: Channel, owner: Owner, target: int, window: int
    ) -> None:
        self.owner = owner
        self.target, self.window = target, min(window, target)
        self.delivered = self.acked = 0
        self._link, self._channel = link, channel
        self._inbox: deque[Message] = deque()
        self._wake = asyncio.Event()
        self._tag = ""
        self._open = False
        self._last = time.monotonic()

    async def begin(self) -> None:
        """Begin to take. Raises SourceError."""
        self._channel.on_end = self._wake.set
        self._open = True
        self._tag = await self._channel.consume(self.owner.queue, self.window, self._on_message)

    def _on_message(self, message: Message) -> None:
        self.delivered += 1
        self._last = time.monotonic()
        self._inbox.append(message)
        self._wake.set()

    async def some(self, most: int) -> list[Message]:
        """The next messages, at most `most`; none if the queue has no more. Raises SourceError."""
        while not self._inbox:
            if self._channel.fault is not None:
                raise self._channel.fault
            if self.delivered >= self.target:
                return []
            self._wake.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(0.5):
                    await self._wake.wait()
            if not self._inbox and time.monotonic() - self._last > IDLE:
                depth = await self._link.depth(self.owner.queue)
                if depth is None or (not depth.ready and not self._inbox):
                    return []
                self._last = time.monotonic()
        if self.delivered >= self.target:
            await self.stop()
        return [self._inbox.popleft() for _ in range(min(most, len(self._inbox)))]

    async def stop(self) -> None:
        """Take no more. Raises SourceError."""
        if self._open:
            await self._channel.cancel(self._tag)
            self._open = False

    def may_ack(self, count: int) -> int:
        """How many of `count` messages may be acknowledged now, so that no more than `target` are
        delivered in all."""
        if not self._open:
            return count
        return max(0, min(count, self.target - self.window - self.acked))

    def ack(self, messages: Sequence[Message]) -> None:
        """Acknowledge these, one by one: others may have been given back between them."""
        for message in messages:
            self._channel.ack(message.tag)
        self.acked += len(messages)

    async def fence(self) -> None:
        """Until the broker has taken what was acknowledged. Raises SourceError."""
        await self._channel.depth(self.owner.queue)

    async def release(self, messages: Sequence[Message]) -> int:
        """Give these and what was not handed out back to where they were, and end; how many were
        put at the tail as new ones. Raises SourceError."""
        await self.stop()
        rest = [*messages, *self._inbox]
        self._inbox.clear()
        return await release(self._channel, self._link, self.owner, rest)

    async def back(self, messages: Sequence[Message]) -> int:
        """Give these and what was not handed out back; how many were put at the tail as new ones.

        Raises SourceError.
        """
        await self.stop()
        rest = [*messages, *self._inbox]
        self._inbox.clear()
        return await give_back(self._channel, self._link, self.owner, rest)


def meta(message: Message, vhost: str, queue: str) -> dict[str, Any]:
    """What is kept of a message besides its body."""
    return {
        "vhost": vhost,
        "queue": queue,
        "exchange": message.exchange,
        "routing_key": message.routing_key,
        "redelivered": message.redelivered,
        "properties": message.properties.hex(),
    }


async def keep(box: Box, messages: Sequence[Message], vhost: str, queue: str) -> None:
    """Put messages into the evidence and wait until they are on disk. Raises EvidenceError."""

    def write() -> None:
        for message in messages:
            box.put(meta(message, vhost, queue), message.body)
        box.flush()

    await asyncio.to_thread(write)


class Keeper:
    """Empties a queue into the evidence of a run, also over several connections."""

    def __init__(self, run: Run, step: Step, box: Box, kept: Kept) -> None:
        self.run, self.step, self.box, self.kept = run, step, box, kept
        self._batch = 0
        self._recent: deque[tuple[int, Message]] = deque()
        """Acknowledged last by this connection, as many as the window: the channel took these
        acknowledgements, but a broker that goes down has not carried all of them to its queue."""
        self._doubtful: dict[bytes, deque[int]] = {}
        """Items that were acknowledged when a connection was lost: they are gone, or come again."""

    async def take(self, taking: Taking, vhost: str) -> None:
        """Until `target` are gone, the queue is empty or the run is stopped.

        Raises SourceError, EvidenceError, JournalError; `Kept` has what is sure.
        """
        held: deque[tuple[int, Message]] = deque()
        """Kept and not acknowledged."""
        messages: list[Message] = []
        """Taken and not kept."""
        self._recent = deque(maxlen=max(1, taking.window))
        if taking.target > 0:
            await taking.begin()
        try:
            while not self.run.stopping and (messages := await taking.some(BATCH)):
                self._batch += 1
                await self.run.begin(
                    self.step, batch=self._batch, size=len(messages), window=taking.window,
                    first=self.kept.kept, destroyed=self.kept.destroyed,
                )  # fmt: skip
                held.extend(await self._keep(messages, vhost, taking.owner.queue))
                messages = []
                await self._acknowledge(taking, held)
                await self._end()
            if self.run.stopping:
                self.kept.ended = "stopped by the operator"
            await taking.stop()
            await self._acknowledge(taking, held)
        except SourceError:
            self._doubt(self._recent)
            self.kept.remove({number for number, _ in self._recent})
            raise
        except EvidenceError:
            # what is kept already goes all the same
            await taking.stop()
            await self._acknowledge(taking, held)
            raise
        finally:
            # what was taken and not acknowledged is in the queue, in the evidence or not
            with suppress(SourceError):
                await taking.back([*(message for _, message in held), *messages])
        # nothing came again of these: they are gone
        if not self.run.stopping:
            for numbers in self._doubtful.values():
                for number in numbers:
                    self.kept.add(number, 1)
            self._doubtful.clear()
        await self._end()

    @property
    def doubtful(self) -> int:
        """Items whose messages may be gone or in the queue."""
        return sum(map(len, self._doubtful.values()))

    async def _keep(
        self, messages: Sequence[Message], vhost: str, queue: str
    ) -> list[tuple[int, Message]]:
        """Put them into the evidence; each with its number there. Those that are there since a
        connection was lost keep theirs."""
        found: list[tuple[int, Message]] = []
        fresh: list[Message] = []
        for message in messages:
            known = self._doubtful.get(identity(message)) if self._doubtful else None
            if known:
                found.append((known.popleft(), message))
            else:
                found.append((self.kept.kept + len(fresh), message))
                fresh.append(message)
        await keep(self.box, fresh, vhost, queue)
        self.kept.kept += len(fresh)
        return found

    async def _acknowledge(self, taking: Taking, held: deque[tuple[int, Message]]) -> None:
        """Acknowledge as many as may be, and have the broker say that it took that."""
        count = taking.may_ack(len(held))
        if not count:
            return
        done = [held.popleft() for _ in range(count)]
        taking.ack([message for _, message in done])
        try:
            await taking.fence()
        except SourceError:
            self._doubt(done)
            raise
        for number, _ in done:
            self.kept.add(number, 1)
        self._recent.extend(done)

    def _doubt(self, items: Iterable[tuple[int, Message]]) -> None:
        for number, message in items:
            self._doubtful.setdefault(identity(message), deque()).append(number)

    async def _end(self) -> None:
        await self.run.end(
            self.step, batch=self._batch, kept=self.kept.kept, destroyed=self.kept.destroyed,
            items=ranges(self.kept.acked), evidence=self.run.id,
        )  # fmt: skip
        self.run.report(
            self.kept.destroyed, f"{self.step.place}: {self.kept.kept:,} kept as evidence"
        )


def identity(message: Message) -> bytes:
    """What tells a message from others, however often it was delivered."""
    digest = hashlib.sha256(f"{message.exchange}\0{message.routing_key}\0".encode())
    try:
        fields = table.split(message.properties)
        # by value: the broker writes the table anew when it adds its count of deliveries
        headers = table.decoded(table.table_of(fields))
        headers.pop(b"x-delivery-count", None)
        plain = sorted((name, part) for name, part in fields.items() if name != "headers")
        digest.update(repr((plain, _sorted(headers))).encode())
    except table.BadTable:
        digest.update(message.properties)
    digest.update(message.body)
    return digest.digest()


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return sorted((name, _sorted(item)) for name, item in value.items())
    return [_sorted(item) for item in value] if isinstance(value, list) else value


def ranges(found: Sequence[tuple[int, int]]) -> str:
    """`0-1999,2400-9999`."""
    return ",".join(f"{first}-{last}" for first, last in found)


def parsed(text: str) -> list[tuple[int, int]]:
    """The inverse of `ranges`. Raises ValueError."""
    found = []
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        found.append((int(first), int(last or first)))
    return found
