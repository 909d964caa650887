"""Every connection of one context, made when first asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mailtui.config.settings import Context
    from mailtui.connections.runner import Runner
    from mailtui.connections.ssh import SshPool


class Connections:
    """The runners of a context's hosts."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._ssh: SshPool | None = None
        self._local: dict[str, Runner] = {}

    def runner(self, name: str) -> Runner:
        """How commands are run on the host `name`. Raises KeyError, SourceError("config")."""
        host = self._context.hosts[name]
        if host.local:
            from mailtui.connections.local import LocalRunner

            return self._local.setdefault(name, LocalRunner(name))
        from mailtui.connections.ssh import SshPool
        from mailtui.connections.ssh_options import Endpoint

        if self._ssh is None:
            self._ssh = SshPool(self._context.ssh.connects)
        return self._ssh.runner(Endpoint.of(name, host, self._context.ssh))

    async def close(self) -> None:
        """Drop every connection at once."""
        if self._ssh is not None:
            await self._ssh.close()
