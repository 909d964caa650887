"""Files of several operators of one machine: a folder with the setgid bit and their group."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path


def is_shared(folder: Path) -> bool:
    """True if new files in it belong to its group: then they are made for the group."""
    return bool(folder.stat().st_mode & stat.S_ISGID)


def make_folder(folder: Path) -> None:
    """Make it, for its owner alone, or for the group of the shared folder that it is in; one that
    is there is left as it is. Raises OSError."""
    if not folder.is_dir():
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if is_shared(folder.parent):
            folder.chmod(0o2770)


def open_file(path: Path, flags: int) -> int:
    """A descriptor of a file, made if it is not there: for the group where the folder is shared,
    whatever the umask says, else for its owner alone. Raises OSError."""
    flags |= os.O_CLOEXEC
    with suppress(FileNotFoundError):
        return os.open(path, flags)
    shared = is_shared(path.parent)
    mode = 0o660 if shared else 0o600
    try:
        descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError:  # another process was first
        return os.open(path, flags)
    if shared:
        os.fchmod(descriptor, mode)
    return descriptor
