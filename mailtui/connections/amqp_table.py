"""Header tables and properties of AMQP 0-9-1 messages, byte for byte.

pika decodes doubles as integers, turns short integers into long ones and fails on a time stamp that
no calendar has. A message that is moved keeps the bytes of its headers; they are only taken apart
to be looked at. Types and their letters: rabbitmq.com/docs/amqp-0-9-1-errata, section 3.
"""

from __future__ import annotations

import struct
from typing import Any

_SIZES = {
    b"t": 1, b"b": 1, b"B": 1, b"s": 2, b"u": 2, b"U": 2, b"I": 4, b"i": 4, b"l": 8, b"L": 8,
    b"f": 4, b"d": 8, b"D": 5, b"T": 8, b"V": 0,
}  # fmt: skip
_FORMATS = {
    b"b": ">b", b"B": ">B", b"s": ">h", b"u": ">H", b"U": ">h", b"I": ">i", b"i": ">I",
    b"l": ">q", b"L": ">q", b"f": ">f", b"d": ">d", b"T": ">Q",
}  # fmt: skip
_LONG = (b"S", b"x", b"A", b"F")
FIELDS = (
    "content_type", "content_encoding", "headers", "delivery_mode", "priority", "correlation_id",
    "reply_to", "expiration", "message_id", "timestamp", "type", "user_id", "app_id", "cluster_id",
)  # fmt: skip
"""Properties of the class basic, in their order on the wire."""
_OCTETS = ("delivery_mode", "priority")


class BadTable(ValueError):
    """Bytes that are no table."""


def entries(table: bytes) -> list[tuple[bytes, int, int]]:
    """(name, start, end) of the entries of a table (without its length). Raises BadTable."""
    found, at = [], 0
    try:
        while at < len(table):
            length = table[at]
            end = _after(table, at + 1 + length)
            if end > len(table):
                raise BadTable("cut off")
            found.append((table[at + 1 : at + 1 + length], at, end))
            at = end
    except (IndexError, struct.error):
        raise BadTable("cut off") from None
    return found


def _after(data: bytes, at: int) -> int:
    """The offset after the value at `at`."""
    kind = data[at : at + 1]
    if kind in _LONG:
        return int(at + 5 + struct.unpack_from(">I", data, at + 1)[0])
    if kind not in _SIZES:
        raise BadTable(f"a value of type {kind!r}")
    return at + 1 + _SIZES[kind]


def value(data: bytes, at: int) -> Any:
    """The value at `at`; strings are bytes, time stamps integers. Raises BadTable."""
    try:
        return _value(data, at)
    except (IndexError, struct.error, RecursionError):
        raise BadTable("cut off or too deep") from None


def _value(data: bytes, at: int) -> Any:
    kind = data[at : at + 1]
    end = _after(data, at)
    if end > len(data):
        raise BadTable("cut off")
    if kind in _LONG:
        inner = data[at + 5 : end]
        if kind == b"F":
            return decoded(inner)
        return _array(inner) if kind == b"A" else inner
    if kind == b"t":
        return data[at + 1] != 0
    if kind == b"V":
        return None
    if kind == b"D":
        decimals, raw = struct.unpack_from(">Bi", data, at + 1)
        return raw / 10**decimals
    return struct.unpack_from(_FORMATS[kind], data, at + 1)[0]


def _array(data: bytes) -> list[Any]:
    found, at = [], 0
    while at < len(data):
        found.append(_value(data, at))
        at = _after(data, at)
    return found


def decoded(table: bytes) -> dict[bytes, Any]:
    """A table (without its length) as a dictionary. Raises BadTable."""
    return {name: value(table, start + 1 + len(name)) for name, start, _ in entries(table)}


def split(properties: bytes) -> dict[str, bytes]:
    """The properties of a content header, each as its bytes on the wire. Raises BadTable."""
    try:
        flags = struct.unpack_from(">H", properties)[0]
        if flags & 1:
            raise BadTable("a second word of flags")
        found: dict[str, bytes] = {}
        at = 2
        for number, name in enumerate(FIELDS):
            if flags & (1 << (15 - number)):
                if name == "headers":
                    end = at + 4 + struct.unpack_from(">I", properties, at)[0]
                elif name == "timestamp":
                    end = at + 8
                else:
                    end = at + 1 + (0 if name in _OCTETS else properties[at])
                if end > len(properties):
                    raise BadTable("cut off")
                found[name] = properties[at:end]
                at = end
    except (IndexError, struct.error):
        raise BadTable("cut off") from None
    return found


def joined(fields: dict[str, bytes]) -> bytes:
    """The inverse of `split`."""
    flags, parts = 0, []
    for number, name in enumerate(FIELDS):
        if name in fields:
            flags |= 1 << (15 - number)
            parts.append(fields[name])
    return struct.pack(">H", flags) + b"".join(parts)


def table_of(fields: dict[str, bytes]) -> bytes:
    """The header table of split properties, without its length; empty if there is none."""
    return fields.get("headers", b"\0\0\0\0")[4:]


def with_table(fields: dict[str, bytes], table: bytes) -> dict[str, bytes]:
    """Split properties with another header table; without one if it is empty."""
    rest = {name: part for name, part in fields.items() if name != "headers"}
    return {**rest, "headers": struct.pack(">I", len(table)) + table} if table else rest


def short(part: bytes) -> str:
    """A short string's text, as it came: clean it before it is shown."""
    return part[1:].decode("utf-8", "replace")


def number(part: bytes | None) -> int | None:
    """An octet or a time stamp of split properties."""
    return None if part is None else int.from_bytes(part, "big")


def entry(name: str, packed: bytes) -> bytes:
    """A table's entry with an encoded value (type letter and all)."""
    return struct.pack("B", len(name)) + name.encode("ascii") + packed


def long_string(text: str) -> bytes:
    """An encoded long string."""
    data = text.encode()
    return struct.pack(">cI", b"S", len(data)) + data


def long_integer(value: int) -> bytes:
    """An encoded 64-bit integer."""
    return struct.pack(">cq", b"l", value)


def nested(table: bytes) -> bytes:
    """An encoded table."""
    return struct.pack(">cI", b"F", len(table)) + table
