"""The sandbox in a process of its own, which cannot outlive the one that started it."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from threading import Thread, Timer

READY_TIMEOUT = 30.0
"""Seconds; a sandbox is usually ready within two."""


class DemoFailed(Exception):
    """The sandbox did not come up; the message says why."""


class DemoProcess:
    """Starts the sandbox at once; `config()` waits until it answers."""

    def __init__(self, scenario: str | None = None, seed: int | None = None, hosts: int = 0):
        argv = [sys.executable, "-m", "mailtui.sandbox.main", "--parent"]
        if scenario is not None:
            argv += ["--scenario", scenario]
        if seed is not None:
            argv += ["--seed", str(seed)]
        if hosts:
            argv += ["--hosts", str(hosts)]
        # its standard input is the leash: when this process ends, however, the sandbox reads EOF
        self._process = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self._config: Path | None = None

    def config(self) -> Path:
        """Path of the sandbox's configuration, once it is ready. Blocking. Raises DemoFailed."""
        if self._config is None:
            self._config = self._wait()
        return self._config

    def stop(self) -> None:
        """End the sandbox without waiting for it."""
        with suppress(OSError):
            self._process.terminate()

    def _wait(self) -> Path:
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        late = Timer(READY_TIMEOUT, self.stop)
        late.daemon = True
        late.start()
        line = self._process.stdout.readline()
        late.cancel()
        try:
            config = Path(json.loads(line)["config"])
        except (ValueError, KeyError, TypeError):
            said = self._process.stderr.read().decode("utf-8", "replace").strip().splitlines()
            words = said[-1] if said else "no message"
            raise DemoFailed(f"the sandbox did not start: {words}") from None
        Thread(target=self._drain, name="sandbox-stderr", daemon=True).start()
        return config

    def _drain(self) -> None:
        """Read what it says, or a full pipe would stop it."""
        assert self._process.stderr is not None
        with suppress(OSError, ValueError):
            while self._process.stderr.read(4096):
                pass
