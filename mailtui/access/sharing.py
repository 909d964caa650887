"""Files of several operators of one machine: a folder with the setgid bit and their group."""

from __future__ import annotations

import stat
from pathlib import Path


def is_shared(folder: Path) -> bool:
    """True if new files in it belong to its group: then they are made for the group."""
    return bool(folder.stat().st_mode & stat.S_ISGID)


def make_folder(folder: Path) -> None:
    """Make it, for its owner alone; one that is there is left as it is. Raises OSError."""
    if not folder.is_dir():
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
