"""One AMQP channel: publishing with confirms, consuming with acknowledgements."""

from __future__ import annotations

import asyncio
import itertools
import secrets
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from pamqp import commands
from pamqp.base import Frame

from mailtui.sandbox import amqp_objects
from mailtui.sandbox.amqp_errors import AmqpError
from mailtui.sandbox.amqp_frames import content, read_header
from mailtui.sandbox.world import broker as world_broker
from mailtui.sandbox.world.broker import Queue
from mailtui.sandbox.world.messages import Message, Properties

if TYPE_CHECKING:
    from mailtui.sandbox.amqp_connection import Connection

Basic = commands.Basic
_TOGETHER = 0.02
"""Seconds that late confirms wait for others that are late, too."""
_USER_ID = 0x0010
"""The flag of the property `user_id`."""


@dataclass(eq=False, slots=True)
class Subscription:
    """A consumer of a channel."""

    channel: Channel
    queue: Queue
    tag: str
    no_ack: bool
    prefetch: int
    exclusive: bool
    unacked: int = 0

    @property
    def ready(self) -> bool:
        """Whether it can take one more message now."""
        channel = self.channel
        return (
            channel.connection.writable
            and (not self.prefetch or self.unacked < self.prefetch)
            and channel.has_room
        )


@dataclass(slots=True)
class Delivery:
    """A message that a client has and has not acknowledged."""

    queue: Queue
    message: Message
    subscription: Subscription | None


