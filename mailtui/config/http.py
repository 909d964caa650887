"""How an HTTP source is reached: URL, TLS, authentication."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, model_validator

from mailtui.config.base import FilePath, Source, Strict
from mailtui.config.secrets import Secret


def _http_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("expected a URL like https://host:9090")
    if parts.username or parts.password:
        raise ValueError("no user or password in a URL; use username and password")
    if parts.query or parts.fragment:
        raise ValueError("expected the base of the API, without ? and #")
    return value.rstrip("/")


Url = Annotated[str, AfterValidator(_http_url)]


class Tls(Strict):
    """TLS of an https source. Certificates are always verified."""

    ca: FilePath | None = None
    """CA certificates (PEM); default: the system's."""
    certificate: FilePath | None = None
    """Client certificate (PEM)."""
    key: FilePath | None = None
    """Key of the client certificate, if not in the same file."""

    @model_validator(mode="after")
    def _files_exist(self) -> Tls:
        for path in (self.ca, self.certificate, self.key):
            if path is not None and not path.is_file():
                raise ValueError(f"{path}: no such file")
        if self.key is not None and self.certificate is None:
            raise ValueError("key without certificate")
        return self


class HttpSource(Source):
    """Settings that every HTTP source has; basic authentication or a bearer token, not both."""

    username: str | None = None
    password: Secret | None = None
    token: Secret | None = None
    """Bearer token."""
    tls: Tls = Tls()

    @model_validator(mode="after")
    def _one_authentication(self) -> HttpSource:
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password go together")
        if self.username is not None and self.token is not None:
            raise ValueError("expected username and password, or token, not both")
        return self
