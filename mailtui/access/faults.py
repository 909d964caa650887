"""What a database's error means: one sentence and what to do."""

from __future__ import annotations

import sqlite3

from mailtui.access.errors import AccessError

_SQLITE: dict[int, tuple[str, str]] = {
    sqlite3.SQLITE_BUSY: (
        "is locked by another process",
        "try again; if it stays so, look who holds it: fuser -v",
    ),
    sqlite3.SQLITE_LOCKED: ("is locked by another process", "try again"),
    sqlite3.SQLITE_READONLY: (
        "is read-only for this user",
        "every operator must be able to write it and its folder (docs/access.md)",
    ),
    sqlite3.SQLITE_PERM: ("may not be opened by this user", "see docs/access.md"),
    sqlite3.SQLITE_CANTOPEN: (
        "cannot be opened by this user",
        "every operator must be able to write it and its folder (docs/access.md)",
    ),
    sqlite3.SQLITE_NOTADB: ("is no SQLite database", "see access.url"),
    sqlite3.SQLITE_CORRUPT: ("is damaged", "restore it from a backup"),
    sqlite3.SQLITE_FULL: ("cannot be written: the disk is full", "make room there"),
    sqlite3.SQLITE_IOERR: ("cannot be read or written: input/output error", "look at the disk"),
}
_READ_ONLY, _PRIVILEGE, _LOCK, _TIMEOUT = "25006", "42501", "55P03", "57014"
_POSTGRESQL: dict[str, tuple[str, str]] = {
    _READ_ONLY: ("is read-only (a standby?)", "name the primary in access.url"),
    _PRIVILEGE: (
        "refuses this user",
        "it needs select, insert, update, delete and the sequences (docs/access.md)",
    ),
    _LOCK: ("is locked by another session", "try again"),
    _TIMEOUT: ("took too long", "try again"),
}


def translated(error: BaseException, where: str) -> AccessError:
    """An AccessError for what SQLAlchemy or a driver raised on the database `where`."""
    origin: BaseException = error
    while (deeper := getattr(origin, "orig", None) or origin.__cause__) is not None:
        if deeper is origin:
            break
        origin = deeper
    words, hint = _meaning(origin)
    return AccessError(f"the operators' database {where} {words}", hint)


def _meaning(origin: BaseException) -> tuple[str, str]:
    code = getattr(origin, "sqlite_errorcode", None)
    if isinstance(code, int):
        # extended codes keep the primary one in their lowest byte (sqlite.org/rescode.html)
        return _SQLITE.get(code & 0xFF, (f"failed: {_line(origin)}", ""))
    state = getattr(origin, "sqlstate", None)
    if isinstance(state, str):
        return _POSTGRESQL.get(state, (f"failed: {_line(origin)}", ""))
    if isinstance(origin, TimeoutError):
        return "gave no answer in time", "see access.url"
    if isinstance(origin, OSError):
        return f"cannot be reached: {origin.strerror or _line(origin)}", "see access.url"
    if type(origin).__module__.partition(".")[0] == "psycopg":
        return f"cannot be reached: {_line(origin)}", "see access.url"
    return f"failed: {_line(origin)}", ""


def _line(error: BaseException) -> str:
    """The driver's words on one line, printable, without secrets that are known."""
    from mailtui.config.revealed import mask

    words = mask(" ".join(str(error).split())) or type(error).__name__
    return "".join(c if c.isprintable() else "\ufffd" for c in words)[:300]
