"""What the console needs of any RabbitMQ."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from mailtui.collectors.rabbitmq import BrokerConnectionsCollector, RabbitmqCollector
from mailtui.config.secrets import Secret
from mailtui.config.settings import Context
from mailtui.config.sources.rabbitmq import Settings
from mailtui.connections.errors import SourceError
from mailtui.connections.http import HttpClient
from mailtui.model import clock


@pytest.fixture
def settings(platform_context: Context) -> Settings:
    found = platform_context.source("rabbitmq", Settings)
    if found is None:
        pytest.skip("no RabbitMQ here")
    return found


@pytest.fixture
async def client(settings: Settings) -> AsyncIterator[HttpClient]:
    found = HttpClient("rabbitmq", settings.url, settings)
    yield found
    await found.close()


async def test_the_broker(settings: Settings, client: HttpClient) -> None:
    report = await RabbitmqCollector(settings, client).read()
    assert report.cluster and report.version and report.erlang
    assert report.notes == ()
    assert report.nodes
    for node in report.nodes:
        assert node.running
        assert node.uptime is not None and node.uptime > 0
        assert node.memory_used is not None and node.memory_limit is not None
    assert report.alarms == ()


async def test_queues(settings: Settings, client: HttpClient) -> None:
    report = await RabbitmqCollector(settings, client).read()
    assert report.queues_total == len(report.queues) > 0
    assert len({queue.key for queue in report.queues}) == len(report.queues)
    for queue in report.queues:
        assert queue.ready is not None and queue.unacked is not None
        assert queue.total == queue.ready + queue.unacked
        assert queue.consumers is not None
        assert queue.type in ("classic", "quorum", "stream")
    dead = [queue for queue in report.queues if queue.is_dead_letter]
    assert dead
    assert any(queue.dead_letter_exchange is not None for queue in report.queues)


async def test_more_queues_than_the_limit(settings: Settings, client: HttpClient) -> None:
    few = settings.model_copy(update={"queue_limit": 2})
    report = await RabbitmqCollector(few, client).read()
    whole = await RabbitmqCollector(settings, client).read()
    assert (len(report.queues), report.queues_total) == (2, whole.queues_total)
    assert any("queue_limit" in note for note in report.notes)
    for queue in report.queues:
        assert queue.ready is not None
        assert (queue.consumers, queue.ack_rate) == (None, None)


async def test_pages(settings: Settings, client: HttpClient) -> None:
    small = settings.model_copy(update={"page_size": 2})
    whole = await RabbitmqCollector(settings, client).read()
    paged = await RabbitmqCollector(small, client).read()
    assert {queue.key for queue in paged.queues} == {queue.key for queue in whole.queues}


async def test_connections(settings: Settings, client: HttpClient) -> None:
    found = await BrokerConnectionsCollector(settings, client).read()
    assert found.total == len(found.connections) > 0
    for one in found.connections:
        assert one.user and one.state and one.peer
        assert one.connected_at is not None and one.connected_at <= clock.now() + 60
    few = settings.model_copy(update={"connection_limit": 1})
    one_of = await BrokerConnectionsCollector(few, client).read()
    assert (len(one_of.connections), one_of.total) == (1, found.total)


async def test_a_wrong_password(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WRONG", "wrong")
    wrong = settings.model_copy(update={"password": Secret(env="WRONG")})
    source = RabbitmqCollector(wrong, HttpClient("rabbitmq", wrong.url, wrong))
    with pytest.raises(SourceError) as caught:
        await source.read()
    await source.close()
    assert caught.value.kind == "auth"
    assert "wrong" not in str(caught.value)
