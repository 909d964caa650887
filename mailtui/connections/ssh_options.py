"""How one host is reached over SSH: what our configuration says, and what OpenSSH's adds."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from mailtui.connections.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import asyncssh

    from mailtui.config.settings import Host, Ssh

_PLACE = re.compile(
    r"(?:(?P<user>.+)@)?(?:\[(?P<bracketed>[^\[\]]+)\]|(?P<host>[^\s@:\[\]]+|[0-9A-Fa-f:.%]+))"
    r"(?::(?P<port>\d+))?"
)
"""As ssh(1) writes a destination; an IPv6 address with a port stands in brackets."""
SYSTEM_KNOWN_HOSTS = Path("/etc/ssh/ssh_known_hosts")


@dataclass(frozen=True)
class Endpoint:
    """Where to connect, as whom, through what."""

    name: str
    """The host's name on the screens."""
    address: str
    """What `Host` lines of the OpenSSH configuration match."""
    ssh: Ssh = field(repr=False)
    port: int | None = None
    user: str | None = None
    jump: Endpoint | None = None

    @classmethod
    def of(cls, name: str, host: Host, ssh: Ssh) -> Endpoint:
        """The endpoint of a configured host."""
        via = host.jump or ssh.jump
        return cls(
            name=name,
            address=host.address or name,
            ssh=ssh,
            port=host.port,
            user=host.user or ssh.user,
            jump=cls._jump(via, ssh) if via else None,
        )

    @classmethod
    def _jump(cls, text: str, ssh: Ssh) -> Endpoint:
        found = _PLACE.fullmatch(text)
        if found is None:
            raise SourceError("config", f"jump host {text!r}: expected [user@]host[:port]")
        user, port = found["user"], found["port"]
        address = found["bracketed"] or found["host"]
        return cls(
            name=f"jump host {address}",
            address=address,
            ssh=ssh,
            port=int(port) if port else None,
            user=user or ssh.user,
        )

    def known_hosts(self) -> list[Path]:
        """The files with host keys that our configuration names, or OpenSSH's usual ones."""
        named = self.ssh.known_hosts or (
            Path.home() / ".ssh" / "known_hosts",
            SYSTEM_KNOWN_HOSTS,
        )
        return [path for path in named if path.is_file()]

    def options(self) -> dict[str, Any]:
        """Keyword arguments of `asyncssh.connect`."""
        ssh = self.ssh
        options: dict[str, Any] = {
            "connect_timeout": ssh.connect_timeout,
            "login_timeout": ssh.connect_timeout,
            "keepalive_interval": ssh.keepalive,
            "keepalive_count_max": 3,
        }
        if not ssh.use_config:
            options["config"] = None
        elif ssh.config is not None:
            options["config"] = [str(ssh.config)]
        if self.port is not None:
            options["port"] = self.port
        if self.user is not None:
            options["username"] = self.user
        if ssh.keys:
            options["client_keys"] = [str(key) for key in ssh.keys]
        if not ssh.agent:
            options["agent_path"] = None
        return options

    async def resolve(self) -> Resolved:
        """What our configuration and OpenSSH's say together. Raises SourceError, asyncssh's."""
        import asyncssh

        options = self.options()
        found = await asyncssh.SSHClientConnectionOptions.construct(
            None, host=self.address, **options
        )
        if self.ssh.known_hosts:
            files = [str(path) for path in self.known_hosts()]
        elif found.known_hosts is None:
            raise SourceError(
                "host-key",
                f"{self.name}: the OpenSSH configuration switches host key verification off "
                "(UserKnownHostsFile none)",
                "name a file there, or known_hosts in this configuration",
            )
        else:
            named = cast("Sequence[str]", found.known_hosts) or self.known_hosts()
            files = _files(named)
        # no file at all means that no key is known, never that none is checked
        options["known_hosts"] = files or b""
        if not found.config.get("Ciphers"):
            # one call into OpenSSL a packet; ChaCha20-Poly1305, else first, costs twice the CPU
            options["encryption_algs"] = "^aes128-gcm@openssh.com,aes256-gcm@openssh.com"
        jump = self.jump
        if jump is None and isinstance(found.tunnel, str) and found.tunnel:
            jump = self._hops(found.tunnel)
        # the jump is ours to connect, so that hosts share it and its key is checked as well
        options["tunnel"] = None
        return Resolved(options, files, found.host, found.port, found.username, jump)

    def _hops(self, proxy_jump: str) -> Endpoint | None:
        """The chain that a `ProxyJump` line names (ssh_config(5)); one that is this host is not."""
        jump: Endpoint | None = None
        for hop in proxy_jump.split(","):
            endpoint = self._jump(hop.strip().removeprefix("ssh://"), self.ssh)
            if endpoint.address == self.address:
                return None
            jump = replace(endpoint, jump=jump)
        return jump


def _files(names: Iterable[str | Path]) -> list[str]:
    return [str(path) for name in names if (path := Path(name).expanduser()).is_file()]


@dataclass
class Resolved:
    """One endpoint, resolved, and what its server showed while connecting."""

    options: dict[str, Any] = field(repr=False)
    """Keyword arguments of `asyncssh.connect`."""
    known_hosts: list[str]
    host: str
    port: int
    user: str
    jump: Endpoint | None
    shown: asyncssh.SSHKey | None = None
    """The host key that was not accepted."""

    async def connect(
        self, endpoint: Endpoint, tunnel: asyncssh.SSHClientConnection | None
    ) -> asyncssh.SSHClientConnection:
        """A new connection. Raises asyncssh's errors, OSError."""
        import asyncssh

        attempt = self

        class Client(asyncssh.SSHClient):
            def validate_host_public_key(
                self, host: str, addr: str, port: int, key: asyncssh.SSHKey
            ) -> bool:
                """Asked only for a key that no file has; it is kept for the error's text."""
                attempt.shown = key
                return False

        options = {**self.options, "tunnel": tunnel}
        return await asyncssh.connect(endpoint.address, client_factory=Client, **options)
