"""Secrets: never in the configuration file, never in a repr; read when they are first needed."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any

from pydantic import model_validator

from mailtui.config.base import Duration, FilePath, Strict
from mailtui.config.revealed import remember


class SecretUnavailable(Exception):
    """A secret could not be read; the message names where it was looked for, never the secret."""


class Secret(Strict):
    """Where a secret comes from: exactly one of `env`, `file`, `command`."""

    env: str | None = None
    """Name of an environment variable."""
    file: FilePath | None = None
    """File whose first line is the secret; it must not be readable by others."""
    command: tuple[str, ...] | None = None
    """Program and arguments (no shell) that print the secret."""
    timeout: Duration = 10.0
    """Hard limit of `command`."""

    @model_validator(mode="before")
    @classmethod
    def _never_inline(cls, value: Any) -> Any:
        if isinstance(value, str | int | float):
            raise ValueError(
                "a secret is never written in this file; expected "
                "{env: NAME}, {file: PATH} or {command: [PROGRAM, …]}"
            )
        return value

    @model_validator(mode="after")
    def _exactly_one(self) -> Secret:
        if sum(part is not None for part in (self.env, self.file, self.command)) != 1:
            raise ValueError("expected exactly one of env, file, command")
        return self

    def problem(self) -> str | None:
        """Why this secret cannot be read, or None; a command is not run for this."""
        if self.env is not None and not os.environ.get(self.env):
            return f"the environment variable {self.env} is not set"
        if self.file is not None:
            return _file_problem(self.file)
        return None

    def missing_command(self) -> str | None:
        """That the program of `command` is not on this machine, or None; it is not run."""
        if self.command is None or (self.command and shutil.which(self.command[0])):
            return None
        return f"the command {self.command[0] if self.command else '(empty)'} was not found"

    def exposed(self) -> str | None:
        """Why the secret's file must not be used as it is: others can read it; or None."""
        return None if self.file is None else _exposure(self.file)

    def reveal(self) -> str:
        """The secret itself, masked in reports and errors from now on.

        Runs `command` if it is one (blocking). Raises SecretUnavailable.
        """
        return remember(self._read())

    def _read(self) -> str:
        if (problem := self.problem()) is not None:
            raise SecretUnavailable(problem)
        if self.env is not None:
            return os.environ[self.env]
        if self.file is not None:
            lines = self.file.read_text(encoding="utf-8").splitlines()
            if not lines or not lines[0]:
                raise SecretUnavailable(f"{self.file} is empty")
            return lines[0]
        assert self.command is not None
        return _command_output(self.command, self.timeout)


def _file_problem(path: Path) -> str | None:
    try:
        mode = path.stat().st_mode
    except OSError as error:
        return f"{path}: {error.strerror or error}"
    if not stat.S_ISREG(mode):
        return f"{path} is not a regular file"
    if (exposure := _exposure(path)) is not None:
        return exposure
    if not os.access(path, os.R_OK):
        return f"{path} cannot be read by this user"
    return None


def _exposure(path: Path) -> str | None:
    try:
        mode = path.stat().st_mode
    except OSError:
        return None
    if stat.S_ISREG(mode) and mode & (stat.S_IRGRP | stat.S_IROTH):
        return (
            f"{path} can be read by others (mode {stat.S_IMODE(mode):04o}); run: chmod 600 {path}"
        )
    return None


def _command_output(command: tuple[str, ...], timeout: float) -> str:
    name = command[0] if command else "(empty)"
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,  # the terminal's keys are the console's
            capture_output=True,
            timeout=timeout,
            check=False,
            text=True,
        )
    except FileNotFoundError:
        raise SecretUnavailable(f"the command {name} was not found") from None
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError) as error:
        raise SecretUnavailable(f"the command {name} failed: {type(error).__name__}") from None
    if done.returncode != 0:
        raise SecretUnavailable(f"the command {name} ended with exit code {done.returncode}")
    first = done.stdout.splitlines()[0] if done.stdout else ""
    if not first:
        raise SecretUnavailable(f"the command {name} printed nothing")
    return first
