"""TLS for clients: certificates are always verified."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from mailtui.connections.errors import SourceError

if TYPE_CHECKING:
    from mailtui.config.http import Tls


def client_context(settings: Tls) -> ssl.SSLContext:
    """A context with the CA and the client certificate of `settings`. Raises SourceError."""
    try:
        context = ssl.create_default_context(cafile=str(settings.ca) if settings.ca else None)
        if settings.certificate is not None:
            context.load_cert_chain(
                str(settings.certificate),
                str(settings.key) if settings.key else None,
                # never ask for a passphrase on the terminal that the console draws on
                password=lambda: "",
            )
    except (OSError, ssl.SSLError) as error:
        raise SourceError("config", f"TLS: {error.strerror or error}") from None
    return context
