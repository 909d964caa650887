"""The console as a process on a real terminal (a pty): its bytes, its state, its end."""

from __future__ import annotations

import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).parents[2]
DEADLINE = 15.0
MODE = re.compile(rb"\x1b\[\?(\d+(?:;\d+)*)([hl])")
STARTED = b"Does mail flow?"
LEFT_ON = {1000, 1002, 1003, 1004, 1005, 1006, 1015, 1049, 2004, 2048}
"""Private modes that must be off when the terminal is given back (ctlseqs, DECSET)."""


def _signals_by_default() -> None:
    # whoever runs the tests may ignore them (nohup, a shell's &), and children inherit that
    for number in (signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)


class Terminal:
    """A pty with the console on it."""

    def __init__(
        self,
        argv: Sequence[str],
        home: Path,
        env: Mapping[str, str] | None = None,
        size: tuple[int, int] = (100, 30),
    ) -> None:
        """`argv`: arguments of Python."""
        self.master, slave = os.openpty()
        self.resize(*size, descriptor=slave)
        self.attributes = termios.tcgetattr(slave)
        self.output = bytearray()
        home.mkdir(exist_ok=True)
        keep = {k: v for k, v in os.environ.items() if k in ("PATH", "VIRTUAL_ENV")}
        self.process = subprocess.Popen(
            [sys.executable, *argv],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={
                **keep,
                "HOME": str(home),
                "TERM": "xterm-256color",
                "LANG": "C.UTF-8",
                "TMPDIR": str(home),
                "PYTHONPATH": str(ROOT),
                "TEXTUAL_ANIMATIONS": "none",
                **(env or {}),
            },
            start_new_session=True,
            preexec_fn=_signals_by_default,  # noqa: PLW1509
            cwd=home,
        )
        self._slave = slave
        self._hung_up = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        # a blocked read would keep the pty open after it is closed
        with suppress(OSError, ValueError):
            while not self._hung_up:
                if select.select([self.master], [], [], 0.05)[0]:
                    data = os.read(self.master, 65536)
                    if not data:
                        break
                    self.output += data

    def resize(self, width: int, height: int, descriptor: int | None = None) -> None:
        target = self.master if descriptor is None else descriptor
        fcntl.ioctl(target, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
        if descriptor is None:
            self.process.send_signal(signal.SIGWINCH)

    def send(self, text: str) -> None:
        os.write(self.master, text.encode())

    def until(self, condition: Callable[[], object], what: str) -> None:
        """Wait; fail with the last output at the deadline or when the process ended early."""
        begin = time.monotonic()
        while not condition():
            if time.monotonic() - begin > DEADLINE:
                raise AssertionError(f"not within {DEADLINE:g} s: {what}\n{self.tail()}")
            if self.process.poll() is not None:
                time.sleep(0.1)
                if condition():
                    return
                raise AssertionError(f"ended with {self.process.returncode}: {what}\n{self.tail()}")
            time.sleep(0.02)

    def shows(self, text: bytes, since: int = 0) -> None:
        """Wait until `text` was written."""
        self.until(lambda: text in self.output[since:], f"{text!r} is shown")

    def tail(self) -> str:
        return bytes(self.output[-3000:]).decode("utf-8", "replace")

    def ends(self) -> tuple[int, float]:
        """Wait for the end: the exit code, the seconds that it took."""
        begin = time.monotonic()
        code = self.process.wait(DEADLINE)
        took = time.monotonic() - begin
        # what was written last is still in the pty, and the reader may have to wait for its turn
        end = time.monotonic() + 10.0
        still, seen = 0, -1
        while still < 6 and time.monotonic() < end:
            pending = bool(select.select([self.master], [], [], 0)[0])
            still = 0 if pending or seen != len(self.output) else still + 1
            seen = len(self.output)
            time.sleep(0.05)
        return code, took

    def modes(self) -> dict[int, bool]:
        """Each private mode as it was set last."""
        found: dict[int, bool] = {}
        for match in MODE.finditer(bytes(self.output)):
            for number in match[1].split(b";"):
                found[int(number)] = match[2] == b"h"
        return found

    def is_restored(self) -> list[str]:
        """What is not as it was before the console started; empty if all is."""
        modes = self.modes()
        wrong = [f"mode {number} is on" for number in sorted(LEFT_ON) if modes.get(number)]
        if modes.get(25) is not True:
            wrong.append("the cursor is hidden")
        if modes.get(7) is False:
            wrong.append("line wrap is off")
        if termios.tcgetattr(self._slave) != self.attributes:
            wrong.append("the line discipline differs")
        pushes, pops = self.output.count(b"\x1b[>"), self.output.count(b"\x1b[<u")
        if pushes and not pops:
            wrong.append("the keyboard protocol is on")
        return wrong

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)
        # a reader that outlives its pty would take the bytes of the next one at the same number
        self.stop_reading()
        for descriptor in (self._slave, self.master):
            with suppress(OSError):
                os.close(descriptor)

    def stop_reading(self) -> None:
        """Let what is written stay where it is."""
        self._hung_up = True
        self._reader.join(5)

    def hang_up(self) -> None:
        """Close the terminal, as a lost connection does."""
        self.stop_reading()
        os.close(self._slave)
        os.close(self.master)


def children(pid: int) -> list[int]:
    """Processes whose parent is `pid`."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = path.read_text().rpartition(")")[2].split()
            if int(fields[1]) == pid:
                found.append(int(path.parent.name))
    return found


def is_alive(pid: int) -> bool:
    """True if the process runs (a zombie does not)."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in ("Z", "X")
