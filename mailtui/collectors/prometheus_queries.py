"""From the table of queries to few requests, and back from series to named numbers.

Many queries go in one: each is wrapped in `label_replace(…, "mailtui_query", NAME, "", "")` and
they are joined by `or`, which keeps all series because that label tells them apart.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from mailtui.config.queries import QUERIES

if TYPE_CHECKING:
    from mailtui.config.sources.prometheus import Settings

LABEL = "mailtui_query"
PACK_LIMIT = 6000
"""Bytes of one encoded query: proxies in front of Prometheus take request lines of 8 kB."""

_BRACES = re.compile(r"\{([^{}]*)\}")

Series = Mapping[str, Any]
"""One element of an answer's `result`: `metric` and `value` or `values`."""


def texts(settings: Settings) -> dict[str, str]:
    """Query name → PromQL as it is sent, with the configuration's changes."""
    base, half = (f"{max(1, int(settings.forecast_base / part))}s" for part in (1, 2))
    found: dict[str, str] = {}
    for query in QUERIES.values():
        if query.name in settings.queries:
            if text := settings.queries[query.name].strip():
                found[query.name] = text
        else:
            text = query.promql.replace("$base", base).replace("$half", half)
            found[query.name] = with_labels(text, settings.labels)
    return found


def with_labels(promql: str, labels: Mapping[str, str]) -> str:
    """`promql` with the matchers `labels` added in each pair of braces."""
    added = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())

    def matchers(match: re.Match[str]) -> str:
        parts = ",".join(part for part in (match[1], added) if part)
        return f"{{{parts}}}" if parts else ""

    return _BRACES.sub(matchers, promql)


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def packed(queries: Mapping[str, str]) -> Iterator[tuple[tuple[str, ...], str]]:
    """(names, one PromQL for all of them), each short enough for one request line."""
    names: list[str] = []
    parts: list[str] = []
    size = 0
    for name, text in queries.items():
        part = f'label_replace({text}, "{LABEL}", "{name}", "", "")'
        cost = len(quote(part)) + 8
        if parts and size + cost > PACK_LIMIT:
            yield tuple(names), " or ".join(parts)
            names, parts, size = [], [], 0
        names.append(name)
        parts.append(part)
        size += cost
    if parts:
        yield tuple(names), " or ".join(parts)


def unpacked(series: Iterable[Series]) -> dict[str, list[Series]]:
    """Query name → its series, of the answer to a packed query."""
    found: dict[str, list[Series]] = {}
    for one in series:
        found.setdefault(one["metric"].get(LABEL, ""), []).append(one)
    return found


def number(series: Series) -> float | None:
    """The value now of one series; None for NaN and infinities."""
    return finite(series["value"][1])


def finite(text: str) -> float | None:
    """A sample's text as a number; None for NaN and infinities."""
    value = float(text)
    return value if math.isfinite(value) else None


def one_number(result: Any) -> float | None:
    """The value of an answer that should have one series or be a scalar; None without one.

    Several series are added up: a replaced query may forget its `sum`.
    """
    if result and not isinstance(result[0], dict):  # a scalar is [time, text]
        return finite(result[1])
    values = [value for one in result if (value := number(one)) is not None]
    return sum(values) if values else None


def course(
    series: Iterable[Series], start: float, step: float, count: int
) -> tuple[float | None, ...]:
    """The values of a range query on its grid of `count` points; None where there is none."""
    values: list[float | None] = [None] * count
    for one in series:
        for at, text in one["values"]:
            slot = round((at - start) / step)
            value = finite(text)
            if value is not None and 0 <= slot < count:
                held = values[slot]
                values[slot] = value if held is None else held + value
    return tuple(values)
