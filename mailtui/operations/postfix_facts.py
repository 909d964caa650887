"""What a host's main.cf says that matters before its queue is changed; postconf(1)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mailtui.connections.errors import SourceError
from mailtui.connections.runner import command
from mailtui.operations.postfix_queue import Queue

if TYPE_CHECKING:
    from mailtui.operations.base import Desk

PATIENCE = 1.5
"""Seconds that a plan waits for a host's settings."""
FORCED_EXPIRY = (3, 5)
"""The version that has `postsuper -f` (postsuper(1))."""
_ASKED = (
    "enable_long_queue_ids", "maximal_queue_lifetime", "mail_version", "fast_flush_domains",
    "transport_maps",
)  # fmt: skip
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


@dataclass(frozen=True)
class Facts:
    """Settings of one host; None: not known."""

    long_ids: bool | None = None
    lifetime: float | None = None
    """Seconds that a message may stay in the queue."""
    version: str = ""
    fast_flush: tuple[str, ...] | None = None
    """Destinations that `postqueue -s` takes, as main.cf names them: domains or tables."""
    transport_maps: tuple[str, ...] | None = None
    error: str = ""
    """Why the host was not asked."""

    @property
    def expires(self) -> bool | None:
        """True if it has `postsuper -f`."""
        numbers = re.findall(r"\d+", self.version)[:2]
        return tuple(map(int, numbers)) >= FORCED_EXPIRY if numbers else None


async def facts_of(desk: Desk, hosts: Iterable[str]) -> dict[str, Facts]:
    """The settings of these hosts, asked at the same time; what is not known says why."""
    names = list(hosts)
    found = await asyncio.gather(*(_ask(Queue(desk, name)) for name in names))
    return dict(zip(names, found, strict=True))


async def _ask(queue: Queue) -> Facts:
    try:
        text = await queue.text(command("postconf", "-x", *_ASKED), PATIENCE)
    except SourceError as error:
        return Facts(error=error.message)
    values = {
        name.strip(): value.strip()
        for name, equals, value in (line.partition("=") for line in text.splitlines())
        if equals
    }
    return parsed(values)


def parsed(values: dict[str, str]) -> Facts:
    """Facts of `name = value` lines."""
    long_ids, flush = values.get("enable_long_queue_ids"), values.get("fast_flush_domains")
    maps = values.get("transport_maps")
    return Facts(
        long_ids=None if long_ids is None else long_ids == "yes",
        lifetime=_seconds(values.get("maximal_queue_lifetime", "")),
        version=values.get("mail_version", ""),
        fast_flush=None if flush is None else _words(flush),
        transport_maps=None if maps is None else _words(maps),
    )


def _words(value: str) -> tuple[str, ...]:
    return tuple(word for word in re.split(r"[,\s]+", value) if word)


def _seconds(value: str) -> float | None:
    """A time of main.cf; without a unit these are days (postconf(5), maximal_queue_lifetime)."""
    match = re.fullmatch(r"(\d+)\s*([smhdw]?)", value)
    return float(int(match[1]) * _UNITS[match[2] or "d"]) if match else None
