"""Field types: how a document's values are compared, and mappings of names to types."""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Callable
from typing import Any

from mailtui.sandbox import es_dates
from mailtui.sandbox.es_errors import ShardError

NO_TIME = -(2**62)
"""The time of a document without `@timestamp`: before everything."""

TEXT = ("text", "match_only_text")
INTEGERS = ("long", "integer", "short", "byte")
NUMBERS = (*INTEGERS, "double", "float", "half_float")
SUPPORTED = frozenset((*TEXT, *NUMBERS, "keyword", "constant_keyword", "wildcard", "date", "ip",
                       "boolean", "object"))  # fmt: skip

Get = Callable[[Any], Any]
"""A row → its comparable value of one field: a scalar, a list of scalars, or None."""


@functools.lru_cache(maxsize=65_536)
def ip_number(text: str) -> int | None:
    """An address as one number, IPv4 mapped into IPv6; None if it is none."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return int(address) | 0xFFFF_0000_0000 if address.version == 4 else int(address)


def ip_text(number: int) -> str:
    """The address of `ip_number`."""
    if number >> 32 == 0xFFFF:
        return str(ipaddress.IPv4Address(number & 0xFFFF_FFFF))
    return str(ipaddress.IPv6Address(number))


def ip_span(text: str) -> tuple[int, int]:
    """First and last address of an address or a CIDR block; ValueError if it is neither."""
    network = ipaddress.ip_network(text, strict=False)
    base = 0xFFFF_0000_0000 if network.version == 4 else 0
    first = int(network.network_address) | base
    return first, first + network.num_addresses - 1


def lookup(source: Any, path: str) -> Any:
    """A value below dotted names, through objects, dotted keys and lists of objects."""
    if isinstance(source, list):
        found: list[Any] = []
        for item in source:
            value = lookup(item, path)
            found += value if isinstance(value, list) else [] if value is None else [value]
        return found or None
    if not isinstance(source, dict):
        return None
    if path in source:
        return source[path]
    dot = path.find(".")
    while dot > 0:
        if path[:dot] in source:
            value = lookup(source[path[:dot]], path[dot + 1 :])
            if value is not None:
                return value
        dot = path.find(".", dot + 1)
    return None


def comparable(kind: str, value: Any) -> Any:
    """One raw value in the form in which its type compares; None if it cannot be read."""
    try:
        if kind == "date":
            return es_dates.parse(value, now=0)
        if kind == "ip":
            return ip_number(str(value))
        if kind in INTEGERS:
            return int(float(value)) if isinstance(value, str) else int(value)
        if kind in NUMBERS:
            return float(value)
        if kind == "boolean":
            return value if isinstance(value, bool) else {"true": True, "false": False}.get(value)
    except Exception:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else str(value)


def typed(kind: str, raw: Get) -> Get:
    """A getter of comparable values over a getter of raw ones."""
    if kind in ("keyword", "constant_keyword", "wildcard", *TEXT):

        def strings(row: Any) -> Any:
            value = raw(row)
            if value is None or type(value) is str:
                return value
            if isinstance(value, list):
                return [comparable(kind, item) for item in value if item is not None]
            return None if isinstance(value, dict) else comparable(kind, value)

        return strings

    def others(row: Any) -> Any:
        value = raw(row)
        if value is None:
            return None
        if isinstance(value, list):
            return [v for v in (comparable(kind, item) for item in value) if v is not None]
        return None if isinstance(value, dict) else comparable(kind, value)

    return others


class Mapping:
    """Names and types of an index's fields; grows as documents bring new ones."""

    def __init__(self, fields: dict[str, str], *, strings: str = "text") -> None:
        """`strings`: what a new string field becomes: `text` with `.keyword`, or `keyword`."""
        self.fields = fields
        self.strings = strings

    def kind(self, name: str) -> str | None:
        """The type of a field; `object` for a parent of fields; None if it is not mapped."""
        kind = self.fields.get(name)
        if kind is None and any(f.startswith(name + ".") for f in self.fields):
            return "object"
        return kind

    def source_path(self, name: str) -> str:
        """Where a field's values are in the source: a multi-field's are its parent's."""
        parent, _, last = name.rpartition(".")
        return parent if last == "keyword" and self.fields.get(parent) in TEXT else name

    def matching(self, pattern: str) -> list[str]:
        """The fields that a name with `*` stands for; itself if it has none."""
        if "*" not in pattern:
            return [pattern]
        from mailtui.sandbox.es_text import wildcard

        match = wildcard(pattern).fullmatch
        return [name for name in self.fields if match(name)]

    def learn(self, source: Any, prefix: str = "") -> None:
        """Add the fields of a document (dynamic mapping)."""
        if isinstance(source, dict):
            for key, value in source.items():
                self.learn(value, f"{prefix}.{key}" if prefix else key)
            return
        if isinstance(source, list):
            for item in source:
                self.learn(item, prefix)
            return
        if source is None or prefix in self.fields:
            return
        if isinstance(source, bool):
            self.fields[prefix] = "boolean"
        elif isinstance(source, int):
            self.fields[prefix] = "long"
        elif isinstance(source, float):
            self.fields[prefix] = "float"
        elif comparable("date", source) is not None and "-" in source:
            self.fields[prefix] = "date"
        elif self.strings == "keyword":
            self.fields[prefix] = "keyword"
        else:
            self.fields[prefix] = "text"
            self.fields[prefix + ".keyword"] = "keyword"

    def unreadable(self, source: Any) -> tuple[str, str, Any] | None:
        """The first value (field, type, value) that its field's type cannot hold; None if all
        can."""
        for name, kind in self.fields.items():
            if kind not in ("date", "ip", "boolean", *NUMBERS):
                continue
            value = lookup(source, name)
            for item in value if isinstance(value, list) else [value]:
                if item is not None and comparable(kind, item) is None:
                    return name, kind, item
        return None

    def properties(self) -> dict[str, Any]:
        """As `GET INDEX/_mapping` nests them."""
        root: dict[str, Any] = {"properties": {}}
        for name, kind in sorted(self.fields.items()):
            if self.source_path(name) != name:
                continue
            node = root
            *parents, last = name.split(".")
            for parent in parents:
                node = node.setdefault("properties", {}).setdefault(parent, {})
            leaf = node.setdefault("properties", {}).setdefault(last, {})
            leaf["type"] = kind
            if self.fields.get(name + ".keyword") == "keyword" and kind in TEXT:
                leaf["fields"] = {"keyword": {"type": "keyword", "ignore_above": 256}}
        return root


