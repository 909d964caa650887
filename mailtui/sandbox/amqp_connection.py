"""One AMQP connection: handshake, frames, heartbeats, blocking, the end."""

from __future__ import annotations

import asyncio
import logging
import struct
from typing import TYPE_CHECKING, Any, cast

from pamqp import commands
from pamqp.base import Frame
from pamqp.exceptions import PAMQPException
from pamqp.frame import marshal, unmarshal

from mailtui.sandbox import amqp_handshake
from mailtui.sandbox.amqp_channel import Channel
from mailtui.sandbox.amqp_errors import AmqpError
from mailtui.sandbox.amqp_frames import (
    BODY,
    HEADER,
    HEARTBEAT,
    HEARTBEAT_FRAME,
    METHOD,
    PROTOCOL,
    FrameError,
    Splitter,
)
from mailtui.sandbox.faults import HTML
from mailtui.sandbox.world import broker as world_broker

if TYPE_CHECKING:
    from mailtui.sandbox.amqp import Server

log = logging.getLogger(__name__)

CHANNEL_MAX, FRAME_MAX, HEARTBEAT_SECONDS = 2047, 131_072, 60
"""What a RabbitMQ proposes unless it is configured otherwise."""
_CLOSE_WAIT = 3.0
"""Seconds that a client has to answer `connection.close`."""
_RESOURCES = {"disk space": "disk", "memory": "memory"}
Connection_ = commands.Connection


