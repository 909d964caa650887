"""What a delete or a purge destroys is kept here first: encrypted, limited, with an expiry.

One file a run, `RUN.evidence`: a head with a random salt, then items of length, nonce and
AES-256-GCM ciphertext. The file's key is derived from the store's (HKDF-SHA256, RFC 5869); the
run and the item's number are authenticated with each item, so that none can be exchanged.
"""

from __future__ import annotations

import os
import re
import shutil
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from mailtui.access.sharing import make_folder, open_file
from mailtui.model import clock

MAGIC = b"mailtui-evidence-1\n"
SPARE = 64 * 1024 * 1024
"""Bytes that stay free on the disk of the store."""
_SALT, _NONCE = 16, 12
_HEAD = len(MAGIC) + _SALT
_RUN = re.compile(r"[A-Za-z0-9_-]{1,64}")
_LENGTH = struct.Struct(">I")
_META = struct.Struct(">I")


class EvidenceError(Exception):
    """Evidence cannot be kept or read: what happened, what to do next."""

    def __init__(self, message: str, hint: str = "") -> None:
        self.message, self.hint = message, hint
        super().__init__(f"{message}; {hint}" if hint else message)


class Item(msgspec.Struct, frozen=True):
    """One thing that was destroyed."""

    id: str
    """`RUN/NUMBER`."""
    meta: dict[str, Any]
    """What it was: place, ID, properties."""
    body: bytes


class Kept(msgspec.Struct, frozen=True):
    """One run's evidence, without its content."""

    run: str
    size: int
    at: float
    """Epoch seconds at which it was written last."""
    expires: float


class Box:
    """The evidence of one run while it is being written. Blocking."""

    def __init__(self, store: Evidence, run: str) -> None:
        self.run = run
        self._store = store
        self._path = store.path(run)
        self._count = 0
        try:
            make_folder(store.folder)
            self._file: BinaryIO = os.fdopen(open_file(self._path, os.O_RDWR), "r+b")
            if os.fstat(self._file.fileno()).st_size < _HEAD:
                # new, or its process died before anything was kept
                salt = os.urandom(_SALT)
                self._file.truncate()
                self._file.write(MAGIC + salt)
                _sync_folder(store.folder)
            else:
                # a run that is gone on with after a crash: its torn end is written over
                salt, self._count = self._resume()
        except OSError as error:
            raise _unwritable(self._path, error) from None
        self._cipher = store.cipher(salt)

    def put(self, meta: dict[str, Any], body: bytes) -> str:
        """Add an item; its ID. It is safe only after `flush`. Raises EvidenceError."""
        head = msgspec.json.encode(meta)
        plain = _META.pack(len(head)) + head + body
        self._store.admit(len(plain) + 64)
        nonce = os.urandom(_NONCE)
        sealed = self._cipher.encrypt(nonce, plain, _bound(self.run, self._count))
        try:
            self._file.write(_LENGTH.pack(len(sealed)) + nonce + sealed)
        except OSError as error:
            raise _unwritable(self._path, error) from None
        self._count += 1
        return f"{self.run}/{self._count - 1}"

    def flush(self) -> None:
        """Wait until everything put is on disk. Raises EvidenceError."""
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise _unwritable(self._path, error) from None

    def close(self) -> None:
        """Write what is left and close. Raises EvidenceError."""
        self.flush()
        self._file.close()

    def _resume(self) -> tuple[bytes, int]:
        head = self._file.read(_HEAD)
        if not head.startswith(MAGIC):
            raise EvidenceError(f"{self._path} is no evidence file")
        count, end = 0, self._file.tell()
        for _, _, after in _frames(self._file):
            count, end = count + 1, after
        self._file.seek(end)
        self._file.truncate()
        return head[len(MAGIC) :], count


