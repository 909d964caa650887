"""`rabbitmq-queues peek` of the sandbox against what a RabbitMQ 4.0.5 printed."""

from __future__ import annotations

import datetime as dt
import json

import pytest

from mailtui.sandbox.world import World
from mailtui.sandbox.world.messages import Message, Properties
from tests.unit.test_sandbox_shell import sh

CAPTURED = """Peeking at quorum queue dead at position 1 on node rabbit@mon1 ...
(0lqqqqqqqqqqqqqqqqqqqqqqqqqwqqqqqqqqqqqqqqqqqqqqqqqqqqk(B
(0x(B [1mkeys[0m                    (0x(B [1mvalues[0m                   (0x(B
(0tqqqqqqqqqqqqqqqqqqqqqqqqqnqqqqqqqqqqqqqqqqqqqqqqqqqqu(B
(0x(B delivery_mode           (0x(B 2                        (0x(B
(0tqqqqqqqqqqqqqqqqqqqqqqqqqnqqqqqqqqqqqqqqqqqqqqqqqqqqu(B
(0x(B routing_keys            (0x(B q                        (0x(B
(0tqqqqqqqqqqqqqqqqqqqqqqqqqnqqqqqqqqqqqqqqqqqqqqqqqqqqu(B
(0x(B exchange                (0x(B                          (0x(B
(0tqqqqqqqqqqqqqqqqqqqqqqqqqnqqqqqqqqqqqqqqqqqqqqqqqqqqu(B
(0x(B payload (max 64 bytes)  (0x(B <<255,254,0,98,105,110>> (0x(B
(0tqqqqqqqqqqqqqqqqqqqqqqqqqnqqqqqqqqqqqqqqqqqqqqqqqqqqu(B
(0x(B header.x-delivery-count (0x(B 0                        (0x(B
(0mqqqqqqqqqqqqqqqqqqqqqqqqqvqqqqqqqqqqqqqqqqqqqqqqqqqqj(B
"""
CAPTURED_JSON = (
    '{"message":{"content_type":"application/json","delivery_mode":2,"exchange":"","header.a":1,'
    '"header.d":1704067200,"header.l":{"signedint":1,"longstr":"two"},"header.n":"undefined",'
    '"header.t":[["x","bool",true]],"header.x-death":{"table":[["count","long",1],'
    '["reason","longstr","delivery_limit"],["queue","longstr","q"],'
    '["time","timestamp",1795541445],["exchange","longstr",""],'
    '["routing-keys","array",{"longstr":"q"}]]},"header.x-delivery-count":0,'
    '"header.x-first-death-exchange":"","message_id":"m1",'
    '"payload (max 64 bytes)":"{\\"n\\": 1}","priority":3,"routing_keys":["dlq"],'
    '"timestamp":1700000000},"result":"ok"}\n'
)
CAPTURED_DEATH = [
    '{table,[{<<"count">>,long,1},',
    '        {<<"reason">>,longstr,<<"delivery_limit">>},',
    '        {<<"queue">>,longstr,<<"q">>},',
    '        {<<"time">>,timestamp,1795541445},',
    '        {<<"exchange">>,longstr,<<>>},',
    '        {<<"routing-keys">>,array,[{longstr,<<"q">>}]}]}',
]


@pytest.fixture
def world() -> World:
    found = World(seed=3, now=1_795_000_000, frozen=True)
    found.messages.purge(found.broker.queue("dead"))
    return found


