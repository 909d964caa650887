"""Messages in a Postfix queue, as `postqueue -j` gives them (postqueue(1), JSON OBJECT FORMAT)."""

from __future__ import annotations

import msgspec

KEPT_RECIPIENTS = 50
"""Recipients kept of one message; `recipient_count` says how many it has."""


class Recipient(msgspec.Struct, frozen=True, gc=False):
    """One recipient still to be delivered, and why it was delayed."""

    address: str
    delay_reason: str = ""


class Message(msgspec.Struct, frozen=True, gc=False):
    """One message in one queue of one host."""

    host: str
    queue_name: str
    """incoming, active, deferred, hold, maildrop or corrupt."""
    queue_id: str
    arrival_time: int
    """Epoch seconds."""
    message_size: int
    """Bytes."""
    sender: str
    """Envelope sender; `` for bounces (shown as MAILER-DAEMON by postqueue)."""
    recipients: tuple[Recipient, ...]
    """At most KEPT_RECIPIENTS of them."""
    recipient_count: int
    destination: str
    """Domain that most recipients share, lower case."""
    reason: str
    """Normalised delay reason: see `reasons.normalise`."""
    forced_expire: bool = False

    @property
    def key(self) -> str:
        """Identity across polls: a queue ID is unique on its host only."""
        return f"{self.host}/{self.queue_id}"


class QueueListing(msgspec.Struct, frozen=True):
    """What one host's `postqueue -j` said in one read; of a busy queue it is no transaction."""

    messages: tuple[Message, ...]
    total: int
    """Messages seen, also those beyond the limit that are not in `messages`."""
    counts: dict[str, int]
    """Messages by queue name, all of those seen."""
    malformed: int = 0
    """Lines that were not a JSON object of a message."""
    notes: tuple[str, ...] = ()
    """What postqueue warned of, as sentences: that the mail system is down, for one."""

    @property
    def truncated(self) -> bool:
        """True if the host has more messages than were kept."""
        return self.total > len(self.messages)
