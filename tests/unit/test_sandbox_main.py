"""The sandbox's process: ready line, files, and that it ends with its parent."""

from __future__ import annotations

import json
import signal
import stat
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from mailtui.config.load import load


def start(*arguments: str) -> tuple[subprocess.Popen[bytes], dict[str, Any]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "mailtui.sandbox.main", "--parent", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    return process, json.loads(process.stdout.readline())


def test_it_is_ready_with_a_configuration_and_ends_with_its_input() -> None:
    process, line = start("--scenario", "quiet", "--seed", "7", "--hosts", "3")
    assert line["ready"] is True
    assert (line["scenario"], line["seed"]) == ("quiet", 7)
    assert set(line["ports"]) == {
        "prometheus", "rabbitmq", "amqp", "elasticsearch", "ssh:mx1", "ssh:mx2", "ssh:store1",
    }  # fmt: skip
    config = Path(line["config"])
    directory = config.parent
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    for path in directory.iterdir():
        mode = 0o700 if path.is_dir() else 0o600
        assert stat.S_IMODE(path.stat().st_mode) == mode, path
    _, context = load(config).choose()
    assert context.simulation
    assert list(context.hosts) == ["mx1", "mx2", "store1"]
    url = f"http://127.0.0.1:{line['ports']['prometheus']}/-/ready"
    with urllib.request.urlopen(url, timeout=30) as answer:
        assert answer.status == 200
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(30) == 0
    assert not directory.exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_quietly_and_leaves_foreign_files(
    tmp_path: Path, number: signal.Signals
) -> None:
    (tmp_path / "mine").write_text("stays")
    process, _ = start("--directory", str(tmp_path), "--hosts", "1")
    assert (tmp_path / "config.yaml").exists()
    process.send_signal(number)
    assert process.wait(30) == 0
    assert process.stdout is not None
    assert process.stdout.read() == b""
    assert [p.name for p in tmp_path.iterdir()] == ["mine"]


def test_unknown_scenarios_and_numbers_are_usage_errors() -> None:
    for arguments in (["--scenario", "nosuch"], ["--hosts", "0"]):
        done = subprocess.run(
            [sys.executable, "-m", "mailtui.sandbox.main", *arguments],
            capture_output=True,
            check=False,
        )
        assert done.returncode == 2
        assert done.stderr
