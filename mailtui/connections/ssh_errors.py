"""What went wrong over SSH, in words that say what to do next."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

from mailtui.connections.clean import clean
from mailtui.connections.errors import SourceError

if TYPE_CHECKING:
    from mailtui.connections.ssh_options import Endpoint


async def translate(error: Exception, endpoint: Endpoint) -> SourceError | None:
    """The SourceError that stands for `error`, or None if it is none of the connection's."""
    import asyncssh

    name = endpoint.name
    place = f"{endpoint.address}:{endpoint.port}" if endpoint.port else endpoint.address
    if isinstance(error, asyncssh.HostKeyNotVerifiable):
        return await _host_key(endpoint)
    if isinstance(error, asyncssh.PermissionDenied):
        user = endpoint.user or "this user"
        return SourceError(
            "auth",
            f"{name}: SSH refused every key for {user} at {place}",
            f"add the public key to {user}'s authorized_keys on {name}, or check `keys` and agent",
        )
    if isinstance(error, asyncssh.ChannelOpenError):
        return SourceError("server", f"{name}: the host opens no more channels ({_words(error)})")
    if isinstance(error, asyncssh.KeyImportError | asyncssh.ConfigParseError):
        return SourceError("config", f"{name}: {_words(error)}")
    if isinstance(error, asyncssh.KeyExchangeFailed | asyncssh.ProtocolError):
        return SourceError("protocol", f"{name}: SSH at {place}: {_words(error)}")
    if isinstance(error, asyncssh.Error | ConnectionError | BrokenPipeError):
        return SourceError("unreachable", f"{name}: SSH at {place}: {_words(error)}")
    if isinstance(error, socket.gaierror):
        return SourceError(
            "unreachable",
            f"{name}: the name {endpoint.address} does not resolve",
            f"set hosts.{name}.address",
        )
    if isinstance(error, OSError):
        return SourceError("unreachable", f"{name}: SSH at {place}: {_words(error)}")
    return None


async def _host_key(endpoint: Endpoint) -> SourceError:
    """Unknown or changed; with the fingerprint that the host shows now."""
    import asyncssh

    address, port = endpoint.address, endpoint.port or 22
    known = False
    for path in endpoint.known_hosts():
        matched = asyncssh.match_known_hosts(str(path), address, "", port)
        known = known or bool(matched[0])
    shown = ""
    try:
        async with asyncio.timeout(5):
            key = await asyncssh.get_server_host_key(address, port, config=None)
            shown = f" (it shows {key.get_fingerprint()})" if key is not None else ""
    except (OSError, asyncssh.Error, TimeoutError):
        pass
    there = address if port == 22 else f"[{address}]:{port}"
    if known:
        return SourceError(
            "host-key",
            f"{endpoint.name}: the host key CHANGED{shown}",
            "if the host was reinstalled, compare the fingerprint there, then: "
            f"ssh-keygen -R '{there}' and connect once with ssh",
        )
    option = "" if port == 22 else f"-p {port} "
    return SourceError(
        "host-key",
        f"{endpoint.name}: the host key is not known{shown}",
        f"compare the fingerprint, then connect once with: ssh {option}{address}",
    )


def _words(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return clean(error.strerror)
    return clean(str(error)) or type(error).__name__
