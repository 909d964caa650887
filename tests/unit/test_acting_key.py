"""The key of what is encrypted at rest is not replaced while something needs the old one."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailtui.access.errors import AccessError
from mailtui.access.whoami import Who
from mailtui.config.load import parse
from mailtui.operations.acting import Someone


async def test_evidence_keeps_its_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    database = f"sqlite:///{tmp_path}/operators.db"
    hosts = "{h: {address: 127.0.0.1}}"
    text = f"access: {{url: '{database}'}}\ncontexts: {{t: {{hosts: {hosts}}}}}\n"
    settings = parse(text, tmp_path / "config.yaml")
    someone = Someone(Who("ops", 1000, "", "jump"), settings.access, simulation=False)
    await someone.open_evidence(settings)
    assert someone.evidence is not None
    box = someone.evidence.box("aa")
    box.put({"id": "1"}, b"a letter")
    box.close()

    key = settings.access.key_file()
    assert key is not None
    saved = key.read_bytes()
    key.unlink()
    with pytest.raises(AccessError, match="is missing, and something was encrypted with it"):
        await someone.open_evidence(settings)
    assert not key.exists()

    key.write_bytes(saved)
    key.chmod(0o600)
    await someone.open_evidence(settings)
    (item,) = someone.evidence.items("aa")
    assert item.body == b"a letter"
