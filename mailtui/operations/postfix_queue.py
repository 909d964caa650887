"""One host's queue while it is changed: listed again, told what to do, and listened to.

postsuper(1) ends with 0 whatever it did: what was done is known by its lines and by a listing.
"""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING

from mailtui.collectors.postfix import DOWN, SLICE
from mailtui.collectors.postfix_decode import Listing
from mailtui.config.sources.postfix import Settings
from mailtui.connections.errors import SourceError, ToolMissing
from mailtui.connections.runner import Command, command
from mailtui.model.mail import Message
from mailtui.model.operation import Target

if TYPE_CHECKING:
    from mailtui.connections.runner import Runner
    from mailtui.operations.base import Desk

QUEUE_ID = re.compile(r"[0-9A-Za-z]{5,40}")
PATIENCE = 15.0
"""Seconds for which a host that cannot be reached is tried again before it is unknown."""
PAUSE = 1.0
"""Seconds between two of those tries."""
GONE = "delivered or removed meanwhile"
OTHER = "the queue ID is another message's now"

_LISTED_ID = re.compile(rb'"queue_id":\s*"([^"\\]*)"')
_SAID = re.compile(
    r"postsuper: ([0-9A-Za-z]+): (?:placed on hold|released from hold|requeued|removed|expired)"
)


def mark(message: Message) -> str:
    """What tells a message from another one that got its queue ID."""
    return f"{message.arrival_time} {message.message_size} {message.sender}"


def target(message: Message) -> Target:
    """A message as a target. Raises SourceError if its queue ID is none."""
    if not QUEUE_ID.fullmatch(message.queue_id):
        raise SourceError("refused", f"{message.queue_id!r} is not a queue ID")
    return Target(message.host, message.queue_id, mark(message))


def arrival(one: Target) -> tuple[int, str]:
    """(arrival time, sender): what a requeued message keeps of its mark."""
    seconds, _, rest = one.mark.partition(" ")
    return int(seconds or 0), rest.partition(" ")[2]


def is_short(queue_id: str) -> bool:
    """True for an ID that Postfix gives again; long ones have a `z` (mail_queue.h)."""
    return "z" not in queue_id


def changed(one: Target, message: Message | None) -> str:
    """Why this is no longer what was planned, or an empty string."""
    if message is None:
        return GONE
    return "" if mark(message) == one.mark else OTHER


def super_command(flag: str, queues: Sequence[str] = ()) -> Command:
    """`postsuper -FLAG - [QUEUE…]`, without its input."""
    return command("postsuper", f"-{flag}", "-", *queues, root=True)


def is_root(desk: Desk, host: str) -> bool:
    """True if commands run as root there already, as far as the configuration says."""
    found = desk.platform.context.hosts[host]
    if found.local:
        return os.geteuid() == 0
    return (found.user or desk.platform.context.ssh.user) == "root"


class Queue:
    """The queue of one host."""

    def __init__(self, desk: Desk, host: str) -> None:
        self.host = host
        self._runner: Runner = desk.platform.connections.runner(host)
        self._timeout = desk.settings.timeout
        found = desk.platform.context.source("postfix", Settings)
        self._limit = (found or Settings()).limit
        self._sudo = not is_root(desk, host)
        self._root = False
        self.counts: dict[str, int] = {}
        """Messages by queue, of what the last listing kept."""

    def line(self, asked: Command) -> str:
        """A command as it is sent."""
        words = asked.line(sudo=self._sudo)
        return f"{words} (queue IDs on standard input)" if "-" in asked.argv else words

    async def listing(
        self,
        wanted: Collection[str] | None = None,
        keep: Callable[[Message], bool] | None = None,
    ) -> dict[str, Message]:
        """Messages by ID as they are now: those `wanted` (None: every one) that `keep` allows.

        Raises SourceError.
        """
        try:
            return await self._listing(wanted, keep)
        except SourceError as error:
            refused = "not allowed to view the mail queue" in error.message
            if self._root or not (refused or DOWN in error.message.lower()):
                raise
        # root may always look, and reads the files themselves while Postfix is stopped
        self._root = True
        return await self._listing(wanted, keep)

    async def _listing(
        self, wanted: Collection[str] | None, keep: Callable[[Message], bool] | None
    ) -> dict[str, Message]:
        ids = None if wanted is None else {one.encode() for one in wanted}
        limit = max(self._limit, 1_000_000) if ids is None else len(ids) + 1
        listing = Listing(self.host, limit)
        asked = command("postqueue", "-j", root=self._root)
        async with aclosing(self._runner.chunks(asked, timeout=self._timeout)) as chunks:
            async for lines in chunks:
                for start in range(0, len(lines), SLICE):
                    part = lines[start : start + SLICE]
                    listing.add(part if ids is None else [x for x in part if _id(x) in ids])
                    await asyncio.sleep(0)
        found = listing.result()
        self.counts = found.counts
        return {m.queue_id: m for m in found.messages if keep is None or keep(m)}

    async def tell(self, flag: str, ids: Iterable[str], queues: Sequence[str] = ()) -> set[str]:
        """`postsuper -FLAG -`; the IDs of which it said that it did it. Raises SourceError."""
        given = "".join(f"{one}\n" for one in ids).encode()
        done = await self.run(super_command(flag, queues), given)
        return set(_SAID.findall(done))

    async def run(self, asked: Command, given: bytes | None = None) -> str:
        """Run a command; what it wrote on standard error. Raises SourceError."""
        full = Command(asked.argv, asked.root, given)
        done = await self._runner.run(full, timeout=self._timeout)
        done.check()
        return done.stderr

    async def text(self, asked: Command, timeout: float) -> str:
        """Run a command; its output. Raises SourceError."""
        return (await self._runner.run(asked, timeout=timeout)).check()

    async def raw(self, asked: Command, limit: int) -> bytes:
        """Run a command; its output, byte for byte. Raises SourceError, beyond `limit` too."""
        parts: list[bytes] = []
        size = 0
        async with aclosing(self._runner.chunks(asked, timeout=self._timeout)) as chunks:
            async for lines in chunks:
                parts.extend(lines)
                size += sum(map(len, lines)) + len(lines)
                if size > limit:
                    raise SourceError("protocol", f"{self.host}: more than {limit:,} bytes")
        return b"\n".join(parts) + b"\n" if parts else b""


def _id(line: bytes) -> bytes:
    match = _LISTED_ID.search(line)
    return match[1] if match else b""


async def read_back(
    desk: Desk,
    places: Mapping[str, Collection[str] | None],
    keep: Callable[[Message], bool] | None = None,
) -> dict[str, dict[str, Message] | SourceError]:
    """Host → what is in its queue of those IDs now; or why that is not known.

    A host that does not answer is tried for some seconds: its connection may just have broken.
    """

    async def one(host: str, wanted: Collection[str] | None) -> dict[str, Message] | SourceError:
        end = time.monotonic() + PATIENCE
        while True:
            try:
                return await Queue(desk, host).listing(wanted, keep)
            except ToolMissing as error:
                return error
            except SourceError as error:
                if time.monotonic() + PAUSE > end:
                    return error
            await asyncio.sleep(PAUSE)

    found = await asyncio.gather(*(one(host, wanted) for host, wanted in places.items()))
    return dict(zip(places, found, strict=True))
