"""The console's log file: what broke inside, for a report of a defect; made when first needed."""

from __future__ import annotations

import logging
from contextlib import suppress
from io import TextIOWrapper

from mailtui.config.paths import private, state_folder
from mailtui.config.revealed import mask
from mailtui.connections.clean import clean_lines

SIZE = 1_000_000
"""Bytes after which the file is turned over; one older file is kept."""


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

        class Private(RotatingFileHandler):
            def _open(self) -> TextIOWrapper:
                return open(self.baseFilename, "a", encoding="utf-8", opener=private)

        path = state_folder() / "mailtui.log"
        file = Private(path, maxBytes=SIZE, backupCount=1, encoding="utf-8")
        file.setFormatter(self.formatter)
        file.handleError = lambda record: None  # type: ignore[method-assign]
        return file


def start() -> None:
    """Send what is logged to the file, and nothing to the terminal."""
    logging.getLogger().addHandler(LogFile())
