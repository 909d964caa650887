"""Lengths of queues over time, as `lengths_age` and `lengths_incr` ask for them.

The broker keeps its own samples; here they are those that the world's scrapes of its metrics have,
so the two agree.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mailtui.sandbox.tsdb import Matcher

if TYPE_CHECKING:
    from mailtui.sandbox.world import World

_METRICS = {
    "messages": "rabbitmq_queue_messages",
    "messages_ready": "rabbitmq_queue_messages_ready",
    "messages_unacknowledged": "rabbitmq_queue_messages_unacked",
}
_STEP = 5
"""Seconds between the broker's own samples: time stamps are multiples of it."""
_MOST = 2000
"""Samples that an answer holds at most."""


def wanted(query: Mapping[str, str]) -> tuple[int, int] | None:
    """(age, increment) in seconds; None if the request does not ask for samples."""
    age, step = query.get("lengths_age", ""), query.get("lengths_incr", "")
    if not (age.isdecimal() and step.isdecimal()) or int(step) == 0:
        return None
    return int(age), max(int(step), int(age) // _MOST)


def add(world: World, item: dict[str, Any], age: int, step: int) -> None:
    """Put samples, newest first, into the `_details` of a queue's counts."""
    newest = int(world.now) // _STEP * _STEP
    for field, metric in _METRICS.items():
        if f"{field}_details" not in item:
            continue
        found = world.series.store.select(
            [
                Matcher.make("__name__", "=", metric),
                Matcher.make("vhost", "=", item["vhost"]),
                Matcher.make("queue", "=", item["name"]),
            ]
        )
        if not found:
            continue
        times, values = found[0].points()
        samples = [{"sample": item[field], "timestamp": newest * 1000}]
        for back in range(step, age + 1, step):
            at = (newest - back) * 1000
            place = bisect_right(times, at) - 1
            # Before its first scrape the broker gives zeros.
            samples.append({"sample": int(values[place]) if place >= 0 else 0, "timestamp": at})
        oldest = samples[-1]["sample"]
        item[f"{field}_details"] = {
            **item[f"{field}_details"],
            "avg": sum(s["sample"] for s in samples) / len(samples),
            "avg_rate": (item[field] - oldest) / max(1, step * (len(samples) - 1)),
            "samples": samples,
        }
