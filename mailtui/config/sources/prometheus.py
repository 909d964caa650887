"""Prometheus: where it is, and which queries replace the built-in ones."""

from __future__ import annotations

from mailtui.config.base import Duration
from mailtui.config.http import HttpSource, Url


class Settings(HttpSource):
    """`sources.prometheus`."""

    url: Url
    span: Duration = 3600.0
    """Span of every sparkline."""
    forecast_base: Duration = 3600.0
    """Time over which a disk's growth is measured for the forecast."""
    queries: dict[str, str] = {}
    """Query name → PromQL, in place of the built-in one (`mailtui config show` lists the names)."""
    labels: dict[str, str] = {}
    """Label matchers added to the built-in queries, e.g. {cluster: eu-west}."""
