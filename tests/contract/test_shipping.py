"""The journal arrives in the audit index: whole, once, in ECS fields, also after an outage."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mailtui.access.journal import Journal
from mailtui.collectors.audit_search import AuditSearch
from mailtui.config.settings import Context
from mailtui.config.sources.elasticsearch import Settings
from mailtui.connections.elastic import ElasticClient
from mailtui.connections.errors import SourceError
from mailtui.headless import journal_verify
from mailtui.operations import shipping
from mailtui.operations.shipping import Shipped, Shipper


@pytest.fixture
def settings(platform_context: Context) -> Settings:
    found = platform_context.source("elasticsearch", Settings)
    if found is None:
        pytest.skip("no Elasticsearch here")
    return found


@pytest.fixture
def index() -> str:
    return f"mailtui-test-{secrets.token_hex(4)}"


@pytest.fixture
async def client(settings: Settings, index: str) -> AsyncIterator[ElasticClient]:
    found = ElasticClient(settings)
    yield found
    with suppress(SourceError):
        await found.call(lambda es: es.indices.delete(index=index, ignore_unavailable=True))
    await found.close()


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    found = Journal(tmp_path / "journal.jsonl")
    say: Any = found.append
    say("plan", "ops", operation="postfix.hold", context="lab", title="Hold 2 ü", count=2)
    say("intent", "root", run="aa", operation="postfix.hold", context="lab", title="Hold 2",
        count=2, login="ann", process=7, steps=[{"place": "mx1"}])  # fmt: skip
    say("step", "root", run="aa", operation="postfix.hold", step="mx1", place="mx1",
        does="postsuper -h -", count=2)  # fmt: skip
    say("step-end", "root", run="aa", operation="postfix.hold", step="mx1", place="mx1", held=2)
    say("outcome", "root", run="aa", operation="postfix.hold", state="partly",
        sentence="held 1 of 2", done=1, planned=2)  # fmt: skip
    say("refused", "vic", operation="postfix.delete", why="vic is viewer", count=9)
    return found


@pytest.fixture
def shipper(client: ElasticClient, index: str, journal: Journal) -> Shipper:
    return Shipper(client, index, journal)


async def there(client: ElasticClient, shipper: Shipper) -> list[tuple[int, str]]:
    """(number, hash) of what the index has, as soon as it can be found."""
    with suppress(SourceError):
        await client.call(lambda es: es.indices.refresh(index=shipper.index))
    expected = (await shipper.mark()).seq
    found: list[tuple[int, str, str]] = []
    for _ in range(100):
        found = await shipper.has()
        if len(found) >= expected:
            break
        await asyncio.sleep(0.1)
    return [(number, digest) for number, digest, _ in found]


def ours(journal: Journal) -> list[tuple[int, str]]:
    return [(record.seq, record.hash) for _, record in journal.records()]


async def test_every_record_arrives_and_the_audit_screen_can_read_it(
    shipper: Shipper, client: ElasticClient, journal: Journal, settings: Settings
) -> None:
    assert await shipper.ship() == Shipped(6, 0)
    assert await there(client, shipper) == ours(journal)
    assert await shipper.ship() == Shipped(0, 0)
    audit = settings.audit.model_copy(update={"index": shipper.index})
    search = AuditSearch(client, settings.model_copy(update={"audit": audit}))
    page = await search.search("", limit=50, newest_first=False)
    events = {event.message: event for event in page.events}
    assert len(events) == 6
    ended = events["root: outcome: postfix.hold: held 1 of 2"]
    assert (ended.action, ended.outcome, ended.user) == ("postfix.hold", "failure", "root")
    assert (ended.host, ended.service) == (shipper.machine, "mailtui")
    begun = events["root: intent: postfix.hold: Hold 2"]
    assert (begun.user, begun.outcome) == ("ann", "unknown")  # who logged in
    refused = events["vic: refused: postfix.delete: vic is viewer"]
    assert (refused.action, refused.outcome) == ("postfix.delete", "failure")
    for (_, line, original), (_, record) in zip(
        await shipper.has(), journal.records(), strict=True
    ):
        assert line == record.hash
        assert original in journal.path.read_text(encoding="utf-8")


async def test_what_comes_later_is_sent_later(
    shipper: Shipper, client: ElasticClient, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shipping, "BATCH", 4)
    await shipper.ship()
    for number in range(9):
        journal.append("step", "ops", number=number)
    again = Shipper(client, shipper.index, Journal(journal.path))  # another process, later
    assert await again.ship() == Shipped(9, 0)
    assert await there(client, shipper) == ours(journal)


async def test_a_second_delivery_makes_no_second_document(
    shipper: Shipper, client: ElasticClient, journal: Journal
) -> None:
    await shipper.ship()
    mark = journal.path.with_name("journal.jsonl.shipped")
    for lost in ("", "nonsense", f"3 999999 {'a' * 64}\n", f"3 10 {'a' * 64}\n"):
        mark.write_text(lost)
        assert await shipper.ship() == Shipped(6, 0)
    mark.unlink()
    both = await asyncio.gather(
        shipper.ship(), Shipper(client, shipper.index, journal).ship()
    )  # fmt: skip
    assert {one.error for one in both} == {""}
    assert await there(client, shipper) == ours(journal)


async def test_the_journal_waits_while_the_engine_is_away(
    settings: Settings, client: ElasticClient, shipper: Shipper, journal: Journal
) -> None:
    nowhere = ElasticClient(settings.model_copy(update={"urls": ("http://127.0.0.1:9",)}))
    away = Shipper(nowhere, shipper.index, journal)
    done = await away.ship()
    await nowhere.close()
    assert (done.count, done.behind) == (0, 6)
    assert "connection refused" in done.error
    journal.append("step", "ops")
    assert await shipper.ship() == Shipped(7, 0)
    assert await there(client, shipper) == ours(journal)


async def test_an_index_at_the_flood_stage_keeps_it_behind(
    shipper: Shipper, client: ElasticClient, journal: Journal
) -> None:
    await shipper.ship()
    name = "index.blocks.read_only_allow_delete"

    async def block(value: Any) -> None:
        await client.call(
            lambda es: es.indices.put_settings(index=shipper.index, settings={name: value})
        )

    journal.append("step", "ops")
    try:
        await block(True)
    except SourceError as error:
        pytest.skip(f"this engine has no blocks: {error}")
    done = await shipper.ship()
    if done == Shipped(1, 0):
        pytest.skip("this engine accepts the block, and writes all the same")
    assert (done.count, done.behind) == (0, 1)
    assert "did not take record 7" in done.error
    assert "free disk space there: the journal is kept here and sent later" in done.error
    await block(None)
    assert await shipper.ship() == Shipped(1, 0)


async def test_a_mapping_that_refuses_a_field_loses_no_record(
    shipper: Shipper, client: ElasticClient, journal: Journal
) -> None:
    inner = {"mailtui": {"properties": {"title": {"type": "long"}}}}
    await client.call(
        lambda es: es.indices.create(index=shipper.index, mappings={"properties": inner})
    )
    assert await shipper.ship() == Shipped(6, 0)
    assert await there(client, shipper) == ours(journal)


async def test_a_journal_that_was_written_anew_is_found_by_its_copy(
    platform_context: Context, shipper: Shipper, client: ElasticClient, journal: Journal
) -> None:
    settings: Any = SimpleNamespace(
        contexts={"lab": platform_context},
        journal=SimpleNamespace(index=shipper.index, context=None),
    )
    await shipper.ship()
    await there(client, shipper)
    found = journal_verify.whole(journal)
    await journal_verify.compare(settings, journal, found)
    assert (found.is_whole, found.audit_count, found.audit_error) == (True, 6, "")
    # somebody who can write every file makes a chain that is whole in itself
    journal.path.unlink()
    journal.head_path.unlink()
    for number in range(4):
        journal.append("plan", "ops", number=number)
    found = journal_verify.whole(journal)
    assert not found.broken
    await journal_verify.compare(settings, journal, found)
    assert not found.is_whole
    assert "its #1 is another than the journal's" in found.audit
    assert "it has #6, and the journal has not" in found.audit
