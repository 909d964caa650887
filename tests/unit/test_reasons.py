"""Delay reasons: the same cause gives the same words."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailtui.model.reasons import WIDTH, normalise
from tests.unit.captured import captured

GMAIL = (
    "host {mx} said: 421-4.7.0 [{ip}      15] Our system has detected an unusual rate of "
    "421-4.7.0 unsolicited mail originating from your IP address. To protect our 421-4.7.0 users "
    "from spam, mail sent from your IP address has been temporarily 421-4.7.0 rate limited. {id} "
    "- gsmtp (in reply to end of DATA command)"
)


@given(st.text(max_size=600))
def test_it_never_raises_and_is_short(text: str) -> None:
    assert len(normalise(text)) <= WIDTH + 30
    assert normalise(f"host x[1.2.3.4] said: {text}") == normalise(f"host x[1.2.3.4] said: {text}")


@given(
    st.from_regex(r"[245]\d\d[- ][245]\.\d\.\d{1,3} .{0,80}", fullmatch=True),
    st.sampled_from(["[192.0.2.1]", "[2001:db8::25]", "[private/lmtp]"]),
)
def test_the_remote_host_s_name_does_not_matter(answer: str, address: str) -> None:
    first = normalise(f"host mx1.example.com[198.51.100.7] said: {answer}")
    assert normalise(f"host mx2.example.com{address} said: {answer}") == first
    assert first.startswith(answer[:3])


def test_gmail_s_answer_is_one_reason() -> None:
    first = GMAIL.format(mx="gmail-smtp-in.l.google.com[142.251.1.27]", ip="203.0.113.9", id="a1b2")
    second = GMAIL.format(mx="alt1.gmail.com[2a00:1450::1a]", ip="198.51.100.4", id="z9-y8")
    assert normalise(first) == normalise(second)
    assert normalise(first).startswith("421-4.7.0 Our system has detected an unusual rate of")


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("", ""),
        (
            "connect to mx.example.net[192.0.2.1]:25: Connection timed out",
            "connect: Connection timed out",
        ),
        (
            "delivery temporarily suspended: connect to b.example[10.77.0.1]:25: No route to host",
            "connect: No route to host",
        ),
        (
            "connect to private/dovecot-lmtp[private/dovecot-lmtp]: No such file or directory",
            "connect: No such file or directory",
        ),
        (
            "connect to mail.example.com[2001:db8::25]:25: Network is unreachable",
            "connect: Network is unreachable",
        ),
        (
            "host store1.example.org[10.77.0.13] said: 452 4.2.2 <ann@example.org> Failed to write "
            "mail: write(/var/vmail/example.org/tmp) failed: No space left on device (in reply to "
            "end of DATA command)",
            "452 4.2.2 Failed to write mail: write(…) failed: No space left on device",
        ),
        (
            "host a.example[192.0.2.9] said: 450 4.2.0 <user1@a.example>: Recipient address "
            "rejected: Greylisted, see http://postgrey.schweikert.ch/help/a.example.html (in reply "
            "to RCPT TO command)",
            "450 4.2.0 Recipient address rejected: Greylisted",
        ),
        (
            "Host or domain name not found. Name service error for name=mail.example.net type=MX: "
            "Host not found, try again",
            "Name service error for name=… type=MX: Host not found, try again",
        ),
        (
            "lost connection with mx1.example.net[192.0.2.1] while sending RCPT TO",
            "lost connection with … while sending RCPT TO",
        ),
        ("mail transport unavailable", "mail transport unavailable"),
    ],
)
def test_known_reasons(reason: str, expected: str) -> None:
    assert normalise(reason) == expected


@pytest.mark.parametrize("version", ["3.7.11", "3.10.13"])
def test_captured_reasons_become_few(version: str) -> None:
    raw: set[str] = set()
    found: set[str] = set()
    for line in captured(f"postfix-{version}/postqueue-j.txt").splitlines():
        for recipient in json.loads(line)["recipients"]:
            if "delay_reason" in recipient:
                raw.add(recipient["delay_reason"])
                found.add(normalise(recipient["delay_reason"]))
    assert len(found) < len(raw)
    assert not any("10.77.0." in reason or "@" in reason for reason in found)
