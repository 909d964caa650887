"""The terminal is given back whatever ends the console, with the right exit code."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.withstand.console import SandboxThread
from tests.withstand.terminal import STARTED, Terminal, children, is_alive

SECRET = "hunter2-Correct-Horse"

BREAK = """
import sys, os
from pathlib import Path
from mailtui.config.secrets import Secret
from mailtui.headless.console import open_console
from mailtui.loading import from_file
from mailtui import cli

secret = Secret(env="MAILTUI_TEST_SECRET").reveal()

def broken(*args, **kwargs):
    password = secret
    raise RuntimeError(f"login failed for mailtui:{secret} at 127.0.0.1")

def later(original, broken):
    calls = []
    def call(self, *args, **kwargs):
        calls.append(1)
        if len(calls) > 3:
            broken()
        return original(self, *args, **kwargs)
    return call
"""
IN_DATA_CHANGED = """
from mailtui.screens import overview
overview.View.data_changed = later(overview.View.data_changed, broken)
"""
IN_RENDER = """
from mailtui.widgets.source_line import SourceLine
SourceLine.render = later(SourceLine.render, broken)
"""
IN_WORKER = """
from mailtui.app import ConsoleApp
async def work(self):
    broken()
begin = ConsoleApp.begin
ConsoleApp.begin = lambda self: (begin(self), self.run_worker(work(self)))
"""
IN_MOUNT = """
from mailtui.screens import overview
overview.View.on_mount = broken
"""
IN_COMPOSE = """
from mailtui.screens import overview
overview.View.compose_body = broken
"""
OPEN = """
try:
    status = open_console(from_file(Path(sys.argv[1])))
except Exception as error:
    from mailtui.headless.errors import explain
    status = explain("console", error)
cli.leave(status)
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def terminal(sandbox: SandboxThread, home: Path) -> Iterator[Terminal]:
    """The console on the shared sandbox."""
    opened = Terminal(["-m", "mailtui", "-c", str(sandbox.config())], home)
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)]
)
def test_signal(terminal: Terminal, number: int, code: int) -> None:
    """Each signal ends the console in good order."""
    terminal.shows(STARTED)
    terminal.process.send_signal(number)
    assert terminal.ends()[0] == code, terminal.tail()
    assert terminal.is_restored() == []
    assert b"Traceback" not in terminal.output


def test_signal_before_first_paint(terminal: Terminal) -> None:
    """One that comes as soon as the terminal is taken."""
    terminal.shows(b"\x1b[?1049h")
    terminal.process.send_signal(signal.SIGTERM)
    assert terminal.ends()[0] == 143, terminal.tail()
    assert terminal.is_restored() == []


def test_quit_key(terminal: Terminal) -> None:
    """`q`."""
    terminal.shows(STARTED)
    terminal.send("q")
    assert terminal.ends()[0] == 0
    assert terminal.is_restored() == []


def test_control_c_is_no_end(terminal: Terminal) -> None:
    """Ctrl+C is a key: it says how to quit, however often it is pressed."""
    terminal.shows(STARTED)
    terminal.send("\x03\x03")
    terminal.shows(b"quit")
    terminal.send("q")
    assert terminal.ends()[0] == 0
    assert terminal.is_restored() == []


def test_lost_terminal(sandbox: SandboxThread, home: Path) -> None:
    """The connection to the terminal is cut: the process ends, and its sandbox with it."""
    lost = Terminal(["-m", "mailtui", "--demo", "--scenario", "quiet"], home)
    lost.shows(STARTED)
    lost.until(lambda: children(lost.process.pid), "the sandbox was started")
    found = children(lost.process.pid)
    lost.hang_up()
    assert lost.process.wait(20) is not None
    deadline = time.monotonic() + 20
    while any(map(is_alive, found)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(is_alive, found))


