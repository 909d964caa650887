"""Messages on the broker: their bytes, where they came from, what a look shows of them."""

from __future__ import annotations

import contextlib
import struct
from pathlib import Path
from typing import Any

import pika
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailtui.config.settings import Context
from mailtui.connections import amqp_table as table
from mailtui.connections.amqp import Message
from mailtui.connections.errors import SourceError
from mailtui.model.broker import BrokerQueue
from mailtui.operations import rabbitmq_broker as asked
from mailtui.operations.base import Refused
from mailtui.operations.rabbitmq_envelope import envelope, number
from mailtui.operations.rabbitmq_erlang import BadTerm, parse
from mailtui.operations.rabbitmq_letters import of_message, of_peek
from mailtui.operations.rabbitmq_peek import host_of, line
from mailtui.operations.rabbitmq_report import WINDOW, window_of

CAPTURES = Path(__file__).parent / "captures" / "rabbitmq-3.10.8"


def encoded(**fields: Any) -> bytes:
    return b"".join(pika.BasicProperties(**fields).encode())


def decoded(raw: bytes) -> pika.BasicProperties:
    return pika.BasicProperties().decode(raw)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**31), 2**31 - 1) | st.text() | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=20), inner, max_size=3)
    ),
    max_leaves=8,
)
PROPERTIES = st.fixed_dictionaries(
    {},
    optional={
        "content_type": st.text(max_size=30), "headers": st.dictionaries(
            st.text(min_size=1, max_size=20), VALUES, max_size=5
        ),
        "delivery_mode": st.sampled_from([1, 2]), "priority": st.integers(0, 255),
        "correlation_id": st.text(max_size=30), "expiration": st.just("60000"),
        "message_id": st.text(max_size=30), "timestamp": st.integers(0, 2**64 - 1),
        "user_id": st.sampled_from(["me", "other"]), "app_id": st.text(max_size=30),
    },
)  # fmt: skip


@given(PROPERTIES)
def test_properties_taken_apart_and_joined_are_the_same_bytes(fields: dict[str, Any]) -> None:
    raw = encoded(**fields)
    assert table.joined(table.split(raw)) == raw


@given(PROPERTIES, st.integers(1, 2**62))
def test_only_what_is_said_changes(fields: dict[str, Any], count: int) -> None:
    wrapped = envelope(encoded(**fields), "run1", "me")
    new = decoded(wrapped.numbered(count))
    assert number(wrapped.numbered(count)) == count
    assert new.delivery_mode == 2 and new.expiration is None
    assert new.user_id == (fields.get("user_id") if fields.get("user_id") == "me" else None)
    before = table.decoded(table.table_of(table.split(encoded(**fields))))
    after = table.decoded(table.table_of(table.split(wrapped.numbered(count))))
    own = after.pop(b"x-mailtui")
    assert own == {b"run": b"run1", b"attempt": 1, b"n": count}
    for name in (b"CC", b"BCC", b"x-delivery-count", b"x-mailtui"):
        before.pop(name, None)
    assert after == before
    for name in ("content_type", "priority", "correlation_id", "message_id", "timestamp", "app_id"):
        assert getattr(new, name) == fields.get(name)


@given(PROPERTIES, st.data())
def test_properties_that_are_cut_off_are_no_crash(fields: dict[str, Any], data: Any) -> None:
    raw = encoded(**fields)
    cut = raw[: data.draw(st.integers(0, max(0, len(raw) - 1)))]
    try:
        envelope(cut, "run1", "me")
    except table.BadTable:
        return
    # a beginning can be whole by itself only if nothing was promised after it
    assert table.joined(table.split(cut)) == cut


@given(st.binary(max_size=80))
def test_any_bytes_are_properties_or_a_bad_table(raw: bytes) -> None:
    letter = of_message(Message(1, False, "", "k", raw, b"x"), "/", "q", 1, None)
    assert letter.fingerprint
    with contextlib.suppress(table.BadTable):
        envelope(raw, "run1", "me")


