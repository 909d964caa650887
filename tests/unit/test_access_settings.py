"""The settings of `access`: every error with its line, no secret in a URL."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailtui.config import load
from mailtui.config.access import Access
from mailtui.config.problems import ConfigError

PATH = Path("/etc/mailtui/config.yaml")
BASE = "contexts: {a: {hosts: {mx1: {}}}}\n"


def access(text: str) -> Access:
    return load.parse(f"{BASE}access:\n{text}", PATH).access


def problems(text: str) -> list[tuple[int, str, str]]:
    with pytest.raises(ConfigError) as error:
        access(text)
    return [(found.line, found.where, found.message) for found in error.value.problems]


def test_what_holds_without_a_word(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    settings = load.parse(BASE, PATH).access
    assert settings.file() == tmp_path / "mailtui" / "operators.db"
    assert settings.key_file() == tmp_path / "mailtui" / "operators.key"
    assert (settings.second_factor, settings.armed_for) == (True, 300)
    assert (settings.attempts, settings.lock) == (5, 300)


@pytest.mark.parametrize(
    ("url", "file"),
    [
        ("sqlite:///operators.db", "/etc/mailtui/operators.db"),
        ("sqlite:////var/lib/mailtui/o.db", "/var/lib/mailtui/o.db"),
        ("sqlite:///~/o.db", str(Path.home() / "o.db")),
    ],
)
def test_where_a_file_is(url: str, file: str) -> None:
    settings = access(f"  url: {url}\n")
    assert settings.file() == Path(file)
    assert settings.key_file() == Path(file).with_suffix(".key")


def test_postgresql() -> None:
    settings = access(
        "  url: postgresql://db1:5433/mailtui?sslrootcert=/etc/ca.pem\n"
        "  username: mailtui\n  password: {env: PW}\n  key: {env: KEY}\n"
    )
    assert settings.url == "postgresql+psycopg://db1:5433/mailtui?sslrootcert=/etc/ca.pem"
    assert settings.file() is None
    assert settings.key_file() is None


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://alice:hunter22@db1/mailtui",
        "postgresql+psycopg://alice@db1/mailtui",
        "postgresql+psycopg://db1/mailtui?password=hunter22",
        "postgresql+psycopg://db1/mailtui?sslmode=require&user=alice",
    ],
)
def test_no_user_or_password_in_a_url(url: str) -> None:
    ((line, where, words),) = problems(f"  armed_for: 1m\n  url: {url}\n")
    assert (line, where) == (4, "access.url")
    assert words == "no user or password in a URL; use username and password"


@pytest.mark.parametrize(
    "url",
    [
        "mysql://db1/mailtui", "sqlite://operators.db", "sqlite:///:memory:", "sqlite:///",
        "operators.db", "postgresql+psycopg://db1", "postgresql+psycopg://db1:x/mailtui",
        "sqlite:///a.db?mode=ro",
    ],
)  # fmt: skip
def test_what_is_no_database(url: str) -> None:
    ((line, where, words),) = problems(f'  url: "{url}"\n')
    assert (line, where) == (3, "access.url")
    assert words.startswith("expected ")


def test_every_error_at_once_with_its_line() -> None:
    found = problems("  armed_for: never\n  attempts: 1\n  second: true\n  key: abc\n  lock: 0s\n")
    assert [(line, where) for line, where, _ in found] == [
        (3, "access.armed_for"), (4, "access.attempts"), (5, "access.second"), (6, "access.key"),
        (7, "access.lock"),
    ]  # fmt: skip
    assert "did you mean second_factor?" in found[2][2]
    assert "a secret is never written in this file" in found[3][2]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("  username: x\n", "SQLite has no username"),
        ("  url: postgresql://db1/m\n", "with PostgreSQL, key is required"),
        ("  url: postgresql://db1/m\n  key: {env: K}\n  password: {env: P}\n", "without username"),
    ],
)
def test_what_goes_together(text: str, words: str) -> None:
    ((_, where, said),) = problems(text)
    assert where == "access"
    assert words in said
