"""The configuration: contexts, hosts, sources."""

from __future__ import annotations

import importlib
import pkgutil
import re
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, Field, create_model, model_validator

from mailtui.config import sources
from mailtui.config.access import Access
from mailtui.config.acting import Evidence, Journal, Operations
from mailtui.config.base import Duration, FilePath, HostSource, Source, Strict
from mailtui.config.problems import UnknownContext

COLORS = ("red", "yellow", "green", "cyan", "blue", "magenta", "white")

S = TypeVar("S", bound=Source)


def _color(value: str) -> str:
    if value not in COLORS:
        raise ValueError(f"expected one of {', '.join(COLORS)}")
    return value


class Ssh(Strict):
    """How hosts are reached over SSH; the OpenSSH client configuration supplies the rest."""

    user: str | None = None
    use_config: bool = True
    """Read `~/.ssh/config` (or `config`): Host, HostName, User, Port, IdentityFile, ProxyJump…"""
    config: FilePath | None = None
    known_hosts: tuple[FilePath, ...] = ()
    """Default: `~/.ssh/known_hosts` and `/etc/ssh/ssh_known_hosts`. Keys are always verified."""
    keys: tuple[FilePath, ...] = ()
    """Private keys; default: the agent's and those in `~/.ssh`."""
    agent: bool = True
    jump: str | None = None
    """Jump host, `[user@]host[:port]`."""
    connect_timeout: Duration = 10.0
    keepalive: Duration = 15.0
    """A connection that answers no keepalive for three times this long is dropped."""
    connects: int = Field(default=16, ge=1, le=64)
    """Connects at the same time; sshd's MaxStartups starts to drop above 10."""


def _address(value: str) -> str:
    if re.fullmatch(r"[^:]+:\d+", value):
        raise ValueError("expected a name or an address alone; its port goes under `port`")
    return value


class Host(Strict):
    """One host; the key in `hosts` is its name on every screen."""

    address: Annotated[str, AfterValidator(_address)] | None = None
    """Name or address to connect to; default: the host's name."""
    port: int | None = Field(default=None, ge=1, le=65535)
    user: str | None = None
    jump: str | None = None
    roles: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    instance: str | None = None
    """The host's `instance` label in Prometheus without the port; default: its name or address."""
    local: bool = False
    """This machine: no SSH."""


def _source_settings() -> dict[str, type[Source]]:
    found: dict[str, type[Source]] = {}
    for module in pkgutil.iter_modules(sources.__path__):
        found[module.name] = importlib.import_module(f"{sources.__name__}.{module.name}").Settings
    return found


SOURCES: dict[str, type[Source]] = _source_settings()
"""Source name → its settings model, one module each in `config/sources/`."""

_fields: dict[str, Any] = {name: (model | None, None) for name, model in SOURCES.items()}
Sources: Any = create_model("Sources", __base__=Strict, **_fields)


class Context(Strict):
    """One platform."""

    label: str | None = None
    """What the first line says; default: the context's name."""
    color: Annotated[str, AfterValidator(_color)] = "cyan"
    read_only: bool = True
    simulation: bool = False
    """True for the sandbox: every screen says so."""
    ssh: Ssh = Ssh()
    operations: Operations = Operations()
    hosts: dict[str, Host] = {}
    sources: Sources = Sources()

    @model_validator(mode="after")
    def _something_to_show(self) -> Context:
        if not self.hosts and not any(
            getattr(self.sources, name) is not None
            for name, model in SOURCES.items()
            if not issubclass(model, HostSource)
        ):
            raise ValueError("expected at least one host or one source")
        return self

    def source(self, name: str, model: type[S]) -> S | None:
        """Settings of the source `name`, or None if it is not configured or disabled."""
        value = getattr(self.sources, name)
        if value is None and self.hosts and issubclass(model, HostSource):
            value = model()
        return value if isinstance(value, model) and value.enabled else None


class Ui(Strict):
    """How the console looks."""

    theme: str = "mailtui"
    ascii: bool | None = None
    """Plain ASCII glyphs; default: where the terminal is `linux`."""


class Settings(Strict):
    """The whole file."""

    context: str | None = None
    """The context that opens first; default: the first."""
    contexts: dict[str, Context] = Field(min_length=1)
    ui: Ui = Ui()
    access: Access = Access()
    journal: Journal = Journal()
    evidence: Evidence = Evidence()

    @model_validator(mode="after")
    def _context_exists(self) -> Settings:
        for key, name in (("context", self.context), ("journal.context", self.journal.context)):
            if name is not None and name not in self.contexts:
                raise ValueError(
                    f"{key}: there is no context {name!r}; "
                    f"expected one of {', '.join(self.contexts)}"
                )
        return self

    def choose(self, name: str | None = None) -> tuple[str, Context]:
        """Name and settings of the context `name`, or of the first. Raises UnknownContext."""
        name = name or self.context or next(iter(self.contexts))
        if name not in self.contexts:
            raise UnknownContext(name, list(self.contexts))
        return name, self.contexts[name]
