"""Postfix's queues, host by host: `postqueue -j`, and one message by `postcat`."""

from __future__ import annotations

import asyncio
import re
from contextlib import aclosing
from typing import TYPE_CHECKING, ClassVar

import msgspec

from mailtui.collectors.postfix_decode import Lines, Listing
from mailtui.collectors.postfix_suspended import SuspendedCollector
from mailtui.connections.clean import decode
from mailtui.connections.errors import SourceError, ToolMissing
from mailtui.connections.runner import command
from mailtui.model.mail import QueueListing

if TYPE_CHECKING:
    from mailtui.config.settings import Context
    from mailtui.config.sources.postfix import Settings
    from mailtui.connections.pool import Connections
    from mailtui.connections.runner import Runner

SLICE = 1000
"""Lines decoded before other tasks have their turn: some 5 ms."""
DESCRIBE_LIMIT = 256 * 1024
"""Bytes of one message that are read for its detail."""
DOWN = "mail system is down"
_QUEUE_ID = re.compile(r"[0-9A-Za-z]{5,40}")
"""Short IDs are hexadecimal, long ones base 52 (postconf(5), enable_long_queue_ids)."""


class MessageText(msgspec.Struct, frozen=True):
    """Envelope and headers of one message, as postcat(1) prints them."""

    host: str
    queue_id: str
    text: str
    truncated: bool = False
    """True if there is more than was read."""


class PostfixCollector:
    """Reads the queues of one host."""

    source: ClassVar[str] = "postfix"
    overview: ClassVar[bool] = True

    def __init__(
        self, host: str, settings: Settings, connections: Connections, *, expected: bool = True
    ) -> None:
        self.target = host
        self.interval = settings.interval
        self.timeout = settings.timeout + 1.0
        self._settings = settings
        self._connections = connections
        self._expected = expected
        self._root = False
        """True once the host refused an ordinary user (authorized_mailq_users)."""
        self._known: Lines | None = None
        self._last: QueueListing | None = None

    async def read(self) -> QueueListing:
        """The listing; the same object as before if nothing changed. Raises SourceError."""
        runner = self._connections.runner(self.target)
        try:
            return await self._read(runner)
        except SourceError as error:
            if "not allowed to view the mail queue" not in error.message or self._root:
                raise self._explained(error) from None
        self._root = True
        try:
            return await self._read(runner)
        except SourceError as error:
            raise self._explained(error) from None

    async def describe(self, queue_id: str, *, headers: bool = True) -> MessageText:
        """Envelope (and headers) of one message; needs root. Raises SourceError."""
        if not _QUEUE_ID.fullmatch(queue_id):
            raise SourceError("refused", f"{queue_id!r} is not a queue ID")
        runner = self._connections.runner(self.target)
        asked = command("postcat", "-qeh" if headers else "-qe", queue_id, root=True)
        parts: list[bytes] = []
        size = 0
        try:
            async with aclosing(runner.chunks(asked, timeout=self._settings.timeout)) as chunks:
                async for lines in chunks:
                    parts.extend(lines)
                    size += sum(map(len, lines)) + len(lines)
                    if size > DESCRIBE_LIMIT:
                        break
        except SourceError as error:
            if "No such file" in error.message:
                raise SourceError(
                    "refused",
                    f"{self.target}: {queue_id} is no longer in the queue",
                    "it was delivered, deleted or requeued under another ID",
                ) from None
            raise
        text = decode(b"\n".join(parts)[:DESCRIBE_LIMIT])
        return MessageText(self.target, queue_id, text, truncated=size > DESCRIBE_LIMIT)

    async def close(self) -> None:
        """Nothing of its own is open."""

    async def _read(self, runner: Runner) -> QueueListing:
        listing = Listing(self.target, self._settings.limit, self._known)
        asked = command("postqueue", "-j", root=self._root)
        warnings: list[str] = []
        chunks = runner.chunks(asked, timeout=self._settings.timeout, warnings=warnings)
        async with aclosing(chunks):
            async for lines in chunks:
                for start in range(0, len(lines), SLICE):
                    listing.add(lines[start : start + SLICE])
                    await asyncio.sleep(0)
        self._known = listing.lines
        notes = [f"{self.target}: the {DOWN}" for line in warnings if DOWN in line.lower()]
        found = listing.result(notes)
        if found != self._last or self._last is None:
            self._last = found
        return self._last

    def _explained(self, error: SourceError) -> SourceError:
        if DOWN in error.message.lower():
            if not self._expected:
                return ToolMissing(
                    "postqueue", self.target, f"Postfix does not run on {self.target}"
                )
            return SourceError(
                "server",
                f"{self.target}: the {DOWN}: its queue cannot be listed",
                "start it there (systemctl start postfix) and read its log",
            )
        return error


def collectors(
    context: Context, connections: Connections
) -> list[PostfixCollector | SuspendedCollector]:
    """One for each host; a host without Postfix says so by itself. Suspensions where it runs."""
    from mailtui.config.sources import hosts, postfix

    settings = context.source("postfix", postfix.Settings)
    if settings is None:
        return []
    roles = context.source("hosts", hosts.Settings) or hosts.Settings()
    found: list[PostfixCollector | SuspendedCollector] = []
    for name, host in context.hosts.items():
        expected = roles.runs(host.roles, "postfix")
        found.append(PostfixCollector(name, settings, connections, expected=expected))
        if expected:
            found.append(SuspendedCollector(name, connections))
    return found
