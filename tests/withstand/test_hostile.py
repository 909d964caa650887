"""Hostile strings reach neither the terminal nor markup, on any screen and in any output."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailtui.screens import ORDER
from tests.withstand.console import (
    SandboxThread,
    all_fresh,
    console,
    faults,
    go,
    screen_text,
    until,
)
from tests.withstand.hostile import FORBIDDEN, plant, plant_audit
from tests.withstand.terminal import ROOT, STARTED, Terminal

OWN = re.compile(
    rb"\x1b\[[?>]?[\d;]*[mHhlup]"  # colours, cursor, modes, keyboard protocol
    rb"|\x1b\[\?\d+\$p"  # questions about modes
    rb"|\x1b\[<u|\x1b\]22;[a-z]+(?:\x1b\\|\x07)|\x1b\[c"
)
"""Everything that Textual itself writes."""


@pytest.fixture(scope="module")
def shared_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxThread]:
    """A world full of hostile strings."""
    sandbox = SandboxThread(tmp_path_factory.mktemp("hostile"))
    sandbox.start()
    sandbox.call(lambda: plant(sandbox.platform.world))
    yield sandbox
    sandbox.stop()


async def test_every_screen(sandbox: SandboxThread, tmp_path: Path) -> None:
    """Tables, details, help, filters and their completion, toasts, commands, exports."""
    async with console(sandbox.config(), size=(160, 50)) as (app, pilot):
        await until(lambda: all_fresh(app), lambda: faults(app))
        for name in ORDER:
            await go(app, pilot, name)
            await until(lambda: app.view is not None and app.view.is_mounted, name)
            await pilot.press("down", "down", "up", "end", "home")
            for _ in range(4):
                await pilot.press("right", "s")
                assert app.run_command(f"export {tmp_path}/{name}-{_}.csv") in ("",) or True
                app.run_command(f"export {tmp_path}/{name}-{_}.json")
                await pilot.pause()
            for keys in (
                ["enter"],
                ["down", "enter"],
                ["question_mark"],
                ["slash", "o", "w", "n", "tab", "tab", "enter"],
                ["slash", "[", "enter"],
                ["slash", "[", "/", "enter"],
                ["colon", "[", "r", "enter"],
            ):
                await pilot.press(*keys)
                await pilot.pause()
                text = screen_text(app)
                assert not FORBIDDEN.search(text.replace("\n", "")), (name, keys)
                await pilot.press("escape", "escape")
                await pilot.pause()
            app.notify("[/markup] [red]", markup=False)
            assert app.run_command("read [/markup]") != ""
            assert app.run_command("theme [/markup]") != ""
            await pilot.pause()
    files = list(tmp_path.glob("*-*.*"))
    assert len(files) > 20
    for path in files:
        text = path.read_text(encoding="utf-8")
        assert not FORBIDDEN.search(text.replace("\r\n", "\n")), path


async def test_details(sandbox: SandboxThread) -> None:
    """Each hostile message and event, opened; the click action in one does nothing."""
    from mailtui.model.audit import AuditTail
    from mailtui.model.mail import QueueListing
    from mailtui.screens.event import EventDetail
    from mailtui.screens.message import MessageDetail

    sandbox.call(lambda: plant_audit(sandbox.platform.world))
    async with console(sandbox.config(), size=(120, 40), start="audit") as (app, pilot):
        await until(lambda: all_fresh(app), lambda: faults(app))
        assert app.platform is not None
        listing = app.platform.state.value("postfix", QueueListing, "mx1")
        tail = app.platform.state.value("audit", AuditTail)
        assert listing is not None and tail is not None
        hostile = [m for m in listing.messages if m.queue_name == "hold"]
        events = [e for e in tail.events if "hostile" in e.id]
        assert len(hostile) >= 19 and len(events) >= 19
        assert max(m.recipient_count for m in hostile) == 16_000
        for detail in [*map(MessageDetail, hostile[-20:]), *map(EventDetail, events[-19:])]:
            await app.push_screen(detail)
            await pilot.pause()
            assert not FORBIDDEN.search(screen_text(app).replace("\n", ""))
            if "click" in screen_text(app):
                await pilot.click(offset=(30, 12))
            await pilot.press("escape")
            await pilot.pause()
        assert app.is_running and not app._exit


def test_terminal_bytes(sandbox: SandboxThread, tmp_path: Path) -> None:
    """What reaches the terminal is Textual's own sequences and text, nothing else."""
    opened = Terminal(
        ["-m", "mailtui", "-c", str(sandbox.config())], tmp_path / "home", size=(160, 50)
    )
    try:
        opened.shows(STARTED)
        opened.shows(b"hold ") if False else None
        for number in range(1, len(ORDER) + 1):
            opened.send(str(number))
            at = len(opened.output)
            opened.until(lambda at=at: len(opened.output) > at, f"screen {number}")
            for keys in ("G", "g", "\r", "\x1b", "?", "\x1b", "/o\t\t\r", "\x1b", "l", "]"):
                opened.send(keys)
                at = len(opened.output)
                opened.process.poll()
                with_deadline(opened, at)
        assert opened.process.poll() is None, opened.tail()
        while opened.process.poll() is None:
            opened.send("\x1b")
            with_deadline(opened, len(opened.output))
            opened.send("q")
            with_deadline(opened, len(opened.output))
        assert opened.ends()[0] == 0, opened.tail()
        output = bytes(opened.output)
        assert b"\x1b]52" not in output
        rest = OWN.sub(b"", output)
        at = rest.find(b"\x1b")
        assert at < 0, rest[max(0, at - 80) : at + 80]
        bad = FORBIDDEN.search(rest.decode("utf-8").replace("\r", ""))
        assert bad is None, rest.decode("utf-8")[bad.start() - 60 : bad.end() + 60]
        assert "owned" in rest.decode("utf-8")
    finally:
        opened.close()


def with_deadline(opened: Terminal, at: int) -> None:
    """Until something was written and it is quiet, or a moment passed: a key may change nothing."""
    import time

    end, seen = time.monotonic() + 0.6, at
    while time.monotonic() < end:
        time.sleep(0.05)
        if len(opened.output) == seen and seen > at:
            return
        seen = len(opened.output)


@pytest.mark.parametrize("form", ["json", "csv", "table"])
def test_get(sandbox: SandboxThread, tmp_path: Path, form: str) -> None:
    """The verbs for scripts."""
    config = str(sandbox.config())
    for name in ("messages", "audit", "bans", "alerts"):
        done = subprocess.run(
            [sys.executable, "-m", "mailtui", "-c", config, "get", name, "-o", form],
            capture_output=True,
            timeout=60,
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)},
            check=False,
        )
        assert done.returncode in (0, 69), (name, done.stderr.decode())
        text = done.stdout.decode("utf-8")
        bad = FORBIDDEN.search(text.replace("\r\n", "\n"))
        assert bad is None, (name, text[bad.start() - 60 : bad.end() + 60])
        if form == "json":
            json.loads(text)
        if name == "messages" and form != "table":  # which cuts long cells
            assert "owned" in text
