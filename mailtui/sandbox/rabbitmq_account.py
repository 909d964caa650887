"""The one user that the simulated broker lets in, over AMQP and over the management API."""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass, field


@dataclass
class Account:
    """A user with its permissions: the same regular expressions for every virtual host."""

    username: str = "mailtui"
    password: str = field(default="", repr=False)
    tags: list[str] = field(default_factory=lambda: ["monitoring"])
    """`monitoring`, `administrator`, or only `management`."""
    configure: str = ".*"
    write: str = ".*"
    read: str = ".*"

    def forbid_writing(self) -> None:
        """Leave the user without any permission on queues and exchanges."""
        self.configure = self.write = self.read = "^$"

    def is_login(self, username: str, password: str) -> bool:
        """Whether these are its credentials."""
        given = f"{username}\0{password}".encode("utf-8", "surrogateescape")
        return hmac.compare_digest(given, f"{self.username}\0{self.password}".encode())

    def may(self, permission: str, name: str) -> bool:
        """Whether it has `configure`, `write` or `read` on a queue or an exchange."""
        return re.search(getattr(self, permission), name or "amq.default") is not None