def from_properties(properties: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """The flat form of a mapping's `properties`; EsError (400) for types unknown here."""
    from mailtui.sandbox.es_errors import EsError

    fields: dict[str, str] = {}
    for name, spec in properties.items():
        path = f"{prefix}{name}"
        if "properties" in spec:
            fields |= from_properties(spec["properties"], path + ".")
            continue
        kind = spec.get("type", "object")
        if kind not in SUPPORTED:
            raise EsError(
                400,
                "mapper_parsing_exception",
                f"Failed to parse mapping: No handler for type [{kind}] declared on field [{name}]",
            )
        if kind != "object":
            fields[path] = kind
        for sub, subspec in spec.get("fields", {}).items():
            fields[f"{path}.{sub}"] = subspec.get("type", "keyword")
    return fields


def no_fielddata(name: str) -> ShardError:
    """400: text fields neither sort nor aggregate."""
    return ShardError(
        400,
        "illegal_argument_exception",
        f"Fielddata is disabled on [{name}] in the index. Text fields are not optimised for "
        "operations that require per-document field data like aggregations and sorting, so these "
        "operations are disabled by default. Please use a keyword field instead. Alternatively, "
        f"set fielddata=true on [{name}] in order to load field data by uninverting the inverted "
        "index. Note that this can use significant memory.",
    )
