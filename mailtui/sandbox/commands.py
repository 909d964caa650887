"""What a command of a simulated host gets and gives, and the host as its commands see it."""

from __future__ import annotations

import getopt
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from mailtui.sandbox.streams import Sink, Source

log = logging.getLogger(__name__)

ROOT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""sudo's secure_path on Debian."""
USER_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/games"
"""What sshd gives a user on Debian: without the sbin directories."""


@dataclass
class Machine:
    """One simulated host: its tools and its files."""

    world: Any
    host: Any
    commands: dict[str, Command]
    """Absolute path (merged /usr) → command."""
    files: Mapping[str, Callable[[], bytes]]
    """Absolute path → what reading it gives now."""
    sudo: tuple[str, ...] | None = None
    """Names that sudo allows without a password; None: every one."""

    def find(self, name: str, path: str) -> str | None:
        """The absolute path of a tool, as execvp(3) finds it; None if there is none."""
        if "/" in name:
            merged = merge_usr(name)
            return merged if merged in self.commands else None
        for directory in path.split(":"):
            candidate = merge_usr(f"{directory.rstrip('/')}/{name}")
            if candidate in self.commands:
                return candidate
        return None


def merge_usr(path: str) -> str:
    """/bin and /sbin are links into /usr on Debian 12 and 13."""
    return f"/usr{path}" if path.startswith(("/bin/", "/sbin/")) else path


class Exit(Exception):
    """A shell ends with this status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class UsageError(Exception):
    """Bad or unsupported arguments: said on standard error, exit `status`."""

    def __init__(self, message: str, status: int = 1) -> None:
        super().__init__(message)
        self.status = status


@dataclass
class Context:
    """The process of one command."""

    machine: Machine
    user: str
    env: dict[str, str]
    stdin: Source
    stdout: Sink
    stderr: Sink
    shell_name: str = "sh"
    descriptors: Mapping[int, Source | Sink] = field(default_factory=dict)
    """Open files above standard error."""

    async def out(self, text: str) -> None:
        """Text and a newline on standard output."""
        await self.stdout.write(encode(text) + b"\n")

    async def err(self, text: str) -> None:
        """Text and a newline on standard error."""
        await self.stderr.write(encode(text) + b"\n")

    async def run(
        self, argv: list[str], *, user: str | None = None, env: dict[str, str] | None = None
    ) -> int | None:
        """Runs another tool with this one's streams (env, sudo, timeout); None if not found."""
        env = self.env if env is None else env
        path = self.machine.find(argv[0], env.get("PATH", USER_PATH))
        if path is None:
            return None
        return await run_command(
            replace(self, user=user or self.user, env=dict(env)), self.machine.commands[path], argv
        )


Command = Callable[[Context, list[str]], Awaitable[int]]
"""`argv` includes the name. Returns the exit status."""


def encode(text: str) -> bytes:
    """Arguments keep bytes that are not UTF-8 as surrogates (PEP 383)."""
    return text.encode("utf-8", "surrogateescape")


async def run_command(context: Context, command: Command, argv: list[str]) -> int:
    """Runs it; what goes wrong becomes a message and a status as of a process."""
    try:
        return await command(context, argv)
    except BrokenPipeError:
        return 141  # 128 + SIGPIPE
    except UsageError as error:
        await context.err(f"{argv[0].rpartition('/')[2]}: {error}")
        return error.status
    except getopt.GetoptError as error:
        await context.err(f"{argv[0].rpartition('/')[2]}: {error} (not known to this sandbox)")
        return 2
    except (OSError, ArithmeticError, LookupError, TypeError, ValueError, AttributeError) as error:
        # a bug here must not look like an answer of the host
        log.exception("sandbox command %s failed", argv[0])
        await context.err(f"mailtui sandbox: {argv[0]}: internal error: {error!r}")
        return 70
