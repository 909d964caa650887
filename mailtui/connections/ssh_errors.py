"""What went wrong over SSH, in words that say what to do next."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from typing import TYPE_CHECKING

from mailtui.connections.clean import clean
from mailtui.connections.errors import SourceError

if TYPE_CHECKING:
    from mailtui.connections.ssh_options import Endpoint, Resolved

_LOST = "SSH connection closed"
"""asyncssh's reason for a channel that was asked for when the connection was given up."""


def translate(error: Exception, endpoint: Endpoint, found: Resolved | None) -> SourceError | None:
    """The SourceError that stands for `error`, or None if it is none of the connection's."""
    import asyncssh

    name = endpoint.name
    place = f"{endpoint.address}:{endpoint.port}" if endpoint.port else endpoint.address
    if isinstance(error, asyncssh.HostKeyNotVerifiable):
        return _host_key(endpoint, found)
    if isinstance(error, asyncssh.PermissionDenied):
        user = (found.user if found else endpoint.user) or "this user"
        return SourceError(
            "auth",
            f"{name}: SSH refused every key for {user} at {place}",
            f"add the public key to {user}'s authorized_keys on {name}, or check `keys` and agent",
        )
    if isinstance(error, asyncssh.ChannelOpenError) and error.reason != _LOST:
        return SourceError("server", f"{name}: the host opens no more channels ({_words(error)})")
    if isinstance(error, asyncssh.KeyImportError | asyncssh.ConfigParseError):
        hint = "load it into the agent: ssh-add" if "Passphrase" in str(error) else ""
        return SourceError("config", f"{name}: {_words(error)}", hint)
    if isinstance(error, ValueError) and "known hosts" in str(error):
        return SourceError("config", f"{name}: {_words(error)}", "mend that line")
    if isinstance(error, FileNotFoundError | PermissionError) and error.filename:
        return SourceError("config", f"{name}: {clean(str(error.filename))}: {_words(error)}")
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


def _host_key(endpoint: Endpoint, found: Resolved | None) -> SourceError:
    """Unknown or changed; with the fingerprint that the host shows now."""
    import asyncssh

    host = found.host if found else endpoint.address
    port = (found.port if found else endpoint.port) or 22
    known = False
    for path in found.known_hosts if found else ():
        with suppress(OSError, ValueError, asyncssh.Error):
            known = known or bool(asyncssh.match_known_hosts(path, host, "", port)[0])
    key = found.shown if found else None
    shown = f" (it shows {key.get_fingerprint()})" if key is not None else ""
    there = host if port == 22 else f"[{host}]:{port}"
    if known:
        return SourceError(
            "host-key",
            f"{endpoint.name}: the host key CHANGED{shown}",
            "if the host was reinstalled, compare the fingerprint there, then: "
            f"ssh-keygen -R '{there}' and connect once with ssh",
        )
    option = "" if endpoint.port in (None, 22) else f"-p {endpoint.port} "
    return SourceError(
        "host-key",
        f"{endpoint.name}: the host key is not known{shown}",
        f"compare the fingerprint, then connect once with: ssh {option}{endpoint.address}",
    )


def _words(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno is not None and error.errno > 0:
        # asyncio writes the address into strerror ("Connect call failed ('192.0.2.1', 22)")
        return os.strerror(error.errno).lower()
    return clean(str(error)) or type(error).__name__
