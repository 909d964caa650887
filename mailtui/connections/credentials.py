"""Authentication headers of an HTTP source, made from its secrets when it first connects."""

from __future__ import annotations

import asyncio
import base64
from typing import TYPE_CHECKING

from mailtui.config.revealed import remember
from mailtui.connections.errors import SourceError

if TYPE_CHECKING:
    from mailtui.config.http import HttpSource
    from mailtui.config.secrets import Secret


async def reveal(secret: Secret) -> str:
    """The secret; a command runs on a thread. Raises SourceError("config")."""
    from mailtui.config.secrets import SecretUnavailable

    try:
        if secret.command is not None:
            return await asyncio.to_thread(secret.reveal)
        return secret.reveal()
    except (SecretUnavailable, OSError, UnicodeDecodeError) as error:
        raise SourceError("config", f"secret: {error}") from None


async def headers(settings: HttpSource) -> dict[str, str]:
    """`Authorization` for basic (RFC 7617) or bearer (RFC 6750) authentication, or nothing."""
    if settings.token is not None:
        return {"Authorization": f"Bearer {await reveal(settings.token)}"}
    if settings.username is not None and settings.password is not None:
        pair = f"{settings.username}:{await reveal(settings.password)}"
        encoded = base64.b64encode(pair.encode()).decode("ascii")
        return {"Authorization": f"Basic {remember(encoded)}"}
    return {}
