"""Where the journal is shipped to, and what its documents say; the rest is in tests/contract."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mailtui.access.journal import Journal, Record
from mailtui.config.load import parse
from mailtui.config.problems import ConfigError
from mailtui.operations import ecs
from mailtui.operations.shipping import Shipper

TWO = """
contexts:
  edge: {hosts: {here: {local: true}}}
  one: {hosts: {here: {local: true}}, sources: {elasticsearch: {urls: ["http://one.test:9200"]}}}
  two: {hosts: {here: {local: true}}, sources: {elasticsearch: {urls: ["http://two.test:9200"]}}}
journal: {JOURNAL}
"""


def shipper(tmp_path: Path, journal: str) -> Shipper | None:
    settings = parse(TWO.replace("JOURNAL", journal), tmp_path / "config.yaml")
    return Shipper.of(settings, Journal(tmp_path / "journal.jsonl"))


def test_where_to(tmp_path: Path) -> None:
    assert shipper(tmp_path, "") is None
    first, second = (shipper(tmp_path, f"index: acts{more}") for more in ("", ", context: two"))
    assert first is not None and second is not None
    assert first.index == "acts"
    assert [str(u) for u in first._client._settings.urls] == ["http://one.test:9200"]
    assert [str(u) for u in second._client._settings.urls] == ["http://two.test:9200"]
    assert shipper(tmp_path, "index: acts, context: edge") is None
    with pytest.raises(ConfigError, match=r"journal\.context: there is no context 'three'"):
        shipper(tmp_path, "index: acts, context: three")


@pytest.mark.parametrize(
    ("kind", "facts", "outcome", "kinds"),
    [
        ("intent", {"operation": "postfix.hold"}, "unknown", ["start"]),
        ("step", {"operation": "postfix.hold"}, "unknown", ["change"]),
        ("outcome", {"operation": "postfix.hold", "state": "done"}, "success", ["change", "end"]),
        ("outcome", {"state": "partly"}, "failure", ["change", "end"]),
        ("outcome", {"state": "failed"}, "failure", ["change", "end"]),
        ("outcome", {"state": "unknown"}, "unknown", ["change", "end"]),
        ("refused", {"why": "x"}, "failure", ["denied"]),
        ("approval", {"verdict": "approved"}, "success", ["allowed"]),
        ("approval", {"verdict": "declined"}, "failure", ["denied"]),
        ("cut", {"text": "7 records are missing"}, "failure", ["info"]),
        ("what comes later", {}, "success", ["info"]),
    ],
)
def test_outcomes_in_the_words_of_ecs(
    kind: str, facts: dict[str, Any], outcome: str, kinds: list[str]
) -> None:
    record = Record(3, 1_700_000_000.123, kind, "ops", facts, "p", "h")
    document = ecs.document(record, "jump", "j")
    event = document["event"]
    assert document["@timestamp"] == "2023-11-14T22:13:20.123Z"
    assert (event["kind"], event["outcome"], event["type"]) == ("event", outcome, kinds)
    assert json.loads(event["original"])["hash"] == event["id"] == "h"
    least = ecs.bare(record, "jump", "j")
    assert least["event"]["original"] == event["original"]
    assert least["message"]
