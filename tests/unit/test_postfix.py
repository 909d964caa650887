"""postqueue's lines, those of real daemons and those that should not be."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailtui.collectors.postfix import DESCRIBE_LIMIT, PostfixCollector
from mailtui.collectors.postfix_decode import Listing
from mailtui.config.sources.postfix import Settings
from mailtui.connections.errors import SourceError, ToolMissing
from mailtui.model.mail import KEPT_RECIPIENTS, QueueListing
from tests.unit.captured import captured
from tests.unit.fake_runner import FakeRunner


def line(queue_id: str = "4bXk2Q7zWnz1Kp", **fields: object) -> bytes:
    values: dict[str, object] = {
        "queue_name": "deferred",
        "queue_id": queue_id,
        "arrival_time": 1795000000,
        "message_size": 467,
        "forced_expire": False,
        "sender": "news@example.org",
        "recipients": [{"address": "ann@Gmail.com", "delay_reason": "mail transport unavailable"}],
        **fields,
    }
    return json.dumps(values).encode()


def decode(*lines: bytes, limit: int = 1000) -> QueueListing:
    listing = Listing("mx1", limit)
    listing.add(lines)
    return listing.result()


@pytest.mark.parametrize("version", ["3.7.11", "3.10.13"])
def test_captured_listings(version: str) -> None:
    text = captured(f"postfix-{version}/postqueue-j.txt")
    listing = decode(*text.encode("utf-8", "surrogateescape").splitlines())
    assert listing.malformed == 0
    assert listing.total == len(text.splitlines()) == len(listing.messages)
    assert set(listing.counts) <= {"active", "deferred", "hold", "incoming", "maildrop"}
    assert {m.destination for m in listing.messages} > {"gmail.com", "yahoo.com"}
    many = [m for m in listing.messages if m.recipient_count > 1]
    assert all(m.recipient_count == len(m.recipients) for m in many)


def test_the_empty_sender_is_empty() -> None:
    assert decode(line(sender="MAILER-DAEMON")).messages[0].sender == ""


def test_destinations_are_lower_case_and_the_commonest() -> None:
    addresses = ["a@x.example", "b@Gmail.COM", "c@gmail.com", "postmaster"]
    recipients = [{"address": a, "delay_reason": f"connect to {a}: x"} for a in addresses]
    (message,) = decode(line(recipients=recipients)).messages
    assert message.destination == "gmail.com"
    assert message.recipient_count == 4
    assert decode(line(recipients=[{"address": "root"}])).messages[0].destination == ""
    assert decode(line(recipients=[])).messages[0].recipient_count == 0


def test_a_megabyte_of_recipients() -> None:
    recipients = [{"address": f"user{n}@gmail.com"} for n in range(40_000)]
    (message,) = decode(line(recipients=[{"address": "first@y.example"}, *recipients])).messages
    assert len(message.recipients) == KEPT_RECIPIENTS
    assert message.recipient_count == 40_001
    assert message.destination == "gmail.com"


def test_lines_that_are_none_are_counted() -> None:
    broken = [
        b"{",
        b"[]",
        b'{"queue_name": 1}',
        line()[:-20],
        b"postqueue: warning: x",
        b'{"a": "' + b"x" * 3000,
        b"\xff\xfe",
        b"null",
    ]
    listing = decode(line("A"), *broken, b"", line("B"))
    assert listing.malformed == len(broken)
    assert [m.queue_id for m in listing.messages] == ["A", "B"]


def test_hostile_strings_are_cleaned_however_they_are_written() -> None:
    hostile = "\x1b]52;c;x\x07\u202e\x9b\x7f[/b]"
    for escaped in (json.dumps(hostile), json.dumps(hostile, ensure_ascii=False)):
        raw = line(sender="S").replace(b'"S"', escaped.encode())
        (message,) = decode(raw).messages
        assert message.sender == "\ufffd]52;c;x\ufffd\ufffd\ufffd\ufffd[/b]"


def test_what_is_not_utf8_and_lone_surrogates_are_tolerated() -> None:
    raw = line(sender="S")
    (message,) = decode(raw.replace(b'"S"', b'"j\xf6rg@x"')).messages
    assert message.sender == "j\ufffdrg@x"
    (message,) = decode(raw.replace(b'"S"', b'"a\\ud800b"')).messages
    assert message.sender == "a\ufffdb"
    (message,) = decode(raw.replace(b'"S"', '"jörg@x"'.encode())).messages
    assert message.sender == "jörg@x"


def test_of_one_queue_id_the_last_line_stands() -> None:
    listing = decode(line("A", queue_name="active"), line("B"), line("A", queue_name="deferred"))
    assert listing.total == 2
    assert listing.counts == {"deferred": 2}


def test_beyond_the_limit_messages_are_counted_and_not_kept() -> None:
    listing = decode(*(line(f"Q{n}") for n in range(10)), line("Q9"), limit=4)
    assert len(listing.messages) == 4
    assert listing.total == 10
    assert listing.truncated
    assert listing.counts == {"deferred": 10}


def test_a_line_seen_before_is_not_parsed_again() -> None:
    first = Listing("mx1", 100)
    first.add([line("A"), line("B")])
    before = first.result()
    second = Listing("mx1", 100, first.lines)
    second.add([line("B"), line("C"), line("A", message_size=9)])
    after = second.result()
    assert second.changed == 2
    assert after.messages[0] is before.messages[1]
    assert {m.queue_id: m.message_size for m in after.messages}["A"] == 9


@given(st.binary(max_size=200))
def test_no_line_breaks_the_listing(data: bytes) -> None:
    listing = decode(line("A"), *data.splitlines(), line("B"))
    assert listing.total >= 2


def collector(fake: FakeRunner, **options: object) -> PostfixCollector:
    return PostfixCollector("mx1", Settings(), fake, **options)  # type: ignore[arg-type]


async def test_the_same_output_gives_the_same_object() -> None:
    text = [captured("postfix-3.7.11/postqueue-j.txt")]
    reader = collector(FakeRunner(lambda argv: (0, text[0], "")))
    first = await reader.read()
    assert await reader.read() is first
    text[0] = text[0].split("\n", 1)[1]
    assert (await reader.read()).total == first.total - 1


async def test_a_mail_system_that_is_down() -> None:
    err = captured("postfix-3.7.11/postqueue-j-down.err")
    with pytest.raises(SourceError) as caught:
        await collector(FakeRunner(lambda argv: (69, "", err))).read()
    assert caught.value.kind == "server"
    assert "systemctl start postfix" in caught.value.hint
    with pytest.raises(ToolMissing, match="does not run on mx1"):
        await collector(FakeRunner(lambda argv: (69, "", err)), expected=False).read()


async def test_root_sees_the_queue_of_a_mail_system_that_is_down() -> None:
    err = captured("postfix-3.10.13/postqueue-j-down-sudo.err")
    text = captured("postfix-3.10.13/postqueue-j.txt")
    listing = await collector(FakeRunner(lambda argv: (0, text, err))).read()
    assert listing.total > 0
    assert listing.notes == ("mx1: the mail system is down",)


async def test_who_may_not_look_asks_as_root() -> None:
    refused = "postqueue: fatal: User nobody(65534) is not allowed to view the mail queue"
    fake = FakeRunner(lambda argv: (69, "", refused) if len(fake.asked) == 1 else (0, "", ""))
    assert (await collector(fake).read()).total == 0
    assert [asked.root for asked in fake.asked] == [False, True]


async def test_a_host_without_postfix() -> None:
    with pytest.raises(ToolMissing):
        await collector(FakeRunner(lambda argv: (127, "", "sh: postqueue: not found"))).read()


async def test_a_long_envelope_is_cut_and_says_so() -> None:
    text = "recipient: someone@example.org\n" * 20_000
    found = await collector(FakeRunner(lambda argv: (0, text, ""))).describe("4bXk2Q7zWnz1Kp")
    assert found.truncated
    assert len(found.text) <= DESCRIBE_LIMIT


async def test_describing_needs_root_and_a_queue_id() -> None:
    fake = FakeRunner(lambda argv: (0, "sender: x\x1b[0m\n", ""))
    found = await collector(fake).describe("ABC123DEF0")
    assert fake.asked[0].root
    assert fake.asked[0].argv == ("postcat", "-qeh", "ABC123DEF0")
    assert "\x1b" not in found.text
    gone = captured("postfix-3.7.11/postcat-qe-missing.err")
    with pytest.raises(SourceError, match="no longer in the queue"):
        await collector(FakeRunner(lambda argv: (1, "", gone))).describe("4bXk2Q7zWnz1Kp")
