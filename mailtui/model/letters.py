"""Messages in a broker's queue, as they are looked at without being taken."""

from __future__ import annotations

import msgspec


class Letter(msgspec.Struct, frozen=True, gc=False):
    """One message of a queue. None: what shows it does not say."""

    vhost: str
    queue: str
    position: int
    """From the head, from 1, when it was looked at."""
    fingerprint: str
    """Of everything that a look shows (see operations.rabbitmq_letters); hexadecimal."""
    digest: str = ""
    """Of properties and the whole body, however often it was delivered; empty: not all is known."""
    routing_key: str = ""
    exchange: str = ""
    """Exchange that it came through last; `` is the default exchange."""
    origin: str | None = None
    """Queue that it died in; None: it is no dead letter, or does not say."""
    origin_exchange: str | None = None
    """Exchange that it had been published to when it died."""
    reason: str | None = None
    """Why it died: rejected, expired, maxlen, delivery_limit."""
    died_at: float | None = None
    """Epoch seconds of its last death."""
    deaths: int | None = None
    """How often it died there for that reason."""
    properties: tuple[tuple[str, str], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    size: int | None = None
    """Bytes of the body."""
    body: str = ""
    """Its first bytes as text."""
    cut: bool = False
    """The body is longer than `body`, or may be."""
    redelivered: bool | None = None
    deliveries: int | None = None
    """How often it was delivered and given back."""
    limit: int | None = None
    """Deliveries after which its queue drops it; None: it never does, or it is not known."""

    @property
    def key(self) -> str:
        """Identity among the letters of one look."""
        return f"{self.vhost}\t{self.queue}\t{self.fingerprint}\t{self.position}"

    @property
    def remaining(self) -> int | None:
        """How often it can still be given back before its queue drops it; None: no limit."""
        if self.limit is None or self.deliveries is None:
            return None
        return max(0, self.limit - self.deliveries)