def test_what_pika_would_lose() -> None:
    """Doubles, short integers, a time stamp beyond every calendar, a decimal."""
    raw = b"\x01d" + b"d" + struct.pack(">d", 1.5)
    raw += b"\x01b" + b"b" + struct.pack(">b", -2) + b"\x01T" + b"T" + struct.pack(">Q", 2**63)
    raw += b"\x01D" + b"D" + struct.pack(">Bi", 2, 314)
    fields = table.with_table({}, raw)
    assert table.decoded(raw) == {b"d": 1.5, b"b": -2, b"T": 2**63, b"D": 3.14}
    new = envelope(table.joined(fields), "run1", "me").numbered(1)
    assert table.table_of(table.split(new)).startswith(raw)


def died(queue: str, reason: str = "rejected") -> dict[str, Any]:
    return {"queue": queue, "reason": reason, "count": 1}


@pytest.mark.parametrize(
    ("headers", "queue"),
    [
        ({"x-death": [died("store")]}, "store"),
        # the latest first: it went through a queue in which it only waited
        ({"x-death": [died("retry", "expired"), died("store")]}, "store"),
        ({"x-death": [died("store", "expired")]}, "store"),
        ({"x-death": [died("scan"), died("store")]}, "scan"),
        ({"x-first-death-queue": "scan"}, "scan"),
        ({"x-death": []}, None),
        ({"x-death": "no list"}, None),
        ({"x-death": [{"reason": "rejected"}]}, None),
        ({"x-death": [died("store")], "x-first-death-queue": "scan"}, "store"),
        ({}, None),
    ],
)
def test_origin(headers: dict[str, Any], queue: str | None) -> None:
    came = envelope(encoded(headers=headers), "run1", "me").origin
    assert came.queue == queue
    assert bool(came.why) == (queue is None)


def test_attempts_are_counted() -> None:
    first = envelope(encoded(headers={"CC": ["other"]}, expiration="1"), "run1", "me")
    assert (first.origin.attempt, first.origin.run) == (0, "")
    assert set(first.dropped) == {"CC", "expiration"}
    second = envelope(first.numbered(7), "run2", "me")
    assert (second.origin.attempt, second.origin.run, second.dropped) == (1, "run1", ())
    third = envelope(second.numbered(1), "run3", "me")
    assert (third.origin.attempt, third.origin.run) == (2, "run2")


# --- what peek prints, captured from RabbitMQ 3.10.8 ---


def captured(position: int, form: str) -> str:
    return (CAPTURES / f"peek-{position}-{form}.txt").read_text("utf-8", "replace")


def test_a_dead_letter_that_was_peeked_at() -> None:
    letter = of_peek(captured(1, "json"), "mail", "mail.dead", 1, 20)
    assert (letter.origin, letter.reason, letter.deaths) == ("mail.store", "rejected", 1)
    assert letter.died_at == 1795539607
    assert (letter.exchange, letter.routing_key) == ("mail.dlx", "mail.store")
    assert letter.body == '{"number": 0, "to": "ann@example.org"}'
    assert (letter.size, letter.cut) == (len(letter.body), False)
    assert (letter.deliveries, letter.remaining) == (0, 20)
    assert ("poison", "true") in letter.headers


@pytest.mark.parametrize("position", [1, 5, 8])
def test_json_and_erlang_tell_the_same(position: int) -> None:
    json, erlang = (
        of_peek(captured(position, form), "mail", "q", position, None)
        for form in ("json", "erlang")
    )
    assert json.fingerprint == erlang.fingerprint
    assert (json.body, json.size, json.properties) == (erlang.body, erlang.size, erlang.properties)


def test_a_delivery_has_the_fingerprint_of_what_was_peeked_at() -> None:
    """Message 5 of the captures as AMQP delivers it."""
    body = '{"subject": "Grüße – ✉", "line": "a\\nb\\ttab \\"quoted\\""}'.encode()
    headers = b"\x04text" + table.long_string("Grüße") + b"\x01nI\0\0\0\x05"
    headers += b"\x01f" + b"d" + struct.pack(">d", 1.5) + b"\x03yest\x01"
    items = table.long_integer(1) + table.long_string("two") + b"t\x01"
    headers += b"\x04list" + b"A" + struct.pack(">I", len(items)) + items
    headers += b"\x05table" + table.nested(b"\x01a" + table.long_string("b"))
    plain = encoded(
        content_type="application/json", content_encoding="utf-8", correlation_id="c-1",
        reply_to="r", expiration="86400000", message_id="m-1", timestamp=1795538977, type="mail",
        app_id="pipeline", priority=3, user_id="admin", delivery_mode=2,
    )  # fmt: skip
    raw = table.joined(table.with_table(table.split(plain), headers))
    message = Message(1, True, "", "mail.dead", raw, body)
    delivered = of_message(message, "mail", "mail.dead", 5, None)
    peeked = of_peek(captured(5, "json"), "mail", "mail.dead", 5, None)
    assert delivered.fingerprint == peeked.fingerprint
    other = of_message(message._replace(body=body + b"!"), "mail", "mail.dead", 5, None)
    assert other.fingerprint != peeked.fingerprint


