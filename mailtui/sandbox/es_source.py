"""Which parts of a document an answer shows: `_source` filters, `fields`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mailtui.sandbox import es_dates
from mailtui.sandbox.es_compiled import Context
from mailtui.sandbox.es_errors import parsing
from mailtui.sandbox.es_fields import TEXT, ip_text, no_fielddata
from mailtui.sandbox.es_text import wildcard

Filter = Callable[[Any], Any]


def source_filter(spec: Any) -> Filter | None:
    """A function from a source to what is shown of it; None: `_source` is not shown at all."""
    if spec in (None, True, "true"):
        return lambda source: source
    if spec in (False, "false"):
        return None
    if isinstance(spec, dict):
        for key in spec:
            if key not in ("includes", "include", "excludes", "exclude"):
                raise parsing(f"Unknown key for a VALUE_STRING in [{key}].")
        includes = _listed(spec.get("includes", spec.get("include")))
        excludes = _listed(spec.get("excludes", spec.get("exclude")))
    else:
        includes, excludes = _listed(spec), []
    wanted = [_Path(p) for p in includes]
    unwanted = [_Path(p) for p in excludes]

    def shown(source: Any) -> Any:
        return _filtered(source, "", wanted, unwanted, inside=not wanted) or {}

    return shown


def _listed(value: Any) -> list[str]:
    if value is None:
        return []
    if isinstance(value, str):
        return value.split(",")
    if isinstance(value, list):
        return [str(item) for item in value]
    raise parsing("Expected a VALUE_STRING or an array in [_source]")


class _Path:
    """A path with wildcards, which stands for everything below it too."""

    def __init__(self, text: str) -> None:
        self._match = wildcard(text).fullmatch

    def covers(self, path: str) -> bool:
        return self._match(path) is not None


def _filtered(
    value: Any, path: str, wanted: list[_Path], unwanted: list[_Path], *, inside: bool
) -> Any:
    """The value without what is not wanted; None if nothing is left."""
    if path and any(p.covers(path) for p in unwanted):
        return None
    inside = inside or (bool(path) and any(p.covers(path) for p in wanted))
    if isinstance(value, dict):
        kept = {}
        for key, item in value.items():
            below = f"{path}.{key}" if path else key
            found = _filtered(item, below, wanted, unwanted, inside=inside)
            if found is not None:
                kept[key] = found
        return kept if kept or (inside and not value) else None
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        items = [_filtered(item, path, wanted, unwanted, inside=inside) for item in value]
        return [item for item in items if item is not None] or None
    return value if inside else None


def field_values(specs: Any, context: Context, row: Any, *, doc_values: bool) -> dict[str, Any]:
    """`fields` or `docvalue_fields` of a hit: lists of values by name."""
    found: dict[str, Any] = {}
    for spec in specs:
        name = spec["field"] if isinstance(spec, dict) else str(spec)
        formats = spec.get("format") if isinstance(spec, dict) else None
        for field in context.mapping.matching(name):
            kind = context.mapping.kind(field)
            if kind is None or kind == "object":
                continue
            if doc_values and kind in TEXT:
                raise no_fielddata(field)
            value = context.get(field)(row)
            values = value if isinstance(value, list) else [] if value is None else [value]
            if values:
                found[field] = [_shown(kind, item, formats) for item in values]
    return found


def _shown(kind: str, value: Any, formats: str | None) -> Any:
    if kind == "date":
        return es_dates.show(value, formats=formats)
    return ip_text(value) if kind == "ip" else value
