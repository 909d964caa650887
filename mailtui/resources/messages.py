"""Messages in Postfix's queues, of all hosts."""

from __future__ import annotations

from mailtui.collectors.state import State
from mailtui.model import clock
from mailtui.model import format as fmt
from mailtui.model.mail import Message, QueueListing
from mailtui.resources.base import Column, Level, Resource

SOURCES = ("postfix",)


def _age(message: Message) -> float:
    return max(0.0, clock.now() - message.arrival_time)


_QUEUE_LEVELS: dict[str, Level] = {"hold": "accent", "corrupt": "critical"}


def _queue_level(message: Message) -> Level:
    return _QUEUE_LEVELS.get(message.queue_name, "")


def _sender(message: Message) -> str:
    return message.sender or "MAILER-DAEMON"


def _recipient(message: Message) -> str:
    first = message.recipients[0].address if message.recipients else "?"
    more = message.recipient_count - 1
    return f"{first} +{more:,}" if more > 0 else first


def _said(message: Message) -> str:
    """The first recipient's delay reason, word for word."""
    return message.recipients[0].delay_reason if message.recipients else ""


RESOURCE: Resource[Message] = Resource(
    name="messages",
    title="messages",
    columns=(
        Column("id", "queue id", lambda m: m.queue_id, width=16, truncate="never"),
        Column("host", "host", lambda m: m.host, width=6, priority=2),
        Column("queue", "queue", lambda m: m.queue_name, width=9, priority=3, level=_queue_level),
        Column("age", "age", _age, lambda m: fmt.age(_age(m)), "right", 9),
        Column(
            "size",
            "bytes",
            lambda m: m.message_size,
            lambda m: fmt.size(m.message_size),
            "right",
            6,
            priority=4,
        ),
        Column("sender", "sender", _sender, width=16, flex=1, truncate="middle", priority=1),
        Column(
            "recipient",
            "recipient",
            lambda m: tuple(r.address for r in m.recipients),
            _recipient,
            width=16,
            flex=1,
            truncate="middle",
        ),
        Column(
            "recipients",
            "rcpts",
            lambda m: m.recipient_count,
            lambda m: fmt.count(m.recipient_count),
            "right",
            6,
            priority=6,
        ),
        Column("destination", "destination", lambda m: m.destination, width=14, priority=6),
        Column("reason", "reason", lambda m: m.reason, width=20, flex=2, priority=5),
        Column("said", "delay reason", _said, width=40, flex=2, priority=8),
        Column(
            "arrived",
            "arrived",
            lambda m: m.arrival_time,
            lambda m: fmt.since(m.arrival_time, clock.now()),
            "right",
            11,
            priority=7,
        ),
    ),
    key=lambda m: m.key,
    empty="no message is queued",
    sort="-age",
    tick=5.0,
)


def rows(state: State) -> list[Message]:
    """Every message that was kept, host by host."""
    return [m for _, listing in state.values("postfix", QueueListing) for m in listing.messages]


def more(state: State) -> int:
    """Messages that the hosts have beyond these."""
    return sum(
        listing.total - len(listing.messages)
        for _, listing in state.values("postfix", QueueListing)
    )
