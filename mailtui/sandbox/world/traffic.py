"""How mail moves: arrivals, first attempts, deferrals, retries, expiry; and its past."""

from __future__ import annotations

import heapq
import random
from bisect import bisect_right
from itertools import count
from typing import TYPE_CHECKING

from mailtui.sandbox.world import corpus
from mailtui.sandbox.world.causes import LIFETIME, Cause, Population, backoff, survival
from mailtui.sandbox.world.clock import noise, poisson, swell
from mailtui.sandbox.world.mail import Message, Recipient, Spool

if TYPE_CHECKING:
    from mailtui.sandbox.world import World

_ACTIVE_SECONDS = 1.4
"""Mean stay of a message in the active queue."""
_RETRIES_A_SECOND = 25
"""Deferred messages that one host tries again in a second, at most (qmgr's concurrency)."""


class Traffic:
    """Moves the messages of a world."""

    def __init__(self, world: World, causes: list[Cause]) -> None:
        """Fills the queues with what the causes have left there by now."""
        self._world = world
        self._random = random.Random(f"{world.seed}/{world.scenario}/mail")
        self.causes = {c.name: c for c in causes}
        self._everyday = {c.name for c in causes if c.rate.at(world.start - 7200.0) > 0}
        self._order = count()
        self._active: list[tuple[float, int, Spool, Message]] = []
        self._retries: list[tuple[float, int, Spool, Message]] = []
        self.population = Population()
        for host in world.hosts.values():
            if "mx" in host.roles:
                world.mail.spools[host.name] = Spool(host.name)
                self.population.stationary[host.name] = []
                self.population.incident[host.name] = []
        self._spools = list(world.mail.spools.values())
        if self._spools:
            self._populate()

    # the past -------------------------------------------------------------------------------

    def _populate(self) -> None:
        """Put the survivors of the past into the queues, in order of arrival."""
        start = self._world.start
        arrivals: list[tuple[float, Cause]] = []
        for cause in self.causes.values():
            width, begin = 20.0, start
            while begin > start - LIFETIME:
                middle = begin - width / 2
                alive = survival(start - middle, cause.accept.at(start))
                mean = cause.rate.integral(begin - width, begin) * alive
                arrivals += [
                    (begin - self._random.random() * width, cause)
                    for _ in range(poisson(self._random, mean))
                ]
                begin -= width
                width = 20.0 if begin > start - 7200 else 3600.0
        arrivals.sort(key=lambda a: a[0])
        for at, cause in arrivals:
            spool = self._spool(cause)
            message = self._message(spool, at, cause, "deferred")
            self._defer(spool, message, cause, max(at, start - 3600.0))
            age = start - at
            message.next_retry = start + self._random.random() * backoff(age)
            self._schedule(spool, message)
            kind = "stationary" if cause.name in self._everyday else "incident"
            getattr(self.population, kind)[spool.host].append(at)
        for i in range(2):
            spool = self._spools[i % len(self._spools)]
            self._message(spool, start - 7200.0 * (i + 1), None, "hold")
        share = 1.0 / len(self._spools)
        rates = self._world.rates
        for spool in self._spools:
            uptime = start - self._world.hosts[spool.host].boot_time
            counters = spool.counters
            counters.received = float(int(rates.arrivals.at(0.0) * share * uptime))
            counters.removed = counters.delivered = counters.received - len(spool.messages)
            counters.deferred += float(int(0.06 * share * uptime))
            counters.rejected = float(int(rates.rejected.at(0.0) * share * uptime))
            counters.connects = float(int(rates.connects.at(0.0) * share * uptime))
            counters.sasl_failures = float(int(0.02 * uptime))
            order = sorted(spool.messages.values(), key=lambda m: m.arrival_time)
            spool.messages = {m.queue_id: m for m in order}
            for _ in range(poisson(self._random, 10.0 / len(self._spools))):
                self._arrive(spool, start - self._random.random(), None)

    def deferred_at(self, host: str, t: float) -> int:
        """Messages in the deferred queue of a host at a past moment."""
        steady = self.population.stationary[host]
        expected = len(steady) * (0.9 + 0.2 * noise(len(host) + ord(host[-1]), int(t // 90)))
        quiet = max(bisect_right(steady, t), round(expected))
        return quiet + bisect_right(self.population.incident[host], t)

    # the present ----------------------------------------------------------------------------

    def step(self, now: float, dt: float) -> None:
        """Move mail on by dt seconds, to epoch second `now`."""
        if not self._spools:
            return
        rates = self._world.rates
        usual = swell(now, 3)
        total = rates.arrivals.at(now) * usual
        for cause in self.causes.values():
            rate = cause.rate.at(now)
            total -= rate
            for _ in range(poisson(self._random, rate * usual * dt)):
                spool = self._spool(cause)
                spool.counters.received += 1
                self._arrive(spool, now - self._random.random() * dt, cause)
        share = 1.0 / len(self._spools)
        for spool in self._spools:
            counters = spool.counters
            fresh = poisson(self._random, max(0.0, total) * share * dt)
            counters.received += fresh
            # what came and left between two steps is only counted
            seen = min(fresh, round(fresh / dt * _ACTIVE_SECONDS)) if dt > 1.0 else fresh
            counters.delivered += fresh - seen
            counters.removed += fresh - seen
            for _ in range(seen):
                self._arrive(spool, now - self._random.random(), None)
            counters.rejected += poisson(self._random, rates.rejected.at(now) * share * dt)
            counters.connects += poisson(self._random, rates.connects.at(now) * share * dt)
            sasl = rates.sasl_failures.get(spool.host)
            if sasl is not None:
                counters.sasl_failures += poisson(self._random, sasl.at(now) * dt)
            spool.expire_suspended(now)
            for message in spool.pickup(now):
                self._activate(spool, now, message)
        self._attempt(now)
        self._retry(now, dt)

    def _arrive(self, spool: Spool, at: float, cause: Cause | None) -> None:
        self._activate(spool, at, self._message(spool, at, cause, "active"))

    def _activate(self, spool: Spool, at: float, message: Message) -> None:
        done = at + self._random.expovariate(1.0 / _ACTIVE_SECONDS)
        heapq.heappush(self._active, (done, next(self._order), spool, message))

    def _attempt(self, now: float) -> None:
        """First attempts that end by now."""
        while self._active and self._active[0][0] <= now:
            _, _, spool, message = heapq.heappop(self._active)
            if message.queue_name != "active" or message.queue_id not in spool.messages:
                continue
            if message.forced_expire:
                self._expire(spool, message)
                continue
            cause = self.causes.get(message.cause)
            if spool.suspends(message):
                self._suspend(spool, message, now)
                continue
            if cause is None:
                self._remove(spool, message)
                continue
            self._defer(spool, message, cause, now)
            message.next_retry = now + backoff(0.0) * self._random.uniform(1.0, 1.2)
            self._schedule(spool, message)

    def _retry(self, now: float, dt: float) -> None:
        """Deferred messages that are due."""
        for spool in self._spools:
            for queue_id in spool.woken:
                message = spool.messages.get(queue_id)
                if message is not None:
                    self._schedule(spool, message)
            spool.woken.clear()
        budget = int(_RETRIES_A_SECOND * len(self._spools) * dt)
        while self._retries and budget and self._retries[0][0] <= now:
            due, _, spool, message = heapq.heappop(self._retries)
            if (
                message.queue_name != "deferred"
                or message.next_retry != due
                or message.queue_id not in spool.messages
            ):
                continue
            budget -= 1
            cause = self.causes.get(message.cause)
            age = now - message.arrival_time
            if message.forced_expire or age > LIFETIME:
                self._expire(spool, message)
            elif spool.suspends(message):
                self._suspend(spool, message, now)
            elif cause is None or self._random.random() < cause.accept.at(now):
                self._remove(spool, message)
            else:
                self._defer(spool, message, cause, now)
                message.next_retry = now + backoff(age) * self._random.uniform(1.0, 1.2)
                self._schedule(spool, message)

    def _schedule(self, spool: Spool, message: Message) -> None:
        heapq.heappush(self._retries, (message.next_retry, next(self._order), spool, message))

    def _expire(self, spool: Spool, message: Message) -> None:
        """Return it to its sender."""
        del spool.messages[message.queue_id]
        spool.counters.expired += 1
        spool.counters.bounced += 1
        spool.counters.removed += 1

    def submit(self, host: str, sender: str, recipients: list[str], content: bytes) -> Message:
        """A message from sendmail(1) on a host; its delivery is tried as any other."""
        spool, now = self._world.mail.spools[host], self._world.now
        domains = {address.rpartition("@")[2].lower() for address in recipients}
        named = (c for c in self.causes.values() if domains & {d for d, _ in c.domains})
        cause = next(named, None)
        message = self._message(spool, now, cause, "active")
        message.sender, message.content, message.size = sender, content, len(content)
        message.recipients = [Recipient(address) for address in dict.fromkeys(recipients)]
        message.sasl_username = ""
        spool.counters.received += 1
        self._activate(spool, now, message)
        return message

    def _remove(self, spool: Spool, message: Message) -> None:
        del spool.messages[message.queue_id]
        spool.counters.delivered += 1
        spool.counters.removed += 1

    def _defer(self, spool: Spool, message: Message, cause: Cause, at: float) -> None:
        message.queue_name = "deferred"
        message.attempts += 1
        spool.counters.deferred += 1
        own = self._world.hosts[spool.host].address
        for recipient in message.recipients:
            recipient.delay_reason = cause.answer(self._random, own, recipient.address)

    def _suspend(self, spool: Spool, message: Message, now: float) -> None:
        """As retry(8) defers what a transport table sends to it."""
        message.queue_name = "deferred"
        message.attempts += 1
        spool.counters.deferred += 1
        for recipient in message.recipients:
            found = spool.suspended.get(recipient.address.rpartition("@")[2].lower())
            if found is not None:
                recipient.delay_reason = f"delivery suspended by {found.who}"
        age = now - message.arrival_time
        message.next_retry = now + backoff(age) * self._random.uniform(1.0, 1.2)
        self._schedule(spool, message)

    def _spool(self, cause: Cause) -> Spool:
        if cause.hosts:
            return self._world.mail.spools[self._random.choice(cause.hosts)]
        return self._random.choice(self._spools)

    def _message(self, spool: Spool, at: float, cause: Cause | None, queue: str) -> Message:
        source = self._random
        spool.next_inode += source.randrange(1, 9)
        tenant, own = corpus.local_address(source)
        roll = source.random()
        if cause is not None and cause.senders:
            sender = source.choice(cause.senders)
        elif roll < 0.01:
            sender = source.choice(corpus.HOSTILE_SENDERS)
        elif roll < 0.06:
            sender = ""
        else:
            sender = own
        if cause is not None:
            many = 1 if source.random() < 0.9 else source.randrange(2, 9)
            addresses = [cause.recipient(source) for _ in range(many)]
        elif source.random() < 0.5:
            addresses = [corpus.remote_address(source)]
        else:
            addresses, sender = [own], corpus.remote_address(source)
        message = Message(
            queue_id=spool.new_id(int(at), int(at % 1 * 1_000_000)),
            queue_name=queue,
            arrival_time=int(at),
            size=int(source.lognormvariate(8.6, 1.5)) + 420,
            sender=sender,
            recipients=[Recipient(a) for a in dict.fromkeys(addresses)],
            tenant=tenant,
            subject=corpus.subject(source),
            sasl_username=own if sender and source.random() < 0.8 else "",
            cause=cause.name if cause is not None else "",
        )
        spool.messages[message.queue_id] = message
        return message
