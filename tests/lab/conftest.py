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


def on(host: str, script: str) -> str:
    """The output of root's shell on a host."""
    return lab("shell", host, script)


def mailtui(*argv: str) -> str:
    """What the console's command line says of the lab; its exit code may tell of trouble."""
    done = subprocess.run(
        [ROOT / ".venv" / "bin" / "mailtui", "-c", os.environ["MAILTUI_LAB"], *argv],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode in (0, 1, 2, 3), done.stderr
    return done.stdout


def rows(*argv: str) -> list[dict[str, Any]]:
    """Rows of `mailtui get`."""
    found: list[dict[str, Any]] = json.loads(mailtui("get", *argv, "-o", "json"))["rows"]
    return found


async def until(true: Callable[[], Any], seconds: float, every: float = 0.3) -> Any:
    """The first true value of `true()` within so many seconds; else a failure."""
    end = time.monotonic() + seconds
    while not (value := true()):
        assert time.monotonic() < end, f"not within {seconds} s"
        await asyncio.sleep(every)
    return value


@pytest.fixture
def running() -> None:
    """Without the lab every test would wait in vain: end the session."""
    if "down" in lab("status").split():
        pytest.exit("the lab is down", returncode=1)


@pytest.fixture
async def platform() -> AsyncIterator[Platform]:
    """The console's read side on the lab, polling as it does behind the screens."""
    found = Platform("lab", load(Path(os.environ["MAILTUI_LAB"])).choose()[1])
    found.start()
    yield found
    await found.stop()
