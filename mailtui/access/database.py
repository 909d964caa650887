"""The database of operators: SQLite by default, PostgreSQL for several machines.

Every failure is an AccessError. No connection is kept: between two uses the file, or the server,
may be replaced.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from mailtui.access.errors import AccessError
from mailtui.access.faults import translated
from mailtui.access.schema import HEAD, VERSION_TABLE
from mailtui.access.sharing import is_shared, make_folder

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from mailtui.config.access import Access

TIMEOUT = 15.0
"""Seconds for one transaction, waiting for locks included."""
BUSY = 5000
"""Milliseconds for which a lock is waited for."""
_WRITES = "mailtui_writes"
_CHANGES = 0x6D61696C
"""Advisory lock (PostgreSQL) under which operators are changed and migrations run."""
_LOCAL = ("", "localhost", "127.0.0.1", "::1")


class Database:
    """Transactions on the operators' tables. Made by `open`."""

    def __init__(self, engine: AsyncEngine, where: str) -> None:
        self._engine = engine
        self.where = where
        """Path, or `host/database`; no secret in it."""

    def __repr__(self) -> str:
        return f"Database({self.where!r})"

    @property
    def is_sqlite(self) -> bool:
        """True for a file."""
        return self._engine.dialect.name == "sqlite"

    @classmethod
    async def open(cls, access: Access) -> Database:
        """The database, made or brought up to date if need be. Raises AccessError."""
        url, where = await asyncio.to_thread(_prepared, access)
        options: dict[str, Any] = {"hide_parameters": True, "poolclass": NullPool}
        if access.is_sqlite:
            engine = create_async_engine(url, connect_args={"timeout": BUSY / 1000}, **options)
            event.listen(engine.sync_engine, "connect", _on_sqlite_connect)
            event.listen(engine.sync_engine, "begin", _on_sqlite_begin)
        else:
            engine = create_async_engine(url, **options)
        database = cls(engine, where)
        try:
            await database._bring_up_to_date()
        except BaseException:
            await database.close()
            raise
        return database

    async def close(self) -> None:
        """Give back what is held."""
        await self._engine.dispose()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that sees one state. Raises AccessError."""
        async with self._transaction(writes=False) as connection:
            yield connection

    @asynccontextmanager
    async def writing(self, *, alone: bool = False) -> AsyncIterator[AsyncConnection]:
        """A transaction that is committed at the block's end, rolled back if it raises.

        `alone`: no other such transaction runs at the same time, on any machine (with SQLite
        that holds for every writing one). Raises AccessError.
        """
        async with self._transaction(writes=True) as connection:
            if alone and not self.is_sqlite:
                await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_CHANGES)))
            yield connection

    @asynccontextmanager
    async def _transaction(self, *, writes: bool) -> AsyncIterator[AsyncConnection]:
        try:
            async with asyncio.timeout(TIMEOUT), self._engine.connect() as plain:
                connection = await plain.execution_options(**{_WRITES: writes})
                async with connection.begin():
                    if not self.is_sqlite:
                        await connection.execute(sa.text(f"SET LOCAL lock_timeout = {BUSY}"))
                    yield connection
        except (SQLAlchemyError, sqlite3.Error, TimeoutError, OSError) as error:
            raise translated(error, self.where) from None

    async def _bring_up_to_date(self) -> None:
        async with self.reading() as connection:
            version = await connection.run_sync(_version)
        if version == HEAD:
            return
        async with self.writing(alone=True) as connection:
            version = await connection.run_sync(_version)  # another may have been faster
            if version is not None and version > HEAD:
                raise AccessError(
                    f"the operators' database {self.where} was made by a newer mailtui "
                    f"(schema {version}, this one knows {HEAD})",
                    "update mailtui on this machine",
                )
            if version != HEAD:
                await connection.run_sync(_upgrade)


def _version(connection: Connection) -> str | None:
    """Number of the newest migration that was run, four digits; None: none was."""
    if not connection.dialect.has_table(connection, VERSION_TABLE):
        return None
    version = sa.table(VERSION_TABLE, sa.column("version_num", sa.String))
    return connection.execute(sa.select(version.c.version_num)).scalar()


def _upgrade(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    place = str(Path(__file__).with_name("migrations"))
    config.set_main_option("script_location", place.replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _on_sqlite_connect(connection: Any, _: Any) -> None:
    # the driver begins no transaction by itself: `_on_sqlite_begin` says which kind
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute("PRAGMA synchronous=FULL")  # an accepted code stays used after a power cut
    cursor.close()


def _on_sqlite_begin(connection: Connection) -> None:
    # a write lock from the start: what is read in it is still true when it is written
    writes = connection.get_execution_options().get(_WRITES)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _prepared(access: Access) -> tuple[URL, str]:
    """(SQLAlchemy's URL, where that is). Blocking. Raises AccessError."""
    if not access.is_sqlite:
        return _postgresql(access)
    path: Path | None = None
    try:
        path = access.file()
        assert path is not None
        if not path.exists():
            _make(path)
        if (mode := path.stat().st_mode) & 0o007:
            raise AccessError(
                f"{path} can be read or changed by everybody (mode {mode & 0o7777:04o})",
                f"run: chmod o= {path}",
            )
    except (OSError, sqlite3.Error) as error:
        raise translated(error, str(path or "in the state folder")) from None
    return URL.create("sqlite+aiosqlite", database=str(path)), str(path)


def _make(path: Path) -> None:
    """An empty database in WAL mode with its final mode, put in place atomically.

    It is not opened at its place: closing any descriptor of a SQLite file drops the locks that
    this process has on it (sqlite.org/howtocorrupt.html, 2.2).
    """
    make_folder(path.parent)
    fresh = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.fchmod(descriptor, 0o660 if is_shared(path.parent) else 0o600)
        os.close(descriptor)
        connection = sqlite3.connect(fresh)
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("VACUUM")  # writes the header
        finally:
            connection.close()
        with suppress(FileExistsError):
            path.hardlink_to(fresh)
    finally:
        fresh.unlink()


def _postgresql(access: Access) -> tuple[URL, str]:
    from mailtui.config.secrets import SecretUnavailable

    assert access.url is not None
    url = make_url(access.url)
    host = url.host or url.query.get("host") or "localhost"
    where = f"{host}{f':{url.port}' if url.port else ''}/{url.database}"
    try:
        password = access.password.reveal() if access.password is not None else None
    except (SecretUnavailable, OSError) as error:
        raise AccessError(f"access.password cannot be read: {error}") from None
    query = {"connect_timeout": "10", "application_name": "mailtui"}
    if (url.host or "") not in _LOCAL and "sslmode" not in url.query:
        # libpq's own default would go on without TLS, or with a stranger
        query["sslmode"] = "verify-full"
        if "sslrootcert" not in url.query:
            query["sslrootcert"] = "system"
    query |= {name: str(value) for name, value in url.query.items()}
    return url.set(username=access.username, password=password, query=query), where
