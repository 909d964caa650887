"""What a run found, as `mailtui do` prints it."""

from __future__ import annotations

import json

import pytest

from mailtui.headless import found
from mailtui.model.letters import Letter
from mailtui.operations import registry

LETTER = Letter("mail", "dead", 1, "f00d", origin="scan", body="\x9b31m[red]", cut=True)


def test_peeked_messages_are_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    found.show("rabbitmq.peek", [LETTER])
    _, head, row = capsys.readouterr().out.splitlines()
    assert "DIED IN" in head and "BODY" in head
    assert "scan" in row and "[red]" in row and "\x9b" not in row


def test_and_objects() -> None:
    (one,) = found.objects("rabbitmq.peek", [LETTER])["found"]
    assert (one["origin"], one["size"], one["fingerprint"]) == ("scan", None, "f00d")
    json.dumps(one, allow_nan=False)


def test_what_finds_nothing_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    found.show("postfix.hold", [])
    found.show("rabbitmq.peek", [])
    assert capsys.readouterr().out == ""
    assert found.objects("postfix.hold", []) == {}
    assert found.objects("rabbitmq.peek", []) == {"found": []}


def test_every_operation_that_gives_something_can_be_printed() -> None:
    giving = [one for one in registry.every() if one.gives]
    assert giving
    for one in giving:
        assert "found" in found.objects(one.id, [])
