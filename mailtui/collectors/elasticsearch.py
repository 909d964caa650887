"""Elasticsearch's health, and the sources of the audit trail that it holds."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, ClassVar

from mailtui.collectors import elasticsearch_records as records
from mailtui.collectors.audit_fields import newest_and_failures, newest_time
from mailtui.collectors.audit_search import AuditSearch
from mailtui.collectors.audit_tail import AuditTailCollector
from mailtui.collectors.base import Collector
from mailtui.connections.elastic import ElasticClient
from mailtui.connections.errors import SourceError
from mailtui.connections.http import gather_all
from mailtui.model import clock
from mailtui.model.search import SearchReport

if TYPE_CHECKING:
    from mailtui.config.settings import Context
    from mailtui.config.sources.elasticsearch import Settings
    from mailtui.connections.pool import Connections

SETTINGS_INTERVAL = 300.0
"""Seconds between reads of the version and the watermark."""


def collectors(context: Context, connections: Connections) -> list[Collector]:
    """The cluster, and the live tail of the audit trail."""
    from mailtui.config.sources.elasticsearch import Settings

    settings = context.source("elasticsearch", Settings)
    if settings is None:
        return []
    client = ElasticClient(settings)
    search = AuditSearch(client, settings)
    return [
        ElasticsearchCollector(settings, client),
        AuditTailCollector(settings, client, search),
    ]


class ElasticsearchCollector:
    """Reads a SearchReport."""

    source: ClassVar[str] = "elasticsearch"
    overview: ClassVar[bool] = True
    target = ""

    def __init__(self, settings: Settings, client: ElasticClient) -> None:
        self.interval = settings.interval
        self.timeout = settings.timeout
        self._settings = settings
        self._client = client
        self._settings_at = float("-inf")
        self._version = ""
        self._watermark: Any = None

    async def read(self) -> SearchReport:
        """One read. Raises SourceError if the cluster's health cannot be read."""
        notes: list[str] = []
        health = await self._client.call(lambda es: es.cluster.health())
        if time.monotonic() - self._settings_at >= SETTINGS_INTERVAL:
            await self._read_settings(notes)
        parts = await gather_all(
            self._optional("indices", notes, self._indices()),
            self._optional("blocks of the indices", notes, self._blocks()),
            self._optional("disks of the nodes", notes, self._nodes()),
            self._optional("the newest audit event", notes, self._audit()),
        )
        for part in parts:
            if isinstance(part, Exception):
                raise part
        cat, blocks, nodes, audit = parts
        newest, events, failures = audit or (None, None, None)
        found = records.nodes(nodes)
        return SearchReport(
            cluster=str(health.get("cluster_name", "")),
            version=self._version,
            status=str(health.get("status", "")),
            nodes_count=records.whole(health.get("number_of_nodes")),
            unassigned_shards=records.whole(health.get("unassigned_shards")),
            nodes=found,
            indices=records.indices(cat, blocks),
            flood_stage=records.flood_stage(self._watermark, found),
            newest_audit=newest,
            audit_events=events,
            audit_failures=failures,
            audit_window=self._settings.audit.failures_window,
            notes=tuple(notes),
        )

    async def close(self) -> None:
        """Close the client, which the audit sources share."""
        await self._client.close()

    async def _optional(self, what: str, notes: list[str], part: Any) -> Any:
        """The answer, or None with a note: a missing privilege must not hide the rest."""
        try:
            return await part
        except SourceError as error:
            notes.append(f"{what} unknown: {error}")
            return None

    async def _read_settings(self, notes: list[str]) -> None:
        path = "*.cluster.routing.allocation.disk.watermark.flood_stage"
        info = await self._optional(
            "version", notes, self._client.call(lambda es: es.info(filter_path="version.number"))
        )
        self._version = str(((info or {}).get("version") or {}).get("number", ""))
        self._watermark = await self._optional(
            "flood-stage watermark",
            notes,
            self._client.call(
                lambda es: es.cluster.get_settings(
                    include_defaults=True, flat_settings=True, filter_path=path
                )
            ),
        )
        if info is not None and self._watermark is not None:
            self._settings_at = time.monotonic()

    async def _indices(self) -> Any:
        return await self._client.call(
            lambda es: es.cat.indices(
                format="json",
                bytes="b",
                h="index,health,status,docs.count,store.size,pri,rep",
                expand_wildcards=["open", "closed"],
            )
        )

    async def _blocks(self) -> Any:
        return await self._client.call(
            lambda es: es.indices.get_settings(
                index="*",
                name=["index.blocks.read_only_allow_delete", "index.blocks.read_only"],
                flat_settings=True,
                expand_wildcards=["open"],
            )
        )

    async def _nodes(self) -> Any:
        return await self._client.call(
            lambda es: es.nodes.stats(
                metric=["fs", "jvm"],
                filter_path=[
                    "nodes.*.name",
                    "nodes.*.fs.total.total_in_bytes",
                    "nodes.*.fs.total.available_in_bytes",
                    "nodes.*.jvm.mem.heap_used_percent",
                ],
            )
        )

    async def _audit(self) -> tuple[float | None, int | None, int | None]:
        audit = self._settings.audit
        since = clock.now() - audit.failures_window
        body = newest_and_failures(audit.fields, since)
        answer = await self._client.call(
            lambda es: es.search(index=audit.index, ignore_unavailable=True, **body)
        )
        return newest_time(answer)
