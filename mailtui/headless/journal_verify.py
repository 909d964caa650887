"""Is the journal what was written? Its chain, the files beside it, the copy in the audit index."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mailtui.headless import exits

if TYPE_CHECKING:
    from mailtui.access.journal import Broken, Journal, Record
    from mailtui.config.settings import Settings

MOST = 1000
"""Broken places that are named one by one."""


@dataclass
class Found:
    """What a look at everything found."""

    path: str
    records: int
    broken: tuple[Broken, ...]
    torn: bool
    files: list[str] = field(default_factory=list)
    """Plans and outcomes that are not what the journal names."""
    files_checked: int = 0
    audit: list[str] = field(default_factory=list)
    """Where the audit index has something else."""
    audit_count: int | None = None
    """Records that the audit index has; None: it was not asked, or did not answer."""
    audit_error: str = ""

    @property
    def is_whole(self) -> bool:
        """True if nothing was changed, as far as it was looked at."""
        return not (self.broken or self.files or self.audit)

    @property
    def code(self) -> int:
        """2: broken; 69: the audit index was to be asked and did not answer."""
        if not self.is_whole:
            return exits.CRITICAL
        return exits.UNAVAILABLE if self.audit_error else exits.OK

    def as_object(self) -> dict[str, Any]:
        """The documented object."""
        return {
            "journal": self.path,
            "whole": self.is_whole,
            "records": self.records,
            "torn": self.torn,
            "broken": [{"line": b.line, "seq": b.seq, "what": b.what} for b in self.broken[:MOST]],
            "broken_count": len(self.broken),
            "files_checked": self.files_checked,
            "files": self.files[:MOST],
            "audit_records": self.audit_count,
            "audit": self.audit[:MOST],
            "audit_error": self.audit_error or None,
        }

    def lines(self) -> Iterator[str]:
        """For a reader."""
        verdict = "whole" if self.is_whole else "BROKEN"
        yield (
            f"{self.path}: {verdict}: {self.records:,} records, "
            f"{self.files_checked:,} plans and outcomes"
        )
        for one in self.broken[:MOST]:
            number = f"#{one.seq}" if one.seq is not None else "no number"
            yield f"  line {one.line:,} ({number}): {one.what}"
        yield from (f"  {words}" for words in self.files[:MOST])
        yield from (f"  audit index: {words}" for words in self.audit[:MOST])
        more = sum(max(0, len(part) - MOST) for part in (self.broken, self.files, self.audit))
        if more:
            yield f"  {more:,} more"
        if self.torn:
            yield "  the last line is incomplete: what it would have announced did not run"
        if self.audit_count is not None:
            yield f"  the audit index has {self.audit_count:,} of {self.records:,} records"
        if self.audit_error:
            yield f"  the audit index was not compared: {self.audit_error}"


def whole(journal: Journal) -> Found:
    """Look at every record and every file that one names; blocking. Raises JournalError."""
    from mailtui.access.journal import JournalError
    from mailtui.access.plans import Plans

    verified = journal.verify()
    found = Found(str(journal.path), verified.records, verified.broken, verified.torn)
    plans, seen = Plans(journal.path), set[str]()
    try:
        for _, record in journal.records():
            digest = str(record.facts.get("digest") or "")
            if not digest or digest in seen or record.kind == "approval":
                continue
            seen.add(digest)
            found.files_checked += 1
            try:
                if record.kind == "outcome":
                    plans.outcome(str(record.facts.get("run")), digest)
                else:
                    plans.plan(digest)
            except JournalError as error:
                found.files.append(f"#{record.seq}: {error.message}")
    except JournalError:
        pass  # a line that is no record: `verify` has said where
    return found


async def compare(settings: Settings, journal: Journal, found: Found) -> None:
    """Compare with what the audit index has; the result is added to `found`."""
    import asyncio

    from mailtui.connections.errors import SourceError
    from mailtui.operations.shipping import Shipper

    shipper = Shipper.of(settings, journal)
    if shipper is None:
        found.audit_error = "journal.index is not set, or no context has elasticsearch"
        return
    try:
        ours = await asyncio.to_thread(_by_number, journal)
        shipped = (await shipper.mark()).seq
        theirs: set[int] = set()
        start = 0
        while page := await shipper.has(start):
            for number, digest, _ in page:
                theirs.add(number)
                if (record := ours.get(number)) is None:
                    found.audit.append(f"it has #{number}, and the journal has not")
                elif record.hash != digest:
                    found.audit.append(f"its #{number} is another than the journal's")
            start = page[-1][0]
        missing = sorted(n for n in ours if n <= shipped and n not in theirs)
        found.audit += [f"#{number} was shipped, and is not there" for number in missing]
        found.audit_count = len(theirs)
    except SourceError as error:
        found.audit_error = str(error)
    finally:
        await shipper.close()


def _by_number(journal: Journal) -> dict[int, Record]:
    from contextlib import suppress

    from mailtui.access.journal import JournalError

    found = {}
    with suppress(JournalError):
        for _, record in journal.records():
            found[record.seq] = record
    return found
