"""How the broker moves: the pipeline scan → store → index, its dead letters, the audit queue."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING

from mailtui.sandbox.world import corpus
from mailtui.sandbox.world.broker import (
    Binding,
    Broker,
    BrokerNode,
    Connection,
    DeadLetter,
    Exchange,
    Policy,
    Queue,
)
from mailtui.sandbox.world.clock import poisson, swell

if TYPE_CHECKING:
    from mailtui.sandbox.world import World
    from mailtui.sandbox.world.hosts import Host

PER_CONSUMER = 2.0
"""Messages that one consumer can process in a second."""
_KEPT_LETTERS = 20_000
_USUAL_DEPTH = {"scan": 3.0, "store": 0.3, "index": 40.0}

_BUILT_IN = (
    ("", "direct"),
    ("amq.direct", "direct"),
    ("amq.fanout", "fanout"),
    ("amq.headers", "headers"),
    ("amq.match", "headers"),
    ("amq.rabbitmq.trace", "topic"),
    ("amq.topic", "topic"),
)

_ERRORS = {
    "rejected": (
        "clamd: Can't connect to 127.0.0.1:3310: Connection refused",
        "ValueError: unknown charset 'x-mac-\x1b[31mevil'",
        "spamd: timeout after 300s",
    ),
    "expired": ("",),
    "delivery_limit": ("",),
}


def build(world: World) -> Broker:
    """The broker with its content at the start."""
    source = random.Random(f"{world.seed}/broker")
    node_host = next((h for h in world.hosts.values() if "mon" in h.roles), None)
    host = node_host or next(iter(world.hosts.values()))
    node = f"rabbit@{host.name}"
    broker = Broker(node, "3.10.8", "25.2.3")
    broker.nodes.append(BrokerNode(node, host.boot_time + 9.0))
    dead = {"x-dead-letter-exchange": "mail.dlx", "x-dead-letter-routing-key": "dead"}
    for name in ("scan", "store", "index"):
        queue = Queue("mail", name, "quorum", node, policy="pipeline", delivery_limit=20)
        queue.arguments = {"x-queue-type": "quorum", **dead}
        queue.dead_letter_exchange, queue.dead_letter_routing_key = "mail.dlx", "dead"
        broker.queues["mail", name] = queue
    broker.queues["mail", "dead"] = Queue(
        "mail", "dead", "quorum", node, arguments={"x-queue-type": "quorum"}
    )
    broker.queues["mail", "audit"] = Queue("mail", "audit", "classic", node, policy="audit")
    broker.queues["/", "notifications"] = Queue("/", "notifications", "classic", node)
    broker.exchanges = [Exchange(v, n, t) for v in broker.vhosts for n, t in _BUILT_IN]
    broker.exchanges += [Exchange("mail", "mail", "topic"), Exchange("mail", "mail.dlx", "direct")]
    broker.bindings = [
        Binding("mail", "mail", "scan", "mail.received"),
        Binding("mail", "mail", "store", "mail.scanned"),
        Binding("mail", "mail", "index", "mail.stored"),
        Binding("mail", "mail", "audit", "audit.#"),
        Binding("mail", "mail.dlx", "dead", "dead"),
    ]
    broker.policies = [
        Policy("mail", "pipeline", "^(scan|store|index)$", "queues", 10, {"delivery-limit": 20}),
        Policy("mail", "audit", "^audit$", "queues", 5, {"max-length": 1_000_000}),
    ]
    broker.users = [("admin", "administrator"), ("mailtui", "monitoring"), ("pipeline", "")]
    consumers = round(world.rates.scan_consumers.at(world.start))
    plan = [("scan", consumers, "mx"), ("store", 6, "store"), ("index", 5, "mon")]
    plan += [("audit", 1, "mon")]
    for consumes, number, role in plan:
        peers = [h for h in world.hosts.values() if role in h.roles] or [host]
        for i in range(number):
            peer = source.choice(peers)
            client = f"{consumes}-worker-{i + 1}"
            _connect(world, source, broker, (peer, host), client).consumes = consumes
    for name in world.mail.spools:
        ends = (world.hosts[name], host)
        _connect(world, source, broker, ends, f"postfix-{name}").publishes = "mail"
    return broker


def _connect(
    world: World, source: random.Random, broker: Broker, ends: tuple[Host, Host], client: str
) -> Connection:
    """A connection from the first of `ends` to the second."""
    peer, server = ends
    port = source.randrange(32_768, 60_999)
    name = f"{peer.address}:{port} -> {server.address}:5672"
    broker.connections[name] = Connection(
        name,
        "mail",
        "pipeline",
        broker.nodes[0].name,
        peer.address,
        port,
        server.address,
        5672,
        world.start - source.uniform(3.0, 90.0) * 3600.0,
        client,
        "pika",
        "1.3.2",
    )
    return broker.connections[name]


class Pipeline:
    """Moves the broker of a world."""

    def __init__(self, world: World) -> None:
        """Fills the queues with what they hold at the start."""
        self._world = world
        self._random = random.Random(f"{world.seed}/{world.scenario}/broker")
        broker = world.broker
        for (_, name), queue in broker.queues.items():
            queue.consumers = sum(1 for c in broker.connections.values() if c.consumes == name)
        dead = broker.queue("dead")
        depth = round(world.rates.dead_depth.at(world.start))
        times = self._times_of(depth)
        dead.letters = [self._letter(t) for t in times]
        dead.ready = float(len(dead.letters))
        dead.published = dead.ready
        scan = broker.queue("scan")
        scan.ready = world.rates.scan_depth.at(world.start)
        broker.queue("index").ready = world.rates.index_depth.at(world.start)
        rate = world.rates.arrivals.at(world.start)
        for name in ("scan", "store", "index", "audit"):
            queue = broker.queue(name)
            uptime = world.start - broker.nodes[0].started
            queue.published = queue.delivered = queue.acked = float(int(uptime * rate))
        self.step(world.start, 0.0)

    def _times_of(self, depth: int) -> list[float]:
        """When the letters in the queue came, from the course of its depth."""
        start, course = self._world.start, self._world.rates.dead_depth
        times: list[float] = []
        t = start - 3 * 3600.0
        for i in range(min(round(course.at(t)), depth)):
            times.append(t - 600.0 * (i + 1) * (1 + self._random.random()))
        times.sort()
        while len(times) < depth and t < start:
            t += 5.0
            for _ in range(min(round(course.at(t)), depth) - len(times)):
                times.append(t - 5.0 * self._random.random())
        times += [start - 1.0] * (depth - len(times))
        return sorted(times)

    def _letter(self, at: float) -> DeadLetter:
        source = self._random
        reason = corpus.weighted(source, self._world.plan.dead_letter_reasons)
        queue = "scan" if source.random() < 0.8 else source.choice(("store", "index"))
        tenant, sender = corpus.local_address(source)
        key = {"scan": "mail.received", "store": "mail.scanned", "index": "mail.stored"}[queue]
        message_id = corpus.token(source, 16)
        payload = {
            "message_id": f"<{message_id}@{sender.rpartition('@')[2]}>",
            "tenant": tenant,
            "from": sender,
            "to": [corpus.remote_address(source)],
            "subject": corpus.subject(source),
            "size": int(source.lognormvariate(8.6, 1.5)) + 420,
        }
        return DeadLetter(
            message_id,
            float(int(at)),
            reason,
            queue,
            "mail",
            key,
            20 if reason == "delivery_limit" else 1,
            json.dumps(payload, ensure_ascii=False),
            source.choice(_ERRORS.get(reason, ("",))),
        )

    def step(self, now: float, dt: float) -> None:
        """Move the queues on by dt seconds, to epoch second `now`."""
        world, rates = self._world, self._world.rates
        broker = world.broker
        incoming = rates.arrivals.at(now) * swell(now, 3)
        self._consumers(round(rates.scan_consumers.at(now)))
        for name in ("scan", "store", "index"):
            queue = broker.queue(name)
            capacity = queue.consumers * PER_CONSUMER
            backlog = queue.ready / max(dt, 1.0)
            outgoing = min(incoming + backlog * 0.5, capacity)
            if name == "index" and world.audit.stopped_at is not None:
                outgoing = 0.0
            died = rates.dead_letters.at(now) if name == "scan" else 0.0
            queue.ready = max(0.0, queue.ready + (incoming - outgoing - died) * dt)
            usual = _USUAL_DEPTH[name]
            if queue.ready < 1.5 * usual + 3.0:
                queue.ready = float(poisson(self._random, usual))
            queue.unacked = float(min(poisson(self._random, outgoing * 0.4), queue.consumers * 20))
            self._flow(queue, incoming, outgoing, dt)
            incoming = outgoing
        audit = broker.queue("audit")
        self._flow(audit, 5.4 * swell(now, 8), 5.4 * swell(now, 8), dt)
        audit.ready = float(poisson(self._random, 0.8))
        self._bury(now, dt)
        node = broker.nodes[0]
        held = sum(q.messages for q in broker.queues.values())
        node.memory_used = int(412e6 * swell(now, 11)) + held * 6_000
        node.sockets_used = len(broker.connections) + 2
        node.fd_used = 60 + 2 * len(broker.connections)

    def _consumers(self, wanted: int) -> None:
        """Scan workers come and go with the scenario."""
        broker = self._world.broker
        scan = broker.queue("scan")
        workers = [c for c in broker.connections.values() if c.consumes == "scan"]
        for connection in workers[wanted:]:
            del broker.connections[connection.name]
        scan.consumers = min(len(workers), wanted)

    @staticmethod
    def _flow(queue: Queue, incoming: float, outgoing: float, dt: float) -> None:
        queue.publish_rate = incoming
        queue.deliver_rate = queue.ack_rate = outgoing
        queue.published += incoming * dt
        queue.delivered += outgoing * dt
        queue.acked += outgoing * dt
        queue.memory = 140 * 1024 + queue.messages * 1_100

    def _bury(self, now: float, dt: float) -> None:
        dead = self._world.broker.queue("dead")
        rate = self._world.rates.dead_letters.at(now)
        died = poisson(self._random, rate * dt)
        dead.letters += [self._letter(now - self._random.random() * dt) for _ in range(died)]
        dead.letters = dead.letters[-_KEPT_LETTERS:]
        dead.ready = float(len(dead.letters))
        dead.published += died
        dead.publish_rate = rate
