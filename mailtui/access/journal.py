"""The journal: an append-only file of JSON lines, each carrying the hash of the line before.

A record is on disk (fsync) before `append` returns, so what it announces cannot have run without
it. Several operators of one machine write to one file: a lock makes one chain of it. A small file
beside it (`.head`) names the last record, so that a journal cut at its end is found out too.

What the chain proves: that nothing was changed, left out, put in or reordered by somebody who
cannot write all of these files anew. Against somebody who can, the copy in the audit index stands.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from mailtui.access.sharing import make_folder, open_file
from mailtui.model import clock

FIRST = "0" * 64
"""The hash before the first record."""
LONGEST = 1024 * 1024
"""Bytes of one record at most; plans and long lists are files of their own."""


class JournalError(Exception):
    """The journal cannot be written or read: what happened, what to do next."""

    def __init__(self, message: str, hint: str = "") -> None:
        self.message, self.hint = message, hint
        super().__init__(f"{message}; {hint}" if hint else message)


class Record(msgspec.Struct, frozen=True):
    """One line of the journal."""

    seq: int
    """From 1, without gaps."""
    at: float
    """Epoch seconds."""
    kind: str
    """plan, request, approval, intent, step, step-end, outcome, refused, operator, recovered,
    cut."""
    who: str
    """The system user that the program ran as."""
    facts: dict[str, Any]
    prev: str
    """Hash of the record before."""
    hash: str
    """SHA-256 over `prev` and everything above, hexadecimal."""


class Broken(msgspec.Struct, frozen=True):
    """Where the journal is not what was written, and how."""

    line: int
    """Line of the file, from 1."""
    seq: int | None
    """Its record's number, if it can be read."""
    what: str


class Verified(msgspec.Struct, frozen=True):
    """What a look at the whole journal found."""

    records: int
    broken: tuple[Broken, ...] = ()
    torn: bool = False
    """The last line is incomplete: the program or the machine died while writing it. What it
    would have announced did not run."""


def _hash(prev: str, *fields: Any) -> str:
    """Of a record's `seq`, `at`, `kind`, `who` and `facts`, after the one whose hash is `prev`."""
    body = msgspec.json.encode([prev, *fields], order="deterministic")
    return hashlib.sha256(body).hexdigest()


