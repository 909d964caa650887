"""What is wrong with search: health, disks near flood stage, blocked indices, a silent audit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mailtui.collectors.state import State
from mailtui.model import format as fmt
from mailtui.model.problem import Problem, Severity
from mailtui.model.search import SearchNode, SearchReport

if TYPE_CHECKING:
    from mailtui.config.settings import Context

_NEAR = 0.05
"""Share of the disk below flood stage from which a node is a problem."""


def find(state: State, context: Context, now: float) -> Iterator[Problem]:
    """Problems of the last SearchReport."""
    from mailtui.config.sources.elasticsearch import Settings

    reading = state.get("elasticsearch")
    report, settings = reading.value, context.source("elasticsearch", Settings)
    if not isinstance(report, SearchReport) or settings is None:
        return
    read_at = reading.read_at
    blocked = [index.name for index in report.indices if index.read_only]
    full = [node for node in report.nodes if _near(node, report.flood_stage)]
    yield from _health(report, read_at)
    if blocked:
        behind = f": {', '.join(_disk(node) for node in full)}" if full else ""
        stage = f" (flood stage {fmt.percent(report.flood_stage)})" if report.flood_stage else ""
        text = (
            f"{_names(blocked)} {'take' if len(blocked) > 1 else 'takes'} no writes{behind}{stage}"
        )
        hosts = tuple(node.name for node in full)
        yield _problem(
            "blocked",
            "critical",
            text,
            screen="sources",
            where="writable:=blocked",
            read_at=read_at,
            weight=40,
            hosts=hosts,
        )
    else:
        for node in full:
            text = f"{_disk(node)}; indices turn read-only at {fmt.percent(report.flood_stage)}"
            key = f"disk/{node.name}"
            yield _problem(
                key,
                "warning",
                text,
                screen="sources",
                read_at=read_at,
                weight=20,
                hosts=(node.name,),
            )
    newest = report.newest_audit
    silence = settings.audit.silent_after
    if newest is not None and read_at - newest >= silence:
        # told of the moment of the read: of what came since, nothing is known
        text = f"audit trail silent for {fmt.age(read_at - newest)}" + (
            ": its indices take no writes" if any("audit" in name for name in blocked) else ""
        )
        yield _problem(
            "audit", "critical", text, screen="audit", read_at=read_at, weight=30, since=newest
        )
    elif newest is None and report.audit_events is not None:
        text = f"the audit trail {settings.audit.index} has no event"
        yield _problem("audit", "warning", text, screen="audit", read_at=read_at, weight=30)


def _health(report: SearchReport, read_at: float) -> Iterator[Problem]:
    if report.status not in ("red", "yellow"):
        return
    bad = [index.name for index in report.indices if index.health == report.status]
    name = report.cluster or "the search cluster"
    count = report.unassigned_shards
    shards = ""
    if count:
        shards = f", {fmt.count(count)} {'shards have' if count > 1 else 'shard has'} no node"
    which = f": {_names(bad)}" if bad else ""
    text = f"{name} is {report.status}{which}{shards}"
    severity: Severity = "critical" if report.status == "red" else "warning"
    where = f"health:={report.status}"
    yield _problem(
        "health",
        severity,
        text,
        screen="sources",
        where=where,
        read_at=read_at,
        weight=35 if bad else 30,
    )


def _near(node: SearchNode, stage: float | None) -> bool:
    used = _used(node)
    return used is not None and stage is not None and used >= stage - _NEAR


def _used(node: SearchNode) -> float | None:
    if not node.disk_total or node.disk_available is None:
        return None
    return 1.0 - node.disk_available / node.disk_total


def _disk(node: SearchNode) -> str:
    return f"{node.name} disk {fmt.percent(_used(node), 1)}"


def _names(names: list[str]) -> str:
    shown = ", ".join(names[:2])
    return shown if len(names) <= 2 else f"{shown} and {len(names) - 2} more indices"


def _problem(
    what: str,
    severity: Severity,
    text: str,
    *,
    screen: str,
    where: str = "",
    read_at: float,
    weight: float,
    hosts: tuple[str, ...] = (),
    since: float | None = None,
) -> Problem:
    return Problem(
        key=f"elasticsearch/{what}",
        severity=severity,
        hosts=hosts,
        text=text,
        screen=screen,
        where=where,
        since=since,
        read_at=read_at,
        weight=float(weight),
        source="elasticsearch",
    )
