"""One AMQP channel: publishing with confirms, consuming with acknowledgements."""

from __future__ import annotations

import asyncio
import itertools
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pamqp import commands
from pamqp.base import Frame

from mailtui.sandbox import amqp_objects
from mailtui.sandbox.amqp_errors import AmqpError
from mailtui.sandbox.amqp_frames import content
from mailtui.sandbox.amqp_publisher import Publisher
from mailtui.sandbox.world import broker as world_broker
from mailtui.sandbox.world.broker import Queue
from mailtui.sandbox.world.messages import Message

if TYPE_CHECKING:
    from mailtui.sandbox.amqp_connection import Connection

Basic = commands.Basic


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
        self.server = connection.server
        self.publisher = Publisher(self)
        self._messages = connection.world.messages
        self._closing = False
        self._unacked: dict[int, Delivery] = {}
        self._last_tag = 0

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
        if self.publisher.expects_content:
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
            self.server.unsubscribe(subscription)
        self.subscriptions.clear()
        self.state.consumers.clear()
        self.publisher.forget()
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

    def _publish(self, method: commands.Basic.Publish) -> None:
        self.publisher.begin(method)

    def header(self, payload: bytes) -> None:
        """A content header; AmqpError, FrameError."""
        if not self._closing:
            self.publisher.header(payload)

    def body(self, payload: bytes) -> None:
        """A part of a body; AmqpError."""
        if not self._closing:
            self.publisher.body(payload)

    def confirm_due(self) -> None:
        """Send the confirms that may go."""
        self.publisher.confirm_due()

    # consuming -------------------------------------------------------------------------------

    def _qos(self, method: commands.Basic.Qos) -> None:
        if method.prefetch_size:
            raise AmqpError(540, f"prefetch_size!=0 ({method.prefetch_size})")
        if method.global_:
            self.state.shared_prefetch = method.prefetch_count
        else:
            self.state.prefetch = method.prefetch_count
        self.send(Basic.QosOk())
        self.server.wake_all(self.connection)

    def _consume(self, method: commands.Basic.Consume) -> None:
        queue = amqp_objects.find(self, method.queue)
        amqp_objects.require(self, "read", queue.name)
        tag = method.consumer_tag or f"amq.ctag-{secrets.token_urlsafe(16)}"
        if tag in self.subscriptions:
            raise AmqpError(530, f"attempt to reuse consumer tag '{tag}'")
        if self.server.exclusive(queue) or (method.exclusive and queue.subscribed):
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
        self.server.subscribe(subscription)

    def _cancel(self, method: commands.Basic.Cancel) -> None:
        tag = method.consumer_tag or ""
        subscription = self.subscriptions.pop(tag, None)
        self.state.consumers.pop(tag, None)
        if not method.nowait:
            self.send(Basic.CancelOk(tag))
        if subscription is not None:
            self.server.unsubscribe(subscription)

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
        self.send_content(method, _wire(subscription.queue, message), message.body)

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
        self.send_content(ok, _wire(queue, message), message.body)

    def send_content(self, method: Frame, wire: bytes, body: bytes) -> None:
        """A method with content on this channel."""
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
            self.server.wake(delivery.queue)
            self.server.count()
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
            self.server.wake(queue)
        for _ in tags:
            self.server.count()

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
    Basic.Publish: Channel._publish,
    Basic.Qos: Channel._qos,
    Basic.Consume: Channel._consume,
    Basic.Cancel: Channel._cancel,
    Basic.Get: Channel._get,
    Basic.Ack: Channel._ack,
    Basic.Nack: Channel._nack,
    Basic.Reject: Channel._reject,
    Basic.Recover: Channel._recover,
}
