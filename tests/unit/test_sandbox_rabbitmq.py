"""The sandbox's RabbitMQ management API, asked over loopback as a client asks it."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import yarl

from mailtui.sandbox.faults import Faults
from mailtui.sandbox.rabbitmq import Server
from mailtui.sandbox.world import World

NOW = 1_795_521_600.0


class Client:
    def __init__(self, port: int, session: aiohttp.ClientSession) -> None:
        self.base = f"http://127.0.0.1:{port}"
        self.session = session

    async def get(self, path: str, **options: Any) -> tuple[int, Any]:
        url = yarl.URL(self.base + path, encoded=True)
        async with self.session.get(url, **options) as response:
            return response.status, await response.json()

    async def ok(self, path: str) -> Any:
        status, body = await self.get(path)
        assert status == 200, body
        return body


class Platform:
    def __init__(self, server: Server, client: Client) -> None:
        self.server = server
        self.world = server.world
        self.faults = server.faults
        self.client = client


@pytest.fixture(params=["dlq-growth"])
async def platform(request: pytest.FixtureRequest) -> AsyncIterator[Platform]:
    server = Server(World(seed=3, scenario=request.param, now=NOW, frozen=True), Faults())
    server.account.password = "secret"
    port = await server.start()
    headers = {"Authorization": aiohttp.encode_basic_auth("mailtui", "secret")}
    async with aiohttp.ClientSession(headers=headers) as session:
        yield Platform(server, Client(port, session))
    await server.stop()


async def test_overview_agrees_with_the_world(platform: Platform) -> None:
    overview = await platform.client.ok("/api/overview")
    broker = platform.world.broker
    ready = sum(int(q.ready) for q in broker.queues.values())
    unacked = sum(int(q.unacked) for q in broker.queues.values())
    assert overview["rabbitmq_version"] == broker.version
    assert overview["cluster_name"] == broker.cluster
    assert overview["queue_totals"]["messages_ready"] == ready
    assert overview["queue_totals"]["messages"] == ready + unacked
    assert overview["object_totals"]["queues"] == len(broker.queues)
    assert isinstance(overview["message_stats"]["publish_details"]["rate"], float)


async def test_queues_unpaged_are_a_list_with_everything(platform: Platform) -> None:
    queues = await platform.client.ok("/api/queues")
    scan = next(q for q in queues if q["name"] == "scan")
    assert len(queues) == len(platform.world.broker.queues)
    assert scan["type"] == "quorum"
    assert scan["leader"] == scan["node"]
    assert scan["arguments"]["x-dead-letter-exchange"] == "mail.dlx"
    assert scan["effective_policy_definition"] == {"delivery-limit": 20}
    assert scan["messages"] == scan["messages_ready"] + scan["messages_unacknowledged"]


async def test_dead_letters_are_no_publishes(platform: Platform) -> None:
    dead = await platform.client.ok("/api/queues/mail/dead")
    assert dead["messages_ready"] == len(platform.world.broker.queue("dead").letters) > 0
    assert "publish" not in dead.get("message_stats", {})


async def test_pages(platform: Platform) -> None:
    first = await platform.client.ok("/api/queues?page=1&page_size=2")
    last = await platform.client.ok("/api/queues?page=3&page_size=2")
    assert (first["page_count"], first["item_count"], first["total_count"]) == (3, 2, 6)
    names = [q["name"] for q in first["items"] + last["items"]]
    assert len(set(names)) == 4
    assert await platform.client.get("/api/queues?page=4&page_size=2") == (
        400,
        {
            "error": "page_out_of_range",
            "reason": "Page out of range, page: 4 page size: 2, len: 6",
        },
    )
    status, body = await platform.client.get("/api/queues?page=1&page_size=501")
    assert status == 400
    assert body["error"] == "invalid_pagination_parameters"


async def test_totals_without_statistics(platform: Platform) -> None:
    page = await platform.client.ok(
        "/api/queues?page=1&page_size=500&disable_stats=true&enable_queue_totals=true"
    )
    for queue in page["items"]:
        assert {"messages", "messages_ready", "messages_unacknowledged"} <= queue.keys()
        assert not {"consumers", "message_stats", "policy"} & queue.keys()
    bare = await platform.client.ok("/api/queues?page=1&disable_stats=true")
    assert "messages" not in bare["items"][0]


async def test_samples_of_the_lengths(platform: Platform) -> None:
    page = await platform.client.ok(
        "/api/queues?page=1&lengths_age=1200&lengths_incr=600&columns=name,messages,"
        "messages_details"
    )
    dead = next(q for q in page["items"] if q["name"] == "dead")
    samples = dead["messages_details"]["samples"]
    assert [s["timestamp"] for s in samples] == [
        int((NOW - back) * 1000) for back in (0, 600, 1200)
    ]
    assert samples[0]["sample"] == dead["messages"]
    assert samples[0]["sample"] > samples[1]["sample"] > samples[2]["sample"]
    plain = await platform.client.ok("/api/queues/mail/dead")
    assert "samples" not in plain["messages_details"]


async def test_filter_sort_and_columns(platform: Platform) -> None:
    found = await platform.client.ok("/api/queues?page=1&name=DEA")
    assert [q["name"] for q in found["items"]] == ["dead"]
    assert (found["filtered_count"], found["total_count"]) == (1, 6)
    regex = await platform.client.ok("/api/queues?page=1&name=^s&use_regex=true")
    assert [q["name"] for q in regex["items"]] == ["scan", "store"]
    worst = await platform.client.ok(
        "/api/queues?page=1&sort=messages_ready&sort_reverse=true&columns=name,"
        "message_stats.publish_details.rate"
    )
    queues = platform.world.broker.queues.values()
    expected = sorted((int(q.ready) for q in queues), reverse=True)
    depth = {q.name: int(q.ready) for q in queues}
    assert [depth[q["name"]] for q in worst["items"]] == expected
    assert {"name": "dead"} in worst["items"]
    scan = next(q for q in worst["items"] if q["name"] == "scan")
    assert scan["message_stats"]["publish_details"]["rate"] > 0
    # An unknown column to sort by is ignored, as the broker does.
    assert len((await platform.client.ok("/api/queues?page=1&sort=nonsense"))["items"]) == 6


async def test_percent_encoded_virtual_hosts(platform: Platform) -> None:
    default = await platform.client.ok("/api/queues/%2F")
    assert [q["name"] for q in default] == ["notifications"]
    one = await platform.client.ok("/api/queues/%2F/notifications")
    assert one["vhost"] == "/"
    assert one["consumer_details"] == []
    assert await platform.client.get("/api/queues/%2F/nothing") == (
        404,
        {"error": "Object Not Found", "reason": "Not Found"},
    )
    assert (await platform.client.get("/api/queues/nowhere"))[0] == 404


async def test_consumers_channels_and_connections_agree(platform: Platform) -> None:
    scan = await platform.client.ok("/api/queues/mail/scan")
    connections = await platform.client.ok("/api/connections?page=1&page_size=100")
    channels = await platform.client.ok("/api/channels")
    assert len(scan["consumer_details"]) == scan["consumers"]
    assert connections["total_count"] == len(platform.world.broker.connections)
    unacked = sum(c["messages_unacknowledged"] for c in channels)
    overview = await platform.client.ok("/api/overview")
    assert unacked == overview["queue_totals"]["messages_unacknowledged"]
    name = connections["items"][0]["name"]
    path = "/api/connections/" + yarl.URL.build(path=name).raw_path
    platform.server.account.tags = ["management"]
    for part in (path, f"{path}/channels"):
        assert (await platform.client.get(part))[0] == 401, "it is another user's"
    assert await platform.client.ok("/api/consumers") == []
    platform.server.account.tags = ["monitoring"]
    of_it = await platform.client.ok(f"{path}/channels")
    assert [c for c in channels if c["connection_details"]["name"] == name] == of_it
    one = await platform.client.ok("/api/connections/" + yarl.URL.build(path=name).raw_path)
    assert one["name"] == name
    assert one["client_properties"]["connection_name"]


async def test_alarms_block_publishers(platform: Platform) -> None:
    assert await platform.client.ok("/api/health/checks/alarms") == {"status": "ok"}
    node = platform.world.broker.nodes[0]
    node.disk_free = node.disk_free_limit - 1
    assert await platform.client.get("/api/health/checks/alarms") == (
        503,
        {
            "alarms": [{"node": node.name, "resource": "disk space"}],
            "reason": "There are alarms in effect in the cluster",
            "status": "failed",
        },
    )
    states = {c["state"] for c in await platform.client.ok("/api/connections")}
    assert states == {"blocked", "blocking"}
    assert (await platform.client.ok("/api/nodes"))[0]["disk_free_alarm"] is True


async def test_health_checks_of_listeners(platform: Platform) -> None:
    assert (await platform.client.get("/api/health/checks/port-listener/5672"))[0] == 200
    assert (await platform.client.get("/api/health/checks/port-listener/9"))[0] == 503
    critical = await platform.client.ok("/api/health/checks/node-is-quorum-critical")
    assert critical == {"status": "ok", "reason": "single node cluster"}


async def test_credentials(platform: Platform) -> None:
    wrong = {"Authorization": aiohttp.encode_basic_auth("mailtui", "guess")}
    assert await platform.client.get("/api/overview", headers=wrong) == (
        401,
        {"error": "not_authorized", "reason": "Login failed"},
    )
    async with (
        aiohttp.ClientSession() as anonymous,
        anonymous.get(platform.client.base + "/api/overview") as response,
    ):
        assert response.status == 401
        assert response.headers["WWW-Authenticate"] == 'Basic realm="RabbitMQ Management"'
        assert await response.read() == b""


async def test_what_the_tags_do_not_allow(platform: Platform) -> None:
    status, body = await platform.client.get("/api/users")
    assert (status, body["reason"]) == (401, "Not administrator user")
    platform.server.account.tags = ["management"]
    status, body = await platform.client.get("/api/nodes")
    assert (status, body["reason"]) == (401, "Not monitor user")


async def test_writing_is_refused(platform: Platform) -> None:
    platform.server.account.forbid_writing()
    session, base = platform.client.session, platform.client.base
    async with session.delete(base + "/api/queues/mail/dead/contents") as response:
        assert response.status == 401
        assert await response.json() == {
            "error": "not_authorised",
            "reason": "ACCESS_REFUSED - access to queue 'dead' in vhost 'mail' refused for user"
            " 'mailtui'",
        }
    async with session.post(base + "/api/queues/mail/dead/get", json={"count": 1}) as response:
        assert response.status == 401
    async with session.put(base + "/api/overview") as response:
        assert response.status == 405
        assert "GET" in response.headers["Allow"]
    assert platform.world.broker.queue("dead").letters


async def test_faults_spoil_only_their_server(platform: Platform) -> None:
    faults, client = platform.faults, platform.client
    faults.set("elasticsearch", "500")
    await client.ok("/api/whoami")
    faults.set("rabbitmq", "html")
    async with client.session.get(client.base + "/api/whoami") as response:
        assert response.content_type == "text/html"
    faults.set("rabbitmq", "429", seconds=7)
    async with client.session.get(client.base + "/api/whoami") as response:
        assert (response.status, response.headers["Retry-After"]) == (429, "7")
    faults.set("rabbitmq", "truncated")
    with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
        await client.get("/api/overview")
    faults.set("rabbitmq", "cut")
    with pytest.raises(aiohttp.ClientError):
        await client.get("/api/overview")
    faults.set("rabbitmq", "down")
    with pytest.raises(aiohttp.ClientError):
        await client.get("/api/overview")
    faults.clear()
    await client.ok("/api/whoami")


async def test_a_hanging_server_answers_when_the_fault_is_cleared(platform: Platform) -> None:
    platform.faults.set("rabbitmq", "hang")
    asked = asyncio.create_task(platform.client.ok("/api/whoami"))
    done, _ = await asyncio.wait([asked], timeout=0.1)
    assert not done
    platform.faults.clear("rabbitmq")
    assert (await asked)["name"] == "mailtui"


async def test_a_fault_by_path_and_for_some_requests(platform: Platform) -> None:
    platform.faults.set("rabbitmq", "500", path="/api/queues", times=1)
    await platform.client.ok("/api/whoami")
    async with platform.client.session.get(platform.client.base + "/api/queues") as response:
        assert response.status == 500
    assert isinstance(await platform.client.ok("/api/queues"), list)


def test_an_unknown_fault_is_an_error() -> None:
    with pytest.raises(ValueError, match="html"):
        Faults().set("rabbitmq", "flood")  # type: ignore[arg-type]


async def test_purging_a_queue(platform: Platform) -> None:
    session, base = platform.client.session, platform.client.base
    dead = platform.world.broker.queue("dead")
    async with session.delete(base + "/api/queues/mail/dead/contents") as response:
        assert (response.status, await response.read()) == (204, b"")
    assert (dead.ready, len(dead.letters)) == (0, 0)
    async with session.delete(base + "/api/queues/mail/nope/contents") as response:
        assert response.status == 404
    async with session.get(base + "/api/queues/mail/dead/contents") as response:
        assert (response.status, response.headers["Allow"]) == (405, "DELETE, OPTIONS")


async def take(platform: Platform, queue: str, **wanted: Any) -> tuple[int, Any]:
    url = f"{platform.client.base}/api/queues/mail/{queue}/get"
    async with platform.client.session.post(url, json=wanted) as response:
        return response.status, await response.json()


async def test_getting_messages_is_no_harmless_look(platform: Platform) -> None:
    dead = platform.world.broker.queue("dead")
    first, before = dead.letters[0], len(dead.letters)
    wanted = {"count": 2, "encoding": "auto", "ackmode": "ack_requeue_true"}
    status, found = await take(platform, "dead", **wanted)
    assert (status, len(found), len(dead.letters)) == (200, 2, before)
    assert [m["message_count"] for m in found] == [before - 1, before - 2]
    assert (found[0]["redelivered"], first.redelivered) == (False, True)
    assert found[0]["payload"].encode() == first.body
    assert (found[0]["exchange"], found[0]["routing_key"]) == ("mail.dlx", "dead")
    headers = found[0]["properties"]["headers"]
    assert headers["x-death"][0]["time"] == int(headers["x-death"][0]["time"])
    assert "x-delivery-count" not in headers
    _, again = await take(
        platform, "dead", count=1, encoding="base64", ackmode="reject_requeue_true", truncate=6
    )
    assert again[0]["properties"]["headers"]["x-delivery-count"] == 1
    assert base64.b64decode(again[0]["payload"]) == first.body[:6]
    assert again[0]["payload_bytes"] == len(first.body)
    _, gone = await take(platform, "dead", count=1, encoding="auto", ackmode="ack_requeue_false")
    assert (len(gone), len(dead.letters), dead.unacked) == (1, before - 1, 0)
    _, died = await take(platform, "scan", count=1, encoding="auto", ackmode="reject_requeue_false")
    assert len(dead.letters) == before
    assert dead.letters[-1].body.decode() == died[0]["payload"]


async def test_a_delivery_limit_ends_it(platform: Platform) -> None:
    scan, dead = platform.world.broker.queue("scan"), platform.world.broker.queue("dead")
    platform.world.messages.purge(scan)
    scan.ready, before = 1.0, len(dead.letters)
    for _ in range(30):
        await take(platform, "scan", count=1, encoding="auto", ackmode="ack_requeue_true")
    assert (scan.ready, len(dead.letters)) == (0, before + 1)
    assert dead.letters[-1].reason == "delivery_limit"


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        ({"count": 1}, "[{key_missing,ackmode},{key_missing,encoding}]"),
        ({"count": "x", "ackmode": "ack_requeue_true", "encoding": "auto"}, '["not_integer","x"]'),
    ],
)
async def test_requests_for_messages_that_cannot_be(
    platform: Platform, wanted: dict[str, Any], reason: str
) -> None:
    status, body = await take(platform, "dead", **wanted)
    assert status == 400
    given = body["reason"]
    assert (given if isinstance(given, str) else json.dumps(given, separators=(",", ":"))) == reason


async def test_closing_a_connection_needs_an_administrator(platform: Platform) -> None:
    session, connections = platform.client.session, platform.world.broker.connections
    scan = platform.world.broker.queue("scan")
    name = next(c.name for c in connections.values() if c.consumes == "scan")
    path = "/api/connections/" + yarl.URL.build(path=name).raw_path
    url = yarl.URL(platform.client.base + path, encoded=True)
    async with session.delete(url) as response:
        assert response.status == 401
        assert (await response.json())["reason"] == "User not authorised to access object"
    platform.server.account.tags = ["administrator"]
    before = scan.consumers
    async with session.delete(url) as response:
        assert response.status == 204
    assert name not in connections
    assert scan.consumers == before - 1
    # the worker comes back, with another port
    platform.world.frozen = False
    platform.world.advance(NOW + 20)
    assert scan.consumers == before
    assert name not in connections


async def test_there_are_no_shovels(platform: Platform) -> None:
    url = platform.client.base + "/api/parameters/shovel/mail/mover"
    async with platform.client.session.put(url, json={"value": {}}) as response:
        assert response.status == 404
