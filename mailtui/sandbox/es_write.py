"""Writing documents: single, bulk, by query, with versions and the read-only block."""

from __future__ import annotations

import base64
import json
import random
from typing import Any

from mailtui.sandbox.es_compiled import Context
from mailtui.sandbox.es_errors import EsError, ShardError, illegal, parsing, unsupported
from mailtui.sandbox.es_query import compile_query
from mailtui.sandbox.es_store import Store

_VERBS = ("index", "create", "delete", "update")


class Writer:
    """The write side of the store."""

    def __init__(self, store: Store, seed: int) -> None:
        self._store = store
        self._random = random.Random(f"{seed}/elasticsearch ids")

    def new_id(self) -> str:
        """An id as the server makes them: 20 characters of URL-safe Base64."""
        return base64.urlsafe_b64encode(self._random.randbytes(15)).decode()

    def index(self, name: str, id_: str | None, source: Any, *, create: bool) -> dict[str, Any]:
        """Write a document; EsError: 400 no object, 409 exists and `create`, or blocked."""
        self.check(name, writing=True)
        if not isinstance(source, dict):
            raise EsError(
                400,
                "document_parsing_exception",
                "[1:1] failed to parse",
                caused_by={
                    "type": "not_x_content_exception",
                    "reason": "Compressor detection can only be called on some xcontent bytes or"
                    " compressed xcontent bytes",
                },
            )
        self._readable(name, id_, source)
        found = None if id_ is None else self._store.find(name, id_)
        if found is not None and create:
            raise EsError(
                409,
                "version_conflict_engine_exception",
                f"[{id_}]: version conflict, document already exists (current version"
                f" [{found[1]}])",
                index=name,
                shard="0",
            )
        version = found[1] + 1 if found else 1
        doc = self._store.put(name, id_ or self.new_id(), source, version)
        result = "updated" if found else "created"
        return self._answer(name, doc.id, version, result, doc.seq)

    def _readable(self, name: str, id_: str | None, source: Any) -> None:
        """EsError (400) for a value that the index's mapping cannot hold."""
        bad = self._store.mapping(name).unreadable(source) if name in self._store.names() else None
        if bad is not None:
            field, kind, value = bad
            raise EsError(
                400,
                "document_parsing_exception",
                f"[1:1] failed to parse field [{field}] of type [{kind}] in document with id"
                f" '{id_}'. Preview of field's value: '{value}'",
                caused_by={
                    "type": "illegal_argument_exception",
                    "reason": f"cannot read [{value}] as [{kind}]",
                },
            )

    def delete(self, name: str, id_: str) -> dict[str, Any]:
        """Delete a document; the answer says `not_found` (404) if it is not there."""
        self.check(name)
        found = self._store.find(name, id_)
        if found is None:
            return self._answer(name, id_, 1, "not_found", 0)
        self._store.remove(name, id_)
        return self._answer(name, id_, found[1] + 1, "deleted", self._store.stored(name).sequence)

    def update(self, name: str, id_: str, body: dict[str, Any]) -> dict[str, Any]:
        """Merge `doc` into a document; EsError: 404 missing, 400 for scripts."""
        self.check(name, writing=True)
        for key in body:
            if key not in ("doc", "doc_as_upsert", "upsert", "detect_noop", "_source"):
                raise unsupported(f"[UpdateRequest] with [{key}]")
        partial = body.get("doc")
        found = self._store.find(name, id_)
        if found is None:
            fresh = partial if body.get("doc_as_upsert") else body.get("upsert")
            if fresh is None:
                raise EsError(
                    404, "document_missing_exception", f"[{id_}]: document missing",
                    index=name, shard="0",
                )  # fmt: skip
            return self.index(name, id_, fresh, create=True)
        if not isinstance(partial, dict):
            raise parsing("Validation Failed: 1: script or doc is missing;")
        source = _merged(found[0], partial)
        if source == found[0] and body.get("detect_noop", True):
            return self._answer(name, id_, found[1], "noop", self._store.stored(name).sequence)
        self._readable(name, id_, source)
        doc = self._store.put(name, id_, source, found[1] + 1)
        return self._answer(name, id_, found[1] + 1, "updated", doc.seq)

    def bulk(self, default: str | None, text: str) -> dict[str, Any]:
        """Run the lines of a `_bulk` body; one item fails alone."""
        if not text.endswith("\n"):
            raise illegal("The bulk request must be terminated by a newline [\\n]")
        lines = iter(text.split("\n")[:-1])
        items: list[dict[str, Any]] = []
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            verb, meta = _action(line, number)
            name = meta.get("_index", default)
            if not name:
                raise EsError(
                    400,
                    "action_request_validation_exception",
                    "Validation Failed: 1: index is missing;",
                )
            body = None
            if verb != "delete":
                body = _json(next(lines, ""))
            id_ = None if meta.get("_id") is None else str(meta["_id"])
            items.append({verb: self._item(verb, str(name), id_, body)})
        if not items:
            raise EsError(
                400,
                "action_request_validation_exception",
                "Validation Failed: 1: no requests added;",
            )
        errors = any("error" in item for entry in items for item in entry.values())
        return {"errors": errors, "took": 1, "items": items}

    def _item(self, verb: str, name: str, id_: str | None, body: Any) -> dict[str, Any]:
        try:
            if verb in ("delete", "update") and id_ is None:
                raise EsError(
                    400, "action_request_validation_exception",
                    "Validation Failed: 1: an id is required for a delete operation;",
                )  # fmt: skip
            if verb == "delete":
                answer = self.delete(name, str(id_))
                return {**answer, "status": 404 if answer["result"] == "not_found" else 200}
            if verb == "update":
                answer = self.update(name, str(id_), body if isinstance(body, dict) else {})
            else:
                answer = self.index(name, id_, body, create=verb == "create")
            return {**answer, "status": 201 if answer["result"] == "created" else 200}
        except EsError as error:
            detail = error.cause()
            if error.caused_by:
                detail["caused_by"] = error.caused_by
            return {"_index": name, "_id": id_, "status": error.status, "error": detail}

    def delete_by_query(self, names: list[str], query: Any, now: int) -> dict[str, Any]:
        """Delete every document that matches."""
        if query is None:
            raise EsError(
                400,
                "action_request_validation_exception",
                "Validation Failed: 1: query is missing;",
            )
        doomed: list[tuple[str, str]] = []
        for name in names:
            self.check(name)
            shard = self._store.shard(name)
            for segment in shard.segments:
                context = Context(shard.mapping, segment, now, name)
                try:
                    compiled = compile_query(query, context)
                except ShardError as error:
                    error.index = name
                    raise
                if compiled.never:
                    continue
                rows, test = segment.rows(compiled.low, compiled.high), compiled.test
                doomed += [(name, row.id) for row in rows if test is None or test(row)]
        for name, id_ in doomed:
            self._store.remove(name, id_)
        return {
            "took": 1, "timed_out": False, "total": len(doomed), "deleted": len(doomed),
            "batches": -(-len(doomed) // 1000), "version_conflicts": 0, "noops": 0,
            "retries": {"bulk": 0, "search": 0}, "throttled_millis": 0,
            "requests_per_second": -1.0, "throttled_until_millis": 0, "failures": [],
        }  # fmt: skip

    def check(self, name: str, *, writing: bool = False) -> None:
        """EsError if the index refuses: 429 flood stage, 403 another block, 400 closed or a bad
        name, 503 no primary, 404 missing (unless `writing`, which makes it).
        """
        if name != name.lower() or any(c in name for c in ' "*\\<|,>/?#:') or name[0] in "-_+":
            raise EsError(
                400,
                "invalid_index_name_exception",
                f"Invalid index name [{name}], must be lowercase"
                if name != name.lower()
                else f"Invalid index name [{name}], must not contain the following characters"
                " [' ','\"','*',',','/','<','>','?','\\','|']",
                index_uuid="_na_",
                index=name,
            )
        exists = name in self._store.names()
        world = self._store.world.search.indices.get(name)
        if world is not None and world.status == "close":
            raise EsError(400, "index_closed_exception", "closed", index=name)
        for setting, number, what in (
            ("blocks.read_only", 5, "index read-only (api)"),
            ("blocks.write", 8, "index write (api)"),
        ):
            if exists and self._store.stored(name).settings.get(setting) == "true":
                raise EsError(
                    403,
                    "cluster_block_exception",
                    f"index [{name}] blocked by: [FORBIDDEN/{number}/{what}];",
                )
        if exists and self._store.read_only(name):
            raise _blocked(name)
        if exists and not self._store.shard(name).segments and self._store.shard(name).lost:
            raise EsError(
                503,
                "unavailable_shards_exception",
                f"[{name}][0] primary shard is not active Timeout: [1m]",
            )
        if not exists and not writing:
            from mailtui.sandbox.es_errors import no_such_index

            raise no_such_index(name)

    def _answer(
        self, name: str, id_: str, version: int, result: str, sequence: int
    ) -> dict[str, Any]:
        return {
            "_index": name,
            "_id": id_,
            "_version": version,
            "result": result,
            "_shards": {"total": 2, "successful": 1, "failed": 0},
            "_seq_no": sequence,
            "_primary_term": 1,
        }


def _blocked(name: str) -> EsError:
    """The flood-stage block: 429, not the 403 of other blocks (IndexMetadata, since 7.8)."""
    return EsError(
        429,
        "cluster_block_exception",
        f"index [{name}] blocked by: [TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage"
        " watermark, index has read-only-allow-delete block];",
    )


def _action(line: str, number: int) -> tuple[str, dict[str, Any]]:
    action = _json(line)
    if not isinstance(action, dict) or len(action) != 1:
        raise illegal(f"Malformed action/metadata line [{number}], expected START_OBJECT")
    verb, meta = next(iter(action.items()))
    if verb not in _VERBS or not isinstance(meta, dict):
        raise illegal(
            f"Malformed action/metadata line [{number}], expected field [create], [delete],"
            f" [index] or [update] but found [{verb}]"
        )
    return verb, meta


def _json(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError as error:
        raise EsError(400, "x_content_parse_exception", f"[1:1] {error}") from None


def _merged(old: Any, new: Any) -> Any:
    if isinstance(old, dict) and isinstance(new, dict):
        return {**old, **{key: _merged(old.get(key), value) for key, value in new.items()}}
    return new
