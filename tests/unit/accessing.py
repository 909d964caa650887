"""Databases of operators: SQLite always, PostgreSQL where MAILTUI_TEST_POSTGRES names one."""

from __future__ import annotations

import base64
import os
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine

from mailtui.access.database import Database
from mailtui.access.operators import Operators
from mailtui.access.roles import Grant
from mailtui.access.whoami import Who
from mailtui.config.access import Access
from mailtui.config.secrets import Secret

POSTGRES = os.environ.get("MAILTUI_TEST_POSTGRES", "")
"""`postgresql+psycopg://USER@HOST:PORT/DATABASE`; a password in $PGPASSWORD."""

ALICE = Who("alice", 1001, "", "jump1")
BOB = Who("bob", 1002, "", "jump1")

BACKENDS = [
    "sqlite",
    pytest.param(
        "postgresql",
        marks=pytest.mark.skipif(
            not POSTGRES, reason="MAILTUI_TEST_POSTGRES names no PostgreSQL server to test with"
        ),
    ),
]


def sqlite(folder: Path, **settings: Any) -> Access:
    """Settings with a SQLite file in `folder`."""
    return Access(url=f"sqlite:///{folder / 'operators.db'}", **settings)


def postgresql(folder: Path, schema: str, **settings: Any) -> Access:
    """Settings with a schema of its own on the server."""
    key = folder / "key"
    key.write_bytes(base64.b64encode(secrets.token_bytes(32)))
    key.chmod(0o600)
    url = make_url(POSTGRES)
    host = f"{url.host}:{url.port}" if url.port else url.host
    return Access(
        url=f"postgresql+psycopg://{host}/{url.database}?options=-csearch_path%3D{schema}",
        username=url.username,
        key=Secret(file=key),
        **settings,
    )


@pytest.fixture(name="access", params=BACKENDS)
async def access_fixture(request: Any, tmp_path: Path) -> AsyncIterator[Access]:
    """Settings of a fresh database; three wrong codes lock for a minute."""
    few: dict[str, Any] = {"attempts": 3, "lock": "1m"}
    if request.param == "sqlite":
        yield sqlite(tmp_path, **few)
        return
    schema = f"test_{secrets.token_hex(6)}"
    engine = create_async_engine(POSTGRES)
    async with engine.begin() as connection:
        await connection.execute(sa.text(f"CREATE SCHEMA {schema}"))
    yield postgresql(tmp_path, schema, **few)
    async with engine.begin() as connection:
        await connection.execute(sa.text(f"DROP SCHEMA {schema} CASCADE"))
    await engine.dispose()


@pytest.fixture(name="database")
async def database_fixture(access: Access) -> AsyncIterator[Database]:
    """An open database without operators."""
    opened = await Database.open(access)
    yield opened
    await opened.close()


@pytest.fixture(name="operators")
async def operators_fixture(database: Database) -> Operators:
    """alice is admin, bob is operator."""
    found = Operators(database)
    await found.add(ALICE, "alice", Grant("admin"))
    await found.add(ALICE, "bob", Grant("operator"))
    return found
