"""The key that encrypts second factors and evidence at rest. It is never printed."""

from __future__ import annotations

import base64
import binascii
import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from mailtui.access.errors import AccessError
from mailtui.access.sharing import is_shared, make_folder
from mailtui.config.revealed import remember

if TYPE_CHECKING:
    from mailtui.config.access import Access

SIZE = 32
_NONCE = 12


class AccessKey:
    """32 bytes from which each purpose's own key is derived (HKDF-SHA256, RFC 5869)."""

    __slots__ = ("_raw",)

    def __init__(self, raw: bytes) -> None:
        if len(raw) != SIZE:
            raise ValueError(f"expected {SIZE} bytes")
        self._raw = raw

    def __repr__(self) -> str:
        return f"AccessKey(id={self.id})"

    @property
    def id(self) -> str:
        """A fingerprint that tells two keys apart and says nothing else about them."""
        return self.derive("id").hex()[:16]

    def derive(self, purpose: str) -> bytes:
        """32 bytes for one purpose: `evidence`, `second factor`."""
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF

        info = f"mailtui {purpose}".encode()
        return HKDF(algorithm=SHA256(), length=SIZE, salt=None, info=info).derive(self._raw)

    def seal(self, purpose: str, bound: str, plain: bytes) -> bytes:
        """Nonce and AES-256-GCM ciphertext; opened only for the same `bound` (a name)."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce = os.urandom(_NONCE)
        return nonce + AESGCM(self.derive(purpose)).encrypt(nonce, plain, bound.encode())

    def unseal(self, purpose: str, bound: str, sealed: bytes) -> bytes:
        """What `seal` was given. Raises AccessError: another key, another name, changed bytes."""
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        try:
            cipher = AESGCM(self.derive(purpose))
            return cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], bound.encode())
        except (InvalidTag, ValueError):
            raise AccessError(
                f"the {purpose} of {bound} cannot be decrypted: it was changed, or is another's",
                "restore the database",
                "key",
            ) from None


def load_key(access: Access, *, create: bool = True) -> AccessKey:
    """The key that the settings name, or the one beside the database, made if `create`.

    Blocking. Raises AccessError.
    """
    from mailtui.config.secrets import SecretUnavailable

    if access.key is not None:
        try:
            text = access.key.reveal()
        except (SecretUnavailable, OSError) as error:
            raise AccessError(f"access.key cannot be read: {error}", "", "key") from None
        return _decoded(text, "access.key")
    path: Path | None = None
    try:
        path = access.key_file()
        assert path is not None, "the settings require a key where there is no file beside it"
        if not path.exists():
            if not create:
                raise AccessError(
                    f"the key {path} is missing, and something was encrypted with it",
                    "restore it from a backup; without it every operator's second factor must be "
                    "reset, and the evidence that was kept cannot be read: move it away",
                    "key",
                )
            _make(path)
        _check(path)
        return _decoded(path.read_text(encoding="ascii").strip(), str(path))
    except (OSError, UnicodeDecodeError) as error:
        words = error.strerror if isinstance(error, OSError) else "it is no text"
        raise AccessError(
            f"the key {path or 'file'} cannot be used: {words or error}",
            "it must be readable by every operator, and by nobody else",
            "key",
        ) from None


def _decoded(text: str, place: str) -> AccessKey:
    remember(text)
    try:
        raw = base64.b64decode(text.translate(str.maketrans("-_", "+/")), validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != SIZE:
        raise AccessError(
            f"{place} is not {SIZE} bytes in base64", "make one: openssl rand -base64 32", "key"
        )
    return AccessKey(raw)


def _check(path: Path) -> None:
    mode = path.stat().st_mode
    too_open = mode & (0o027 if is_shared(path.parent) else 0o077)
    if too_open:
        right = "0640" if is_shared(path.parent) else "0600"
        raise AccessError(
            f"the key {path} can be read or changed by others (mode {mode & 0o7777:04o})",
            f"run: chmod {right} {path}",
            "key",
        )


def _make(path: Path) -> None:
    """Atomically, and never over one that another process makes at the same time."""
    make_folder(path.parent)
    fresh = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, 0o640 if is_shared(path.parent) else 0o600)
            file.write(base64.b64encode(os.urandom(SIZE)) + b"\n")
            file.flush()
            os.fsync(descriptor)
        with suppress(FileExistsError):
            path.hardlink_to(fresh)
    finally:
        fresh.unlink()
