"""Elasticsearch: its health, and the audit stream that it holds."""

from __future__ import annotations

from pydantic import Field, model_validator

from mailtui.config.base import Duration, Strict
from mailtui.config.http import HttpSource, Url
from mailtui.config.secrets import Secret


class Fields(Strict):
    """Names of the audit fields in the documents; the defaults are ECS 8."""

    time: str = "@timestamp"
    action: str = "event.action"
    outcome: str = "event.outcome"
    user: str = "user.name"
    source_ip: str = "source.ip"
    host: str = "host.name"
    service: str = "service.name"
    tenant: str = "organization.name"
    message: str = "message"


class Audit(Strict):
    """Where the audit events are."""

    index: str = "audit-*"
    """Index, alias, data stream or pattern."""
    fields: Fields = Fields()
    interval: Duration = 2.0
    """Time between reads of the live tail."""
    limit: int = Field(default=5000, ge=100)
    """Events kept on screen."""
    overlap: Duration = 10.0
    """How late an event may become visible (shipping, index refresh) and still reach the tail."""
    failures_window: Duration = 600.0
    """Time over which the overview counts events and failures."""
    silent_after: Duration = 300.0
    """With no event for this long, the audit trail counts as silent."""


class Settings(HttpSource):
    """`sources.elasticsearch`."""

    urls: tuple[Url, ...] = Field(min_length=1)
    api_key: Secret | None = None
    """Elasticsearch API key (base64 `id:key`)."""
    audit: Audit = Audit()

    @model_validator(mode="after")
    def _one_key(self) -> Settings:
        if self.api_key is not None and (self.token is not None or self.username is not None):
            raise ValueError("expected api_key, or token, or username and password: only one")
        return self
