"""Where the configuration is looked for."""

from __future__ import annotations

import os
from pathlib import Path


def default_path() -> Path:
    """`$MAILTUI_CONFIG`, else `$XDG_CONFIG_HOME/mailtui/config.yaml` (XDG Base Directory)."""
    if named := os.environ.get("MAILTUI_CONFIG"):
        return Path(named)
    base = os.environ.get("XDG_CONFIG_HOME")
    return (Path(base) if base else Path.home() / ".config") / "mailtui" / "config.yaml"
