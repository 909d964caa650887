"""Index expressions (names, wildcards, exclusions), and what an index says of itself."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from mailtui.sandbox.es_errors import EsError, illegal, no_such_index
from mailtui.sandbox.es_fields import TEXT, from_properties
from mailtui.sandbox.es_segments import Shard
from mailtui.sandbox.es_store import Store
from mailtui.sandbox.es_text import wildcard


class Indices:
    """The indices of the store, by expression."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def closed(self, name: str) -> bool:
        """A closed index is on disk, but is not searched."""
        world = self.store.world.search.indices.get(name)
        return world is not None and world.status == "close"

    def resolve(
        self,
        expression: str | None,
        *,
        ignore_unavailable: bool = False,
        allow_no_indices: bool = True,
        expand: str = "open",
        single_closed: bool = False,
    ) -> list[str]:
        """The indices that an expression means, in order.

        `single_closed`: a closed index that is named is not an error (metadata requests). EsError:
        404 for one that does not exist, 400 for one that is closed.
        """
        wanted = {part.strip() for part in expand.split(",")}
        opened, closed = bool(wanted & {"open", "all"}), bool(wanted & {"closed", "all"})
        names = self.store.names()
        visible = [n for n in names if (closed if self.closed(n) else opened)]
        found: list[str] = []
        parts = [part for part in (expression or "_all").split(",") if part]
        for position, part in enumerate(parts):
            if part in ("_all", "*"):
                found += [name for name in visible if name not in found]
            elif part.startswith("-") and position:
                match = wildcard(part[1:]).fullmatch
                found = [name for name in found if not match(name)]
            elif "*" in part:
                match = wildcard(part).fullmatch
                matching = [name for name in visible if match(name) and name not in found]
                if not matching and not allow_no_indices:
                    raise no_such_index(part)
                found += matching
            elif part.startswith(("_", "-", "+")):
                raise EsError(
                    400,
                    "invalid_index_name_exception",
                    f"Invalid index name [{part}], must not start with '_', '-', or '+'",
                    index_uuid="_na_",
                    index=part,
                )
            elif part not in names:
                if not ignore_unavailable:
                    raise no_such_index(part)
            elif self.closed(part) and not single_closed:
                if not ignore_unavailable:
                    raise EsError(400, "index_closed_exception", "closed", index=part)
            elif part not in found:
                found.append(part)
        if not found and not allow_no_indices:
            raise no_such_index(expression or "_all")
        return found

    def shards(self, names: list[str]) -> list[Shard]:
        """The indices as they are now."""
        return [self.store.shard(name) for name in names]

    def uuid(self, name: str) -> str:
        """The index's unique id."""
        world = self.store.world.search.indices.get(name)
        if world is not None:
            return world.uuid
        digest = hashlib.sha256(name.encode()).digest()[:16]
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")

    def count(self, name: str) -> int:
        """Documents, as the statistics have them."""
        world = self.store.world.search.indices.get(name)
        return (world.docs if world else 0) + len(self.store.stored(name).docs)

    def settings(self, name: str) -> dict[str, Any]:
        """The flat settings of an index, without defaults; values are strings."""
        world = self.store.world.search.indices.get(name)
        stored = self.store.stored(name)
        settings = {
            "index.creation_date": str(int((world.created if world else stored.created) * 1000)),
            "index.number_of_replicas": str(world.replicas if world else 1),
            "index.number_of_shards": str(world.primaries if world else 1),
            "index.provided_name": name,
            "index.uuid": self.uuid(name),
            "index.version.created": "8536000",
        }
        settings |= {f"index.{key}": value for key, value in stored.settings.items()}
        if self.store.read_only(name):
            settings["index.blocks.read_only_allow_delete"] = "true"
        return dict(sorted(settings.items()))

    def put_settings(self, names: list[str], body: dict[str, Any]) -> None:
        """Change dynamic settings; null removes one. EsError (400) for what is unknown."""
        flat = flatten(body.get("settings", body))
        for key, value in flat.items():
            bare = key.removeprefix("index.")
            known = ("number_of_replicas", "refresh_interval", "blocks.read_only",
                     "blocks.read_only_allow_delete", "blocks.write")  # fmt: skip
            if bare not in known:
                raise illegal(
                    f"unknown setting [index.{bare}] please check that any required plugins are"
                    " installed, or check the breaking changes documentation for removed settings"
                )
            text = None if value is None else str(value).lower()
            for name in names:
                stored = self.store.stored(name)
                if bare == "blocks.read_only_allow_delete":
                    stored.blocked = text == "true"
                    world = self.store.world.search.indices.get(name)
                    if world is not None:
                        world.read_only = stored.blocked
                elif text is None:
                    stored.settings.pop(bare, None)
                else:
                    stored.settings[bare] = text

    def create(self, name: str, body: dict[str, Any]) -> None:
        """Make an index with settings and mappings; EsError (400) if it exists."""
        if name in self.store.names():
            raise EsError(
                400,
                "resource_already_exists_exception",
                f"index [{name}/{self.uuid(name)}] already exists",
                index_uuid=self.uuid(name),
                index=name,
            )
        fields = from_properties(body.get("mappings", {}).get("properties", {}))
        stored = self.store.stored(name)
        stored.mapping.fields |= fields

    def field_caps(self, names: list[str], patterns: list[str]) -> dict[str, Any]:
        """`_field_caps`."""
        fields: dict[str, Any] = {}
        for name in names:
            mapping = self.store.mapping(name)
            for pattern in patterns:
                for field in mapping.matching(pattern):
                    kind = mapping.kind(field)
                    if kind is None:
                        continue
                    shown = "text" if kind in TEXT else kind
                    fields.setdefault(field, {})[shown] = {
                        "type": shown,
                        "metadata_field": False,
                        "searchable": kind != "object",
                        "aggregatable": kind not in (*TEXT, "object"),
                    }
        return {"indices": names, "fields": fields}


def flatten(value: Any, prefix: str = "") -> dict[str, Any]:
    """Nested settings with dotted names."""
    if not isinstance(value, dict):
        return {prefix: value}
    flat: dict[str, Any] = {}
    for key, item in value.items():
        flat |= flatten(item, f"{prefix}.{key}" if prefix else key)
    return flat


def nest(flat: dict[str, Any]) -> dict[str, Any]:
    """Dotted names as nested objects."""
    root: dict[str, Any] = {}
    for name, value in flat.items():
        *parents, last = name.split(".")
        node = root
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last] = value
    return root