class Connection(asyncio.Protocol):
    """The server's end of one connection."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.world = server.world
        self.channels: dict[int, Channel] = {}
        self.vhost = ""
        self.capabilities: dict[str, Any] = {}
        self.writable = True
        self.closed = False
        self.link: world_broker.Connection | None = None
        """What the world knows of it, once it is open."""
        self.frame_max = FRAME_MAX
        self._properties: dict[str, Any] = {}
        self._state = "header"
        """header, start, tune, open, running, closing."""
        self._publishes = False
        self._blocked = False
        self._told_blocked = False
        self._heartbeat = 0
        self._quiet = 0
        self._timer: asyncio.TimerHandle | None = None
        self._splitter = Splitter()
        self._out: list[bytes] = []
        self._transport: asyncio.Transport | None = None

    # the transport ---------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody connected; perhaps he meets a fault."""
        self._transport = cast(asyncio.Transport, transport)
        self.server.connections.add(self)
        fault = self.server.faults.get(self.server.name)
        kind = fault.kind if fault is not None else None
        if fault is None or kind == "401":
            return
        self.server.faults.take(self.server.name)
        if kind == "hang":
            self._state = "hung"
        elif kind == "slow":
            self._transport.pause_reading()
            asyncio.get_running_loop().call_later(fault.seconds, self._resume)
        elif kind == "html":
            self._transport.write(HTML.encode())
            self._transport.close()
        else:
            self.abort()

    def data_received(self, data: bytes) -> None:
        """Work on every whole frame."""
        self._quiet = 0
        if self.link is not None:
            self.link.received += len(data)
        self._splitter.feed(data)
        self._work()

    def connection_lost(self, exc: Exception | None) -> None:
        """What it had not acknowledged goes back."""
        self._forget()

    def pause_writing(self) -> None:
        """The client does not read: deliver nothing."""
        self.writable = False

    def resume_writing(self) -> None:
        """It reads again."""
        self.writable = True
        self.server.wake_all(self)

    def abort(self) -> None:
        """Cut it without a word."""
        self._forget()
        if self._transport is not None:
            self._transport.abort()

    def _resume(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def _forget(self) -> None:
        if self.closed:
            return
        self.closed = True
        self._out.clear()
        self.server.connections.discard(self)
        if self._timer is not None:
            self._timer.cancel()
        for channel in list(self.channels.values()):
            channel.end()
        self.channels.clear()
        if self.link is not None:
            self.world.broker.connections.pop(self.link.name, None)
        for key, owner in list(self.server.owners.items()):
            queue = self.world.broker.queues.get(key)
            if owner is self and queue is not None:
                self.world.messages.remove(queue)

    # out -------------------------------------------------------------------------------------

    def send(self, method: Frame, channel: int = 0) -> None:
        """A method; it leaves with the next flush."""
        self._out.append(marshal(method, channel))

    def send_raw(self, data: bytes) -> None:
        """Frames that are encoded already."""
        self._out.append(data)

    def flush(self) -> None:
        """Write what was sent, after the confirms that are due."""
        if self.closed or self._transport is None:
            return
        for channel in self.channels.values():
            channel.confirm_due()
        if self._out:
            data = b"".join(self._out)
            self._out.clear()
            if self.link is not None:
                self.link.sent += len(data)
            self._transport.write(data)

    # in --------------------------------------------------------------------------------------

    def _work(self) -> None:
        try:
            if self._state == "header" and not self._greet():
                return
            self._read_frames()
        except AmqpError as error:
            self._fail(error)
        except FrameError as error:
            self._fail(AmqpError(501, str(error)))
        except (PAMQPException, struct.error, ValueError, KeyError, IndexError) as error:
            self._fail(AmqpError(502, f"{error}"))
        except Exception as error:
            log.exception("the AMQP server failed")
            self._fail(AmqpError(541, f"{error!r}"))
        self.flush()

    def _greet(self) -> bool:
        header = self._splitter.header()
        if header is None or self._transport is None:
            return False
        if header != PROTOCOL:
            self._transport.write(PROTOCOL)
            self._transport.close()
            return False
        self._state = "start"
        self.send(amqp_handshake.start(self.world.broker))
        return True

    def _read_frames(self) -> None:
        if self._blocked or self._state == "hung":
            return
        for kind, number, payload in self._splitter.frames():
            if self._state == "closing" and kind != METHOD:
                continue
            if kind == METHOD:
                self._method(number, payload)
            elif kind in (HEADER, BODY):
                self._content(kind, number, payload)
            elif kind != HEARTBEAT:
                raise AmqpError(501, f"type {kind}, all octets = <<>>: unknown frame")
            if self.closed or self._blocked:
                return

    def _method(self, number: int, payload: bytes) -> None:
        index = int.from_bytes(payload[:4], "big")
        if index not in commands.INDEX_MAPPING:
            raise AmqpError(540, f"method {index >> 16}.{index & 0xFFFF}")
        # pamqp takes whole frames
        frame = b"\x01" + struct.pack(">HI", number, len(payload)) + payload + b"\xce"
        method = cast(Frame, unmarshal(frame)[2])
        if number == 0:
            self._own_method(method)
            return
        if self._state == "closing":
            return
        channel = self.channels.get(number)
        try:
            if self._state != "running":
                raise AmqpError(503, f"unexpected method in connection state {self._state}")
            if channel is not None:
                channel.method(method)
            elif isinstance(method, commands.Channel.Open):
                self._open_channel(number)
            elif not isinstance(method, commands.Channel.CloseOk):
                raise AmqpError(504, "expected 'channel.open'")
        except AmqpError as error:
            if error.hard or channel is None:
                error.hard = True
                self._fail(error, method)
            else:
                channel.fail(error, method)

    def _content(self, kind: int, number: int, payload: bytes) -> None:
        channel = self.channels.get(number)
        if channel is None or self._state != "running":
            raise AmqpError(505, f"content on channel {number}, which is not open")
        if kind == HEADER:
            self._publishes = True
        try:
            (channel.header if kind == HEADER else channel.body)(payload)
        except AmqpError as error:
            if error.hard:
                raise
            channel.fail(error, commands.Basic.Publish())
        if kind == HEADER and not self._blocked and self.world.broker.alarms:
            self.alarm(True)

    # connection.* ----------------------------------------------------------------------------

    def _own_method(self, method: Frame) -> None:
        if isinstance(method, Connection_.Close):
            self.send(Connection_.CloseOk())
            self._finish()
        elif isinstance(method, Connection_.CloseOk):
            self._finish()
        elif self._state == "closing":
            return
        elif isinstance(method, Connection_.StartOk) and self._state == "start":
            self._log_in(method)
        elif isinstance(method, Connection_.TuneOk) and self._state == "tune":
            self._tuned(method)
        elif isinstance(method, Connection_.Open) and self._state == "open":
            self._open(method)
        else:
            raise AmqpError(503, f"unexpected method in connection state {self._state}")

    def _log_in(self, method: commands.Connection.StartOk) -> None:
        self._properties = dict(method.client_properties or {})
        capabilities = self._properties.get("capabilities")
        self.capabilities = dict(capabilities) if isinstance(capabilities, dict) else {}
        user, password = amqp_handshake.credentials(method)
        fault = self.server.faults.get(self.server.name)
        refused = fault is not None and fault.kind == "401"
        if refused:
            self.server.faults.take(self.server.name)
        if method.mechanism != "PLAIN" or refused or not self.server.account.is_login(
            user, password
        ):  # fmt: skip
            text = (
                f"Login was refused using authentication mechanism {method.mechanism}. For details"
                " see the broker logfile."
            )
            if not self.capabilities.get("authentication_failure_close"):
                self._finish()
                return
            raise AmqpError(403, text, hard=True)
        self._state = "tune"
        self.send(Connection_.Tune(CHANNEL_MAX, FRAME_MAX, HEARTBEAT_SECONDS))

    def _tuned(self, method: commands.Connection.TuneOk) -> None:
        if method.frame_max:
            self.frame_max = min(method.frame_max, FRAME_MAX)
        self._splitter.frame_max = self.frame_max
        self._heartbeat = method.heartbeat
        self._state = "open"
        if self._heartbeat:
            self._timer = asyncio.get_running_loop().call_later(self._heartbeat / 2, self._beat)

    def _open(self, method: commands.Connection.Open) -> None:
        vhost = method.virtual_host
        broker = self.world.broker
        if vhost not in broker.vhosts:
            self._fail(AmqpError(530, f"vhost {vhost} not found"), method)
            return
        self.vhost = vhost
        self._state = "running"
        self.link = amqp_handshake.described(
            self.world, self.server.account.username, self._ends(), self._properties
        )
        self.link.vhost, self.link.timeout, self.link.close = vhost, self._heartbeat, self.close
        broker.connections[self.link.name] = self.link
        self.alarm(bool(broker.alarms))
        self.send(Connection_.OpenOk())

    def _ends(self) -> amqp_handshake.Ends:
        """(host, port) of the client and of this end."""
        nowhere = ("127.0.0.1", 0)
        if self._transport is None:
            return nowhere, nowhere
        peer = self._transport.get_extra_info("peername") or nowhere
        own = self._transport.get_extra_info("sockname") or nowhere
        return (peer[0], peer[1]), (own[0], own[1])

    def _open_channel(self, number: int) -> None:
        if number > CHANNEL_MAX:
            raise AmqpError(530, f"number of channels opened exceeds channel_max {CHANNEL_MAX}")
        channel = self.channels[number] = Channel(self, number)
        if self.link is not None and self.link.open is not None:
            self.link.open[number] = channel.state
            self.link.channels = len(self.link.open)
        self.send(commands.Channel.OpenOk(), number)

    def channel_ended(self, number: int) -> None:
        """A channel is closed."""
        self.channels.pop(number, None)
        if self.link is not None and self.link.open is not None:
            self.link.open.pop(number, None)
            self.link.channels = len(self.link.open)

    # the end ---------------------------------------------------------------------------------

    def close(self, reason: str) -> None:
        """Close it as an operator does who gives a reason."""
        self._fail(AmqpError(320, reason))
        self.flush()

    def _fail(self, error: AmqpError, method: Frame | None = None) -> None:
        if self.closed or self._state == "closing":
            return
        class_id, method_id = (method.index >> 16, method.index & 0xFFFF) if method else (0, 0)
        for channel in list(self.channels.values()):
            channel.end()
        self.channels.clear()
        if self.link is not None:
            self.world.broker.connections.pop(self.link.name, None)
        self._state, self._blocked = "closing", False
        self.send(Connection_.Close(error.code, error.text[:255], class_id, method_id))
        if self._transport is not None:
            self._resume()
        asyncio.get_running_loop().call_later(_CLOSE_WAIT, self.abort)

    def _finish(self) -> None:
        self.flush()
        self._forget()
        if self._transport is not None:
            self._transport.close()

    # heartbeats and alarms -------------------------------------------------------------------

    def _beat(self) -> None:
        """Every half interval: say that we are here, and see whether the client is."""
        if self.closed or self._transport is None:
            return
        self._transport.write(HEARTBEAT_FRAME)
        self._quiet += 1
        if self._quiet > 4 and not self._blocked:
            self.abort()
            return
        self._timer = asyncio.get_running_loop().call_later(self._heartbeat / 2, self._beat)

    def alarm(self, on: bool) -> None:
        """A resource alarm blocks the connection as soon as it has published."""
        if self.link is None or self._state != "running" or self._transport is None:
            return
        if on and self._publishes and not self._blocked:
            self._blocked = True
            self._transport.pause_reading()
            if self.capabilities.get("connection.blocked"):
                names = dict.fromkeys(_RESOURCES[r] for _, r in self.world.broker.alarms)
                self._told_blocked = True
                self.send(Connection_.Blocked("low on " + " & ".join(names)))
                self.flush()
        elif not on and self._blocked:
            self._blocked = False
            if self._told_blocked:
                self._told_blocked = False
                self.send(Connection_.Unblocked())
            self._resume()
            asyncio.get_running_loop().call_soon(self._work)
        self.link.state = ("blocked" if self._blocked else "blocking") if on else "running"
