"""How a command is run on a host, whether over SSH or on this machine."""

from __future__ import annotations

import secrets
import shlex
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Protocol

from mailtui.connections.clean import decode
from mailtui.connections.errors import SourceError, ToolMissing

OUTPUT_LIMIT = 64 * 1024 * 1024
"""Bytes of one command's output, unless told otherwise."""
LINE_LIMIT = 32 * 1024 * 1024
"""Bytes of one line: `postqueue -j` writes a message with all its recipients in one."""

_ENVIRONMENT = "LC_ALL=C PATH=$PATH:/usr/sbin:/sbin; export LC_ALL PATH; "


@dataclass(frozen=True, slots=True)
class Command:
    """A program and its arguments; nothing in it is interpreted by a shell."""

    argv: tuple[str, ...]
    root: bool = False
    """Needs root: `sudo -n` is put before it for another user."""
    stdin: bytes | None = None

    def line(self, *, sudo: bool) -> str:
        """One shell-quoted line."""
        argv = ("sudo", "-n", "--", *self.argv) if self.root and sudo else self.argv
        return shlex.join(argv)


def command(*argv: str, root: bool = False, stdin: bytes | None = None) -> Command:
    """A Command of these arguments."""
    return Command(argv, root, stdin)


@dataclass(frozen=True, slots=True)
class Completed:
    """What a command that ended said; output is cleaned text with line feeds."""

    host: str
    command: Command
    status: int
    stdout: str
    stderr: str

    def check(self) -> str:
        """The output. Raises ToolMissing or SourceError if the command failed."""
        if self.status == 0:
            return self.stdout
        raise failure(self.host, self.command, self.status, self.stderr or self.stdout)

    @property
    def missing(self) -> bool:
        """True if the host does not have this program."""
        return _is_missing(self.status, self.stderr)


def _is_missing(status: int, stderr: str) -> bool:
    # 127 is the shell's answer (POSIX, 2.8.2), unless its loader lacks a library;
    # sudo answers 1 with "command not found"
    if status == 127:
        return "error while loading shared libraries" not in stderr
    return status == 1 and stderr.startswith("sudo:") and "command not found" in stderr


def warnings_of(stderr: str) -> list[str]:
    """The lines of a command's standard error that say something."""
    return [line.strip() for line in stderr.splitlines() if line.strip()]


def failure(host: str, cmd: Command, status: int, stderr: str) -> SourceError:
    """The error that a command's exit status and its last words mean."""
    tool = cmd.argv[0]
    if _is_missing(status, stderr):
        if cmd.root and "sudo: not found" in stderr:
            return SourceError(
                "auth",
                f"{host}: {tool} needs root, and sudo is not there",
                "install sudo, or connect as root",
            )
        return ToolMissing(tool, host)
    lines = warnings_of(stderr)
    words = lines[-1] if lines else "no message"
    if lines and lines[-1].startswith("sudo:"):
        return SourceError(
            "auth",
            f"{host}: sudo -n {tool} was refused ({words.removeprefix('sudo: ')})",
            SUDOERS_HINT,
        )
    if status == 124 and cmd.argv[0] == "timeout":
        tool = next((word for word in cmd.argv[1:] if word[:1].isalpha()), tool)
        return SourceError("timeout", f"{host}: {tool} gave no answer in time")
    return SourceError("server", f"{host}: {tool} ended with exit code {status}: {words}")


SUDOERS_HINT = "install mailtui's deploy/sudoers there, with visudo -c first"
"""What to do where sudo refuses: that file has exactly what the console runs as root."""


class Runner(Protocol):
    """A host on which commands can be run. Every method raises SourceError."""

    @property
    def name(self) -> str:
        """The host's name in the configuration."""

    async def run(self, cmd: Command, *, timeout: float, limit: int = OUTPUT_LIMIT) -> Completed:
        """Run one command to its end."""

    async def batch(self, cmds: Sequence[Command], *, timeout: float) -> list[Completed]:
        """Run commands one after the other in one channel; one that fails stops no other."""

    def chunks(
        self, cmd: Command, *, timeout: float, warnings: list[str] | None = None
    ) -> AsyncGenerator[list[bytes], None]:
        """Run one command; its output as lists of whole lines (raw bytes), as they come.

        Raises at the end if the command failed; what it said on standard error although it
        succeeded is added to `warnings`, line by line.
        """

    async def close(self) -> None:
        """Close the connection."""


def single_script(cmd: Command, *, sudo: bool) -> str:
    """The shell script of one command."""
    return f"{_ENVIRONMENT}exec {cmd.line(sudo=sudo)}"


class Batch:
    """A shell script of several commands, and how its output is taken apart again.

    Everything comes on standard output, because each stream and each write is a packet of its
    own over SSH: a command's output, then a frame with its status and its standard error. A
    random token marks the frames, so that output can never be taken for one.
    """

    def __init__(self, cmds: Sequence[Command], *, sudo: bool) -> None:
        self.cmds = cmds
        self.token = f"mailtui-{secrets.token_hex(8)}"
        frame = f"'\\n{self.token} %s %s\\n%s\\n{self.token} end\\n'"
        parts = [
            f"e=$({{ {cmd.line(sudo=sudo)}; }} 2>&1 >&3 3>&- </dev/null); "
            f'printf {frame} {number} $? "$e";'
            for number, cmd in enumerate(cmds)
        ]
        self.script = f"{_ENVIRONMENT}{{ {' '.join(parts)} }} 3>&1"

    def split(self, host: str, stdout: bytes, stderr: bytes) -> list[Completed]:
        """One Completed for each command, in order. Raises SourceError if the output is cut."""
        marker = b"\n" + self.token.encode()
        found: list[Completed] = []
        if stdout.endswith(marker + b" end\n"):
            out, *pieces = stdout.split(marker + b" ")
            for piece in pieces:
                head, _, body = piece.partition(b"\n")
                if head == b"end":
                    out = body
                else:
                    cmd, status = self.cmds[len(found)], int(head.rpartition(b" ")[2])
                    found.append(Completed(host, cmd, status, decode(out), decode(body)))
        if len(found) != len(self.cmds):
            words = decode(stderr).strip().splitlines()
            raise SourceError(
                "protocol",
                f"{host}: the shell's answer is incomplete" + (f": {words[-1]}" if words else ""),
            )
        return found
