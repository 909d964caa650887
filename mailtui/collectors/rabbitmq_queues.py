"""Queues of the management API, and which of them are dead-letter queues.

A queue is taken for a dead-letter queue if another one dead-letters to it (by argument or policy,
over the default exchange or a binding of the dead-letter exchange) and either its name says so
(dead, dlq, failed) or that other queue has consumers which can reject. A delay queue, which nobody
consumes and whose messages expire back into a working queue, makes no dead-letter queue of it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from mailtui.collectors.rabbitmq_history import sampled
from mailtui.model.broker import BrokerQueue

_NAMED = re.compile(r"(^|[._/-])(dead|dlq|dlx|failed|poison)", re.IGNORECASE)

COLUMNS = ",".join(
    (
        "vhost,name,type,state,durable,messages,messages_ready,messages_unacknowledged,consumers",
        "messages_details,memory,node,leader,arguments,policy,effective_policy_definition",
        "message_stats.publish_details.rate,message_stats.deliver_get_details.rate",
        "message_stats.ack_details.rate",
    )
)
"""What is asked of each queue: a fifth of what it would send."""

Bindings = Mapping[tuple[str, str], list[tuple[str, str]]]
"""(vhost, exchange) → (routing key, queue) of each binding."""


def record(item: Mapping[str, Any], uptime: float | None = None) -> BrokerQueue:
    """One queue of `/api/queues`; what the broker does not say is None.

    `uptime`: seconds that the broker is up; its samples before that are not true.
    """
    arguments = item.get("arguments") or {}
    policy = item.get("effective_policy_definition") or {}
    stats = item.get("message_stats") or {}

    def setting(name: str) -> Any:
        # an argument wins over a policy, also where it is the empty string
        found = arguments.get(f"x-{name}")
        return policy.get(name) if found is None else found

    exchange, key, limit = (
        setting(name)
        for name in ("dead-letter-exchange", "dead-letter-routing-key", "delivery-limit")
    )
    growth, span = sampled(item, uptime) or (None, 0.0)
    return BrokerQueue(
        vhost=str(item.get("vhost", "/")),
        name=str(item.get("name", "")),
        type=str(item.get("type") or arguments.get("x-queue-type") or "classic"),
        state=str(item.get("state", "")),
        durable=item.get("durable") is not False,
        ready=whole(item.get("messages_ready")),
        unacked=whole(item.get("messages_unacknowledged")),
        total=whole(item.get("messages")),
        consumers=whole(item.get("consumers")),
        publish_rate=rate(stats, "publish"),
        deliver_rate=rate(stats, "deliver_get"),
        ack_rate=rate(stats, "ack"),
        memory=whole(item.get("memory")),
        node=str(item.get("leader") or item.get("node") or ""),
        dead_letter_exchange=None if exchange is None else str(exchange),
        dead_letter_routing_key=None if key is None else str(key),
        delivery_limit=whole(limit),
        policy=str(item.get("policy") or ""),
        delays=exchange is not None and setting("message-ttl") is not None,
        growth=growth,
        growth_span=span,
    )


def whole(value: Any) -> int | None:
    """An integer, or None for what is not a number."""
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def rate(stats: Mapping[str, Any], name: str) -> float | None:
    """Rate a second of `name_details`; None where the broker keeps no such statistic."""
    found = (stats.get(f"{name}_details") or {}).get("rate")
    return float(found) if isinstance(found, int | float) else None


def bindings(items: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], list[tuple[str, str]]]:
    """The bindings of `/api/bindings` to queues, without the default exchange's own."""
    found: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    for item in items:
        if item.get("source") and item.get("destination_type") == "queue":
            place = (str(item.get("vhost", "/")), str(item["source"]))
            found[place].append((str(item.get("routing_key", "")), str(item["destination"])))
    return dict(found)


def targets(queue: BrokerQueue, bound: Bindings) -> set[tuple[str, str]]:
    """(vhost, name) of the queues that `queue` dead-letters to, as far as names tell."""
    exchange, key = queue.dead_letter_exchange, queue.dead_letter_routing_key
    if exchange is None:
        return set()
    if exchange == "":
        return {(queue.vhost, key)} if key else set()
    to = bound.get((queue.vhost, exchange), [])
    exact = {(queue.vhost, name) for routing, name in to if key is not None and routing == key}
    return exact or {(queue.vhost, name) for _, name in to}


def marked(
    queues: Iterable[BrokerQueue], bound: Bindings, workers: set[tuple[str, str]]
) -> tuple[BrokerQueue, ...]:
    """`queues` with `is_dead_letter` worked out.

    `workers`: queues that were seen with consumers; it grows, so that a queue whose workers died
    is not taken for a delay queue.
    """
    held = tuple(queues)
    workers.update((queue.vhost, queue.name) for queue in held if queue.consumers)
    dead: set[tuple[str, str]] = set()
    for queue in held:
        place = (queue.vhost, queue.name)
        rejects = place in workers or (queue.consumers is None and not queue.delays)
        for target in targets(queue, bound) - {place}:
            if rejects or _NAMED.search(target[1]):
                dead.add(target)
    return tuple(
        msgspec.structs.replace(queue, is_dead_letter=True)
        if (queue.vhost, queue.name) in dead
        else queue
        for queue in held
    )
