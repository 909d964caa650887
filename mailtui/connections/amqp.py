"""AMQP 0-9-1 by pika on the running loop: connections and channels with hard timeouts, whose errors
are SourceErrors, and messages whose properties stay the bytes that came.

pika is imported with this module, so import it when it is first used.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

import pika
from pika import exceptions

from mailtui.connections import amqp_errors
from mailtui.connections.amqp_wire import Connection, Properties, parameters_of
from mailtui.connections.errors import SourceError

if TYPE_CHECKING:
    from mailtui.config.sources.rabbitmq import Settings


class Message(NamedTuple):
    """A message as it was delivered, got or returned."""

    tag: int
    """Delivery tag; 0 for a returned one."""
    redelivered: bool
    exchange: str
    routing_key: str
    properties: bytes
    """Flags and properties of the content header (see `amqp_table.split`)."""
    body: bytes


class Depth(NamedTuple):
    """What a passive declaration says of a queue."""

    ready: int
    consumers: int


class Link:
    """One connection to one virtual host."""

    def __init__(self, where: str, timeout: float) -> None:
        self.where = where
        self.timeout = timeout
        self.fault: SourceError | None = None
        """Why it ended; None while it is open."""
        self.blocked = False
        """A resource alarm blocks publishing now."""
        self._raw: Any = None
        self._channels: list[Channel] = []
        self._closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._asking: Channel | None = None

    def __repr__(self) -> str:
        return f"Link({self.where!r})"

    @classmethod
    async def open(cls, settings: Settings, vhost: str, name: str) -> Link:
        """Connect; `name` is what the broker lists the connection as.

        Raises SourceError: unreachable, timeout, auth, server, protocol, config.
        """
        host, port, _ = settings.broker()
        link = cls(f"{host}:{port}", settings.timeout)
        parameters = await parameters_of(settings, vhost, name)
        opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def failed(_: Any, error: BaseException) -> None:
            if not opened.done():
                opened.set_exception(amqp_errors.of_open(link.where, vhost, error))

        raw = Connection(
            parameters,
            on_open_callback=lambda _: None if opened.done() else opened.set_result(None),
            on_open_error_callback=failed,
            on_close_callback=lambda _, error: link._ended(error),
        )
        link._raw = raw
        try:
            async with asyncio.timeout(settings.timeout + 1):
                await opened
        except TimeoutError:
            raise SourceError(
                "timeout", f"rabbitmq: {link.where} gave no answer within {settings.timeout:g} s"
            ) from None
        finally:
            if not opened.done() or opened.cancelled():
                with suppress(Exception):
                    raw.close()
        raw.add_on_connection_blocked_callback(lambda *_: link._set_blocked(True))
        raw.add_on_connection_unblocked_callback(lambda *_: link._set_blocked(False))
        return link

    async def channel(self) -> Channel:
        """A new channel. Raises SourceError."""
        if self.fault is not None:
            raise self.fault
        channel = Channel(self)
        self._channels.append(channel)
        await channel._open(self._raw)
        return channel

    async def depth(self, queue: str) -> Depth | None:
        """How many messages wait in `queue`, None if there is no such queue. Never declares.

        Raises SourceError.
        """
        if self._asking is None or self._asking.fault is not None:
            self._asking = await self.channel()
        try:
            return await self._asking.depth(queue)
        except SourceError as error:
            # 404 (rabbitmq.com/docs/channels): the channel ends, the connection does not
            if error.kind == "refused" and self.fault is None:
                return None
            raise

    async def close(self) -> None:
        """Close it; what was not acknowledged goes back to its queue."""
        if self.fault is None:
            with suppress(exceptions.AMQPError):
                self._raw.close()
            with suppress(TimeoutError):
                async with asyncio.timeout(min(3.0, self.timeout)):
                    await asyncio.shield(self._closed)

    def abort(self) -> None:
        """Drop it at once."""
        with suppress(Exception):
            self._raw._adapter_disconnect_stream()

    def _set_blocked(self, blocked: bool) -> None:
        self.blocked = blocked

    def _ended(self, error: BaseException | None) -> None:
        self.fault = amqp_errors.of_close(self.where, error)
        for channel in self._channels:
            channel._ended(self.fault)
        if not self._closed.done():
            self._closed.set_result(None)


class Channel:
    """One channel; made by `Link.channel`. Every coroutine raises SourceError."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.fault: SourceError | None = None
        """Why it ended; None while it is open."""
        self.on_end: Callable[[], None] = lambda: None
        self._raw: Any = None
        self._waiting: set[asyncio.Future[Any]] = set()

    async def _open(self, connection: Any) -> None:
        def opened(raw: Any, answer: Callable[[Any], None]) -> None:
            self._raw = raw
            raw.add_on_close_callback(self._on_close)
            answer(raw)

        await self._call(
            lambda callback: connection.channel(on_open_callback=lambda raw: opened(raw, callback))
        )

    async def depth(self, queue: str) -> Depth:
        """Passive declaration. As a synchronous method, it also ends after every acknowledgement
        before it was taken by the broker."""
        answer = await self._call(
            lambda callback: self._raw.queue_declare(queue, passive=True, callback=callback)
        )
        return Depth(answer.method.message_count, answer.method.consumer_count)

    async def consume(
        self, queue: str, prefetch: int, on_message: Callable[[Message], None]
    ) -> str:
        """Begin to take messages, each acknowledged by hand, at most `prefetch` at a time; the
        consumer's tag. If the broker cancels it, the channel has ended."""

        def delivered(_: Any, method: Any, properties: Any, body: bytes) -> None:
            on_message(
                Message(
                    method.delivery_tag, method.redelivered, method.exchange, method.routing_key,
                    properties.raw, body,
                )
            )  # fmt: skip

        self._raw.add_on_cancel_callback(
            lambda _: self._ended(
                SourceError("server", f"rabbitmq: {queue}: the broker ends its consumers")
            )
        )
        await self._call(
            lambda callback: self._raw.basic_qos(prefetch_count=prefetch, callback=callback)
        )
        answer = await self._call(
            lambda callback: self._raw.basic_consume(queue, delivered, callback=callback)
        )
        return str(answer.method.consumer_tag)

    async def cancel(self, tag: str) -> None:
        """Take no more; what was delivered and not acknowledged stays with this channel."""
        await self._call(lambda callback: self._raw.basic_cancel(tag, callback=callback))

    async def purge(self, queue: str) -> int:
        """Drop every ready message; how many these were."""
        answer = await self._call(lambda callback: self._raw.queue_purge(queue, callback=callback))
        return int(answer.method.message_count)

    async def get(self, queue: str) -> Message | None:
        """Take one message, to be acknowledged by hand; None if none is ready."""

        def got(answer: Callable[[Any], None]) -> None:
            self._raw.add_callback(lambda _: answer(None), [pika.spec.Basic.GetEmpty])
            self._raw.basic_get(
                queue,
                lambda _, method, properties, body: answer(
                    Message(
                        method.delivery_tag,
                        method.redelivered,
                        method.exchange,
                        method.routing_key,
                        properties.raw,
                        body,
                    )
                ),
            )

        found: Message | None = await self._call(got)
        return found

    async def confirm(
        self,
        on_confirm: Callable[[int, bool, bool], None],
        on_return: Callable[[Message], None],
    ) -> None:
        """Have publishings confirmed: `on_confirm(number from 1, up to it, accepted)`, and before
        it `on_return` for one that no queue took."""

        def confirmed(answer: Any) -> None:
            method = answer.method
            on_confirm(
                method.delivery_tag, method.multiple, method.INDEX == pika.spec.Basic.Ack.INDEX
            )

        def returned(_: Any, method: Any, properties: Any, body: bytes) -> None:
            on_return(Message(0, False, method.exchange, method.routing_key, properties.raw, body))

        self._raw.add_on_return_callback(returned)
        await self._call(lambda callback: self._raw.confirm_delivery(confirmed, callback=callback))

    def publish(self, queue: str, properties: bytes, body: bytes) -> None:
        """Publish to one queue by the default exchange, mandatory. Raises SourceError."""
        if self.fault is not None:
            raise self.fault
        self._raw.basic_publish("", queue, body, Properties(properties), mandatory=True)

    def ack(self, tag: int, *, multiple: bool = False) -> None:
        """Acknowledge a message, or all up to it; nothing if the channel has ended."""
        if self.fault is None:
            self._raw.basic_ack(tag, multiple)

    def give_back(self, tag: int, *, multiple: bool = False) -> None:
        """Give a message, or all up to it, back to its queue: that counts as a delivery."""
        if self.fault is None:
            self._raw.basic_nack(tag, multiple=multiple, requeue=True)

    async def close(self) -> None:
        """Close the channel; what was not acknowledged goes back to its queue."""
        if self.fault is None:
            with suppress(exceptions.AMQPError):
                self._raw.close()

    async def _call(self, start: Callable[[Callable[[Any], None]], Any]) -> Any:
        """The answer to one method. Raises SourceError."""
        if self.fault is not None:
            raise self.fault
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        try:
            start(lambda answer: None if future.done() else future.set_result(answer))
            async with asyncio.timeout(self.link.timeout):
                return await future
        except TimeoutError:
            raise SourceError(
                "timeout",
                f"rabbitmq: {self.link.where} gave no answer within {self.link.timeout:g} s",
            ) from None
        except exceptions.AMQPError as error:
            raise amqp_errors.of_channel(self.link.where, error) from None
        finally:
            self._waiting.discard(future)

    def _on_close(self, _: Any, error: BaseException) -> None:
        self._ended(amqp_errors.of_channel(self.link.where, error))

    def _ended(self, fault: SourceError) -> None:
        if self.fault is not None:
            return
        self.fault = fault
        for future in list(self._waiting):
            if not future.done():
                future.set_exception(fault)
        self.on_end()


def connection_name(operator: str) -> str:
    """What the broker lists our connections as."""
    return f"mailtui {operator}@{socket.gethostname()}"
