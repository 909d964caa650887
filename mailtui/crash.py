"""A crash report: where it broke, with no value of any variable and no secret in it."""

from __future__ import annotations

import os
import sys
import time
import traceback
from pathlib import Path

from mailtui import __version__
from mailtui.config.paths import private, state_folder
from mailtui.config.revealed import mask
from mailtui.connections.clean import clean_lines

EXIT_CODE = 70
"""A defect of mailtui (sysexits.h, EX_SOFTWARE)."""


def report(error: BaseException) -> str:
    """The traceback as text: files, lines and the error's type and words; never locals."""
    # Textual's WorkerFailed keeps the real one in an attribute
    inner = getattr(error, "error", None)
    cause = inner if isinstance(inner, BaseException) else error
    lines = traceback.format_exception(cause)  # the standard library's own shows no locals
    head = f"mailtui {__version__}, Python {sys.version.split()[0]}, {time.strftime('%F %T%z')}\n"
    # an error's words may quote what it was given: a secret, a stranger's terminal sequences
    return head + clean_lines(mask("".join(lines)))


def write(error: BaseException) -> Path | None:
    """Write the report where only its owner can read it; None if that is not possible."""
    name = f"crash-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.txt"
    try:
        path = state_folder() / name
        with open(path, "x", encoding="utf-8", opener=private) as file:
            file.write(report(error))
    except OSError:
        return None
    return path
