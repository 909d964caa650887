"""The journal's way into the audit index. The journal itself is the spool: what the search engine
did not take stays behind and is sent later, however long it was away.

How far it came is in a small file beside the journal (`.shipped`). A record is sent with its hash
as `_id` and `op_type` create, which is what a data stream takes and what makes a second delivery a
409, which is fine.
"""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from mailtui.access.journal import Journal, JournalError, Record
from mailtui.access.locks import Busy, Held, Locks
from mailtui.access.sharing import open_file
from mailtui.connections.clean import clean
from mailtui.connections.errors import SourceError
from mailtui.operations import ecs

if TYPE_CHECKING:
    from mailtui.config.settings import Settings
    from mailtui.connections.elastic import ElasticClient

BATCH = 500
"""Records of one bulk request."""
EVERY = 15.0
"""Seconds between two `ship` of whoever owns a loop."""
CONFLICT, TOO_MANY, FORBIDDEN, BAD = 409, 429, 403, 400


@dataclass(frozen=True)
class Shipped:
    """What one `ship` did."""

    count: int
    """Records that the index took, or had already."""
    behind: int
    """Records that it does not have yet."""
    error: str = ""
    """Why not; empty if it has all, or if another process is at it."""


@dataclass(frozen=True)
class Mark:
    """How far it came: the last record that the index has, and the offset after it."""

    seq: int = 0
    offset: int = 0
    hash: str = ""


