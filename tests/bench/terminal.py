"""Programs on a real pseudo-terminal, watched from outside: when they paint, when they end."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import sys
import tempfile
import termios
from collections.abc import Sequence
from contextlib import suppress
from time import clock_gettime, monotonic

MAILTUI = (sys.executable, "-m", "mailtui")


class Terminal:
    """One program on a terminal of `columns` x `lines`; a context manager that ends it."""

    def __init__(self, argv: Sequence[str], columns: int = 120, lines: int = 40) -> None:
        # a HOME of its own: no configuration, no history, no theme of the person who measures
        self._home = tempfile.TemporaryDirectory(prefix="mailtui-bench-")
        environment = {
            **os.environ,
            "HOME": self._home.name,
            "TERM": "xterm-256color",
            "COLORTERM": "truecolor",
        }
        self.output = bytearray()
        self.started = monotonic()
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            with suppress(OSError):
                size = struct.pack("HHHH", lines, columns, 0, 0)
                fcntl.ioctl(1, termios.TIOCSWINSZ, size)
                os.execve(argv[0], list(argv), environment)
            os._exit(127)
        self._ended = False

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        if not self._ended:
            os.kill(self.pid, signal.SIGTERM)
            try:
                self.wait_end(2.0)
            except TimeoutError:
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
        os.close(self._fd)
        self._home.cleanup()

    def send(self, keys: str) -> None:
        """Press keys."""
        os.write(self._fd, keys.encode())

    def read(self, seconds: float) -> bool:
        """Take what it writes within `seconds`; False if nothing came, or it ended."""
        if not select.select([self._fd], [], [], max(0.0, seconds))[0]:
            return False
        try:
            data = os.read(self._fd, 1 << 16)
        except OSError:  # EIO: nobody holds the other side any more
            return False
        self.output += data
        return bool(data)

    def wait_text(self, text: str, timeout: float = 30.0) -> float:
        """Seconds from its start until `text` is on the terminal. Raises TimeoutError."""
        wanted, end = text.encode(), monotonic() + timeout
        while wanted not in self.output:
            came = self.read(min(0.5, end - monotonic()))
            if not came and (monotonic() > end or self.has_ended()):
                raise TimeoutError(f"{text!r} was not painted: {bytes(self.output[-400:])!r}")
        return monotonic() - self.started

    def wait_end(self, timeout: float) -> float:
        """Seconds until the process has ended. Raises TimeoutError."""
        begin = monotonic()
        while not self.has_ended():
            if monotonic() - begin > timeout:
                raise TimeoutError(f"process {self.pid} did not end within {timeout:g} s")
            self.read(0.002)
        return monotonic() - begin

    def watch(self, seconds: float) -> int:
        """Take what it writes for `seconds`, as a terminal does; the number of bytes."""
        before, end = len(self.output), monotonic() + seconds
        while (left := end - monotonic()) > 0:
            self.read(left)
        return len(self.output) - before

    def cpu(self) -> float:
        """Processor seconds that the process itself has used so far (Linux)."""
        # the clock of another process: clock_getcpuclockid(3), as the kernel's ABI writes it
        return clock_gettime((~self.pid << 3) | 2)

    def has_ended(self) -> bool:
        """True if the process has ended."""
        if not self._ended:
            self._ended = os.waitpid(self.pid, os.WNOHANG)[0] != 0
        return self._ended