class Evidence:
    """The store. Every method blocks: call it on a thread."""

    def __init__(self, folder: Path, key: bytes, *, keep: float, limit: int) -> None:
        self.folder = folder
        self._key = key
        self.keep, self.limit = keep, limit
        self._admitted = 0
        self._used = -1

    def __repr__(self) -> str:
        return f"Evidence({str(self.folder)!r})"

    def path(self, run: str) -> Path:
        """The file of a run. Raises EvidenceError: that is no run's number."""
        if not _RUN.fullmatch(run):
            raise EvidenceError(f"{run!r} is no number of a run")
        return self.folder / f"{run}.evidence"

    def why_not(self, size: int) -> str:
        """Why `size` bytes more cannot be kept, or an empty string."""
        used = self.used()
        if used + size > self.limit:
            return (
                f"the evidence would take {used + size:,} bytes, more than evidence.limit "
                f"({self.limit:,}); raise it, or let old evidence expire"
            )
        folder = self.folder
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
        free = shutil.disk_usage(folder).free
        if free < size + SPARE:
            return f"{folder} has {free:,} bytes free, and the evidence needs {size + SPARE:,}"
        return ""

    def box(self, run: str) -> Box:
        """Begin the evidence of a run, or go on with it. Raises EvidenceError."""
        self._used, self._admitted = -1, 0  # others write too, and some has expired
        return Box(self, run)

    def items(self, run: str) -> Iterator[Item]:
        """What a run destroyed, in order. Raises EvidenceError."""
        path = self.path(run)
        try:
            with path.open("rb") as file:
                head = file.read(_HEAD)
                if len(head) < _HEAD and (MAGIC + head[len(MAGIC) :]).startswith(head):
                    return  # its process died before anything was kept
                if not head.startswith(MAGIC):
                    raise EvidenceError(f"{path} is no evidence file")
                cipher = self.cipher(head[len(MAGIC) :])
                for number, (nonce, sealed, _) in enumerate(_frames(file)):
                    yield _opened(cipher, (run, number), nonce, sealed, path)
        except FileNotFoundError:
            raise EvidenceError(
                f"there is no evidence of run {run}", "it expired, or nothing was destroyed"
            ) from None
        except OSError as error:
            raise EvidenceError(f"{path}: {error.strerror or error}") from None

    def kept(self) -> list[Kept]:
        """What is there, oldest first."""
        found = []
        for path in self.folder.glob("*.evidence"):
            with suppress(OSError):
                facts = path.stat()
                at = facts.st_mtime
                found.append(Kept(path.stem, facts.st_size, at, at + self.keep))
        return sorted(found, key=lambda kept: kept.at)

    def expire(self) -> list[Kept]:
        """Remove what is older than `keep`; what was removed."""
        now, gone = clock.now(), []
        for kept in self.kept():
            if kept.expires <= now:
                with suppress(OSError):
                    self.path(kept.run).unlink()
                    gone.append(kept)
        return gone

    def used(self) -> int:
        """Bytes of all evidence."""
        return sum(kept.size for kept in self.kept())

    def admit(self, size: int) -> None:
        """Refuse what would exceed the limit now. Raises EvidenceError."""
        if self._used < 0:
            self._used = self.used()
        if self._used + self._admitted + size > self.limit:
            raise EvidenceError(
                f"the evidence exceeds evidence.limit ({self.limit:,} bytes)",
                "nothing is destroyed that is not kept; raise the limit, or act on fewer",
            )
        self._admitted += size

    def cipher(self, salt: bytes) -> Any:
        """AES-256-GCM with the key of one file."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF

        key = HKDF(SHA256(), 32, salt, b"mailtui evidence").derive(self._key)
        return AESGCM(key)


def _frames(file: BinaryIO) -> Iterator[tuple[bytes, bytes, int]]:
    """(nonce, sealed, offset after it) of every whole item."""
    while True:
        head = file.read(_LENGTH.size)
        if len(head) < _LENGTH.size:
            return
        length = _LENGTH.unpack(head)[0]
        nonce, sealed = file.read(_NONCE), file.read(length)
        if len(sealed) < length:
            return
        yield nonce, sealed, file.tell()


def _bound(run: str, number: int) -> bytes:
    return f"{run}/{number}".encode()


def _opened(cipher: Any, item: tuple[str, int], nonce: bytes, sealed: bytes, path: Path) -> Item:
    from cryptography.exceptions import InvalidTag

    run, number = item
    try:
        plain = cipher.decrypt(nonce, sealed, _bound(run, number))
    except InvalidTag:
        raise EvidenceError(
            f"{path}: item {number} cannot be decrypted",
            "it was changed, or access.key is not the key that it was written with",
        ) from None
    (length,) = _META.unpack_from(plain)
    start = _META.size + length
    meta = msgspec.json.decode(plain[_META.size : start])
    return Item(f"{run}/{number}", meta, plain[start:])


def _sync_folder(folder: Path) -> None:
    """Wait until a new file's name is on disk as well."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unwritable(path: Path, error: OSError) -> EvidenceError:
    return EvidenceError(
        f"{path} cannot be written ({error.strerror or error}), "
        "and nothing is destroyed that is not kept",
        "make room there" if error.errno == 28 else "see evidence.path",
    )
