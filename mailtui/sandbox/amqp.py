"""RabbitMQ's AMQP 0-9-1 listener over the simulated broker.

References: the AMQP 0-9-1 specification and RabbitMQ's extensions to it (rabbitmq.com: Publisher
Confirms, Consumer Cancel Notification, Blocked Connections, Dead Letter Exchanges). Not served:
transactions, exchange-to-exchange bindings, header exchanges, message TTL.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from mailtui.sandbox.faults import Faults
from mailtui.sandbox.rabbitmq_account import Account
from mailtui.sandbox.world.broker import Queue

if TYPE_CHECKING:
    from mailtui.sandbox.amqp_channel import Subscription
    from mailtui.sandbox.amqp_connection import Connection
    from mailtui.sandbox.world import World

Key = tuple[str, str]
_TURN = 500
"""Messages delivered before others get their turn."""
_ALARM_PERIOD = 0.1
"""Seconds between two looks at the alarms."""


class Server:
    """The listener, its connections, and who consumes from which queue."""

    name = "amqp"

    def __init__(self, world: World, faults: Faults, account: Account) -> None:
        self.world = world
        self.faults = faults
        self.account = account
        self.connections: set[Connection] = set()
        self.owners: dict[Key, Connection] = {}
        """Of exclusive queues."""
        self._subscriptions: dict[Key, deque[Subscription]] = {}
        self._waiting: dict[Key, None] = {}
        """Queues that may have something to deliver."""
        self._pump: asyncio.Handle | None = None
        self._server: asyncio.Server | None = None
        self._watch: asyncio.Task[None] | None = None

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> int:
        """Listen; returns the port. OSError if the port is taken."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._accept, host, port)
        self._watch = asyncio.create_task(self._watch_alarms())
        self.world.messages.arrived.append(self.wake)
        self.world.messages.deleted.append(self._queue_deleted)
        address: tuple[str, int] = self._server.sockets[0].getsockname()
        return address[1]

    async def stop(self) -> None:
        """Close the listener and every connection; safe to call twice."""
        if self._server is None:
            return
        server, self._server = self._server, None
        server.close()
        self.drop()
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
        told: list[tuple[list[Callable[[Queue], None]], Callable[[Queue], None]]] = [
            (self.world.messages.arrived, self.wake),
            (self.world.messages.deleted, self._queue_deleted),
        ]
        for listeners, listener in told:
            with suppress(ValueError):
                listeners.remove(listener)

    def drop(self) -> None:
        """Cut every connection at once, as the end of the broker's process does."""
        for connection in list(self.connections):
            connection.abort()

    def _accept(self) -> asyncio.Protocol:
        from mailtui.sandbox.amqp_connection import Connection

        return Connection(self)

    # consumers -------------------------------------------------------------------------------

    def subscribe(self, subscription: Subscription) -> None:
        """Add a consumer; it gets what is there."""
        queue = subscription.queue
        key = (queue.vhost, queue.name)
        self._subscriptions.setdefault(key, deque()).append(subscription)
        queue.consumers += 1
        queue.subscribed += 1
        self.wake(queue)

    def unsubscribe(self, subscription: Subscription) -> None:
        """Take a consumer away; with its last one an auto-delete queue goes too."""
        queue = subscription.queue
        key = (queue.vhost, queue.name)
        consumers = self._subscriptions.get(key)
        if consumers is None or subscription not in consumers:
            return
        consumers.remove(subscription)
        queue.consumers -= 1
        queue.subscribed -= 1
        if not consumers:
            del self._subscriptions[key]
            if queue.auto_delete and self.world.broker.queues.get(key) is queue:
                self.world.messages.remove(queue)

    def exclusive(self, queue: Queue) -> bool:
        """Whether a consumer has the queue for itself."""
        found = self._subscriptions.get((queue.vhost, queue.name), ())
        return any(s.exclusive for s in found)

    def _queue_deleted(self, queue: Queue) -> None:
        key = (queue.vhost, queue.name)
        self.owners.pop(key, None)
        for subscription in self._subscriptions.pop(key, ()):
            subscription.channel.queue_gone(subscription)

    # deliveries ------------------------------------------------------------------------------

    def wake(self, queue: Queue) -> None:
        """Deliver from the queue soon."""
        key = (queue.vhost, queue.name)
        if key in self._subscriptions:
            self._waiting[key] = None
            if self._pump is None:
                self._pump = asyncio.get_running_loop().call_soon(self._deliver)

    def wake_all(self, connection: Connection) -> None:
        """The connection can take more."""
        for channel in connection.channels.values():
            for subscription in channel.subscriptions.values():
                self.wake(subscription.queue)

    def _deliver(self) -> None:
        self._pump = None
        left = _TURN
        written: set[Connection] = set()
        messages = self.world.messages
        while self._waiting and left > 0:
            key = next(iter(self._waiting))
            consumers = self._subscriptions.get(key)
            queue = self.world.broker.queues.get(key)
            subscription = _next(consumers) if consumers and queue is not None else None
            if queue is None or subscription is None:
                del self._waiting[key]
                continue
            while left > 0:
                message = messages.take(queue)
                if message is None:
                    del self._waiting[key]
                    break
                subscription.channel.deliver(subscription, message)
                written.add(subscription.channel.connection)
                left -= 1
                if len(consumers or ()) > 1 or not subscription.ready:
                    break
        for connection in written:
            connection.flush()
        if self._waiting and self._pump is None:
            self._pump = asyncio.get_running_loop().call_soon(self._deliver)

    # trouble ---------------------------------------------------------------------------------

    def count(self) -> None:
        """One more publish or acknowledgement was done; perhaps the last before a fault."""
        if self.faults.broker.is_last():
            self.drop()

    async def _watch_alarms(self) -> None:
        """Tell publishers when an alarm begins and ends."""
        while True:
            await asyncio.sleep(_ALARM_PERIOD)
            alarm = bool(self.world.broker.alarms)
            for connection in list(self.connections):
                connection.alarm(alarm)


def _next(consumers: deque[Subscription]) -> Subscription | None:
    """The next one, in turn, that can take a message."""
    for _ in range(len(consumers)):
        consumers.rotate(-1)
        if consumers[-1].ready:
            return consumers[-1]
    return None
