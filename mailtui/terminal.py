"""Runs the console on the terminal, and gives the terminal back whatever happens."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import sys
import termios
import threading
from contextlib import suppress
from types import FrameType
from typing import IO, TYPE_CHECKING, Any

from textual.drivers.linux_driver import LinuxDriver

from mailtui import logs

if TYPE_CHECKING:
    from mailtui.app import ConsoleApp

PATIENCE = 3.0
"""Seconds after a signal within which the console must have ended by itself."""
HUNG_UP = 128 + signal.SIGHUP
_RESET = (
    b"\x1b[?2004l\x1b[?7h\x1b[?1000l\x1b[?1003l\x1b[?1006l\x1b[<u\x1b[?1049l\x1b[?25h\x1b[?1004l"
)


class _Screen:
    """The terminal as a file. When it is gone, what is written is dropped: Textual's writer
    would end, and everybody who writes would wait for it for ever."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def write(self, text: str) -> int:
        with suppress(OSError, ValueError):
            return self._file.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            self._file.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


class TerminalDriver(LinuxDriver):
    """Textual's driver, on a terminal that may go away."""

    def __init__(self, app: ConsoleApp, **options: Any) -> None:
        super().__init__(app, **options)
        self._file: Any = _Screen(self._file)

    def disable_input(self) -> None:
        """At the end nobody waits for the reader's two `select` calls: they take 0.2 s."""
        if self._app.return_code is not None:
            self._key_thread = None
        super().disable_input()

    def _run_input_thread(self) -> None:
        try:
            self.run_input_thread()
        except OSError:
            # the terminal hung up
            self._app.call_later(self._app.exit, None, HUNG_UP)


def run_app(app: ConsoleApp) -> int:
    """Run until the operator quits or a signal ends it; the exit code.

    Not `App.run`: asyncio.run would wait for threads that hang in a name lookup.
    """
    logs.start()
    if sys.__stderr__ is not None and hasattr(sys.__stderr__, "reconfigure"):
        # what this terminal cannot show is one sign, not an escape of six
        sys.__stderr__.reconfigure(errors="replace")
    app.driver_class = TerminalDriver
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    _listen(app, loop)
    try:
        loop.run_until_complete(app.run_async())
    finally:
        app.ended()
    return app.return_code or 0


def _listen(app: ConsoleApp, loop: asyncio.AbstractEventLoop) -> None:
    """End in good order at a signal, or else by force: the loop may wait for a stuck terminal."""
    attributes: list[Any] | None = None
    with suppress(termios.error, OSError, ValueError):
        attributes = termios.tcgetattr(0)

    def end(number: int, frame: FrameType | None) -> None:
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(app.leave, 128 + number)
        force = threading.Timer(PATIENCE, _end_now, (app, 128 + number, attributes))
        force.daemon = True
        force.start()

    def watch() -> None:
        # at a terminal that hung up Textual would read nothing again and again; without being
        # its session's leader we get no signal
        poll = select.poll()
        poll.register(0, 0)
        with suppress(OSError):
            while not any(event & (select.POLLHUP | select.POLLERR) for _, event in poll.poll()):
                pass
            end(signal.SIGHUP, None)

    if attributes is not None:
        threading.Thread(target=watch, name="terminal", daemon=True).start()
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup keeps its meaning
            signal.signal(number, end)


def _end_now(app: ConsoleApp, code: int, attributes: list[Any] | None) -> None:
    with suppress(OSError, ValueError, termios.error):
        if attributes is not None:
            termios.tcsetattr(0, termios.TCSANOW, attributes)
        if select.select([], [2], [], 0)[1]:
            os.write(2, _RESET)
    app.ended()
    os._exit(code)
