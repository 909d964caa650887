"""Files beside the journal: frozen plans by their digest, and what each run really changed.

The journal names a plan by its SHA-256, so a plan that was changed afterwards is found out.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import re
from pathlib import Path
from typing import TypeVar

import msgspec

from mailtui.access.journal import JournalError
from mailtui.access.sharing import open_file
from mailtui.model.operation import Outcome, Plan

K = TypeVar("K")

_NAME = re.compile(r"[0-9a-f]{12,64}")


class Plans:
    """The folder `plans` beside a journal. Every method blocks; all raise JournalError."""

    def __init__(self, journal: Path) -> None:
        self.folder = journal.with_name("plans")

    def keep(self, plan: Plan) -> str:
        """Write a plan to disk; its digest. The same plan is written once."""
        data = plan.encoded()
        digest = hashlib.sha256(data).hexdigest()
        self._write(f"{digest}.plan", data)
        return digest

    def plan(self, digest: str) -> Plan:
        """The plan of a digest, checked against it; a beginning of 12 characters is enough."""
        path = self._find(digest, "plan")
        data = self._read(path)
        if hashlib.sha256(data).hexdigest() != path.name.split(".")[0]:
            raise JournalError(f"{path} was changed after it was frozen; it is not used")
        return _decoded(data, Plan, path)

    def keep_outcome(self, run: str, outcome: Outcome) -> str:
        """Write what a run did, with every target that it changed; its digest."""
        data = msgspec.json.encode(outcome, order="deterministic")
        self._write(f"{run}.outcome", data)
        return hashlib.sha256(data).hexdigest()

    def outcome(self, run: str, digest: str) -> Outcome:
        """What a run did, checked against the digest that the journal has."""
        path = self._find(run, "outcome")
        data = self._read(path)
        if hashlib.sha256(data).hexdigest() != digest:
            raise JournalError(f"{path} was changed after the run; it is not used")
        return _decoded(data, Outcome, path)

    def _find(self, name: str, kind: str) -> Path:
        if not _NAME.fullmatch(name):
            raise JournalError(f"{name!r} is no number of a plan or run")
        found = sorted(self.folder.glob(f"{name}*.{kind}.gz"))
        if len(found) != 1:
            raise JournalError(
                f"there {'are several' if found else 'is no'} {kind} {name}",
                "mailtui journal list shows them",
            )
        return found[0]

    def _read(self, path: Path) -> bytes:
        try:
            return gzip.decompress(path.read_bytes())
        except (OSError, EOFError, gzip.BadGzipFile) as error:
            raise JournalError(f"{path}: {error}") from None

    def _write(self, name: str, data: bytes) -> None:
        path = self.folder / f"{name}.gz"
        try:
            if not self.folder.is_dir():
                self.folder.mkdir(parents=True)
                # as the journal's folder: shared by a group, or the owner's alone
                mode = self.folder.parent.stat().st_mode & 0o2770
                self.folder.chmod(mode | 0o700)
            if path.exists():
                return
            fresh = path.with_name(f"{path.name}.{os.getpid()}")
            descriptor = open_file(fresh, os.O_WRONLY | os.O_TRUNC)
            with os.fdopen(descriptor, "wb") as file:
                file.write(gzip.compress(data, compresslevel=1, mtime=0))
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(path)
        except OSError as error:
            raise JournalError(
                f"{path} cannot be written ({error.strerror or error}), "
                "and nothing runs whose plan is not kept",
                "make room there" if error.errno == 28 else "see journal.path",
            ) from None


def _decoded(data: bytes, kind: type[K], path: Path) -> K:
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.MsgspecError as error:
        raise JournalError(f"{path}: {error}") from None
