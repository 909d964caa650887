"""Frames of AMQP 0-9-1: taken out of a stream, and content put into them; methods by pamqp."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from pamqp.base import Frame
from pamqp.frame import marshal

PROTOCOL = b"AMQP\0\0\x09\x01"
METHOD, HEADER, BODY, HEARTBEAT = 1, 2, 3, 8
FRAME_END = 0xCE
OVERHEAD = 8
"""Bytes of a frame besides its payload."""
HEARTBEAT_FRAME = b"\x08\0\0\0\0\0\0\xce"

_HEAD = struct.Struct(">BHI")
_CONTENT = struct.Struct(">HHQ")
_BASIC = 60


class FrameError(Exception):
    """What came is no frame, or one that is too long."""


class Splitter:
    """Cuts what arrives into frames."""

    def __init__(self) -> None:
        self.frame_max = 131_072
        self._data = b""

    def feed(self, data: bytes) -> None:
        """Add what arrived."""
        self._data = self._data + data if self._data else data

    def header(self) -> bytes | None:
        """The eight bytes that begin a connection; None: not all there."""
        if len(self._data) < len(PROTOCOL):
            return None
        found, self._data = self._data[: len(PROTOCOL)], self._data[len(PROTOCOL) :]
        return found

    def frames(self) -> Iterator[tuple[int, int, bytes]]:
        """(type, channel, payload) of each whole frame; FrameError.

        Who stops early finds the rest at the next call.
        """
        data, offset = self._data, 0
        end = len(data)
        try:
            while end - offset >= OVERHEAD:
                kind, channel, size = _HEAD.unpack_from(data, offset)
                if size + OVERHEAD > self.frame_max:
                    raise FrameError(f"frame of {size} bytes")
                begin = offset + 7
                if begin + size >= end:
                    return
                if data[begin + size] != FRAME_END:
                    raise FrameError("invalid frame end marker")
                offset = begin + size + 1
                yield kind, channel, data[begin : begin + size]
        finally:
            self._data = data[offset:]


def read_header(payload: bytes) -> tuple[int, bytes]:
    """(size of the body, encoded properties) of a content header; FrameError."""
    if len(payload) < _CONTENT.size + 2:
        raise FrameError("short content header")
    _, _, size = _CONTENT.unpack_from(payload)
    return size, payload[_CONTENT.size :]


def content(method: Frame, channel: int, properties: bytes, body: bytes, frame_max: int) -> bytes:
    """A method with content: its frame, the header's, and the body's."""
    size = len(body)
    head = _HEAD.pack(HEADER, channel, _CONTENT.size + len(properties))
    parts = [marshal(method, channel), head, _CONTENT.pack(_BASIC, 0, size), properties, b"\xce"]
    step = frame_max - OVERHEAD
    for begin in range(0, size, step):
        part = body[begin : begin + step] if size > step else body
        parts += [_HEAD.pack(BODY, channel, len(part)), part, b"\xce"]
    return b"".join(parts)
