"""The console's log file: what broke inside, for a report of a defect; made when first needed."""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from pathlib import Path

from mailtui.config.revealed import mask
from mailtui.connections.clean import clean_lines

SIZE = 1_000_000
"""Bytes after which the file is turned over; one older file is kept."""


def state_folder() -> Path:
    """Where crash reports and the log go (XDG base directory specification)."""
    base = os.environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local" / "state") / "mailtui"


class _Masked(logging.Formatter):
    """No secret and no control character."""

    def format(self, record: logging.LogRecord) -> str:
        return clean_lines(mask(super().format(record)))


class LogFile(logging.Handler):
    """Opens the file at the first record; one that cannot be written is dropped."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.setFormatter(_Masked("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        self._file: logging.Handler | None = None

    def filter(self, record: logging.LogRecord) -> bool:
        """Our own records; of libraries, which tell each failed request, errors only."""
        own = record.name.startswith("mailtui")
        return own or record.levelno >= logging.ERROR

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(OSError, ValueError):
            if self._file is None:
                self._file = self._opened()
            self._file.emit(record)

    def handleError(self, record: logging.LogRecord) -> None:
        """Nothing is written over the screen."""

    def _opened(self) -> logging.Handler:
        from logging.handlers import RotatingFileHandler

        folder = state_folder()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = folder / "mailtui.log"
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600))
        file = RotatingFileHandler(path, maxBytes=SIZE, backupCount=1, encoding="utf-8")
        file.setFormatter(self.formatter)
        file.handleError = lambda record: None  # type: ignore[method-assign]
        return file


def start() -> None:
    """Send what is logged to the file, and nothing to the terminal."""
    logging.getLogger().addHandler(LogFile())
