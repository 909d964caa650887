"""The journal of this machine as a source: what was done from it, and what waits."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, ClassVar

import msgspec

from mailtui.access.history import Entry, fold
from mailtui.access.journal import Journal, JournalError, Record
from mailtui.access.locks import Locks
from mailtui.connections.errors import SourceError
from mailtui.model import clock

if TYPE_CHECKING:
    from mailtui.collectors.platform import Platform
    from mailtui.config.settings import Settings

KEPT_RECORDS = 50_000
"""Of a longer journal, the newest; `mailtui journal list` reads all of it."""
KEPT_ENTRIES = 5_000
_MOVING = ("running", "waiting", "approved")
"""States of an entry that change without a new record: by a death, by time."""


class JournalReport(msgspec.Struct, frozen=True):
    """The newest entries of every context and operator of this machine, newest first."""

    entries: tuple[Entry, ...] = ()
    more: int = 0
    """Entries beyond these, of the records that were read."""
    cut: bool = False
    """True if records were left out: there are entries that were not counted."""


class JournalCollector:
    """Follows the file; it is read again only when it has grown, or when time may have changed
    what it means."""

    source: ClassVar[str] = "journal"
    overview: ClassVar[bool] = True
    target = ""
    interval = 3.0
    timeout = 30.0

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._forget()

    def _forget(self) -> None:
        self._records: deque[Record] = deque(maxlen=KEPT_RECORDS)
        self._open: set[str] = set()
        self._offset = self._seen = 0
        self._inode = -1
        self._report: JournalReport | None = None

    async def read(self) -> JournalReport:
        """What is in it now. Raises SourceError."""
        return await asyncio.to_thread(self._read)

    async def close(self) -> None:
        """Nothing is kept open."""

    def _read(self) -> JournalReport:
        try:
            path = self._settings.journal.file()
            found = path.stat() if path.exists() else None
        except OSError as error:
            raise SourceError("internal", f"the journal: {error.strerror or error}") from None
        if found is None:
            self._forget()
            return JournalReport()
        if found.st_ino != self._inode or found.st_size < self._offset:
            self._forget()
            self._inode = found.st_ino
        moving = self._report is not None and any(e.state in _MOVING for e in self._report.entries)
        if self._report is not None and found.st_size == self._offset and not moving:
            return self._report
        journal, locks = Journal(path), Locks(path)
        try:
            self._follow(journal)
            dead = {run for run in self._open if not locks.is_held(f"run {run}")}
            if dead:
                # one that ended meanwhile wrote its outcome before it gave back its lock
                self._follow(journal)
        except JournalError as error:
            raise SourceError("protocol", error.message, error.hint) from None
        entries = fold(self._records, clock.now(), self._open - dead)
        cut = self._seen > len(self._records)
        self._report = JournalReport(
            tuple(entries[:KEPT_ENTRIES]), max(0, len(entries) - KEPT_ENTRIES), cut
        )
        return self._report

    def _follow(self, journal: Journal) -> None:
        for offset, record in journal.records(self._offset):
            self._offset = offset
            self._seen += 1
            self._records.append(record)
            run = str(record.facts.get("run"))
            if record.kind == "intent":
                self._open.add(run)
            elif record.kind == "outcome":
                self._open.discard(run)


def add_to(platform: Platform, settings: Settings) -> None:
    """Let a platform read the journal too: it belongs to the machine, not to a context."""
    platform.add(JournalCollector(settings))