class Channel:
    """The server's end of one channel."""

    def __init__(self, connection: Connection, number: int) -> None:
        self.connection = connection
        self.number = number
        self.state = world_broker.Channel(number)
        self.subscriptions: dict[str, Subscription] = {}
        self.last_queue = ""
        """The queue declared last: what an empty name means."""
        self._server = connection.server
        self._messages = connection.world.messages
        self._closing = False
        self._unacked: dict[int, Delivery] = {}
        self._last_tag = 0
        self._published = 0
        self._confirms: deque[tuple[float, int, bool]] = deque()
        """(due, tag, accepted) in the order of publishing."""
        self._late: asyncio.TimerHandle | None = None
        self._publish: commands.Basic.Publish | None = None
        self._size = 0
        self._wire = b""
        self._body: list[bytes] = []

    @property
    def has_room(self) -> bool:
        """Whether the prefetch that its consumers share lets one more through."""
        shared = self.state.shared_prefetch
        return not shared or len(self._unacked) < shared

    @property
    def vhost(self) -> str:
        """Of its connection."""
        return self.connection.vhost

    def send(self, method: Frame) -> None:
        """A method on this channel."""
        self.connection.send(method, self.number)

    def method(self, method: Frame) -> None:
        """Do what a method asks; AmqpError."""
        if self._closing:
            if isinstance(method, commands.Channel.CloseOk):
                self.connection.channel_ended(self.number)
            elif isinstance(method, commands.Channel.Close):
                self.send(commands.Channel.CloseOk())
                self.connection.channel_ended(self.number)
            return
        if self._publish is not None:
            raise AmqpError(505, "expected content header for class 60, got non content frame")
        handler = _HANDLERS.get(type(method))
        if handler is not None:
            handler(self, method)
        elif not amqp_objects.handle(self, method):
            raise AmqpError(540, f"{method.name.lower()}")

    # the end ---------------------------------------------------------------------------------

    def _close(self, method: Frame) -> None:
        self.end()
        self.send(commands.Channel.CloseOk())
        self.connection.channel_ended(self.number)

    def fail(self, error: AmqpError, method: Frame) -> None:
        """Close the channel with an error."""
        if self._closing:
            return
        self.confirm_due()
        self.end()
        self._closing = True
        index = method.index
        self.send(commands.Channel.Close(error.code, error.text[:255], index >> 16, index & 0xFFFF))

    def end(self) -> None:
        """Consumers go, and what was not acknowledged goes back, in its order."""
        for subscription in list(self.subscriptions.values()):
            self._server.unsubscribe(subscription)
        self.subscriptions.clear()
        self.state.consumers.clear()
        self._publish = None
        self._return(list(self._unacked))

    def _return(self, tags: list[int]) -> None:
        """Give deliveries back to their queues."""
        back: dict[int, tuple[Queue, list[Message]]] = {}
        for tag in tags:
            delivery = self._forget(tag)
            back.setdefault(id(delivery.queue), (delivery.queue, []))[1].append(delivery.message)
        for queue, messages in back.values():
            self._messages.give_back(queue, messages)

    def _forget(self, tag: int) -> Delivery:
        delivery = self._unacked.pop(tag)
        self.state.unacked -= 1
        if delivery.subscription is not None:
            delivery.subscription.unacked -= 1
        return delivery

    # publishing ------------------------------------------------------------------------------

    def _select(self, method: commands.Confirm.Select) -> None:
        self.state.confirm = True
        if not method.nowait:
            self.send(commands.Confirm.SelectOk())

    def _basic_publish(self, method: commands.Basic.Publish) -> None:
        if method.immediate:
            raise AmqpError(540, "immediate=true")
        self._publish = method

    def header(self, payload: bytes) -> None:
        """A content header; AmqpError, FrameError."""
        if self._closing:
            return
        if self._publish is None:
            raise AmqpError(505, "expected method frame, got content header frame instead")
        self._size, self._wire = read_header(payload)
        self._body.clear()
        if not self._size:
            self._accept(b"")

    def body(self, payload: bytes) -> None:
        """A part of a body; AmqpError."""
        if self._closing:
            return
        if self._publish is None:
            raise AmqpError(505, "expected method frame, got content body frame instead")
        self._size -= len(payload)
        if self._size < 0:
            raise AmqpError(501, "content body larger than its header said")
        if self._size:
            self._body.append(payload)
        elif self._body:
            self._body.append(payload)
            self._accept(b"".join(self._body))
        else:
            self._accept(payload)

    def _accept(self, body: bytes) -> None:
        method = cast(commands.Basic.Publish, self._publish)
        self._publish = None
        exchange, key = method.exchange, method.routing_key
        amqp_objects.require(self, "write", exchange, "exchange")
        properties = Properties(wire=self._wire)
        if self._wire[1] & _USER_ID:
            self._check_user(properties)
        try:
            queues = self._messages.route(self.vhost, exchange, key)
        except LookupError:
            raise AmqpError(404, f"no exchange '{exchange}' in vhost '{self.vhost}'") from None
        faults = self._server.faults.broker
        if faults.unroutable():
            queues = []
        accepted = not (self.state.confirm and faults.refuses()) and not any(
            self._messages.refuses(queue) for queue in queues
        )
        if accepted:
            if not queues and method.mandatory:
                returned = Basic.Return(312, "NO_ROUTE", exchange, key)
                self._send_content(returned, self._wire, body)
            for queue in queues:
                self._messages.put(queue, Message(body, properties, exchange, key))
        if self.state.confirm:
            self._published += 1
            self.state.unconfirmed += 1
            delay = faults.confirm_delay
            due = asyncio.get_running_loop().time() + delay if delay else 0.0
            self._confirms.append((due, self._published, accepted))
        self._server.count()

    def _check_user(self, properties: Properties) -> None:
        user, own = properties.fields.get("user_id"), self._server.account.username
        if user != own:
            raise AmqpError(
                406, f"user_id property set to '{user}' but authenticated user was '{own}'"
            )

    def confirm_due(self) -> None:
        """Send the confirms that may go, as few methods as there can be."""
        confirms = self._confirms
        if not confirms:
            return
        now = asyncio.get_running_loop().time()
        while confirms and confirms[0][0] <= now:
            _, first, accepted = confirms.popleft()
            last = first
            while confirms and confirms[0][0] <= now and confirms[0][2] == accepted:
                last = confirms.popleft()[1]
            self.state.unconfirmed -= last - first + 1
            if accepted:
                self.send(Basic.Ack(last, last > first))
            else:
                self.send(Basic.Nack(last, last > first, False))
        if confirms and self._late is None:
            loop = asyncio.get_running_loop()
            self._late = loop.call_at(confirms[0][0] + _TOGETHER, self._confirm_late)

    def _confirm_late(self) -> None:
        self._late = None
        self.connection.flush()

    # consuming -------------------------------------------------------------------------------

    def _qos(self, method: commands.Basic.Qos) -> None:
        if method.prefetch_size:
            raise AmqpError(540, f"prefetch_size!=0 ({method.prefetch_size})")
        if method.global_:
            self.state.shared_prefetch = method.prefetch_count
        else:
            self.state.prefetch = method.prefetch_count
        self.send(Basic.QosOk())
        self._server.wake_all(self.connection)

    def _consume(self, method: commands.Basic.Consume) -> None:
        queue = amqp_objects.find(self, method.queue)
        amqp_objects.require(self, "read", queue.name)
        tag = method.consumer_tag or f"amq.ctag-{secrets.token_urlsafe(16)}"
        if tag in self.subscriptions:
            raise AmqpError(530, f"attempt to reuse consumer tag '{tag}'")
        if self._server.exclusive(queue) or (method.exclusive and queue.subscribed):
            text = f"queue '{queue.name}' in vhost '{queue.vhost}' in exclusive use"
            raise AmqpError(403, text)
        subscription = Subscription(
            self, queue, tag, method.no_ack, self.state.prefetch, method.exclusive
        )
        self.subscriptions[tag] = subscription
        self.state.consumers[tag] = world_broker.Consumer(
            tag, queue.name, not method.no_ack, self.state.prefetch, method.exclusive
        )
        if not method.nowait:
            self.send(Basic.ConsumeOk(tag))
        self._server.subscribe(subscription)

    def _cancel(self, method: commands.Basic.Cancel) -> None:
        tag = method.consumer_tag or ""
        subscription = self.subscriptions.pop(tag, None)
        self.state.consumers.pop(tag, None)
        if not method.nowait:
            self.send(Basic.CancelOk(tag))
        if subscription is not None:
            self._server.unsubscribe(subscription)

    def queue_gone(self, subscription: Subscription) -> None:
        """The queue of a consumer was deleted; what it held is gone with it."""
        self.subscriptions.pop(subscription.tag, None)
        self.state.consumers.pop(subscription.tag, None)
        for tag, delivery in list(self._unacked.items()):
            if delivery.queue is subscription.queue:
                self._forget(tag)
        if self.connection.capabilities.get("consumer_cancel_notify"):
            self.send(Basic.Cancel(subscription.tag, True))
            asyncio.get_running_loop().call_soon(self.connection.flush)

    def deliver(self, subscription: Subscription, message: Message) -> None:
        """Hand a message that was taken to a consumer."""
        tag = self._hold(subscription.queue, message, subscription, subscription.no_ack)
        method = Basic.Deliver(
            subscription.tag, tag, message.redelivered, message.exchange, message.routing_key
        )
        self._send_content(method, _wire(subscription.queue, message), message.body)

    def _hold(
        self, queue: Queue, message: Message, subscription: Subscription | None, no_ack: bool
    ) -> int:
        self._last_tag += 1
        if no_ack:
            self._messages.settle(queue)
            return self._last_tag
        self._unacked[self._last_tag] = Delivery(queue, message, subscription)
        self.state.unacked += 1
        if subscription is not None:
            subscription.unacked += 1
        return self._last_tag

    def _get(self, method: commands.Basic.Get) -> None:
        queue = amqp_objects.find(self, method.queue)
        amqp_objects.require(self, "read", queue.name)
        message = self._messages.take(queue)
        if message is None:
            self.send(Basic.GetEmpty())
            return
        tag = self._hold(queue, message, None, method.no_ack)
        ok = Basic.GetOk(
            tag, message.redelivered, message.exchange, message.routing_key, int(queue.ready)
        )
        self._send_content(ok, _wire(queue, message), message.body)

    def _send_content(self, method: Frame, wire: bytes, body: bytes) -> None:
        frame_max = self.connection.frame_max
        self.connection.send_raw(content(method, self.number, wire, body, frame_max))

    def _tags(self, tag: int, multiple: bool) -> list[int]:
        """The deliveries that an answer concerns; AmqpError if there are none."""
        if multiple:
            found = list(
                self._unacked if not tag else itertools.takewhile(lambda t: t <= tag, self._unacked)
            )
            if tag and tag > self._last_tag:
                raise AmqpError(406, f"unknown delivery tag {tag}")
            return found
        if tag not in self._unacked:
            raise AmqpError(406, f"unknown delivery tag {tag}")
        return [tag]

    def _ack(self, method: commands.Basic.Ack) -> None:
        for tag in self._tags(method.delivery_tag, method.multiple):
            delivery = self._forget(tag)
            self._messages.settle(delivery.queue)
            self._server.wake(delivery.queue)
            self._server.count()
            if self.connection.closed:
                return

    def _nack(self, method: commands.Basic.Nack) -> None:
        self._refuse(self._tags(method.delivery_tag, method.multiple), method.requeue)

    def _reject(self, method: commands.Basic.Reject) -> None:
        self._refuse(self._tags(method.delivery_tag or 0, False), method.requeue)

    def _refuse(self, tags: list[int], requeue: bool) -> None:
        queues = {id(self._unacked[tag].queue): self._unacked[tag].queue for tag in tags}
        if requeue:
            self._return(tags)
        else:
            for tag in tags:
                delivery = self._forget(tag)
                self._messages.reject(delivery.queue, delivery.message)
        for queue in queues.values():
            self._server.wake(queue)
        for _ in tags:
            self._server.count()

    def _recover(self, method: commands.Basic.Recover) -> None:
        if not method.requeue:
            raise AmqpError(540, "requeue=false")
        self._return(list(self._unacked))
        self.send(Basic.RecoverOk())


def _wire(queue: Queue, message: Message) -> bytes:
    """The properties as a client gets them: a quorum queue says how often it gave the message."""
    properties = message.properties
    if queue.type == "quorum" and message.deliveries:
        headers = {**properties.headers, "x-delivery-count": message.deliveries}
        properties = properties.replace(headers=headers)
    return properties.wire


_HANDLERS: dict[type[Frame], Callable[[Channel, Any], None]] = {
    commands.Channel.Close: Channel._close,
    commands.Confirm.Select: Channel._select,
    Basic.Publish: Channel._basic_publish,
    Basic.Qos: Channel._qos,
    Basic.Consume: Channel._consume,
    Basic.Cancel: Channel._cancel,
    Basic.Get: Channel._get,
    Basic.Ack: Channel._ack,
    Basic.Nack: Channel._nack,
    Basic.Reject: Channel._reject,
    Basic.Recover: Channel._recover,
}
