"""What the console writes: for its owner alone, whole or not at all, never over a file."""

from __future__ import annotations

import csv
import json
import logging
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from mailtui import crash, logs
from mailtui.screens import taking
from tests.snapshots.still import StillApp


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(autouse=True)
def open_umask() -> Any:
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture(autouse=True)
def the_clock() -> Any:
    yield
    from mailtui.model import clock

    clock.set_clock(None)


async def test_an_export_is_whole_private_and_replaces_nothing(tmp_path: Path) -> None:
    app = StillApp("incident", "bans")
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause(0.3)
        assert app.view is not None
        table = app.view.table
        assert table is not None
        assert table.shown > 0
        for name in ("bans.csv", "bans.json"):
            path = tmp_path / name
            assert app.export(str(path)) == ""
            assert mode(path) == 0o600
            text = path.read_text()
            found = (
                json.loads(text)
                if name.endswith("json")
                else list(csv.DictReader(text.splitlines()))
            )
            assert [row["address"] for row in found] == [row.address for row in table.shown_rows]
            assert "exists already" in app.export(str(path))
            assert path.read_text() == text
        link = tmp_path / "link.csv"
        link.symlink_to(tmp_path / "victim")
        assert "exists already" in app.export(str(link))
        assert not (tmp_path / "victim").exists()
        assert "expected a name" in app.export(str(tmp_path / "bans.txt"))
        shot = tmp_path / "shot.svg"
        assert app.save_shot(str(shot)) == ""
        assert mode(shot) == 0o600
        assert shot.read_text().startswith("<svg")


def test_a_full_disk_leaves_no_part_of_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = Path("/dev/full")
    real = os.open
    monkeypatch.setattr(taking, "private", lambda path, flags: real(full, os.O_WRONLY))
    assert "No space left" in taking.save(tmp_path / "x.csv", "text\n" * 10)
    assert list(tmp_path.iterdir()) == []


def test_reports_and_logs_are_private_also_after_a_turnover(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(logs, "SIZE", 200)
    report = crash.write(ValueError("x"))
    assert report is not None
    assert mode(report) == 0o600
    assert mode(report.parent) == 0o700
    handler = logs.LogFile()
    for number in range(20):
        handler.emit(logging.makeLogRecord({"name": "mailtui", "msg": f"line {number} " * 5}))
    written = sorted(report.parent.glob("mailtui.log*"))
    assert [path.name for path in written] == ["mailtui.log", "mailtui.log.1"]
    assert {mode(path) for path in written} == {0o600}
