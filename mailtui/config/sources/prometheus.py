"""Prometheus: where it is, and which queries replace the built-in ones."""

from __future__ import annotations

import difflib

from pydantic import field_validator

from mailtui.config.base import Duration
from mailtui.config.http import HttpSource, Url
from mailtui.config.queries import QUERIES


class Settings(HttpSource):
    """`sources.prometheus`."""

    url: Url
    span: Duration = 3600.0
    """Span of every sparkline."""
    forecast_base: Duration = 3600.0
    """Time over which a disk's growth is measured for the forecast."""
    slow_interval: Duration = 60.0
    """Time between reads of what changes slowly: trends, file systems, the list of targets."""
    queries: dict[str, str] = {}
    """Query name → PromQL, in place of the built-in one (`mailtui config show` lists the names).

    It must give the same labels as the built-in one; an empty text turns the query off."""
    labels: dict[str, str] = {}
    """Label matchers added to the built-in queries, e.g. {cluster: eu-west}."""

    @field_validator("queries")
    @classmethod
    def _known_queries(cls, value: dict[str, str]) -> dict[str, str]:
        for name in value:
            if name not in QUERIES:
                near = difflib.get_close_matches(name, QUERIES, n=1, cutoff=0.5)
                hint = f"; did you mean {near[0]}?" if near else ""
                raise ValueError(
                    f"unknown query {name!r}{hint} (expected one of {', '.join(QUERIES)})"
                )
        return value