def letter() -> Message:
    """The message that the capture shows."""
    headers = {
        "a": 1,
        "d": dt.datetime(2024, 1, 1, tzinfo=dt.UTC),
        "l": [1, "two"],
        "n": None,
        "t": {"x": True},
        "x-death": [
            {
                "count": 1,
                "reason": "delivery_limit",
                "queue": "q",
                "time": dt.datetime.fromtimestamp(1_795_541_445, dt.UTC),
                "exchange": "",
                "routing-keys": ["q"],
            }
        ],
        "x-first-death-exchange": "",
    }
    properties = {
        "content_type": "application/json",
        "headers": headers,
        "delivery_mode": 2,
        "priority": 3,
        "message_id": "m1",
        "timestamp": dt.datetime.fromtimestamp(1_700_000_000, dt.UTC),
    }
    return Message(b'{"n": 1}', Properties(properties), "", "dlq")


async def test_a_table_as_the_broker_draws_it(world: World) -> None:
    dead = world.broker.queue("dead")
    body = b"\xff\xfe\x00bin"
    world.messages.put(dead, Message(body, Properties({"delivery_mode": 2}), "", "q"))
    status, out, err = await sh(
        world, "sudo -n rabbitmq-queues peek --vhost mail dead 1", host="mon1"
    )
    shown = out.decode().replace("\x1b", "")
    assert (status, shown, err) == (0, CAPTURED, b"")
    assert (dead.ready, dead.unacked, dead.letters[0].deliveries) == (1, 0, 0)


async def test_json_as_the_broker_writes_it(world: World) -> None:
    world.messages.put(world.broker.queue("dead"), letter())
    _, out, _ = await sh(
        world, "sudo -n rabbitmq-queues --formatter json peek --vhost mail dead 1", host="mon1"
    )
    assert out.decode() == CAPTURED_JSON


async def test_a_history_goes_over_lines(world: World) -> None:
    world.messages.put(world.broker.queue("dead"), letter())
    _, out, _ = await sh(world, "sudo -n rabbitmq-queues -q peek --vhost mail dead 1", host="mon1")
    cells = [line.split("\x1b(0x\x1b(B")[1:3] for line in out.decode().split("\n") if "x" in line]
    values = [cell[1].rstrip()[1:] for cell in cells if len(cell) == 2]
    begin = values.index(CAPTURED_DEATH[0])
    assert values[begin : begin + 6] == CAPTURED_DEATH
    keys = [cell[0].strip() for cell in cells if len(cell) == 2 and cell[0].strip()]
    assert keys[1:9] == [
        "timestamp", "message_id", "priority", "delivery_mode", "content_type", "routing_keys",
        "exchange", "payload (max 64 bytes)",
    ]  # fmt: skip
    assert '{signedint,1}{longstr,<<"two">>}' in values
    assert '{<<"x">>,bool,true}' in values


@pytest.mark.parametrize(
    ("arguments", "status", "error"),
    [
        ("mail dead 99", 69, "Error:\nTarget queue does not have a message at that position\n"),
        ("mail audit 1", 69, "Error:\nCannot peek into a classic queue\n"),
        ("mail nope 1", 69, "Error:\nTarget queue was not found in virtual host 'mail'\n"),
        ("mail dead 0", 64, "position value must be a positive integer"),
        ("mail dead", 64, "not enough arguments."),
    ],
)
async def test_refusals(world: World, arguments: str, status: int, error: str) -> None:
    command = f"rabbitmq-queues peek --vhost {arguments}"
    found = await sh(world, f"sudo -n {command}", host="mon1")
    assert found[0] == status
    assert error in found[2].decode()
    if status == 69:
        assert found[2].decode() == error
        said = await sh(world, f"sudo -n {command} --formatter json", host="mon1")
        answer = json.loads(said[1])
        assert answer["result"] == "error" and answer["message"] in error.replace(
            "Cannot", "Failed to perform the operation: Cannot"
        )


async def test_only_root_may(world: World) -> None:
    status, _, err = await sh(
        world, "/usr/sbin/rabbitmq-queues peek --vhost mail dead 1", host="mon1"
    )
    assert (status, err) == (1, b"\nOnly root or rabbitmq can run rabbitmq-queues\n\n")
    assert (await sh(world, "rabbitmq-queues", host="mx1"))[0] == 127
