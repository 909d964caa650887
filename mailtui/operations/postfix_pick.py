"""From what was selected to what a plan has: targets by host, samples, what is left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mailtui.connections.clean import clean
from mailtui.model import clock
from mailtui.model import format as fmt
from mailtui.model.mail import Message, QueueListing
from mailtui.model.operation import Target
from mailtui.operations.base import NothingToDo, Refused
from mailtui.operations.postfix_queue import QUEUE_ID, changed, is_short, target
from mailtui.operations.refusals import NotPermitted

if TYPE_CHECKING:
    from mailtui.operations.base import Desk, Request
    from mailtui.operations.postfix_facts import Facts

SAMPLES = 5


@dataclass
class Picked:
    """The targets of a plan, and what is known of them."""

    by_host: dict[str, list[Target]] = field(default_factory=dict)
    messages: list[Message] = field(default_factory=list)
    """As they were last read; of an undo those that the last listing has."""
    excluded: tuple[str, ...] = ()
    what: str = ""
    """What is acted on where it is not messages: a destination, everything deferred."""

    @property
    def count(self) -> int:
        """Targets in all."""
        return sum(map(len, self.by_host.values()))

    @property
    def short(self) -> list[str]:
        """Hosts that have targets with IDs which are given again."""
        if self.what:
            return []
        return [h for h, found in self.by_host.items() if any(is_short(t.id) for t in found)]

    def title(self, verb: str) -> str:
        """`Hold 4,312 messages to gmail.com`."""
        if self.what:
            return f"{verb} {self.what} at {', '.join(self.by_host)}"
        words = f"{verb} {self.count:,} message{'' if self.count == 1 else 's'}"
        destinations = {m.destination for m in self.messages}
        if len(self.messages) == self.count and len(destinations) == 1 and "" not in destinations:
            words += f" to {destinations.pop()}"
        return words

    def samples(self) -> tuple[str, ...]:
        """Some of them in words, from all over the selection."""
        if self.what:
            return ()
        if not self.messages:
            every = [t for found in self.by_host.values() for t in found]
            return tuple(f"{t.place} {t.id}" for t in every[:SAMPLES])
        stride = max(1, len(self.messages) // SAMPLES)
        return tuple(in_words(m) for m in self.messages[::stride][:SAMPLES])

    def warnings(self, desk: Desk, facts: dict[str, Facts], did: str) -> list[str]:
        """What every plan on messages has to say. `did`: `held`, `deleted`."""
        said: list[str] = []
        elsewhere = sum(1 for m in self.messages if _elsewhere(m))
        if elsewhere:
            said.append(
                f"{elsewhere:,} of them {'has' if elsewhere == 1 else 'have'} recipients at more "
                f"than one destination: {'it is' if elsewhere == 1 else 'they are'} {did} for all"
            )
        active = sum(1 for m in self.messages if m.queue_name == "active")
        if active:
            said.append(f"{active:,} of them may be in delivery right now, and be delivered first")
        for host in self.by_host:
            known = facts.get(host)
            if host in self.short or (
                known is not None and known.long_ids is False and not self.what
            ):
                said.append(
                    f"{host} uses short queue IDs, which Postfix gives again: each is compared "
                    "before and after (set enable_long_queue_ids = yes there)"
                )
            if known is not None and known.error:
                said.append(f"the settings of {host} are not known: {known.error}")
            said.extend(_reading(desk, host))
        return said


def _reading(desk: Desk, host: str) -> Iterator[str]:
    reading = desk.platform.state.get("postfix", host)
    if isinstance(reading.value, QueueListing) and reading.value.truncated:
        kept = len(reading.value.messages)
        yield (
            f"{host} has {reading.value.total:,} messages and {kept:,} of them were read: what is "
            "beyond is not in this plan (sources.postfix.limit)"
        )
    if reading.status == "stale":
        yield f"the queue of {host} was last read at {fmt.date_time(reading.read_at)}"


def _elsewhere(message: Message) -> bool:
    if message.recipient_count < 2:
        return False
    return len({_domain(r.address) for r in message.recipients}) > 1


def _domain(address: str) -> str:
    return address.rpartition("@")[2].lower() if "@" in address else ""


def in_words(message: Message) -> str:
    """`4bXk2Q7zWnz1Kp ann@example.org → bob@gmail.com (+3), 3 h 12 m, 12 k`."""
    first = message.recipients[0].address if message.recipients else "?"
    more = f" (+{message.recipient_count - 1:,})" if message.recipient_count > 1 else ""
    age = fmt.age(clock.now() - message.arrival_time)
    return (
        f"{message.host} {message.queue_id}  {message.sender or 'MAILER-DAEMON'} → {first}{more}, "
        f"{age}, {fmt.size(message.message_size)}"
    )


def belongs(message: Message, tenants: frozenset[str]) -> bool:
    """True if its sender or all its recipients are of these tenants (the names of domains).

    Of a message with more recipients than were kept, the sender alone decides.
    """
    if _domain(message.sender) in tenants:
        return True
    if message.recipient_count > len(message.recipients) or not message.recipients:
        return False
    return all(_domain(r.address) in tenants for r in message.recipients)


OTHERS = "another tenant's"


def pick(desk: Desk, request: Request, why_not: Callable[[Message], str]) -> Picked:
    """The targets of a request. Raises Refused, and NothingToDo if none is left."""
    left: Counter[str] = Counter()
    picked = Picked()
    chosen = _of_targets if request.targets else _of_rows
    for one, message in chosen(desk, request, why_not, left):
        picked.by_host.setdefault(one.place, []).append(one)
        if message is not None:
            picked.messages.append(message)
    picked.excluded = tuple(f"{count:,}: {why}" for why, count in left.most_common())
    if not picked.count:
        if not left:
            raise Refused("nothing is selected: an empty selection means nothing, never everything")
        if set(left) == {OTHERS}:
            raise NotPermitted(f"all {left[OTHERS]:,} are another tenant's")
        raise NothingToDo("; ".join(picked.excluded))
    return picked


def _of_rows(
    desk: Desk, request: Request, why_not: Callable[[Message], str], left: Counter[str]
) -> Iterator[tuple[Target, Message]]:
    seen: set[tuple[str, str]] = set()
    hosts = desk.platform.context.hosts
    for row in request.rows:
        if not isinstance(row, Message):
            raise Refused(f"{request.operation} acts on messages, not on {type(row).__name__}")
        key = (row.host, row.queue_id)
        if key in seen:
            continue
        seen.add(key)
        if row.host not in hosts:
            raise Refused(f"{row.host} is not a host of {desk.platform.name}")
        why = why_not(row)
        if desk.tenants is not None and not belongs(row, desk.tenants):
            why = OTHERS
        elif not QUEUE_ID.fullmatch(row.queue_id):
            why = "what the host gives as its queue ID is none"
        if why:
            left[why] += 1
            continue
        yield target(row), row


def _of_targets(
    desk: Desk, request: Request, why_not: Callable[[Message], str], left: Counter[str]
) -> Iterator[tuple[Target, Message | None]]:
    """What an earlier run changed; the last listing may not have it yet, or no more."""
    known: dict[str, dict[str, Message]] = {}
    for one in dict.fromkeys(request.targets):
        if one.place not in desk.platform.context.hosts or not QUEUE_ID.fullmatch(one.id):
            raise Refused(f"{clean(one.place)} {clean(one.id)} is no message of this platform")
        if one.place not in known:
            listing = desk.platform.state.value("postfix", QueueListing, one.place)
            messages = listing.messages if listing is not None else ()
            known[one.place] = {m.queue_id: m for m in messages}
        message = known[one.place].get(one.id)
        if message is not None and changed(one, message):
            message = None
        if desk.tenants is not None:
            sender = one.mark.split(" ", 2)[2] if one.mark.count(" ") >= 2 else ""
            mine = belongs(message, desk.tenants) if message else _domain(sender) in desk.tenants
            if not mine:
                left[OTHERS] += 1
                continue
        yield one, message
