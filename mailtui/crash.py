"""A crash report: where it broke, with no value of any variable in it."""

from __future__ import annotations

import os
import sys
import time
import traceback
from pathlib import Path

from mailtui import __version__


def report(error: BaseException) -> str:
    """The traceback as text: files, lines and the error's type and words; never locals."""
    lines = traceback.format_exception(error)  # the standard library's own shows no locals
    head = f"mailtui {__version__}, Python {sys.version.split()[0]}, {time.strftime('%F %T%z')}\n"
    return head + "".join(lines)


def write(error: BaseException) -> Path | None:
    """Write the report where only its owner can read it; None if that is not possible."""
    base = os.environ.get("XDG_STATE_HOME")
    folder = (Path(base) if base else Path.home() / ".local" / "state") / "mailtui"
    path = folder / f"crash-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.txt"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(report(error))
    except OSError:
        return None
    return path
