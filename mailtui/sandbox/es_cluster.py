"""The cluster's view of itself: health, nodes, statistics, settings."""

from __future__ import annotations

from typing import Any

from mailtui.sandbox.es_errors import EsError
from mailtui.sandbox.es_indices import Indices, nest
from mailtui.sandbox.world.search import Index, Search, SearchNode

METRICS = ("indices", "os", "process", "jvm", "thread_pool", "fs", "transport", "http", "breaker",
           "script", "discovery", "ingest", "adaptive_selection", "indexing_pressure")  # fmt: skip


class Cluster:
    """Answers of `_cluster` and `_nodes`."""

    def __init__(self, indices: Indices) -> None:
        self._indices = indices
        self._world = indices.store.world
        self.transient: dict[str, Any] = {}
        self.persistent: dict[str, Any] = {}

    @property
    def search(self) -> Search:
        """The simulated cluster."""
        return self._world.search

    def info(self) -> dict[str, Any]:
        """`GET /`."""
        search = self.search
        return {
            "name": search.nodes[0].name,
            "cluster_name": search.cluster,
            "cluster_uuid": search.uuid,
            "version": {
                "number": search.version,
                "build_flavor": "default",
                "build_type": "deb",
                "build_hash": "45b88f69f8cdd76a7e6bb2cc6b0d9d2ef0a2a8c9",
                "build_date": "2025-08-21T18:00:15.521112046Z",
                "build_snapshot": False,
                "lucene_version": "9.12.2",
                "minimum_wire_compatibility_version": "7.17.0",
                "minimum_index_compatibility_version": "7.0.0",
            },
            "tagline": "You Know, for Search",
        }

    def _open(self, names: list[str]) -> list[Index]:
        found = [self.search.indices[n] for n in names if n in self.search.indices]
        return [index for index in found if index.status == "open"]

    def health(self, names: list[str] | None, level: str) -> dict[str, Any]:
        """`_cluster/health`, of all or of some indices; `level`: cluster, indices or shards."""
        search = self.search
        indices = self._open(list(search.indices) if names is None else names)
        shards = [shard for index in indices for shard in index.shards]
        active = [shard for shard in shards if shard.node is not None]
        order = ("green", "yellow", "red")
        status = max((index.health for index in indices), key=order.index, default="green")
        data = sum(1 for node in search.nodes if any("data" in role for role in node.roles))
        lost = sum(1 for s in shards if s.node is None and s.primary)
        body: dict[str, Any] = {
            "cluster_name": search.cluster,
            "status": status,
            "timed_out": False,
            "number_of_nodes": len(search.nodes),
            "number_of_data_nodes": data,
            "active_primary_shards": sum(1 for shard in active if shard.primary),
            "active_shards": len(active),
            "relocating_shards": 0,
            "initializing_shards": 0,
            "unassigned_shards": len(shards) - len(active),
            "unassigned_primary_shards": lost,
            "delayed_unassigned_shards": 0,
            "number_of_pending_tasks": search.pending_tasks,
            "number_of_in_flight_fetch": 0,
            "task_max_waiting_in_queue_millis": 0,
            "active_shards_percent_as_number": 100.0 * len(active) / len(shards)
            if shards
            else 100.0,
        }
        if level in ("indices", "shards"):
            body["indices"] = {index.name: _index_health(index) for index in indices}
        return body

    def settings(self, *, defaults: bool, flat: bool) -> dict[str, Any]:
        """`_cluster/settings`."""
        search = self.search
        prefix = "cluster.routing.allocation.disk.watermark."
        shares = {"low": search.low, "high": search.high, "flood_stage": search.flood_stage}
        normal = {"low": 0.85, "high": 0.90, "flood_stage": 0.95}
        changed = {f"{prefix}{k}": _percent(v) for k, v in shares.items() if v != normal[k]}
        body: dict[str, Any] = {
            "persistent": {**changed, **self.persistent},
            "transient": dict(self.transient),
        }
        if defaults:
            default = {
                f"{prefix}{k}": _percent(v)
                for k, v in normal.items()
                if f"{prefix}{k}" not in body["persistent"]
            }
            default["cluster.name"] = search.cluster
            default["cluster.routing.allocation.disk.threshold_enabled"] = "true"
            default["cluster.routing.allocation.enable"] = "all"
            default["search.max_buckets"] = "65536"
            body["defaults"] = default
        if not flat:
            body = {key: nest(value) for key, value in body.items()}
        return body

    def stats(self) -> dict[str, Any]:
        """`_cluster/stats`, the parts that monitoring reads."""
        search = self.search
        indices = self._open(list(search.indices))
        total = sum(node.disk_total for node in search.nodes)
        free = sum(node.disk_available for node in search.nodes)
        return {
            "_nodes": _all_nodes(search.nodes),
            "cluster_name": search.cluster,
            "cluster_uuid": search.uuid,
            "timestamp": int(self._world.now * 1000),
            "status": search.health,
            "indices": {
                "count": len(indices),
                "shards": {
                    "total": sum(1 for s in search.shards() if s.node is not None),
                    "primaries": sum(1 for s in search.shards() if s.primary and s.node),
                },
                "docs": {
                    "count": sum(index.docs for index in indices),
                    "deleted": sum(index.deleted_docs for index in indices),
                },
                "store": {"size_in_bytes": sum(index.size for index in indices)},
            },
            "nodes": {
                "count": {"total": len(search.nodes), "data": len(search.nodes)},
                "versions": [search.version],
                "jvm": {
                    "mem": {
                        "heap_used_in_bytes": sum(_heap(node) for node in search.nodes),
                        "heap_max_in_bytes": sum(node.heap_max for node in search.nodes),
                    }
                },
                "fs": {
                    "total_in_bytes": total, "free_in_bytes": free, "available_in_bytes": free,
                },
            },
        }  # fmt: skip

    def nodes(self, selector: str | None) -> dict[str, Any]:
        """`_nodes`."""
        chosen = self._chosen(selector)
        return {
            "_nodes": _all_nodes(chosen),
            "cluster_name": self.search.cluster,
            "nodes": {
                node.id: {**_identity(node), "version": self.search.version,
                          "build_flavor": "default", "build_type": "deb"}
                for node in chosen
            },
        }  # fmt: skip

    def node_stats(self, selector: str | None, metrics: set[str]) -> dict[str, Any]:
        """`_nodes/stats`; `metrics` empty or `_all`: every one. EsError (400) for unknown ones."""
        for metric in metrics - {"_all", *METRICS}:
            raise EsError(
                400,
                "illegal_argument_exception",
                f"request [/_nodes/stats/{metric}] contains unrecognized metric: [{metric}]",
            )
        everything = not metrics or "_all" in metrics
        chosen = self._chosen(selector)
        stamp = int(self._world.now * 1000)
        nodes = {}
        for node in chosen:
            entry: dict[str, Any] = {"timestamp": stamp, **_identity(node)}
            available = {
                "indices": self._held(node),
                "os": {
                    "timestamp": stamp,
                    "cpu": {
                        "percent": node.cpu_percent,
                        "load_average": {"1m": node.load, "5m": node.load, "15m": node.load},
                    },
                },
                "process": {"timestamp": stamp, "open_file_descriptors": 1211,
                            "max_file_descriptors": 65_535},
                "jvm": {
                    "timestamp": stamp,
                    "uptime_in_millis": int((self._world.now - node.started) * 1000),
                    "mem": {
                        "heap_used_in_bytes": _heap(node),
                        "heap_used_percent": node.heap_percent,
                        "heap_committed_in_bytes": node.heap_max,
                        "heap_max_in_bytes": node.heap_max,
                    },
                },
                "fs": _disk(node, stamp),
            }  # fmt: skip
            entry |= {k: v for k, v in available.items() if everything or k in metrics}
            nodes[node.id] = entry
        return {
            "_nodes": _all_nodes(chosen),
            "cluster_name": self.search.cluster,
            "nodes": nodes,
        }

    def _held(self, node: SearchNode) -> dict[str, Any]:
        docs = size = count = 0
        for index in self._open(list(self.search.indices)):
            copies = [shard for shard in index.shards if shard.node == node.name]
            count += len(copies)
            size += len(copies) * index.primary_size // max(1, index.primaries)
            docs += sum(index.docs // max(1, index.primaries) for s in copies if s.primary)
        return {
            "docs": {"count": docs, "deleted": 0},
            "shard_stats": {"total_count": count},
            "store": {"size_in_bytes": size},
        }

    def _chosen(self, selector: str | None) -> list[SearchNode]:
        nodes = self.search.nodes
        if selector in (None, "", "_all"):
            return nodes
        if selector in ("_local", "_master"):
            return nodes[:1]
        wanted = str(selector).split(",")
        return [node for node in nodes if node.id in wanted or node.name in wanted]


def _percent(share: float) -> str:
    return f"{share * 100:g}%"


def _heap(node: SearchNode) -> int:
    return node.heap_max * node.heap_percent // 100


def _all_nodes(nodes: list[SearchNode]) -> dict[str, int]:
    return {"total": len(nodes), "successful": len(nodes), "failed": 0}


def _identity(node: SearchNode) -> dict[str, Any]:
    return {
        "name": node.name,
        "transport_address": f"{node.address}:9300",
        "host": node.address,
        "ip": f"{node.address}:9300",
        "roles": sorted(node.roles),
        "attributes": {},
    }


def _disk(node: SearchNode, stamp: int) -> dict[str, Any]:
    sizes = {
        "total_in_bytes": node.disk_total,
        "free_in_bytes": node.disk_available,
        "available_in_bytes": node.disk_available,
    }
    return {
        "timestamp": stamp,
        "total": sizes,
        "data": [
            {
                "path": "/var/lib/elasticsearch",
                "mount": "/var/lib/elasticsearch (/dev/sdb1)",
                "type": "ext4",
                **sizes,
                "low_watermark_free_space_in_bytes": int(node.disk_total * 0.15),
                "high_watermark_free_space_in_bytes": int(node.disk_total * 0.10),
                "flood_stage_free_space_in_bytes": int(node.disk_total * 0.05),
            }
        ],
    }


def _index_health(index: Index) -> dict[str, Any]:
    active = [shard for shard in index.shards if shard.node is not None]
    return {
        "status": index.health,
        "number_of_shards": index.primaries,
        "number_of_replicas": index.replicas,
        "active_primary_shards": sum(1 for shard in active if shard.primary),
        "active_shards": len(active),
        "relocating_shards": 0,
        "initializing_shards": 0,
        "unassigned_shards": len(index.shards) - len(active),
        "unassigned_primary_shards": sum(1 for s in index.shards if s.primary and s.node is None),
    }