class Journal:
    """One journal's file. Every method blocks: call them on a thread."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.head_path = path.with_name(path.name + ".head")
        self._lock_path = path.with_name(path.name + ".lock")

    def append(self, kind: str, who: str, **facts: Any) -> Record:
        """Write a record and wait until it is on disk. Raises JournalError: then nothing is there.

        `facts` are JSON values; a secret has no place among them.
        """
        try:
            with self._locked(), self._opened() as file:
                last = self._recover(file)
                last = self._tell_a_cut(file, last)
                return self._write(file, last, kind, who, facts)
        except OSError as error:
            raise self._unwritable(error) from None

    def records(self, start: int = 0) -> Iterator[tuple[int, Record]]:
        """(offset after it, record) from the byte offset `start` on; stops before a torn line.

        Raises JournalError for a line that is no record.
        """
        try:
            with self.path.open("rb") as file:
                file.seek(start)
                for line in file:
                    if not line.endswith(b"\n"):
                        return
                    start += len(line)
                    yield start, _decoded(line)
        except FileNotFoundError:
            return
        except msgspec.MsgspecError as error:
            raise JournalError(
                f"{self.path}: a line is no record ({error})", "mailtui journal verify says which"
            ) from None
        except OSError as error:
            raise JournalError(f"{self.path}: {error.strerror or error}") from None

    def verify(self) -> Verified:
        """Look at every record: its own hash, its predecessor, its number, the end of the file."""
        broken: list[Broken] = []
        count, line_number, torn = 0, 0, False
        prev, expected = FIRST, 1
        last: Record | None = None
        try:
            with self._locked(shared=True), self.path.open("rb") as file:
                for line in file:
                    line_number += 1
                    if not line.endswith(b"\n"):
                        torn = True
                        break
                    try:
                        record = _decoded(line)
                    except (msgspec.MsgspecError, ValueError) as error:
                        broken.append(Broken(line_number, None, f"it is no record: {error}"))
                        expected += 1
                        prev = ""
                        continue
                    count += 1
                    what = _flaw(record, prev, expected)
                    if not what and record.kind == "cut":
                        what = f"before it, somebody cut the journal: {record.facts.get('text')}"
                    if what:
                        broken.append(Broken(line_number, record.seq, what))
                    prev, expected, last = record.hash, record.seq + 1, record
                head = self._head()
        except FileNotFoundError:
            head = self._head()
        except OSError as error:
            raise JournalError(f"{self.path}: {error.strerror or error}") from None
        broken += self._at_end(head, last, line_number)
        return Verified(count, tuple(broken), torn)

    def last(self) -> Record | None:
        """The last whole record, or None. Raises JournalError."""
        try:
            with self.path.open("rb") as file:
                return _last(file)[0]
        except FileNotFoundError:
            return None
        except OSError as error:
            raise JournalError(f"{self.path}: {error.strerror or error}") from None

    # --- inside ---

    def _write(
        self, file: BinaryIO, last: Record | None, kind: str, who: str, facts: dict[str, Any]
    ) -> Record:
        seq = last.seq + 1 if last is not None else 1
        prev = last.hash if last is not None else FIRST
        at = round(clock.now(), 3)
        # as it will be read again: tuples become lists, structs become objects
        facts = msgspec.json.decode(msgspec.json.encode(facts))
        record = Record(seq, at, kind, who, facts, prev, _hash(prev, seq, at, kind, who, facts))
        line = msgspec.json.encode(record) + b"\n"
        if len(line) > LONGEST:
            raise JournalError(f"a record of {len(line):,} bytes is too long for the journal")
        end = file.seek(0, os.SEEK_END)
        try:
            _write_all(file.fileno(), line)
            os.fsync(file.fileno())
        except OSError:
            # a part of a line would stand in the way of the next record
            with suppress(OSError):
                os.ftruncate(file.fileno(), end)
            raise
        self._write_head(record)
        return record

    def _recover(self, file: BinaryIO) -> Record | None:
        """The last record; an incomplete line after it is put aside and told."""
        last, torn = _last(file)
        if torn:
            end = file.seek(0, os.SEEK_END) - len(torn)
            aside = self.path.with_name(f"{self.path.name}.torn-{int(clock.now())}")
            with os.fdopen(open_file(aside, os.O_WRONLY | os.O_TRUNC), "wb") as kept:
                kept.write(torn)
            os.ftruncate(file.fileno(), end)
            last = self._write(
                file, last, "recovered", "mailtui", {"bytes": len(torn), "aside": aside.name}
            )
        return last

    def _tell_a_cut(self, file: BinaryIO, last: Record | None) -> Record | None:
        """The last record; if it is not the one that the head names, a record of that comes after.

        Without it, the next head would make a journal whole that was cut.
        """
        what = next((one.what for one in self._at_end(self._head(strict=True), last, 0)), "")
        if not what:
            return last
        return self._write(file, last, "cut", "mailtui", {"text": what})

    @contextmanager
    def _locked(self, *, shared: bool = False) -> Iterator[None]:
        make_folder(self.path.parent)
        descriptor = open_file(self._lock_path, os.O_RDWR)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    @contextmanager
    def _opened(self) -> Iterator[BinaryIO]:
        new = not self.path.exists()
        # not O_APPEND: a torn end is cut off; the lock keeps others away
        descriptor = open_file(self.path, os.O_RDWR)
        with os.fdopen(descriptor, "r+b", buffering=0) as file:
            if new and not self.head_path.exists():
                # from now on a missing head is a missing head
                self._put_head(0, FIRST)
                _sync_folder(self.path.parent)
            yield file

    def _head(self, *, strict: bool = False) -> tuple[int, str] | None:
        """(number, hash) of the last record; None: missing or unreadable (`strict`: OSError)."""
        try:
            seq, _, digest = self.head_path.read_text(encoding="ascii").strip().partition(" ")
            return int(seq), digest
        except (FileNotFoundError, ValueError):
            return None
        except OSError:
            if strict:
                raise
            return None

    def _write_head(self, record: Record) -> None:
        """If it fails, the record itself is on disk all the same, and the head is behind it."""
        with suppress(OSError):
            self._put_head(record.seq, record.hash)

    def _put_head(self, seq: int, digest: str) -> None:
        # in place, always as long and within one sector: no crash leaves half of it, and it needs
        # no room on a full disk
        line = f"{seq:020d} {digest}\n".encode("ascii")
        descriptor = open_file(self.head_path, os.O_WRONLY)
        try:
            os.pwrite(descriptor, line, 0)
            os.ftruncate(descriptor, len(line))
        finally:
            os.close(descriptor)

    def _at_end(
        self, head: tuple[int, str] | None, last: Record | None, lines: int
    ) -> Iterator[Broken]:
        if head is None:
            if last is not None:
                yield Broken(lines, last.seq, f"{self.head_path.name} is missing or unreadable")
            return
        seq = last.seq if last is not None else 0
        if head[0] > seq:
            yield Broken(
                lines, seq, f"cut at its end: {head[0] - seq:,} records after it are missing"
            )
        elif last is not None and head[0] == seq and head[1] != last.hash:
            yield Broken(lines, seq, f"it is not the record that {self.head_path.name} names")

    def _unwritable(self, error: OSError) -> JournalError:
        hint = {28: "make room there", 13: "it must be writable by every operator"}
        return JournalError(
            f"the journal {self.path} cannot be written ({error.strerror or error}), "
            "and nothing runs that is not in it",
            hint.get(error.errno or 0, "see journal.path in the configuration"),
        )


def _decoded(line: bytes) -> Record:
    return msgspec.json.decode(line, type=Record)


def _flaw(record: Record, prev: str, expected: int) -> str:
    """What is wrong with a record after one whose hash is `prev` (empty: not known)."""
    right = _hash(record.prev, record.seq, record.at, record.kind, record.who, record.facts)
    if right != record.hash:
        return "its content was changed: it does not match its own hash"
    if record.seq != expected:
        if record.seq > expected:
            return f"{record.seq - expected:,} records before it are missing"
        return f"it stands after number {expected - 1}: moved or put in twice"
    if prev and record.prev != prev:
        return "the record before it is not the one that it was written after"
    return ""


def _last(file: BinaryIO) -> tuple[Record | None, bytes]:
    """(last whole record, incomplete line after it)."""
    end = file.seek(0, os.SEEK_END)
    size = min(end, 4096)
    while True:
        file.seek(end - size)
        tail = file.read(size)
        whole, newline, torn = tail.rpartition(b"\n")
        start = whole.rfind(b"\n")
        if newline and (start >= 0 or size == end):
            try:
                return _decoded(whole[start + 1 :]), torn
            except msgspec.MsgspecError as error:
                raise JournalError(
                    f"the journal's last line is no record ({error}); nothing is added to it",
                    "mailtui journal verify says where; keep the file and start a new one",
                ) from None
        if size == end:
            return None, tail
        size = min(end, size * 8)


def _write_all(descriptor: int, data: bytes) -> None:
    """write(2) may write a part without an error, on a disk that becomes full."""
    while data:
        data = data[os.write(descriptor, data) :]


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
