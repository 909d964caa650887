"""From documents to audit events by the configured field names, and the pieces of requests."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mailtui.model.audit import AuditEvent

if TYPE_CHECKING:
    from mailtui.config.sources.elasticsearch import Fields

HIT_PATHS = [
    "pit_id",
    "timed_out",
    "_shards.total",
    "_shards.failed",
    "hits.total",
    "hits.hits._index",
    "hits.hits._id",
    "hits.hits._source",
    "hits.hits.sort",
]
"""`filter_path` of a search for events."""


class EventReader:
    """Makes events of hits whose first sort value is the time in epoch milliseconds."""

    def __init__(self, fields: Fields) -> None:
        self._fields = fields

    def event(self, hit: Mapping[str, Any]) -> AuditEvent:
        """The event of one (cleaned) hit."""
        source, of = hit.get("_source") or {}, self._fields
        return AuditEvent(
            id=identity(hit),
            time=hit["sort"][0] / 1000.0,
            action=text_of(source, of.action),
            outcome=text_of(source, of.outcome),
            user=text_of(source, of.user),
            source_ip=text_of(source, of.source_ip),
            host=text_of(source, of.host),
            service=text_of(source, of.service),
            tenant=text_of(source, of.tenant),
            message=text_of(source, of.message),
            document=json.dumps(source, ensure_ascii=False),
        )


def identity(hit: Mapping[str, Any]) -> str:
    """`index/_id`."""
    return f"{hit.get('_index', '')}/{hit.get('_id', '')}"


def text_of(source: Any, name: str) -> str:
    """The field `name` of a document as text, nested or dotted; empty if it is not there."""
    value = _found(source, name)
    if value is None:
        return ""
    if isinstance(value, list):
        return ", ".join(str(item) for item in value if item is not None)
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if not isinstance(value, dict) else json.dumps(value, ensure_ascii=False)


def _found(source: Any, name: str) -> Any:
    if not isinstance(source, dict):
        return None
    if name in source:
        return source[name]
    # `a.b.c` may be written as {a: {b: {c}}}, {"a.b": {c}} or {a: {"b.c"}}
    at = name.find(".")
    while at >= 0:
        value = _found(source.get(name[:at]), name[at + 1 :])
        if value is not None:
            return value
        at = name.find(".", at + 1)
    return None


def by_time(fields: Fields, order: str, *, tie_break: bool = False) -> list[dict[str, Any]]:
    """Sort by time in epoch milliseconds; `tie_break` needs a point in time."""
    # indices may have `date` or `date_nanos`, and an empty one has no mapping yet
    one = {"order": order, "numeric_type": "date", "unmapped_type": "date"}
    keys: list[dict[str, Any]] = [{fields.time: one}]
    return [*keys, {"_shard_doc": order}] if tie_break else keys


def within(fields: Fields, start: float | None, end: float | None) -> dict[str, Any]:
    """start ≤ time < end, epoch seconds; open where None."""
    limits: dict[str, Any] = {"format": "epoch_millis"}
    if start is not None:
        limits["gte"] = round(start * 1000)  # documents have milliseconds
    if end is not None:
        limits["lt"] = round(end * 1000)
    return {"range": {fields.time: limits}}


def failures(fields: Fields) -> dict[str, Any]:
    """Events of outcome `failure`; `match` finds it in keyword and in text fields."""
    return {"match": {fields.outcome: "failure"}}


def newest_and_failures(fields: Fields, since: float) -> dict[str, Any]:
    """A search for the newest event, and counts since `since`."""
    return {
        "size": 1,
        "source": False,
        "track_total_hits": False,
        "sort": by_time(fields, "desc"),
        "aggs": {
            "recent": {
                "filter": within(fields, since, None),
                "aggs": {"failures": {"filter": failures(fields)}},
            }
        },
        "filter_path": ["hits.hits.sort", "aggregations"],
    }


def newest_time(answer: Any) -> tuple[float | None, int | None, int | None]:
    """(epoch seconds of the newest event, events, failures) of that search's answer."""
    hits = (answer.get("hits") or {}).get("hits") or ()
    newest = hits[0]["sort"][0] / 1000.0 if hits else None
    recent = (answer.get("aggregations") or {}).get("recent")
    if recent is None:
        return newest, None, None
    return newest, int(recent["doc_count"]), int(recent["failures"]["doc_count"])


def notes(answer: Mapping[str, Any]) -> tuple[str, ...]:
    """What is missing from an answer of which a part failed."""
    shards = answer.get("_shards") or {}
    found = []
    if shards.get("failed"):
        found.append(
            f"{shards['failed']} of {shards.get('total', '?')} shards did not answer: "
            "events may be missing"
        )
    if answer.get("timed_out"):
        found.append("the search ran out of time: events may be missing")
    return tuple(found)


def total(answer: Mapping[str, Any]) -> tuple[int, bool]:
    """(matching events, True if there are more) of an answer."""
    found = (answer.get("hits") or {}).get("total") or {}
    return int(found.get("value") or 0), found.get("relation") == "gte"