def test_what_is_no_text() -> None:
    binary = of_peek(captured(6, "erlang"), "mail", "q", 6, None)
    assert (binary.size, binary.cut) == (10, False)
    assert "\x1b" not in binary.body and binary.body.endswith("[31m")
    split_char = of_peek(captured(10, "erlang"), "mail", "q", 10, None)
    assert split_char.cut and split_char.size is None and split_char.body.startswith("x" * 63)
    empty = of_peek(captured(7, "json"), "mail", "q", 7, None)
    assert (empty.body, empty.size, empty.cut) == ("", 0, False)


@pytest.mark.parametrize("output", ["", "{", "[]", "{}", '{"message": 1}', "Stack trace:", "[[1]]"])
def test_what_is_no_message_is_said(output: str) -> None:
    with pytest.raises(SourceError) as caught:
        of_peek(output, "mail", "q", 1, None)
    assert caught.value.kind == "protocol"


def test_terms() -> None:
    text = '[{<<"a\\n\\"">>,long,-5},{<<1,255>>,1.5e3},\'q a\',true,<<>>,{},[]]'
    assert parse(text) == [
        (b'a\n"', "long", -5), (b"\x01\xff", 1500.0), "q a", True, b"", (), [],
    ]  # fmt: skip


@given(st.text(max_size=60))
def test_any_text_is_a_term_or_a_bad_one(text: str) -> None:
    with contextlib.suppress(BadTerm):
        parse(text)


# --- what is asked before ---


@pytest.mark.parametrize(
    ("kind", "own", "version", "limit"),
    [
        ("quorum", None, (4, 0), 20), ("quorum", None, (3, 13), None), ("quorum", 5, (3, 13), 5),
        ("quorum", -1, (4, 1), None), ("classic", None, (4, 0), None),
    ],
)  # fmt: skip
def test_delivery_limits(
    kind: str, own: int | None, version: tuple[int, int], limit: int | None
) -> None:
    assert asked.limit_of(BrokerQueue("/", "q", kind, delivery_limit=own), version) == limit


def test_numbers() -> None:
    assert asked.count_of({}, 7) == 7
    assert asked.count_of({"count": "all"}, 7) == 7
    assert asked.count_of({"count": "1,000"}, 7) == 7
    assert asked.count_of({"count": "3"}, 7) == 3
    for bad in ("0", "-1", "1.5", "many", "nan", "inf"):
        with pytest.raises(Refused):
            asked.count_of({"count": bad}, 7)
    assert asked.number({"watch": "2.5s"}, "watch", 3) == 2.5


def test_windows() -> None:
    assert window_of(None, 0, 100_000) == WINDOW
    assert window_of(None, 0, 5) == 5
    assert window_of(64 * 1024 * 1024, 0, 100) == 1
    assert window_of(100, 20, 100) == 20


def test_the_host_of_a_node_and_its_command() -> None:
    context = Context.model_validate(
        {"hosts": {"mon1": {"address": "10.0.0.1"}, "mq2": {"address": "mq2.example.org"}}}
    )
    assert host_of(context, "rabbit@mon1") == "mon1"
    assert host_of(context, "rabbit@mq2.example.org") == "mq2"
    assert host_of(context, "rabbit@mon1.example.org") == "mon1"
    assert host_of(context, "rabbit@other") is None and host_of(context, "") is None
    asked_for = line(BrokerQueue("mail", "mail.dead"), 3)
    assert asked_for.root and asked_for.argv == (
        "rabbitmq-queues", "peek", "-s", "--vhost", "mail", "--formatter", "json", "mail.dead", "3",
    )  # fmt: skip
