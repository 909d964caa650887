"""Settings of `access`: where operators are kept, how their second factor behaves."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from urllib.parse import parse_qsl, urlsplit

from pydantic import AfterValidator, Field, ValidationInfo, model_validator

from mailtui.config.base import Duration, Strict
from mailtui.config.paths import state_folder
from mailtui.config.secrets import Secret

_SQLITE = "sqlite"
_POSTGRESQL = ("postgresql", "postgresql+psycopg")
_SQLITE_PREFIX = "sqlite:///"
_EXPECTED = "expected sqlite:///PATH or postgresql+psycopg://HOST/DATABASE"


def _database_url(value: str, info: ValidationInfo) -> str:
    """A SQLAlchemy URL; a relative path of SQLite starts at the configuration file."""
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:
        raise ValueError(_EXPECTED) from None
    if parts.username or parts.password or "@" in parts.netloc:
        raise ValueError("no user or password in a URL; use username and password")
    if any(name.lower() in ("password", "user") for name, _ in parse_qsl(parts.query)):
        raise ValueError("no user or password in a URL; use username and password")
    if parts.scheme in _POSTGRESQL:
        if not parts.path.strip("/"):
            raise ValueError("expected the database's name, like postgresql+psycopg://HOST/mailtui")
        return f"postgresql+psycopg{value[len(parts.scheme) :]}"
    if parts.scheme != _SQLITE or not value.startswith(_SQLITE_PREFIX) or parts.query:
        raise ValueError(_EXPECTED)
    name = value.removeprefix(_SQLITE_PREFIX)
    if not name or name == ":memory:":
        raise ValueError(f"{_EXPECTED}: operators are kept in a file")
    path = Path(name).expanduser()
    base = (info.context or {}).get("base")
    if not path.is_absolute() and base is not None:
        path = Path(base) / path
    return f"{_SQLITE_PREFIX}{path}"


Url = Annotated[str, AfterValidator(_database_url)]


class Access(Strict):
    """`access`: operators, roles and the second factor."""

    url: Url | None = None
    """SQLAlchemy URL; default: SQLite, `operators.db` in the state folder."""
    username: str | None = None
    """PostgreSQL's role; default: the system user (peer authentication)."""
    password: Secret | None = None
    key: Secret | None = None
    """32 random bytes in base64; encrypts second factors and evidence at rest. Default: a file
    that is made beside the SQLite file. PostgreSQL needs one, the same on every machine."""
    second_factor: bool = True
    """What destroys asks for a code."""
    armed_for: Duration = 300.0
    """After a code was accepted, none is asked for this long."""
    attempts: int = Field(default=5, ge=3, le=100)
    """Wrong codes in a row after which codes are refused for `lock`."""
    lock: Duration = 300.0
    """It doubles with every lock that no right code has ended, up to a day."""

    @model_validator(mode="after")
    def _goes_together(self) -> Access:
        if self.is_sqlite:
            if self.username is not None or self.password is not None:
                raise ValueError("SQLite has no username or password; they belong to PostgreSQL")
            return self
        if self.password is not None and self.username is None:
            raise ValueError("password without username")
        if self.key is None:
            raise ValueError(
                "with PostgreSQL, key is required: the same 32 bytes on every machine "
                "(make them: openssl rand -base64 32)"
            )
        return self

    @property
    def is_sqlite(self) -> bool:
        """True for a file on this machine."""
        return self.url is None or self.url.startswith(_SQLITE_PREFIX)

    def file(self) -> Path | None:
        """SQLite's file; None with PostgreSQL. Raises OSError: no state folder can be made."""
        if self.url is None:
            return state_folder() / "operators.db"
        return Path(self.url.removeprefix(_SQLITE_PREFIX)) if self.is_sqlite else None

    def key_file(self) -> Path | None:
        """The key's file where `key` is not set: `operators.key` beside `operators.db`."""
        file = self.file()
        return None if self.key is not None or file is None else file.with_suffix(".key")
