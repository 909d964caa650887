"""Points in time: indices as they were when a client opened one."""

from __future__ import annotations

import base64
import itertools
from dataclasses import dataclass

from mailtui.sandbox.es_errors import EsError
from mailtui.sandbox.es_histogram import duration
from mailtui.sandbox.es_segments import Shard

MAX_KEEP_ALIVE = 86_400.0


@dataclass(slots=True)
class _Point:
    shards: list[Shard]
    expires: float


class PointsInTime:
    """The open points in time; times are the world's epoch seconds."""

    def __init__(self, seed: str) -> None:
        self._points: dict[str, _Point] = {}
        self._numbers = itertools.count(1)
        self._seed = seed

    def open(self, shards: list[Shard], keep_alive: str, now: float) -> str:
        """Hold shards; returns the id. EsError (400) for a bad time value."""
        expires = now + _seconds(keep_alive)
        self._expire(now)
        raw = f"{self._seed}:{next(self._numbers)}:" + ",".join(s.name for s in shards)
        id_ = base64.urlsafe_b64encode(raw.encode()).decode()
        self._points[id_] = _Point(shards, expires)
        return id_

    def get(self, id_: str, keep_alive: str | None, now: float) -> list[Shard]:
        """The shards of a point, kept longer if asked; EsError (404) if it is closed or expired."""
        self._expire(now)
        point = self._points.get(id_)
        if point is None:
            raise _missing()
        if keep_alive is not None:
            point.expires = max(point.expires, now + _seconds(keep_alive))
        return point.shards

    def close(self, id_: str, now: float) -> bool:
        """Let go; False if it was not open."""
        self._expire(now)
        return self._points.pop(id_, None) is not None

    def __len__(self) -> int:
        return len(self._points)

    def _expire(self, now: float) -> None:
        for id_ in [i for i, point in self._points.items() if point.expires <= now]:
            del self._points[id_]


def _seconds(keep_alive: str) -> float:
    seconds = duration(keep_alive) / 1000
    if seconds > MAX_KEEP_ALIVE:
        raise EsError(
            400,
            "illegal_argument_exception",
            f"Keep alive for request ({keep_alive}) is too large. It must be less than (1d). This"
            " limit can be set by changing the [search.max_keep_alive] cluster level setting.",
        )
    return seconds


class _Missing(EsError):
    def error(self) -> dict[str, object]:
        root = self.cause()
        return {
            "root_cause": [root],
            "type": "search_phase_execution_exception",
            "reason": "all shards failed",
            "phase": "query",
            "grouped": True,
            "failed_shards": [{"shard": 0, "index": None, "reason": root}],
            "caused_by": root,
        }


def _missing() -> EsError:
    return _Missing(404, "search_context_missing_exception", "No search context found for id [1]")
