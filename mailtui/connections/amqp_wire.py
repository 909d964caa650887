"""What of pika is not as it comes: the properties of messages, the writes, the parameters."""

from __future__ import annotations

import asyncio
import struct
from typing import TYPE_CHECKING, Any

import pika
from pika import exceptions, frame
from pika.adapters.asyncio_connection import AsyncioConnection

from mailtui.connections.errors import SourceError

if TYPE_CHECKING:
    from mailtui.config.sources.rabbitmq import Settings

HEARTBEAT = 20
"""Seconds; a peer that is silent for twice this long is gone."""
BLOCKED = 30.0
"""Seconds that a resource alarm may block publishing before the connection is given up."""


class Properties:
    """A content header's properties, undecoded; what pika's frames need of them."""

    INDEX = pika.BasicProperties.INDEX
    __slots__ = ("raw",)

    def __init__(self, raw: bytes) -> None:
        self.raw = raw

    def encode(self) -> list[bytes]:
        return [self.raw]


class Connection(AsyncioConnection):  # type: ignore[misc]
    """pika's, with two differences. It leaves the properties of messages alone: pika's decoder
    loses what it then encodes (see `amqp_table`), and a hostile header would end the connection.
    And what is sent within one turn of the loop is one write: pika makes three of every message."""

    _unsent: list[bytes]

    def _read_frame(self) -> Any:
        buffer = self._frame_buffer
        if len(buffer) < 8 or buffer[0] != pika.spec.FRAME_HEADER:
            return super()._read_frame()
        _, channel, size = struct.unpack_from(">BHL", buffer)
        end = size + 8
        if len(buffer) < end:
            return 0, None
        if buffer[end - 1] != pika.spec.FRAME_END or size < 14:
            raise exceptions.InvalidFrameError("a content header without its end")
        (length,) = struct.unpack_from(">Q", buffer, 11)
        raw: Any = Properties(bytes(buffer[19 : end - 1]))
        return end, frame.Header(channel, length, raw)

    def _adapter_emit_data(self, data: bytes) -> None:
        unsent = self.__dict__.setdefault("_unsent", [])
        if not unsent:
            asyncio.get_running_loop().call_soon(self._send_now)
        unsent.append(data)

    def _adapter_disconnect_stream(self) -> None:
        self._send_now()
        super()._adapter_disconnect_stream()

    def _send_now(self) -> None:
        unsent = self.__dict__.get("_unsent")
        if unsent:
            data = b"".join(unsent)
            unsent.clear()
            if self._transport is not None:
                super()._adapter_emit_data(data)


async def parameters_of(settings: Settings, vhost: str, name: str) -> pika.ConnectionParameters:
    """How pika connects; `name` is what the broker lists. Raises SourceError("config")."""
    from mailtui.connections.credentials import reveal
    from mailtui.connections.tls import client_context

    host, port, secure = settings.broker()
    if settings.username is None or settings.password is None:
        raise SourceError(
            "config", "rabbitmq: AMQP needs username and password", "see sources.rabbitmq"
        )
    credentials = pika.PlainCredentials(settings.username, await reveal(settings.password))
    return pika.ConnectionParameters(
        host=host,
        port=port,
        virtual_host=vhost,
        credentials=credentials,
        ssl_options=pika.SSLOptions(client_context(settings.tls), host) if secure else None,
        heartbeat=HEARTBEAT,
        blocked_connection_timeout=BLOCKED,
        socket_timeout=min(5.0, settings.timeout),
        stack_timeout=settings.timeout,
        connection_attempts=1,
        client_properties={"connection_name": name, "product": "mailtui"},
    )
