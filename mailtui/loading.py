"""Where a console's settings come from: a file, this host alone, or the demo's sandbox."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mailtui.config.settings import Settings


DEFAULT_SCENARIO = "destination-deferred"
"""What the demo plays: an incident shows more than a quiet day."""


_SIGNS = {
    "mx": "postfix",
    "store": "dovecot",
    "web": "nginx",
    "db": "patroni",
    "broker": "rabbitmqctl",
    "mon": "prometheus",
}
"""Role → a program that tells that this host has it."""


@dataclass(frozen=True)
class Loading:
    """How to get the settings; `load` blocks and imports, so it runs on a thread.

    `load` raises ConfigError, or the error of whatever has to be started first.
    """

    title: str
    """What the first line says until the settings are there."""
    load: Callable[[], Settings] = field(repr=False)
    context: str | None = None
    """The context to open, if not the file's own choice."""
    simulation: bool = False
    stop: Callable[[], None] = field(default=lambda: None, repr=False)
    """Ends what was started for this (the sandbox)."""


def from_file(path: Path, context: str | None = None) -> Loading:
    """The settings in `path`."""

    def load() -> Settings:
        from mailtui.config import load as loader

        return loader.load(path)

    return Loading(title=str(path), load=load, context=context)


def this_host() -> Loading:
    """This machine alone, with no SSH and no file."""

    def load() -> Settings:
        import shutil
        import socket

        from mailtui.config.settings import Context, Host, Settings

        name = socket.gethostname().split(".")[0] or "localhost"
        path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
        roles = [role for role, tool in _SIGNS.items() if shutil.which(tool, path=path)]
        host = Host(local=True, roles=tuple(roles))
        context = Context(label=f"this host ({name})", hosts={name: host})
        return Settings(contexts={"this-host": context})

    return Loading(title="this host", load=load)


def demo(scenario: str | None = None, seed: int | None = None, hosts: int = 0) -> Loading:
    """The sandbox, started now so that it comes up while the rest is loaded."""
    from mailtui.demo_process import DemoProcess

    scenario = scenario or DEFAULT_SCENARIO
    process = DemoProcess(scenario, seed, hosts)

    def load() -> Settings:
        from mailtui.config import load as loader

        return loader.load(process.config())

    return Loading(title=f"DEMO {scenario}", load=load, simulation=True, stop=process.stop)
