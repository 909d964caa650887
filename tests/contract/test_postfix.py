"""Queues: the sandbox answers as a real Postfix does."""

from __future__ import annotations

import pytest

from mailtui.collectors.postfix import PostfixCollector, collectors
from mailtui.config.settings import Context
from mailtui.connections.errors import SourceError, ToolMissing
from mailtui.connections.pool import Connections
from mailtui.model import clock
from mailtui.model.groups import BY, group


@pytest.fixture
def collector(context: Context, connections: Connections, mx: str) -> PostfixCollector:
    return next(c for c in collectors(context, connections) if c.target == mx)


async def test_the_listing_is_whole(collector: PostfixCollector) -> None:
    listing = await collector.read()
    assert listing.malformed == 0
    assert listing.notes == ()
    assert not listing.truncated
    assert listing.total == sum(listing.counts.values()) == len(listing.messages) > 0
    assert listing.counts.get("deferred", 0) > 0
    assert set(listing.counts) <= {
        *("maildrop", "incoming", "active", "deferred", "hold", "corrupt")
    }
    assert len({m.queue_id for m in listing.messages}) == listing.total


async def test_each_message_is_of_this_host_and_of_the_past(
    collector: PostfixCollector, mx: str
) -> None:
    listing = await collector.read()
    for message in listing.messages:
        assert message.host == mx
        assert message.arrival_time <= clock.now() + 5
        assert message.message_size > 0
        assert message.recipient_count >= len(message.recipients) > 0
        assert message.destination == message.destination.lower()
    deferred = [m for m in listing.messages if m.queue_name == "deferred"]
    assert sum(bool(m.reason) for m in deferred) > 0.5 * len(deferred)


async def test_reasons_are_far_fewer_than_messages(collector: PostfixCollector) -> None:
    listing = await collector.read()
    deferred = [m for m in listing.messages if m.queue_name == "deferred"]
    reasons: dict[str, set[str]] = {}
    for message in deferred:
        reasons.setdefault(message.destination, set()).add(message.reason)
    # what a destination answers, and that delivery to it is suspended for now, in one form each
    assert all(len(found) <= 3 for found in reasons.values()), reasons
    for by in BY:
        assert sum(g.count for g in group(deferred, by, clock.now())) == len(deferred)  # type: ignore[arg-type]


async def test_nothing_that_moves_a_terminal_enters(collector: PostfixCollector) -> None:
    for message in (await collector.read()).messages:
        for text in (message.sender, *(r.address + r.delay_reason for r in message.recipients)):
            assert text.replace(" ", "").isprintable(), repr(text)


async def test_one_message_is_described(collector: PostfixCollector) -> None:
    listing = await collector.read()
    message = next(m for m in listing.messages if m.queue_name == "deferred")
    found = await collector.describe(message.queue_id)
    assert "ENVELOPE RECORDS" in found.text
    assert f"sender: {message.sender}" in found.text
    assert message.recipients[0].address in found.text


async def test_a_message_that_has_gone_says_so(collector: PostfixCollector) -> None:
    with pytest.raises(SourceError, match="no longer in the queue"):
        await collector.describe("4zzzzzzzzzzzz1")


@pytest.mark.parametrize("queue_id", ["", "../etc", "ALL", "a b", "-", "x;id", "4bXk2Q7zWnz1Kp\n"])
async def test_what_is_no_queue_id_reaches_no_host(
    collector: PostfixCollector, queue_id: str
) -> None:
    with pytest.raises(SourceError) as caught:
        await collector.describe(queue_id)
    assert caught.value.kind == "refused"


async def test_a_host_without_postfix_is_no_error(
    context: Context, connections: Connections
) -> None:
    other = next((n for n, host in context.hosts.items() if "mx" not in host.roles), None)
    if other is None:
        pytest.skip("every host is an mx")
    collector = next(c for c in collectors(context, connections) if c.target == other)
    with pytest.raises(ToolMissing):
        await collector.read()
