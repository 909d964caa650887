"""Who acts: the system user that this process runs as, and the one who logged in."""

from __future__ import annotations

import os
import pwd
import socket
from dataclasses import dataclass
from pathlib import Path

LOGIN_UID = Path("/proc/self/loginuid")
_UNSET = 2**32 - 1
"""What the kernel says where nobody logged in (a service); proc(5)."""


@dataclass(frozen=True, slots=True)
class Who:
    """The one who acts, as the kernel knows him; the environment is not asked."""

    name: str
    """Name of the real user ID; `uid-1234` if the machine has no name for it."""
    uid: int
    login: str
    """The user that logged in (audit login UID) if it is another, as root by sudo; else empty."""
    machine: str
    """This machine's host name."""

    @property
    def words(self) -> str:
        """`alice`, or `root (logged in as alice)`."""
        return f"{self.name} (logged in as {self.login})" if self.login else self.name


def whoami() -> Who:
    """Who runs this process."""
    uid = os.getuid()
    login = _login_uid()
    return Who(
        name=_name(uid),
        uid=uid,
        login="" if login is None or login == uid else _name(login),
        machine=socket.gethostname(),
    )


def is_system_user(name: str) -> bool:
    """True if this machine knows a user of that name."""
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid-{uid}"


def _login_uid() -> int | None:
    try:
        uid = int(LOGIN_UID.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
    return None if uid == _UNSET else uid