@pytest.mark.parametrize(
    "what", [IN_DATA_CHANGED, IN_RENDER, IN_WORKER, IN_MOUNT, IN_COMPOSE],
    ids=["data_changed", "render", "worker", "mount", "compose"],
)  # fmt: skip
def test_crash(sandbox: SandboxThread, home: Path, what: str) -> None:
    """A defect: the terminal is given back, the report holds no secret."""
    broken = Terminal(
        ["-c", BREAK + what + OPEN, str(sandbox.config())],
        home,
        {"MAILTUI_TEST_SECRET": SECRET, "COLUMNS": "100"},
    )
    try:
        code, _ = broken.ends()
        assert code == 70, (code, broken.tail())
        assert broken.is_restored() == []
        reports = list((home / ".local/state/mailtui").glob("crash-*"))
        assert len(reports) == 1, broken.tail()
        report = reports[0].read_text()
        assert reports[0].stat().st_mode & 0o077 == 0
        assert "RuntimeError" in report and "in broken" in report
        assert SECRET not in report
        assert SECRET.encode() not in broken.output
        said = bytes(broken.output).rpartition(b"\x1b[?1049l")[2].decode()
        assert "mailtui broke: RuntimeError" in said
        assert reports[0].name in said.replace("\r\n", "")
    finally:
        broken.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_sandbox_ends_with_the_console(home: Path, number: int) -> None:
    """The demo's sandbox cannot outlive the console; its private directory is removed."""
    demo = Terminal(["-m", "mailtui", "--demo", "--scenario", "quiet"], home)
    try:
        demo.shows(STARTED)
        demo.until(lambda: list(home.glob("mailtui-sandbox-*/config.yaml")), "the sandbox is there")
        found = children(demo.process.pid)
        assert found
        demo.process.send_signal(number)
        demo.ends()
        if number == signal.SIGTERM:
            assert demo.is_restored() == []
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and (
            any(map(is_alive, found)) or list(home.glob("mailtui-sandbox-*"))
        ):
            time.sleep(0.05)
        assert not any(map(is_alive, found))
        assert list(home.glob("mailtui-sandbox-*")) == []
    finally:
        demo.close()


ENVIRONMENTS = [
    {"NO_COLOR": "1"},
    {"TERM": "linux"},
    {"TERM": "dumb"},
    {"TERM": "unknown"},
    {"TERM": "screen-256color"},
    {"TERM": "nonsense"},
    {"LANG": "C"},
    {"LANG": "C.UTF-8"},
    {"LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
    {"PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"},
]


@pytest.mark.parametrize(
    "env", ENVIRONMENTS, ids=lambda e: "-".join(f"{k}={v}" for k, v in e.items())
)
def test_environment(sandbox: SandboxThread, home: Path, env: dict[str, str]) -> None:
    """It starts, draws every screen, and quits."""
    opened = Terminal(["-m", "mailtui", "-c", str(sandbox.config())], home, env)
    try:
        opened.shows(STARTED)
        opened.until(lambda: b"reading" not in opened.output[-400:], "something was read")
        for number, words in (
            (2, b"by "),
            (3, b"RabbitMQ"),
            (4, b"mx1"),
            (5, b"jail"),
            (6, b"Events"),
        ):
            at = len(opened.output)
            opened.send(str(number))
            opened.shows(words, at)
        opened.send("q")
        assert opened.ends()[0] == 0, opened.tail()
        assert opened.is_restored() == []
        assert b"\\u2" not in opened.output, "characters are written as escapes"
        if "NO_COLOR" in env:
            colours = [c for c in (b"[38;", b"[31m", b"[48;") if c in opened.output]
            print("with NO_COLOR:", colours)
    finally:
        opened.close()


def test_no_terminal(sandbox: SandboxThread, home: Path) -> None:
    """The descriptor limit and a closed standard error do not matter to the exit code."""
    opened = Terminal(["-m", "mailtui", "-c", str(home / "missing.yaml")], home)
    try:
        opened.shows(b"cannot be used")
        os.write(opened.master, b"q")
        assert opened.ends()[0] == 78
        assert opened.is_restored() == []
    finally:
        opened.close()


def test_stuck_terminal(terminal: Terminal) -> None:
    """Nobody reads what is written (a frozen connection): a signal ends the console even so."""
    terminal.shows(STARTED)
    terminal.stop_reading()
    for size in range(40):  # more than a pty and Textual's queue hold
        terminal.resize(150 + size, 50)
        time.sleep(0.05)
    terminal.process.send_signal(signal.SIGTERM)
    assert terminal.process.wait(20) == 143
