"""The mail queues of the mx hosts: the messages in them, and what postsuper(1) does to them.

How messages come and go is in `traffic.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

QUEUES = ("maildrop", "hold", "incoming", "active", "deferred")
SUPER = ("hold", "incoming", "active", "deferred")
"""Queues that postsuper(1) acts on unless told otherwise."""

_BASE52 = "0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz"
_BASE51 = _BASE52[:-1]


def long_queue_id(seconds: int, microseconds: int, inode: int) -> str:
    """A queue ID as Postfix writes it with `enable_long_queue_ids = yes` (global/mail_queue.h):
    seconds and microseconds in base 52, a `z`, the inode number in base 51.
    """
    return f"{_digits(seconds, _BASE52, 6)}{_digits(microseconds, _BASE52, 4)}z" + _digits(
        inode, _BASE51, 1
    )


def _digits(number: int, alphabet: str, width: int) -> str:
    base, text = len(alphabet), ""
    while number:
        number, digit = divmod(number, base)
        text = alphabet[digit] + text
    return text.rjust(width, alphabet[0])


@dataclass(slots=True)
class Recipient:
    """A recipient that still waits, and the last answer (empty: not tried yet)."""

    address: str
    delay_reason: str = ""


@dataclass(slots=True)
class Message:
    """One message in one queue."""

    queue_id: str
    queue_name: str
    """One of QUEUES."""
    arrival_time: int
    """Epoch seconds."""
    size: int
    """Bytes."""
    sender: str
    """Envelope sender; `` for a bounce (postqueue writes MAILER-DAEMON)."""
    recipients: list[Recipient]
    tenant: str
    subject: str
    sasl_username: str = ""
    cause: str = ""
    """Name of the cause (`traffic.Cause`) that defers it."""
    next_retry: float = 0.0
    """Epoch seconds."""
    attempts: int = 0
    forced_expire: bool = False
    content: bytes = b""
    """Headers and body as sendmail(1) got them; empty: made up by postcat."""


@dataclass(slots=True)
class Counters:
    """Totals since Postfix started on the host."""

    received: float = 0.0
    delivered: float = 0.0
    deferred: float = 0.0
    """Delivery attempts that ended in a deferral."""
    bounced: float = 0.0
    rejected: float = 0.0
    """Refused in the SMTP dialogue."""
    expired: float = 0.0
    removed: float = 0.0
    """Messages that qmgr removed from the queue."""
    connects: float = 0.0
    sasl_failures: float = 0.0


@dataclass(slots=True)
class Suspended:
    """A destination that gets nothing until a time."""

    until: int
    """Epoch seconds."""
    who: str
    reason: str


@dataclass(slots=True)
class Spool:
    """The queues of one host."""

    host: str
    messages: dict[str, Message] = field(default_factory=dict)
    """By queue ID, in order of arrival."""
    counters: Counters = field(default_factory=Counters)
    next_inode: int = 131_073
    long_ids: bool = True
    """`enable_long_queue_ids`; short ones are used again."""
    woken: list[str] = field(default_factory=list)
    """IDs that somebody made due (`flush`, `release`) since the last step."""
    suspended: dict[str, Suspended] = field(default_factory=dict)
    """By domain."""

    def suspends(self, message: Message) -> bool:
        """True if a recipient's domain is suspended."""
        return bool(self.suspended) and any(
            r.address.rpartition("@")[2].lower() in self.suspended for r in message.recipients
        )

    def expire_suspended(self, now: float) -> None:
        """As the host's timer: what has ended is removed."""
        self.suspended = {d: one for d, one in self.suspended.items() if one.until > now}

    def counts(self) -> dict[str, int]:
        """Messages by queue name; every name of QUEUES is there."""
        counts = dict.fromkeys(QUEUES, 0)
        for message in self.messages.values():
            counts[message.queue_name] += 1
        return counts

    def queue(self, name: str) -> Iterator[Message]:
        """The messages of one queue."""
        return (m for m in self.messages.values() if m.queue_name == name)

    def new_id(self, seconds: int, microseconds: int) -> str:
        """A queue ID not in use."""
        self.next_inode = 131_073 + (self.next_inode - 131_072) % 2_000_000
        if not self.long_ids:
            return f"{microseconds % 1_000_000:05X}{self.next_inode:X}"
        return long_queue_id(seconds, microseconds, self.next_inode)

    def delete(self, ids: Iterable[str], queues: Sequence[str] = SUPER) -> list[str]:
        """As `postsuper -d`: the IDs that were there and are gone."""
        return [m.queue_id for m in self._of(ids, queues) if self.messages.pop(m.queue_id, None)]

    def hold(
        self, ids: Iterable[str], queues: Sequence[str] = ("incoming", "active", "deferred")
    ) -> list[str]:
        """As `postsuper -h`: the IDs that were put on hold."""
        return self._move(ids, queues, "hold")

    def release(self, ids: Iterable[str], queues: Sequence[str] = ("hold",)) -> list[str]:
        """As `postsuper -H`: the IDs that were released, to the deferred queue."""
        done = self._move(ids, queues, "deferred")
        self.woken += done
        return done

    def expire(self, ids: Iterable[str], queues: Sequence[str] = SUPER) -> list[str]:
        """As `postsuper -e`: the IDs that will be returned at the next attempt."""
        done = []
        for message in self._of(ids, queues):
            if not message.forced_expire:
                message.forced_expire = True
                done.append(message.queue_id)
        return done

    def requeue(self, ids: Iterable[str], queues: Sequence[str] = SUPER) -> list[str]:
        """As `postsuper -r`: to the maildrop under the old ID, until `pickup`."""
        return self._move(ids, queues, "maildrop")

    def pickup(self, now: float) -> list[Message]:
        """As pickup(8): what is in the maildrop becomes new queue files, with new IDs.

        The arrival time stays, the delay reasons go.
        """
        found = list(self.queue("maildrop"))
        for number, message in enumerate(found):
            del self.messages[message.queue_id]
            self.next_inode += 1
            message.queue_id = self.new_id(int(now), (number * 1_913) % 1_000_000)
            message.queue_name, message.attempts, message.next_retry = "active", 0, 0.0
            message.forced_expire = False
            for recipient in message.recipients:
                recipient.delay_reason = ""
            self.messages[message.queue_id] = message
        return found

    def flush(self, now: float, ids: Iterable[str] | None = None) -> list[str]:
        """As `postqueue -f` (all) or `-i ID`: deferred messages become due."""
        done: list[str] = []
        for message in self._of(list(self.messages) if ids is None else ids, ("deferred",)):
            message.next_retry = now
            self.woken.append(message.queue_id)
            done.append(message.queue_id)
        return done

    def _of(self, ids: Iterable[str], queues: Sequence[str]) -> Iterator[Message]:
        for queue_id in ids:
            message = self.messages.get(queue_id)
            if message is not None and message.queue_name in queues:
                yield message

    def _move(self, ids: Iterable[str], queues: Sequence[str], to: str) -> list[str]:
        done: list[str] = []
        for message in self._of(ids, queues):
            if message.queue_name != to:
                message.queue_name = to
                done.append(message.queue_id)
        return done


@dataclass(slots=True)
class Mail:
    """All mail in the queues of the platform."""

    spools: dict[str, Spool] = field(default_factory=dict)
    """By host; only mx hosts have one."""

    def counts(self) -> dict[str, int]:
        """Messages by queue name over all hosts."""
        totals = dict.fromkeys(QUEUES, 0)
        for spool in self.spools.values():
            for name, count in spool.counts().items():
                totals[name] += count
        return totals
