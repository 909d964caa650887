"""What the tests of the lab need: `lab/lab`, and the console's own eyes on it.

They run where MAILTUI_LAB names the lab's configuration (`make lab-test`), as root.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from mailtui.collectors.platform import Platform
from mailtui.config.load import load

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 180
"""Seconds after which what is waited for will not come, however busy the machine is."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of these need the lab."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.lab)
            item.add_marker(pytest.mark.timeout(600))
            if not os.environ.get("MAILTUI_LAB"):
                item.add_marker(pytest.mark.skip(reason="no lab: make lab-test"))


def lab(*argv: str, check: bool = True) -> str:
    """Run `lab/lab`; what it printed."""
    done = subprocess.run(
        [ROOT / "lab" / "lab", *argv], capture_output=True, text=True, check=False, timeout=500
    )
    if check:
        assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def chaos(*argv: object) -> str:
    """Run `lab/lab chaos`."""
    return lab("chaos", *map(str, argv))


def on(host: str, script: str, check: bool = True) -> str:
    """The output of root's shell on a host."""
    return lab("shell", host, script, check=check)


def as_mailtui(host: str, command: str, given: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command line there by ssh, as the console would."""
    _, context = load(Path(os.environ["MAILTUI_LAB"])).choose()
    return subprocess.run(
        [
            *("ssh", "-F", "none", "-o", "BatchMode=yes", "-i", "/run/mailtui-lab/id_ed25519"),
            *("-o", "UserKnownHostsFile=/run/mailtui-lab/known_hosts"),
            *("-o", "IdentitiesOnly=yes", f"mailtui@{context.hosts[host].address}", command),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
        input=given,
    )


def mailtui(*argv: str) -> str:
    """What the console's command line says of the lab; its exit code may tell of trouble."""
    done = subprocess.run(
        [ROOT / ".venv" / "bin" / "mailtui", "-c", os.environ["MAILTUI_LAB"], *argv],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.returncode in (0, 1, 2, 3) and done.stdout, done.stderr
    return done.stdout


def rows(*argv: str) -> list[dict[str, Any]]:
    """Rows of `mailtui get`."""
    found: list[dict[str, Any]] = json.loads(mailtui("get", *argv, "-o", "json"))["rows"]
    return found


async def until(true: Callable[[], Any], every: float = 0.3) -> Any:
    """The first true value of `true()`; a failure if there is none."""
    end = time.monotonic() + PATIENCE
    while not (value := true()):
        assert time.monotonic() < end, f"not within {PATIENCE} s"
        await asyncio.sleep(every)
    return value


@pytest.fixture
def running() -> None:
    """The lab is up and has no fault, whatever the test before left there."""
    lab("up")


@pytest.fixture
async def platform() -> AsyncIterator[Platform]:
    """The console's read side on the lab, polling as it does behind the screens."""
    found = Platform("lab", load(Path(os.environ["MAILTUI_LAB"])).choose()[1])
    found.start()
    yield found
    await found.stop()
