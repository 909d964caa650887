"""What a channel publishes: content put together, routed, returned or kept, and confirmed."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, cast

from pamqp import commands

from mailtui.sandbox import amqp_objects
from mailtui.sandbox.amqp_errors import AmqpError
from mailtui.sandbox.amqp_frames import read_header
from mailtui.sandbox.world.messages import Message, Properties

if TYPE_CHECKING:
    from mailtui.sandbox.amqp_channel import Channel

Basic = commands.Basic
_TOGETHER = 0.02
"""Seconds that late confirms wait for others that are late, too."""
_USER_ID = 0x0010
"""The flag of the property `user_id`."""


class Publisher:
    """The publishing half of a channel."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._published = 0
        self._confirms: deque[tuple[float, int, bool]] = deque()
        """(due, tag, accepted) in the order of publishing."""
        self._late: asyncio.TimerHandle | None = None
        self._publish: commands.Basic.Publish | None = None
        self._size = 0
        self._wire = b""
        self._body: list[bytes] = []

    @property
    def expects_content(self) -> bool:
        """Whether a publish waits for its header or the rest of its body."""
        return self._publish is not None

    def begin(self, method: commands.Basic.Publish) -> None:
        """A publish, whose content follows; AmqpError."""
        if method.immediate:
            raise AmqpError(540, "immediate=true")
        self._publish = method

    def forget(self) -> None:
        """No more content comes."""
        self._publish = None

    def header(self, payload: bytes) -> None:
        """A content header; AmqpError, FrameError."""
        if self._publish is None:
            raise AmqpError(505, "expected method frame, got content header frame instead")
        self._size, self._wire = read_header(payload)
        self._body.clear()
        if not self._size:
            self._accept(b"")

    def body(self, payload: bytes) -> None:
        """A part of a body; AmqpError."""
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
        channel, method = self._channel, cast(commands.Basic.Publish, self._publish)
        messages = channel.connection.world.messages
        self._publish = None
        exchange, key = method.exchange, method.routing_key
        amqp_objects.require(channel, "write", exchange, "exchange")
        properties = Properties(wire=self._wire)
        if self._wire[1] & _USER_ID:
            self._check_user(properties)
        try:
            queues = messages.route(channel.vhost, exchange, key)
        except LookupError:
            raise AmqpError(404, f"no exchange '{exchange}' in vhost '{channel.vhost}'") from None
        faults = channel.server.faults.broker
        if faults.unroutable():
            queues = []
        accepted = not (channel.state.confirm and faults.refuses()) and not any(
            messages.refuses(queue) for queue in queues
        )
        if accepted:
            if not queues and method.mandatory:
                returned = Basic.Return(312, "NO_ROUTE", exchange, key)
                channel.send_content(returned, self._wire, body)
            for queue in queues:
                messages.put(queue, Message(body, properties, exchange, key))
        if channel.state.confirm:
            self._published += 1
            channel.state.unconfirmed += 1
            delay = faults.confirm_delay
            due = asyncio.get_running_loop().time() + delay if delay else 0.0
            self._confirms.append((due, self._published, accepted))
        channel.server.count()

    def _check_user(self, properties: Properties) -> None:
        own = self._channel.server.account.username
        user = properties.fields.get("user_id")
        if user != own:
            raise AmqpError(
                406, f"user_id property set to '{user}' but authenticated user was '{own}'"
            )

    def confirm_due(self) -> None:
        """Send the confirms that may go, as few methods as there can be."""
        channel, confirms = self._channel, self._confirms
        if not confirms:
            return
        now = asyncio.get_running_loop().time()
        while confirms and confirms[0][0] <= now:
            _, first, accepted = confirms.popleft()
            last = first
            while confirms and confirms[0][0] <= now and confirms[0][2] == accepted:
                last = confirms.popleft()[1]
            channel.state.unconfirmed -= last - first + 1
            if accepted:
                channel.send(Basic.Ack(last, last > first))
            else:
                channel.send(Basic.Nack(last, last > first, False))
        if confirms and self._late is None:
            loop = asyncio.get_running_loop()
            self._late = loop.call_at(confirms[0][0] + _TOGETHER, self._confirm_late)

    def _confirm_late(self) -> None:
        self._late = None
        self._channel.connection.flush()
