"""Where the configuration is looked for, where reports and the log go, and as whose."""

from __future__ import annotations

import os
from pathlib import Path


def default_path() -> Path:
    """`$MAILTUI_CONFIG`, else `$XDG_CONFIG_HOME/mailtui/config.yaml` (XDG Base Directory)."""
    if named := os.environ.get("MAILTUI_CONFIG"):
        return Path(named)
    base = os.environ.get("XDG_CONFIG_HOME")
    return (Path(base) if base else Path.home() / ".config") / "mailtui" / "config.yaml"


def state_folder() -> Path:
    """Where crash reports and the log go (XDG Base Directory), made if it is not there: OSError."""
    base = os.environ.get("XDG_STATE_HOME")
    folder = (Path(base) if base else Path.home() / ".local" / "state") / "mailtui"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def private(path: str, flags: int) -> int:
    """An `opener` for files that only their owner can read: what the console writes names
    senders, recipients and hosts."""
    return os.open(path, flags, 0o600)
