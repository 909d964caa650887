"""Sorting and `search_after`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mailtui.sandbox import es_dates
from mailtui.sandbox.es_compiled import Context
from mailtui.sandbox.es_errors import EsError, ShardError, illegal, parsing, unsupported
from mailtui.sandbox.es_fields import NUMBERS, TEXT, ip_number, ip_text, no_fielddata

LAST = 2**63 - 1
FIRST = -(2**63)
SHARD_BITS = 40
"""A row's `_shard_doc` is its shard's number above these bits, its ordinal below."""


@dataclass(slots=True)
class SortKey:
    """One rule of a sort."""

    field: str
    descending: bool = False
    formats: str | None = None
    missing: Any = "_last"
    unmapped: str | None = None
    kind: str = ""
    """The field's type, or the name of a special one (`_score`, `_doc`, `_shard_doc`)."""
    largest: bool = False
    """Of several values the largest counts (the default where the order descends)."""


def parse_sort(spec: Any) -> list[SortKey]:
    """The rules of a request's `sort`, from the body or from the query string."""
    if spec is None:
        return []
    if isinstance(spec, str):
        spec = spec.split(",")
    keys = []
    for item in spec if isinstance(spec, list) else [spec]:
        if isinstance(item, str):
            field, _, order = item.partition(":")
            keys.append(_key(field, {"order": order} if order else {}))
        elif isinstance(item, dict):
            keys += [
                _key(field, options if isinstance(options, dict) else {"order": options})
                for field, options in item.items()
            ]
        else:
            raise parsing("malformed sort format, within the sort array, an object, or an actual"
                          " string are allowed")  # fmt: skip
    return keys


def _key(field: str, options: dict[str, Any]) -> SortKey:
    if field in ("_script", "_geo_distance"):
        raise unsupported(f"sort by [{field}]")
    if field == "_id":
        raise illegal(
            "Fielddata access on the _id field is disallowed, you can re-enable it by updating the"
            " dynamic cluster setting: indices.id_field_data.enabled"
        )
    for key in options:
        if key not in ("order", "format", "missing", "unmapped_type", "numeric_type", "mode"):
            raise parsing(f"[field_sort] unknown field [{key}]")
    if options.get("numeric_type") not in (None, "date", "long", "double"):
        raise unsupported(f"[field_sort] with [numeric_type] {options['numeric_type']}")
    order = str(options.get("order", "desc" if field == "_score" else "asc")).lower()
    if order not in ("asc", "desc"):
        raise illegal(f"Unknown SortOrder [{order}]")
    mode = options.get("mode", "max" if order == "desc" else "min")
    if mode not in ("min", "max"):
        raise unsupported(f"[field_sort] with [mode] {mode}")
    return SortKey(
        field,
        order == "desc",
        options.get("format"),
        options.get("missing", "_last"),
        options.get("unmapped_type"),
        largest=mode == "max",
    )


def bind(keys: list[SortKey], contexts: list[Context]) -> None:
    """Find the types of the fields; EsError (400) for what cannot be sorted by."""
    for key in keys:
        if key.field.startswith("_"):
            if key.field not in ("_score", "_doc", "_shard_doc"):
                raise unsupported(f"sort by [{key.field}]")
            key.kind = key.field
            continue
        kinds = []
        for context in contexts:
            kind = context.mapping.kind(key.field)
            if kind in (None, "object") and not key.unmapped:
                error = ShardError(
                    400,
                    "query_shard_exception",
                    f"No mapping found for [{key.field}] in order to sort on",
                )
                error.index = context.index
                raise error
            if kind in TEXT:
                raise no_fielddata(key.field)
            kinds.append(kind if kind not in (None, "object") else key.unmapped)
        key.kind = kinds[0] or "keyword" if kinds else key.unmapped or "keyword"


def value_of(key: SortKey, context: Context, row: Any, shard_doc: int) -> Any:
    """The value that a row sorts by; None if it has none."""
    if key.kind == "_score":
        return 1.0
    if key.kind == "_shard_doc":
        return shard_doc
    if key.kind == "_doc":
        return shard_doc & ((1 << SHARD_BITS) - 1)
    mapped = context.mapping.kind(key.field) is not None
    value = context.get(key.field)(row) if mapped else None
    if isinstance(value, list):
        value = (max(value) if key.largest else min(value)) if value else None
    if value is None and key.missing not in ("_last", "_first"):
        return read(key, key.missing)
    return value


def rank(key: SortKey, value: Any) -> tuple[int, Any]:
    """Something to compare by; those without a value are first or last as asked."""
    if value is None:
        at_end = key.missing != "_first"
        return (1 if at_end != key.descending else -1, 0)
    return (0, value)


def shown(key: SortKey, value: Any) -> Any:
    """A sort value as the answer carries it."""
    if value is None:
        if key.kind in NUMBERS or key.kind == "date":
            at_end = key.missing != "_first"
            return LAST if at_end != key.descending else FIRST
        return None
    if key.kind == "date":
        return es_dates.show(value, formats=key.formats) if key.formats else value
    if key.kind == "ip":
        return ip_text(value)
    return int(value) if key.kind == "boolean" else value


def read(key: SortKey, value: Any) -> Any:
    """A value of `search_after` or `missing` in the form in which rows compare."""
    if value is None or (value in (LAST, FIRST) and key.kind != "keyword"):
        return None
    try:
        if key.kind == "date":
            return es_dates.parse(value, now=0, formats=key.formats)
        if key.kind == "ip":
            return ip_number(str(value))
        if key.kind in NUMBERS or key.kind.startswith("_"):
            return float(value) if key.kind in ("double", "float", "_score") else int(value)
        if key.kind == "boolean":
            return bool(int(value))
    except (TypeError, ValueError) as error:
        raise illegal(f"Failed to parse search_after value for field [{key.field}].") from error
    return str(value)


def read_after(keys: list[SortKey], values: Any) -> list[Any]:
    """The values of `search_after`, checked against the sort."""
    if not isinstance(values, list):
        raise parsing("Expected [START_ARRAY] in [search_after]")
    if not keys:
        raise EsError(
            400,
            "illegal_argument_exception",
            "Sort must contain at least one field.",
        )
    if len(values) != len(keys):
        raise illegal(f"search_after has {len(values)} value(s) but sort has {len(keys)}.")
    return [read(key, value) for key, value in zip(keys, values, strict=True)]


def is_after(keys: list[SortKey], values: list[Any], after: list[Any]) -> bool:
    """Whether a row comes strictly behind the values of `search_after`."""
    for key, value, border in zip(keys, values, after, strict=True):
        left, right = rank(key, value), rank(key, border)
        if left != right:
            return left > right if not key.descending else left < right
    return False
