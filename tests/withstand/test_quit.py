"""Quitting does not wait for a source that hangs."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.withstand.console import SandboxThread
from tests.withstand.terminal import STARTED, Terminal

GENEROUS = 3.0
"""Seconds; 0.3 is wanted, and printed, but this machine may be busy."""


@pytest.fixture(scope="module")
def hanging_secret(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A command that never prints the secret."""
    path = tmp_path_factory.mktemp("secret") / "hang"
    path.write_text("#!/bin/sh\nexec sleep 300\n")
    path.chmod(0o700)
    yield path


@pytest.mark.parametrize(
    "what", ["well", "prometheus", "rabbitmq", "elasticsearch", "ssh", "ssh-commands", "secret",
             "file"],
)  # fmt: skip
def test_quit_while_hanging(
    sandbox: SandboxThread, tmp_path: Path, hanging_secret: Path, what: str
) -> None:
    """Seconds from the key to the end of the process."""
    changes = {}
    slow = {"interval": "200ms", "timeout": "60s"}
    for name in ("prometheus", "rabbitmq", "elasticsearch", "hosts", "postfix", "fail2ban"):
        changes[name] = dict(slow)
    if what == "secret":
        changes["rabbitmq"]["password"] = {"command": [str(hanging_secret)], "timeout": "300s"}
    config = sandbox.config(changes, name=f"quit-{what}.yaml")
    names = ["ssh:mx1", "ssh:mx2", "ssh:store1"] if what.startswith("ssh") else [what]
    if what in ("prometheus", "rabbitmq", "elasticsearch", "ssh"):
        for name in names:
            sandbox.fault(name, "hang")
    if what == "file":
        config = tmp_path / "fifo.yaml"
        os.mkfifo(config, 0o600)
    opened = Terminal(["-m", "mailtui", "-c", str(config)], tmp_path / "home")
    try:
        opened.shows(STARTED)
        if what == "ssh-commands":
            for name in names:
                sandbox.fault(name, "hang", path="postqueue")
        if what != "file":
            # it was loaded, and whatever hangs was asked
            opened.until(lambda: b"SIMULATION" in opened.output, "the settings are loaded")
            begin = time.monotonic()
            opened.until(lambda: time.monotonic() - begin > 1.5, "asked")
        begin = time.monotonic()
        opened.send("q")
        code = opened.process.wait(20)
        took = time.monotonic() - begin
        print(f"quit while {what} hangs: {took:.3f} s")
        opened.ends()
        assert code == 0
        assert opened.is_restored() == []
        assert took < GENEROUS
    finally:
        opened.close()
        sandbox.heal()
