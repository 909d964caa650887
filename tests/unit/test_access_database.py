"""The operators' database as a file: modes, sharing, what is wrong with it, in one sentence."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Connection

import mailtui.access
from mailtui.access import schema
from mailtui.access.database import Database, _postgresql
from mailtui.access.errors import AccessError
from mailtui.access.key import AccessKey, load_key
from mailtui.access.operators import Operators
from mailtui.access.roles import Grant
from mailtui.config.access import Access
from mailtui.config.secrets import Secret
from tests.unit.accessing import ALICE, access_fixture, database_fixture, sqlite  # noqa: F401

NOBODY = 65534


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def reopened(access: Access) -> list[str]:
    database = await Database.open(access)
    try:
        return [one.name for one in await Operators(database).all()]
    finally:
        await database.close()


# --- the schema ---


async def test_migrations_make_the_tables_that_the_code_uses(database: Database) -> None:
    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(
            connection, opts={"version_table": schema.VERSION_TABLE, "compare_type": True}
        )
        return list(compare_metadata(context, schema.metadata))

    async with database.reading() as connection:
        assert await connection.run_sync(differences) == []


def test_the_newest_migration_is_the_one_that_the_code_knows() -> None:
    config = Config()
    folder = Path(mailtui.access.__file__).with_name("migrations")
    config.set_main_option("script_location", str(folder))
    config.set_main_option("path_separator", "os")
    scripts = ScriptDirectory.from_config(config)
    assert scripts.get_current_head() == schema.HEAD
    assert all(len(s.revision) == 4 and s.revision.isdigit() for s in scripts.walk_revisions())


async def test_opening_again_changes_nothing(access: Access, database: Database) -> None:
    await Operators(database).add(ALICE, "alice", Grant("admin"))
    assert await reopened(access) == ["alice"]
    assert await reopened(access) == ["alice"]


async def test_a_database_of_a_newer_version_is_left_alone(
    access: Access, database: Database
) -> None:
    async with database.writing() as connection:
        await connection.execute(sa.text(f"UPDATE {schema.VERSION_TABLE} SET version_num = '0099'"))
    with pytest.raises(
        AccessError, match=r"newer mailtui \(schema 0099, this one knows"
    ) as refused:
        await Database.open(access)
    assert "update mailtui" in refused.value.hint


async def test_many_that_open_a_new_one_at_once(access: Access) -> None:
    opened = await asyncio.gather(*(Database.open(access) for _ in range(6)))
    assert len(opened) == 6
    assert await Operators(opened[0]).all() == []


OPEN = """
import asyncio, json, sys
from mailtui.access.database import Database
from mailtui.config.access import Access
sys.stdin.readline()
asyncio.run(Database.open(Access.model_validate(json.loads(sys.argv[1]))))
print("ok")
"""


async def test_processes_that_open_a_new_one_at_once(access: Access) -> None:
    pipe = subprocess.PIPE
    argv = [sys.executable, "-c", OPEN, access.model_dump_json()]
    several = [subprocess.Popen(argv, stdin=pipe, stdout=pipe, text=True) for _ in range(3)]
    assert [process.communicate("\n")[0] for process in several] == ["ok\n"] * 3
    assert await reopened(access) == []


# --- a file, and who may read it ---


async def test_a_file_is_its_owners_alone(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        access = sqlite(tmp_path / "new" / "folder")
        database = await Database.open(access)
        load_key(access)
        async with database.writing():
            files = {path.name: mode(path) for path in (tmp_path / "new" / "folder").iterdir()}
    finally:
        os.umask(old)
    assert files == {
        "operators.db": 0o600, "operators.db-wal": 0o600, "operators.db-shm": 0o600,
        "operators.key": 0o600,
    }  # fmt: skip
    assert mode(tmp_path / "new" / "folder") == 0o700


async def test_in_a_setgid_folder_it_is_the_groups_whatever_the_umask(tmp_path: Path) -> None:
    tmp_path.chmod(0o2770)
    old = os.umask(0o077)
    try:
        access = sqlite(tmp_path)
        database = await Database.open(access)
        load_key(access)
        async with database.writing():
            files = {path.name: mode(path) for path in tmp_path.iterdir()}
    finally:
        os.umask(old)
    assert files == {
        "operators.db": 0o660, "operators.db-wal": 0o660, "operators.db-shm": 0o660,
        "operators.key": 0o640,
    }  # fmt: skip


async def test_one_that_everybody_can_read_is_refused(tmp_path: Path) -> None:
    access = sqlite(tmp_path)
    await Database.open(access)
    (tmp_path / "operators.db").chmod(0o604)
    with pytest.raises(AccessError, match="read or changed by everybody") as refused:
        await Database.open(access)
    assert refused.value.hint == f"run: chmod o= {tmp_path / 'operators.db'}"


AS_NOBODY = """
import asyncio, os, sys, tempfile
from mailtui.access.database import Database
from mailtui.access.errors import AccessError
from mailtui.access.operators import Operators
from mailtui.access.roles import Grant
from mailtui.access.whoami import Who
from mailtui.config.access import Access
async def add(url):
    try:
        database = await Database.open(Access(url=url))
        await Operators(database).add(Who("nobody", 65534, "", "jump1"), "nobody", Grant("admin"))
        return "done"
    except AccessError as error:
        return str(error)
