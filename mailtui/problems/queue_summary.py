"""What dominates the deferred mail, counted once per listing and added up over the hosts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from mailtui.model.mail import QueueListing

_held: dict[str, tuple[QueueListing, Summary]] = {}
"""Host → its last listing and what was counted of it."""


class Summary:
    """Counts of deferred messages."""

    def __init__(self) -> None:
        self.total = 0
        self.oldest: int | None = None
        """Arrival time, epoch seconds."""
        self.destinations: Counter[str] = Counter()
        self.reasons: Counter[tuple[str, str]] = Counter()
        """(destination, reason) → messages."""
        self.senders: Counter[str] = Counter()
        self.begins: dict[tuple[str, str], list[int]] = {}
        """(destination, reason) → the early arrival times of each host."""
        self.hosts: dict[str, Counter[str]] = {}
        """Host → destination → messages."""
        self.sender_hosts: dict[str, Counter[str]] = {}

    def add(self, other: Summary) -> None:
        """Add another one's counts."""
        self.total += other.total
        if other.oldest is not None:
            self.oldest = other.oldest if self.oldest is None else min(self.oldest, other.oldest)
        self.destinations.update(other.destinations)
        self.reasons.update(other.reasons)
        self.senders.update(other.senders)
        for key, begins in other.begins.items():
            self.begins.setdefault(key, []).extend(begins)
        self.hosts.update(other.hosts)
        self.sender_hosts.update(other.sender_hosts)

    def hosts_of(self, destination: str) -> tuple[str, ...]:
        """Hosts that hold mail to a destination, the most first."""
        return _by_count((host, found[destination]) for host, found in self.hosts.items())

    def hosts_from(self, sender: str) -> tuple[str, ...]:
        """Hosts that hold mail of a sender, the most first."""
        return _by_count((host, found[sender]) for host, found in self.sender_hosts.items())


def deferred(listings: Iterable[tuple[str, QueueListing]]) -> Summary:
    """The counts of all hosts together."""
    total = Summary()
    now = dict(listings)
    for gone in _held.keys() - now.keys():
        del _held[gone]
    for host, listing in now.items():
        held = _held.get(host)
        if held is None or held[0] is not listing:
            held = _held[host] = (listing, _count(host, listing))
        total.add(held[1])
    return total


def _count(host: str, listing: QueueListing) -> Summary:
    summary = Summary()
    messages = [m for m in listing.messages if m.queue_name == "deferred"]
    # beyond the limit only the number is known
    summary.total = listing.counts.get("deferred", 0)
    summary.destinations.update([m.destination for m in messages])
    summary.senders.update([m.sender for m in messages])
    arrivals: dict[tuple[str, str], list[int]] = {}
    for message in messages:
        arrivals.setdefault((message.destination, message.reason), []).append(message.arrival_time)
    for key, times in arrivals.items():
        summary.reasons[key] = len(times)
        times.sort()
        # one straggler is not the beginning: the first hundredth is left out
        summary.begins[key] = [times[len(times) // 100]]
    summary.oldest = min((m.arrival_time for m in messages), default=None)
    summary.hosts = {host: Counter(summary.destinations)}
    summary.sender_hosts = {host: Counter(summary.senders)}
    return summary


def _by_count(found: Iterable[tuple[str, int]]) -> tuple[str, ...]:
    return tuple(host for host, count in sorted(found, key=lambda p: (-p[1], p[0])) if count)
