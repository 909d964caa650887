"""Who is at work where: one lock file a place, held as long as its process lives."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from mailtui.access.journal import JournalError
from mailtui.access.sharing import open_file


class Busy(Exception):
    """Somebody else is at work there; the message says who, with what, since when."""


class Locks:
    """The folder `locks` beside a journal. The kernel frees a lock when its process dies."""

    def __init__(self, journal: Path) -> None:
        self.folder = journal.with_name("locks")

    def take(self, names: Iterable[str], words: str) -> Held:
        """Lock every name, or none. Raises Busy with the holder's words, JournalError."""
        held = Held()
        try:
            for name in sorted(set(names)):
                descriptor = self._open(self._path(name))
                held.descriptors.append(descriptor)
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    said = os.pread(descriptor, 4096, 0).decode(errors="replace").strip()
                    raise Busy(said or f"somebody is at work on {name}") from None
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, f"{words}\n".encode(), 0)
        except OSError as error:
            held.release()
            raise JournalError(
                f"{self.folder} cannot be written ({error.strerror or error}), "
                "and nothing runs where it cannot be seen who is at work",
                "see journal.path in the configuration",
            ) from None
        except BaseException:
            held.release()
            raise
        return held

    def is_held(self, name: str) -> bool:
        """True if a living process holds this lock."""
        try:
            descriptor = os.open(self._path(name), os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    def forget(self, name: str) -> None:
        """Remove the file of a lock that nobody takes again (a run's)."""
        with suppress(OSError):
            self._path(name).unlink()

    def _path(self, name: str) -> Path:
        return self.folder / hashlib.sha256(name.encode()).hexdigest()[:32]

    def _open(self, path: Path) -> int:
        if not self.folder.is_dir():
            self.folder.mkdir(parents=True, exist_ok=True)
            self.folder.chmod((self.folder.parent.stat().st_mode & 0o2770) | 0o700)
        return open_file(path, os.O_RDWR)


class Held:
    """Locks that this process holds."""

    def __init__(self) -> None:
        self.descriptors: list[int] = []

    def release(self) -> None:
        """Give them back."""
        while self.descriptors:
            os.close(self.descriptors.pop())
