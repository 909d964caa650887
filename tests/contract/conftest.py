"""The platform that the contract tests run against.

Always the sandbox, in its own process; and with MAILTUI_LAB=CONFIG.YAML also the platform that this
configuration names, by the very same tests. A source that it does not have is skipped.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from mailtui.config.settings import Context
    from mailtui.connections.pool import Connections

LAB = "MAILTUI_LAB"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every test that asks for the platform runs once on each."""
    if "platform_name" in metafunc.fixturenames:
        lab = [pytest.param("lab", marks=pytest.mark.lab)] if os.environ.get(LAB) else []
        metafunc.parametrize("platform_name", ["sandbox", *lab], scope="session")


@pytest.fixture(scope="session")
def sandbox_config(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The configuration of a sandbox that runs until the session ends."""
    directory = tmp_path_factory.mktemp("sandbox") / "platform"
    process = subprocess.Popen(
        [
            sys.executable,
            *("-m", "mailtui.sandbox.main", "--parent", "--seed", "7"),
            *("--scenario", "destination-deferred", "--directory", str(directory)),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line, f"the sandbox ended with {process.wait(10)}"
        yield Path(json.loads(line)["config"])
    finally:
        process.stdin.close()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


@pytest.fixture
def platform_context(platform_name: str, request: pytest.FixtureRequest) -> Context:
    """The context of the platform under test."""
    from mailtui.config.load import load

    if platform_name == "lab":
        path = Path(os.environ[LAB])
    else:
        path = request.getfixturevalue("sandbox_config")
    _, context = load(path).choose()
    return context


@pytest.fixture
def context(platform_context: Context) -> Context:
    """The same; skips where no hosts are configured."""
    if not platform_context.hosts:
        pytest.skip("no hosts here")
    return platform_context


@pytest.fixture
async def connections(context: Context) -> AsyncIterator[Connections]:
    """Connections to its hosts."""
    from mailtui.connections.pool import Connections

    found = Connections(context)
    yield found
    await found.close()


@pytest.fixture
def mx_names(context: Context) -> list[str]:
    """Its hosts with the role `mx`."""
    found = [name for name, host in context.hosts.items() if "mx" in host.roles]
    if not found:
        pytest.skip("no host has the role mx")
    return found


@pytest.fixture
def mx(mx_names: list[str]) -> str:
    """One of them."""
    return mx_names[0]
