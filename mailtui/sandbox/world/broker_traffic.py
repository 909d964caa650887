"""How the broker moves: the pipeline scan → store → index, its dead letters, the audit queue."""

from __future__ import annotations

import datetime as dt
import json
import random
from dataclasses import replace
from typing import TYPE_CHECKING

from mailtui.sandbox.world import corpus
from mailtui.sandbox.world.broker import (
    Binding,
    Broker,
    BrokerNode,
    Connection,
    Exchange,
    Policy,
    Queue,
)
from mailtui.sandbox.world.broker_messages import Messages
from mailtui.sandbox.world.clock import poisson, swell
from mailtui.sandbox.world.messages import Message, Properties, buried

if TYPE_CHECKING:
    from mailtui.sandbox.world import World
    from mailtui.sandbox.world.hosts import Host

PER_CONSUMER = 2.0
"""Messages that one consumer can process in a second."""
PER_CONSUMER_REJECTED = 50.0
"""Messages that a consumer whose scanner is away rejects in a second."""
BROKEN = 0.05
"""Dead letters a second from which the worker, and not a message, is what is wrong."""
_MOST_LETTERS = 200_000
"""With so many dead letters no more die: the sandbox's memory is not the platform's."""
_RECONNECT = 8.0
"""Seconds until a worker whose connection was closed is there again."""
_KEYS = {"scan": "mail.received", "store": "mail.scanned", "index": "mail.stored",
         "audit": "audit.login"}  # fmt: skip
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
        self._payloads = random.Random(f"{world.seed}/{world.scenario}/payloads")
        self._poison: set[int] = set()
        """Hashes of (queue, body) that the queue's workers cannot process while they are broken."""
        self._begun: dict[str, float] = {}
        """By queue, the part of a message that its workers have done."""
        self._away: list[tuple[float, Connection]] = []
        """Workers without a connection, and when they come back."""
        self.messages = Messages(world, self._counted)
        broker = world.broker
        for (_, name), queue in broker.queues.items():
            queue.consumers = sum(1 for c in broker.connections.values() if c.consumes == name)
        dead = broker.queue("dead")
        depth = round(world.rates.dead_depth.at(world.start))
        times = self._times_of(depth)
        for t in times:
            self._die(dead, t)
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

    def _die(self, dead: Queue, at: float) -> None:
        """Put a message of the pipeline into the dead-letter queue."""
        source = self._random
        reason = corpus.weighted(source, self._world.plan.dead_letter_reasons)
        name = "scan" if source.random() < 0.8 else source.choice(("store", "index"))
        error = source.choice(_ERRORS.get(reason, ("",)))
        message = self._message(name, source, at, {"x-error": error} if error else {})
        if reason != "expired":
            self._poison.add(hash((name, message.body)))
        properties = buried(message, name, reason, at)
        self.messages.put(dead, Message(message.body, properties, "mail.dlx", "dead"))

    def _message(
        self, queue: str, source: random.Random, at: float, headers: dict[str, str]
    ) -> Message:
        """A message of the pipeline as it was published."""
        tenant, sender = corpus.local_address(source)
        message_id = corpus.token(source, 16)
        payload = {
            "message_id": f"<{message_id}@{sender.rpartition('@')[2]}>",
            "tenant": tenant,
            "from": sender,
            "to": [corpus.remote_address(source)],
            "subject": corpus.subject(source),
            "size": int(source.lognormvariate(8.6, 1.5)) + 420,
        }
        properties: dict[str, object] = {
            "content_type": "application/json",
            "delivery_mode": 2,
            "message_id": message_id,
            "timestamp": dt.datetime.fromtimestamp(int(at), dt.UTC),
        }
        if headers:
            properties["headers"] = headers
        body = json.dumps(payload, ensure_ascii=False).encode()
        return Message(body, Properties(properties), "mail", _KEYS.get(queue, queue))

    def _counted(self, queue: Queue) -> Message:
        """One for a message that was only counted."""
        return self._message(queue.name, self._payloads, self._world.now, {})

    def step(self, now: float, dt: float) -> None:
        """Move the queues on by dt seconds, to epoch second `now`."""
        world, rates = self._world, self._world.rates
        broker = world.broker
        incoming = rates.arrivals.at(now) * swell(now, 3)
        self._return_workers(now)
        self._consumers(round(rates.scan_consumers.at(now)))
        for name in ("scan", "store", "index"):
            queue = broker.queues.get(("mail", name))
            if queue is None:
                continue
            capacity = queue.workers * PER_CONSUMER
            backlog = queue.ready / max(dt, 1.0)
            outgoing = min(incoming + backlog * 0.5, capacity)
            if name == "index" and world.audit.stopped_at is not None:
                outgoing = 0.0
            died = rates.dead_letters.at(now) if name == "scan" else 0.0
            counted = queue.ready - len(queue.letters)
            worked = self._work(queue, now, dt, outgoing * dt)
            counted = max(0.0, counted + (incoming - outgoing - died) * dt + worked)
            usual = _USUAL_DEPTH[name]
            if counted < 1.5 * usual + 3.0:
                counted = float(poisson(self._random, usual))
            queue.ready = counted + len(queue.letters)
            busy = min(poisson(self._random, outgoing * 0.4), queue.workers * 20)
            queue.unacked = float(busy + queue.held)
            self._flow(queue, incoming, outgoing, dt)
            incoming = outgoing
        audit = broker.queues.get(("mail", "audit"))
        if audit is not None:
            self._flow(audit, 5.4 * swell(now, 8), 5.4 * swell(now, 8), dt)
            self._work(audit, now, dt, 50.0 * dt * audit.workers)
            audit.ready = float(poisson(self._random, 0.8) + len(audit.letters))
        self._bury(now, dt)
        node = broker.nodes[0]
        held = sum(q.messages for q in broker.queues.values())
        node.memory_used = int(412e6 * swell(now, 11)) + held * 6_000
        node.sockets_used = len(broker.connections) + 2
        node.fd_used = 60 + 2 * len(broker.connections)

    def _work(self, queue: Queue, now: float, dt: float, able: float) -> int:
        """Let the simulated workers do real messages, `able` at most; how many they did.

        What killed a message before does so again while the workers are broken.
        """
        letters = queue.letters
        left = able + self._begun.get(queue.name, 0.0)
        rejects = int(queue.workers * PER_CONSUMER_REJECTED * dt)
        broken = self.broken(queue, now)
        done = 0
        while letters and queue.workers:
            dies = broken and self._kills(queue, letters[0])
            if (dies and not rejects) or (not dies and left < 1.0):
                break
            message = letters.popleft()
            queue.ready -= 1
            if dies:
                rejects -= 1
                self.messages.bury(queue, message, "rejected")
            else:
                left -= 1.0
                done += 1
        self._begun[queue.name] = min(left, 1.0) if letters else 0.0
        return done

    def broken(self, queue: Queue, now: float) -> bool:
        """Whether the workers of a queue fail for another reason than a message's content.

        A test repairs them by `world.rates.dead_letters = Course(0.0)`.
        """
        return queue.name == "scan" and self._world.rates.dead_letters.at(now) >= BROKEN

    def _kills(self, queue: Queue, message: Message) -> bool:
        if hash((queue.name, message.body)) in self._poison:
            return True
        return any(
            death.get("queue") == queue.name and death.get("reason") != "expired"
            for death in message.deaths
        )

    def leave(self, connection: Connection) -> None:
        """A worker or a mail server loses its connection; it comes back after some seconds."""
        broker = self._world.broker
        del broker.connections[connection.name]
        queue = broker.queues.get((connection.vhost, connection.consumes))
        if queue is not None:
            queue.consumers -= 1
        self._away.append((self._world.now + _RECONNECT, connection))

    def _return_workers(self, now: float) -> None:
        broker = self._world.broker
        for due, connection in list(self._away):
            if due > now:
                continue
            self._away.remove((due, connection))
            port = self._random.randrange(32_768, 60_999)
            server = f"{connection.host}:{connection.port}"
            name = f"{connection.peer_host}:{port} -> {server}"
            again = replace(connection, name=name, peer_port=port, connected_at=now)
            broker.connections[name] = again
            queue = broker.queues.get((again.vhost, again.consumes))
            if queue is not None:
                queue.consumers += 1

    def _consumers(self, wanted: int) -> None:
        """Scan workers come and go with the scenario."""
        broker = self._world.broker
        scan = broker.queues.get(("mail", "scan"))
        workers = [
            c for c in broker.connections.values() if c.consumes == "scan" and c.open is None
        ]
        for connection in workers[wanted:]:
            del broker.connections[connection.name]
        if scan is not None:
            scan.consumers = min(len(workers), wanted) + scan.subscribed

    @staticmethod
    def _flow(queue: Queue, incoming: float, outgoing: float, dt: float) -> None:
        queue.publish_rate = incoming
        queue.deliver_rate = queue.ack_rate = outgoing
        queue.published += incoming * dt
        queue.delivered += outgoing * dt
        queue.acked += outgoing * dt
        queue.memory = 140 * 1024 + queue.messages * 1_100

    def _bury(self, now: float, dt: float) -> None:
        dead = self._world.broker.queues.get(("mail", "dead"))
        if dead is None or dead.ready >= _MOST_LETTERS:
            return
        rate = self._world.rates.dead_letters.at(now)
        for _ in range(poisson(self._random, rate * dt)):
            self._die(dead, now - self._random.random() * dt)
        dead.publish_rate = rate
