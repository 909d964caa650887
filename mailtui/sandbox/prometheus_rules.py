"""Alerting rules: which conditions hold since when, evaluated on the stored samples."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Any

from mailtui.sandbox.promql import Query
from mailtui.sandbox.promql_values import QueryError, write_float
from mailtui.sandbox.tsdb import Labels, Store
from mailtui.sandbox.world.alerts import FILE, GROUP, RULES, AlertRule
from mailtui.sandbox.world.audit import timestamp

_INTERVAL = 15_000
_PAST = 2 * 3600_000
_PAST_STEP = 30_000
"""Milliseconds between evaluations; of the past, which is evaluated when first asked."""

_REFERENCE = re.compile(r"\{\{\s*\$(?:labels\.(\w+)|(value))\s*\}\}")


@dataclass(slots=True)
class _Active:
    labels: Labels
    since: int
    """Epoch milliseconds."""
    value: float


@dataclass(slots=True)
class _State:
    rule: AlertRule
    active: dict[tuple[tuple[str, str], ...], _Active] = field(default_factory=dict)


class Rules:
    """The state of all alerts; `evaluate` brings it up to a time."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._states = [_State(rule) for rule in RULES]
        self._until: int | None = None
        """Epoch milliseconds of the newest evaluation."""

    def evaluate(self, now: int) -> None:
        """Evaluate what is due by epoch millisecond `now`."""
        if self._until is None:
            steps = list(range((now - _PAST) // _PAST_STEP * _PAST_STEP, now + 1, _PAST_STEP))
        else:
            steps = list(range(self._until + _INTERVAL, now + 1, _INTERVAL))[-480:]
        if not steps:
            return
        self._until = steps[-1]
        for state in self._states:
            _advance(state, self._store, steps)

    def alerts(self) -> list[dict[str, Any]]:
        """The active alerts, as `/api/v1/alerts` lists them."""
        return [alert for state in self._states for alert in self._alerts_of(state)]

    def groups(self) -> list[dict[str, Any]]:
        """The rule groups, as `/api/v1/rules` lists them."""
        rules = []
        at = rfc3339(self._until or 0)
        for state in self._states:
            alerts = self._alerts_of(state)
            states = [a["state"] for a in alerts]
            rules.append(
                {
                    "state": "firing"
                    if "firing" in states
                    else "pending"
                    if states
                    else "inactive",
                    "name": state.rule.name,
                    "query": state.rule.expr,
                    "duration": int(state.rule.hold),
                    "keepFiringFor": 0,
                    "labels": {"severity": state.rule.severity},
                    "annotations": _annotations(state.rule, None),
                    "alerts": alerts,
                    "health": "ok",
                    "evaluationTime": 0.0004,
                    "lastEvaluation": at,
                    "type": "alerting",
                }
            )
        return [
            {
                "name": GROUP,
                "file": FILE,
                "rules": rules,
                "interval": _INTERVAL // 1000,
                "limit": 0,
                "evaluationTime": 0.004,
                "lastEvaluation": at,
            }
        ]

    def _alerts_of(self, state: _State) -> list[dict[str, Any]]:
        rule, now = state.rule, self._until or 0
        alerts = []
        for active in state.active.values():
            firing = now - active.since >= rule.hold * 1000
            labels = {"alertname": rule.name, **active.labels, "severity": rule.severity}
            alerts.append(
                {
                    "labels": dict(sorted(labels.items())),
                    "annotations": _annotations(rule, active),
                    "state": "firing" if firing else "pending",
                    "activeAt": rfc3339(active.since),
                    "value": write_exponent(active.value),
                }
            )
        return alerts


def _advance(state: _State, store: Store, steps: list[int]) -> None:
    rows = Query(store, steps).run(state.rule.expr)
    if not isinstance(rows, list):
        raise QueryError(f"the expression of rule {state.rule.name} is not an instant vector")
    for i, at in enumerate(steps):
        holds: dict[tuple[tuple[str, str], ...], tuple[Labels, float]] = {}
        for row in rows:
            value = row.values[i]
            if value is not None:
                labels = {k: v for k, v in row.labels.items() if k != "__name__"}
                holds[tuple(labels.items())] = (labels, value)
        for key in [k for k in state.active if k not in holds]:
            del state.active[key]
        for key, (labels, value) in holds.items():
            known = state.active.get(key)
            if known is None:
                state.active[key] = _Active(labels, at, value)
            else:
                known.value = value


def _annotations(rule: AlertRule, active: _Active | None) -> dict[str, str]:
    """The texts; expanded for an alert, as templates for the rule."""
    texts = {"description": rule.description, "summary": rule.summary}
    texts = {k: v for k, v in texts.items() if v}
    if active is None:
        return texts

    def expand(match: re.Match[str]) -> str:
        if match[2]:
            return write_float(active.value)
        return active.labels.get(match[1], "")

    return {k: _REFERENCE.sub(expand, v) for k, v in texts.items()}


def rfc3339(millis: int) -> str:
    """`2026-11-24T12:01:52.695Z`."""
    return timestamp(millis)


def write_exponent(value: float) -> str:
    """`3.85e+02`, as Go writes a float with the verb %e and the shortest digits."""
    if not math.isfinite(value):
        return write_float(value)
    digits = len(repr(value).replace("-", "").replace(".", "").split("e")[0].strip("0")) or 1
    return f"{value:.{digits - 1}e}"