# once as root: nobody may not be able to read the libraries that are imported late
with tempfile.TemporaryDirectory() as folder:
    assert asyncio.run(add(f"sqlite:///{folder}/operators.db")) == "done"
os.setgroups([]); os.setgid(65534); os.setuid(65534)
print(asyncio.run(add(sys.argv[1])))
"""


@pytest.fixture(name="shared")
def shared_fixture() -> Iterator[Path]:
    """A folder that another user can reach."""
    if os.getuid() != 0:
        pytest.skip("another user can be played by root only")
    with tempfile.TemporaryDirectory() as made:
        Path(made).chmod(0o711)
        folder = Path(made) / "shared"
        folder.mkdir()
        yield folder


def as_nobody(folder: Path) -> str:
    argv = [sys.executable, "-c", AS_NOBODY, f"sqlite:///{folder / 'operators.db'}"]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


async def test_another_user_who_may_not_write_is_told_so(shared: Path) -> None:
    shared.chmod(0o755)
    await Database.open(sqlite(shared))
    said = as_nobody(shared)
    assert "cannot be opened by this user; every operator must be able to write it" in said
    # readable by his group, and not writable
    os.chown(shared / "operators.db", 0, NOBODY)
    (shared / "operators.db").chmod(0o640)
    assert "is read-only for this user; every operator must" in as_nobody(shared)


async def test_another_user_of_the_group_works_on_the_same_file(shared: Path) -> None:
    os.chown(shared, 0, NOBODY)
    shared.chmod(0o2770)
    access = sqlite(shared)
    database = await Database.open(access)
    assert as_nobody(shared) == "done\n"
    assert [one.name for one in await Operators(database).all()] == ["nobody"]


# --- what is wrong with it ---


async def test_what_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "operators.db").write_bytes(b"this is a text, and a long one at that\n" * 200)
    (tmp_path / "operators.db").chmod(0o600)
    with pytest.raises(AccessError, match="is no SQLite database"):
        await Database.open(sqlite(tmp_path))


async def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(AccessError, match="cannot be reached: "):
        await Database.open(Access(url=f"sqlite:///{tmp_path / 'file' / 'operators.db'}"))


async def test_one_that_another_process_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailtui.access.database.BUSY", 100)
    database = await Database.open(sqlite(tmp_path))
    other = sqlite3.connect(tmp_path / "operators.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        with pytest.raises(AccessError, match="is locked by another process") as refused:
            await Operators(database).add(ALICE, "alice", Grant("admin"))
        assert await Operators(database).all() == []  # reading goes on
    finally:
        other.close()
    assert refused.value.kind == "database"


async def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("A" * 43 + "=")
    key.chmod(0o600)
    access = Access(url="postgresql+psycopg://127.0.0.1:1/mailtui", key=Secret(file=key))
    with pytest.raises(AccessError, match=r"database 127\.0\.0\.1:1/mailtui cannot be reached"):
        await Database.open(access)


def test_a_remote_server_is_verified_unless_the_url_says_otherwise(tmp_path: Path) -> None:
    key = Secret(env="KEY")

    def query(url: str) -> dict[str, object]:
        return dict(_postgresql(Access(url=url, key=key))[0].query)

    remote = query("postgresql://db1/mailtui")
    assert (remote["sslmode"], remote["sslrootcert"]) == ("verify-full", "system")
    own = query("postgresql://db1/mailtui?sslmode=verify-ca&sslrootcert=/etc/ca.pem")
    assert (own["sslmode"], own["sslrootcert"]) == ("verify-ca", "/etc/ca.pem")
    for near in ("127.0.0.1", "localhost", ""):
        assert "sslmode" not in query(f"postgresql://{near}/mailtui")


# --- the key ---


def test_the_key_is_made_once(tmp_path: Path) -> None:
    access = sqlite(tmp_path)
    with pytest.raises(AccessError, match="is missing") as refused:
        load_key(access, create=False)
    assert refused.value.kind == "key"
    first = load_key(access)
    assert load_key(access).id == first.id == load_key(access, create=False).id
    assert first.derive("evidence") != first.derive("second factor")
    assert first.derive("evidence").hex() not in repr(first)
    assert [path.name for path in tmp_path.iterdir()] == ["operators.key"]


@pytest.mark.parametrize(
    ("text", "bits", "words"),
    [
        ("A" * 43 + "=", 0o644, "can be read or changed by others"),
        ("A" * 43 + "=", 0o640, "can be read or changed by others"),
        ("short", 0o600, "is not 32 bytes in base64"),
        ("", 0o600, "is not 32 bytes in base64"),
        ("\xff", 0o600, "cannot be used"),
    ],
)
def test_keys_that_are_not_used(tmp_path: Path, text: str, bits: int, words: str) -> None:
    path = tmp_path / "operators.key"
    path.write_bytes(text.encode("latin-1"))
    path.chmod(bits)
    with pytest.raises(AccessError, match=words) as refused:
        load_key(sqlite(tmp_path))
    assert not text or text not in str(refused.value)


def test_a_key_by_the_settings_makes_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    access = sqlite(tmp_path, key=Secret(env="MAILTUI_KEY"))
    monkeypatch.delenv("MAILTUI_KEY", raising=False)
    with pytest.raises(AccessError, match=r"access\.key cannot be read: .*MAILTUI_KEY is not set"):
        load_key(access)
    monkeypatch.setenv("MAILTUI_KEY", "_" * 43 + "=")
    assert isinstance(load_key(access), AccessKey)
    assert not list(tmp_path.iterdir())


def test_what_is_sealed_opens_only_whole_and_for_its_owner() -> None:
    key = AccessKey(bytes(32))
    sealed = key.seal("second factor", "alice", b"secret")
    assert sealed != key.seal("second factor", "alice", b"secret")
    assert key.unseal("second factor", "alice", sealed) == b"secret"
    flipped = sealed[:-1] + bytes([sealed[-1] ^ 1])
    for purpose, name, data in (
        ("second factor", "bob", sealed), ("evidence", "alice", sealed),
        ("second factor", "alice", flipped), ("second factor", "alice", b""),
    ):  # fmt: skip
        with pytest.raises(AccessError, match="cannot be decrypted"):
            key.unseal(purpose, name, data)
