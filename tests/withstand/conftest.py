"""The console on the sandbox, in one process: servers on a thread of their own, faults at will."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mailtui.collectors import poller
from mailtui.model import clock
from tests.withstand.console import SandboxThread


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Failing sources are tried again soon, and the clock is the system's afterwards."""
    monkeypatch.setattr(poller, "BACKOFF_CAP", 0.5)
    monkeypatch.setenv("TEXTUAL_ANIMATIONS", "none")
    yield
    clock.set_clock(None)


@pytest.fixture(scope="module")
def shared_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxThread]:
    """One sandbox for the tests of a module."""
    sandbox = SandboxThread(tmp_path_factory.mktemp("sandbox"))
    sandbox.start()
    yield sandbox
    sandbox.stop()


@pytest.fixture
def sandbox(shared_sandbox: SandboxThread) -> Iterator[SandboxThread]:
    """The module's sandbox, well before and after the test."""
    shared_sandbox.heal()
    yield shared_sandbox
    shared_sandbox.heal()


@pytest.fixture(autouse=True)
def state_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where crash reports and the log go."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"