class Shipper:
    """Ships one journal to one index."""

    def __init__(self, client: ElasticClient, index: str, journal: Journal) -> None:
        self._client = client
        self.index = index
        self.journal = journal
        self._mark_path = journal.path.with_name(f"{journal.path.name}.shipped")
        self._locks = Locks(journal.path)
        self.machine = socket.gethostname()
        self.id = ecs.journal_id(self.machine, journal.path)
        """`mailtui.journal` of its documents."""

    @classmethod
    def of(cls, settings: Settings, journal: Journal) -> Shipper | None:
        """As it is configured; None if the journal is not shipped, or nowhere to."""
        from mailtui.config.sources.elasticsearch import Settings as Elasticsearch

        named = settings.journal.context
        for name, context in settings.contexts.items():
            if named is not None and name != named:
                continue
            search = context.source("elasticsearch", Elasticsearch)
            if settings.journal.index and search is not None:
                from mailtui.connections.elastic import ElasticClient

                return cls(ElasticClient(search), settings.journal.index, journal)
        return None

    async def ship(self) -> Shipped:
        """Send what the index does not have yet. Never raises for a source or a disk."""
        try:
            held = await asyncio.to_thread(self._reserve)
        except (Busy, JournalError):
            return Shipped(0, await self._behind())
        count = 0
        try:
            mark = await asyncio.to_thread(self._mark)
            while batch := await asyncio.to_thread(self._read, mark):
                taken, error = await self._send([record for _, record in batch])
                if taken:
                    offset, last = batch[taken - 1]
                    mark = Mark(last.seq, offset, last.hash)
                    count += taken
                    await asyncio.to_thread(self._write, mark)
                if error:
                    return Shipped(count, await self._behind(), error)
            return Shipped(count, 0)
        except SourceError as error:
            return Shipped(count, await self._behind(), str(error))
        except JournalError as error:
            return Shipped(count, 0, str(error))
        finally:
            held.release()

    async def has(self, start: int = 0, size: int = 1000) -> list[tuple[int, str, str]]:
        """(number, hash, line) of the records after number `start` that the index has, in order.

        Raises SourceError.
        """
        query = {"bool": {"filter": [
            {"match": {"mailtui.journal": self.id}}, {"range": {"mailtui.seq": {"gt": start}}},
        ]}}  # fmt: skip
        answer = await self._client.call(
            lambda es: es.search(
                index=self.index, ignore_unavailable=True, size=size, query=query,
                sort=[{"mailtui.seq": {"order": "asc", "unmapped_type": "long"}}],
                source_includes=["mailtui.seq", "event.id", "event.original"],
            )
        )  # fmt: skip
        found = []
        for hit in answer["hits"]["hits"]:
            source = hit.get("_source") or {}
            event = source.get("event") or {}
            number = int((source.get("mailtui") or {}).get("seq") or 0)
            found.append((number, str(event.get("id", "")), str(event.get("original", ""))))
        return found

    async def mark(self) -> Mark:
        """How far it came."""
        return await asyncio.to_thread(self._mark)

    async def close(self) -> None:
        """Close its connections."""
        await self._client.close()

    # --- inside ---

    async def _send(self, records: list[Record]) -> tuple[int, str]:
        """(how many from the beginning the index has now, why not the next)."""
        items = await self._bulk([ecs.document(r, self.machine, self.id) for r in records], records)
        for number, (record, answer) in enumerate(zip(records, items, strict=True)):
            item = answer
            if item.get("status") == BAD:
                # the index's mapping refuses a field: the record itself must arrive all the same
                item = (await self._bulk([ecs.bare(record, self.machine, self.id)], [record]))[0]
            if error := _refusal(item, record):
                return number, error
        return len(records), ""

    async def _bulk(self, documents: list[Any], records: list[Record]) -> list[dict[str, Any]]:
        """The answer for each document. Raises SourceError."""
        operations: list[Any] = []
        for document, record in zip(documents, records, strict=True):
            operations += [{"create": {"_id": record.hash}}, document]
        answer = await self._client.call(
            lambda es: es.bulk(index=self.index, operations=operations)
        )
        items = [next(iter(item.values())) for item in answer.get("items", ())]
        if len(items) != len(records):
            raise SourceError("protocol", "elasticsearch: the bulk answer has not every item")
        return items

    def _reserve(self) -> Held:
        return self._locks.take(["shipping"], "another mailtui ships the journal")

    def _read(self, mark: Mark) -> list[tuple[int, Record]]:
        return list(islice(self.journal.records(mark.offset), BATCH))

    async def _behind(self) -> int:
        def count() -> int:
            try:
                return sum(1 for _ in self.journal.records(self._mark().offset))
            except JournalError:
                return 0

        return await asyncio.to_thread(count)

    def _mark(self) -> Mark:
        """From its file; the beginning if that is not of this journal: 409s cost little."""
        try:
            seq, offset, digest = self._mark_path.read_text(encoding="ascii").split()
            mark = Mark(int(seq), int(offset), digest)
            with self.journal.path.open("rb") as file:
                # the end of the line before the offset must be that record
                start = max(0, mark.offset - 1024 * 1024)
                file.seek(start)
                lines = file.read(mark.offset - start).split(b"\n")
        except (OSError, ValueError):
            return Mark()
        known = len(lines) > 1 and not lines[-1] and digest.encode() in lines[-2]
        return mark if known else Mark()

    def _write(self, mark: Mark) -> None:
        """Atomically; if it cannot be written, the same records are sent once more."""
        fresh = self._mark_path.with_name(f"{self._mark_path.name}.{os.getpid()}")
        with suppress(OSError):
            descriptor = open_file(fresh, os.O_WRONLY | os.O_TRUNC)
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(f"{mark.seq} {mark.offset} {mark.hash}\n")
            fresh.replace(self._mark_path)


def _refusal(item: dict[str, Any], record: Record) -> str:
    """Why the index did not take a record, or an empty string."""
    status = int(item.get("status") or 0)
    if status in (200, 201, CONFLICT):
        return ""
    error = item.get("error") or {}
    reason = clean(str(error.get("reason") or error.get("type") or f"HTTP {status}"))
    hint = ""
    if "flood-stage" in reason or "read-only" in reason:
        hint = "; free disk space there: the journal is kept here and sent later"
    return f"elasticsearch did not take record {record.seq}: {reason}{hint}"
