"""RabbitMQ's management API, and AMQP 0-9-1 for what moves messages."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from mailtui.config.base import Duration
from mailtui.config.http import HttpSource, Url

PORTS = {"amqp": 5672, "amqps": 5671}
"""rabbitmq.com/docs/networking"""


def _amqp_url(value: str) -> str:
    parts = urlsplit(value)
    try:
        _ = parts.port
    except ValueError:
        raise ValueError("expected a URL like amqp://host:5672") from None
    if parts.scheme not in PORTS or not parts.hostname:
        raise ValueError("expected a URL like amqp://host:5672 or amqps://host:5671")
    if parts.username is not None or parts.password is not None:
        raise ValueError("no user or password in a URL; use username and password")
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError("expected a host and a port only; the virtual host is the queue's")
    return value.rstrip("/")


AmqpUrl = Annotated[str, AfterValidator(_amqp_url)]


class Settings(HttpSource):
    """`sources.rabbitmq`."""

    url: Url
    amqp: AmqpUrl | None = None
    """AMQP; default: the host of `url`, port 5672, or 5671 with TLS where `url` is https."""
    queue_limit: int = Field(default=2000, ge=1)
    """Queues read at most; the screen says how many more there are."""
    connection_limit: int = Field(default=500, ge=1)
    page_size: int = Field(default=500, ge=1, le=500)
    """The API's own maximum is 500."""
    dead_letter_warning: int = Field(default=100, ge=1)
    """Messages in a dead-letter queue from which it is a problem; growth is one at any depth."""
    ready_warning: int = Field(default=1000, ge=1)
    """Ready messages in a queue from which it is a problem."""
    stuck_after: Duration = 120.0
    """Consumers that acknowledge nothing of what they hold for this long are a problem."""

    def broker(self) -> tuple[str, int, bool]:
        """(host, port, TLS) of AMQP."""
        parts = urlsplit(self.amqp or self.url)
        secure = parts.scheme in ("https", "amqps")
        port = parts.port if self.amqp else None
        return parts.hostname or "", port or PORTS["amqps" if secure else "amqp"], secure
