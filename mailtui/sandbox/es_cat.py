"""`_cat`: tables for people (text) and for programs (`format=json`: every value a string)."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from mailtui.sandbox.es_errors import illegal
from mailtui.sandbox.es_indices import Indices
from mailtui.sandbox.es_text import wildcard

_UNITS = {"b": 1, "kb": 1024, "mb": 1024**2, "gb": 1024**3, "tb": 1024**4}
_NUMERIC = ("docs", "store", "dataset", "disk", "shards", "heap", "ram", "cpu", "load", "pri",
            "rep", "node", "unassign", "relo", "init", "epoch", "active", "pending")  # fmt: skip

Row = dict[str, Any]


class Size(int):
    """A number of bytes, shown in the unit that the request asks for."""


class Cat:
    """The tables; columns in the order in which they show."""

    def __init__(self, indices: Indices) -> None:
        self._indices = indices
        self._world = indices.store.world

    def indices(self, names: list[str]) -> list[Row]:
        """`_cat/indices`."""
        rows: list[Row] = []
        for name in names:
            world = self._world.search.indices.get(name)
            closed = world is not None and world.status == "close"
            count = None if closed else self._indices.count(name)
            rows.append({
                "health": world.health if world else "green",
                "status": world.status if world else "open",
                "index": name,
                "uuid": self._indices.uuid(name),
                "pri": world.primaries if world else 1,
                "rep": world.replicas if world else 1,
                "docs.count": count,
                "docs.deleted": None if closed else world.deleted_docs if world else 0,
                "store.size": None if closed else Size(world.size if world else 0),
                "pri.store.size": None if closed else Size(world.primary_size if world else 0),
                "dataset.size": None if closed else Size(world.primary_size if world else 0),
            })  # fmt: skip
        return rows

    def allocation(self) -> list[Row]:
        """`_cat/allocation`; what no node holds is a row of its own."""
        search = self._world.search
        rows: list[Row] = []
        for node in search.nodes:
            held = [
                (index, shard)
                for index in search.indices.values()
                if index.status == "open"
                for shard in index.shards
                if shard.node == node.name
            ]
            rows.append({
                "shards": len(held),
                "shards.undesired": 0,
                "disk.indices": Size(sum(i.primary_size // max(1, i.primaries) for i, _ in held)),
                "disk.used": Size(node.disk_total - node.disk_available),
                "disk.avail": Size(node.disk_available),
                "disk.total": Size(node.disk_total),
                "disk.percent": int(100 * (node.disk_total - node.disk_available)
                                    / node.disk_total),
                "host": node.address,
                "ip": node.address,
                "node": node.name,
                "node.role": _roles(node.roles),
            })  # fmt: skip
        if search.unassigned:
            empty: Row = dict.fromkeys(rows[0] if rows else ("shards", "node"))
            rows.append({**empty, "shards": search.unassigned, "node": "UNASSIGNED"})
        return rows

    def health(self) -> list[Row]:
        """`_cat/health`."""
        search = self._world.search
        shards = search.shards()
        active = [s for s in shards if s.node is not None]
        percent = 100.0 * len(active) / len(shards) if shards else 100.0
        return [{
            "epoch": int(self._world.now),
            "timestamp": time.strftime("%H:%M:%S", time.gmtime(self._world.now)),
            "cluster": search.cluster,
            "status": search.health,
            "node.total": len(search.nodes),
            "node.data": len(search.nodes),
            "shards": len(active),
            "pri": sum(1 for s in active if s.primary),
            "relo": 0,
            "init": 0,
            "unassign": len(shards) - len(active),
            "unassign.pri": sum(1 for s in shards if s.node is None and s.primary),
            "pending_tasks": search.pending_tasks,
            "max_task_wait_time": "-",
            "active_shards_percent": f"{percent:.1f}%",
        }]  # fmt: skip

    def nodes(self) -> list[Row]:
        """`_cat/nodes`."""
        rows: list[Row] = []
        for position, node in enumerate(self._world.search.nodes):
            rows.append({
                "ip": node.address,
                "heap.percent": node.heap_percent,
                "ram.percent": 93,
                "cpu": node.cpu_percent,
                "load_1m": f"{node.load:.2f}",
                "load_5m": f"{node.load:.2f}",
                "load_15m": f"{node.load:.2f}",
                "node.role": _roles(node.roles),
                "master": "*" if position == 0 else "-",
                "name": node.name,
                "disk.total": Size(node.disk_total),
                "disk.used": Size(node.disk_total - node.disk_available),
                "disk.avail": Size(node.disk_available),
                "disk.used_percent": f"{node.used_ratio * 100:.2f}",
            })  # fmt: skip
        return rows

    def shards(self, names: list[str]) -> list[Row]:
        """`_cat/shards`."""
        search = self._world.search
        addresses = {node.name: node.address for node in search.nodes}
        rows: list[Row] = []
        for index in search.indices.values():
            if index.name not in names or index.status == "close":
                continue
            for shard in index.shards:
                here = shard.node is not None
                share = max(1, index.primaries)
                rows.append({
                    "index": index.name,
                    "shard": shard.number,
                    "prirep": "p" if shard.primary else "r",
                    "state": "STARTED" if here else "UNASSIGNED",
                    "docs": index.docs // share if here else None,
                    "store": Size(index.primary_size // share) if here else None,
                    "dataset": Size(index.primary_size // share) if here else None,
                    "ip": addresses.get(shard.node or ""),
                    "node": shard.node,
                    "unassigned.reason": shard.reason or None,
                })  # fmt: skip
        return rows


_ON_DEMAND = {"nodes": "disk.", "shards": "unassigned."}
"""Columns, by how they begin, that show only when `h` names them."""

_ALIASES = {
    "i": "index", "idx": "index", "dc": "docs.count", "docsCount": "docs.count", "h": "health",
    "s": "status", "ss": "store.size", "n": "node", "st": "state", "sh": "shard",
    "p": "prirep", "hp": "heap.percent", "r": "node.role", "m": "master",
    "dup": "disk.used_percent", "dt": "disk.total", "du": "disk.used", "da": "disk.avail",
    "ur": "unassigned.reason",
}  # fmt: skip


def _roles(roles: tuple[str, ...]) -> str:
    letters = {"data": "d", "ingest": "i", "master": "m", "ml": "l", "transform": "t"}
    return "".join(sorted(letters.get(role, role[:1]) for role in roles)) or "-"


def chosen(table: str, rows: list[Row], query: Any) -> list[Row]:
    """Rows as a request wants them: columns (`h`), order (`s`), sizes (`bytes`), as strings."""
    every = list(rows[0]) if rows else []
    hidden = _ON_DEMAND.get(table, " ")
    columns = [column for column in every if not column.startswith(hidden)]
    if wanted := query.get("h"):
        columns = []
        for part in wanted.split(","):
            match = wildcard(part).fullmatch
            found = [c for c in every if match(c)] or [_ALIASES.get(part, part)]
            columns += [c for c in found if c in every and c not in columns]
    for rule in reversed((query.get("s") or "").split(",")):
        if rule:
            column, _, order = rule.partition(":")
            column = _ALIASES.get(column, column)
            if column not in every and rows:
                raise illegal(f"Unable to sort by unknown sort key `{column}`")
            rows = sorted(rows, key=_order(column), reverse=order == "desc")
    unit = query.get("bytes")
    if unit is not None and unit not in _UNITS:
        raise illegal(f"failed to parse bytes unit [{unit}]")
    return [{column: _shown(row[column], unit) for column in columns} for row in rows]


def _order(column: str) -> Callable[[Row], Any]:
    def key(row: Row) -> Any:
        value = row[column]
        return (value is not None, value if value is not None else 0)

    return key


def _shown(value: Any, unit: str | None) -> str | None:
    if value is None:
        return None
    if isinstance(value, Size):
        if unit is not None:
            return str(int(value) // _UNITS[unit])
        amount = float(value)
        for name in ("b", "kb", "mb", "gb", "tb"):
            if amount < 1024 or name == "tb":
                return f"{int(amount)}{name}" if name == "b" else f"{amount:.1f}{name}"
            amount /= 1024
    return str(value)


def text(rows: list[Row], *, heading: bool) -> str:
    """The table as text; numbers to the right."""
    if not rows:
        return ""
    columns = list(rows[0])
    lines = [{c: row[c] or "" for c in columns} for row in rows]
    if heading:
        lines.insert(0, {c: c for c in columns})
    width = {c: max(len(line[c]) for line in lines) for c in columns}
    return "".join(
        " ".join(
            line[c].rjust(width[c]) if c.startswith(_NUMERIC) and c not in ("node", "node.role")
            else line[c].ljust(width[c])
            for c in columns
        ).rstrip() + "\n"
        for line in lines
    )  # fmt: skip
