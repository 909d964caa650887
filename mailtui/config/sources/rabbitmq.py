"""RabbitMQ's management API."""

from __future__ import annotations

from pydantic import Field

from mailtui.config.base import Duration
from mailtui.config.http import HttpSource, Url


class Settings(HttpSource):
    """`sources.rabbitmq`."""

    url: Url
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
