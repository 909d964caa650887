"""What was run on the lab is in its audit index, where the platform's own events are."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import yaml

from tests.lab.conftest import PATIENCE, ROOT, until


async def test_get_audit_finds_an_operation_that_was_run(running: None, tmp_path: Path) -> None:
    settings = yaml.safe_load(Path(os.environ["MAILTUI_LAB"]).read_text(encoding="utf-8"))
    assert settings["journal"]["index"]
    # the lab's own journal goes when the lab is brought up anew; this one must not
    settings["journal"]["path"] = str(tmp_path / "journal.jsonl")
    settings["evidence"]["path"] = str(tmp_path / "evidence")
    settings["access"]["url"] = f"sqlite:///{tmp_path / 'operators.db'}"
    config = tmp_path / "lab.yaml"
    config.write_text(yaml.safe_dump(settings), encoding="utf-8")

    def mailtui(*argv: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [ROOT / ".venv" / "bin" / "mailtui", "-c", config, *argv],
            capture_output=True, text=True, check=False, timeout=PATIENCE,
        )  # fmt: skip

    def act(*argv: str) -> dict[str, Any]:
        done = mailtui(*argv, "-o", "json")
        assert done.returncode == 0, done.stdout + done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    assert mailtui("operator", "add", "root", "--role", "admin").returncode == 0
    rows = await until(
        lambda: act("get", "messages", "--where", "queue:deferred host:mx2", "--limit", "1")["rows"]
    )
    where = f"id:{rows[0]['id']} host:mx2"
    dry = act("do", "postfix.hold", "--where", where, "--dry-run")
    ran = act("do", "--planned", str(dry["planned"]), "--yes")["outcome"]
    assert ran["state"] == "done"
    assert act("undo", ran["run"], "--yes")["outcome"]["state"] == "done"

    def outcomes() -> list[dict[str, Any]]:
        where = "service:mailtui action:postfix message:outcome"
        found: list[dict[str, Any]] = act("get", "audit", "--where", where)["rows"]
        names = {"postfix.hold", "postfix.release"}
        return found if names <= {row["action"] for row in found} else []

    found = await until(outcomes)
    (held,) = (row for row in found if ran["sentence"] in row["message"])
    assert (held["action"], held["user"], held["outcome"]) == ("postfix.hold", "root", "success")
    checked = act("journal", "verify", "--audit")
    assert checked["audit_records"] == checked["records"]
