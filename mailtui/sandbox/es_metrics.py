"""One aggregation's request, and the metrics: aggregations that answer with numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from mailtui.sandbox import es_dates
from mailtui.sandbox.es_compiled import Context
from mailtui.sandbox.es_errors import ShardError, illegal, parsing
from mailtui.sandbox.es_fields import INTEGERS, NUMBERS, TEXT, no_fielddata

Part = tuple[Context, Sequence[Any]]


TopHits = Callable[[dict[str, Any], list[Part]], dict[str, Any]]


Aggregate = Callable[[Any, list[Part], TopHits], dict[str, Any]]
"""Runs the aggregations below a bucket."""


@dataclass(slots=True)
class Request:
    """One aggregation to run."""

    name: str
    body: dict[str, Any]
    below: Any
    parts: list[Part]
    top_hits: TopHits
    aggregate: Aggregate

    def field(self) -> str:
        """The field's name; EsError without one."""
        field = self.body.get("field")
        if not field:
            if "script" in self.body:
                raise illegal("cannot execute [inline] scripts")
            raise illegal(f"Required one of fields [field, script], but none were specified."
                          f" [{self.name}]")  # fmt: skip
        return str(field)

    def kind(self) -> str | None:
        """The field's type in the first index that maps it; EsError for text."""
        kinds = [context.mapping.kind(self.field()) for context, _ in self.parts]
        found = next((kind for kind in kinds if kind not in (None, "object")), None)
        if found in TEXT:
            raise no_fielddata(self.field())
        return found

    def only(self, *known: str) -> None:
        """EsError for options that are not known here."""
        for key in self.body:
            if key not in known:
                raise parsing(f"[{self.name}] unknown field [{key}]")

    def values(self) -> Iterable[Any]:
        """Every value of the field in the rows, lists flattened, `missing` filled in."""
        field, kind, missing = self.field(), self.kind(), self.body.get("missing")
        if missing is not None and kind == "date":
            missing = es_dates.parse(missing, now=0)
        for context, rows in self.parts:
            get = context.get(field)
            for row in rows:
                value = get(row)
                if type(value) is list:
                    yield from value
                elif value is not None:
                    yield value
                elif missing is not None:
                    yield missing

    def bucket(self, parts: list[Part], **head: Any) -> dict[str, Any]:
        """A bucket with its count and what is aggregated below it."""
        bucket = {**head, "doc_count": sum(len(rows) for _, rows in parts)}
        if self.below:
            bucket |= self.aggregate(self.below, parts, self.top_hits)
        return bucket

    def grouped(self, key_of: Callable[[Any], Any], missing: Any = None) -> dict[Any, list[Part]]:
        """Rows by key of their field's values; a row with two keys is in both."""
        field = self.field()
        groups: dict[Any, list[Part]] = {}
        for context, rows in self.parts:
            get = context.get(field)
            own: dict[Any, list[Any]] = {}
            for row in rows:
                value = get(row)
                if value is None or value == []:
                    if missing is None:
                        continue
                    value = missing
                if type(value) is list:
                    for key in {key_of(item) for item in value}:
                        own.setdefault(key, []).append(row)
                else:
                    key = key_of(value)
                    group = own.get(key)
                    if group is None:
                        own[key] = [row]
                    else:
                        group.append(row)
            for key, group in own.items():
                groups.setdefault(key, []).append((context, group))
        return groups


def cardinality(request: Request) -> dict[str, Any]:
    request.only("field", "precision_threshold", "missing", "rehash", "execution_hint")
    return {"value": len(set(request.values()))}


def value_count(request: Request) -> dict[str, Any]:
    request.only("field", "missing")
    return {"value": sum(1 for _ in request.values())}


def metric(what: str) -> Callable[[Request], dict[str, Any]]:
    def run(request: Request) -> dict[str, Any]:
        request.only("field", "missing", "format")
        kind = request.kind()
        if kind is not None and kind not in (*NUMBERS, "date", "boolean"):
            raise ShardError(
                400,
                "illegal_argument_exception",
                f"Field [{request.field()}] of type [{kind}] is not supported for aggregation"
                f" [{what}]",
            )
        values = [float(value) for value in request.values()]
        stats: dict[str, Any] = {
            "count": len(values),
            "min": min(values, default=None),
            "max": max(values, default=None),
            "avg": sum(values) / len(values) if values else None,
            "sum": sum(values) if kind in INTEGERS else math.fsum(values),
        }
        shown = stats if what == "stats" else {"value": stats[what]}
        if kind == "date":
            formats = request.body.get("format")
            texts = {
                f"{key}_as_string": es_dates.show(int(value), formats=formats)
                for key, value in shown.items()
                if value is not None and key != "count"
            }
            return {**shown, **texts}
        return dict(shown)

    return run
