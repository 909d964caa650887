"""Delete with evidence, its undo, and return to sender, on a sandbox whose time stands still."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailtui.access.evidence import Evidence
from mailtui.model.mail import Message
from mailtui.operations.base import NothingToDo, Refused
from mailtui.operations.postfix_file import QueueFile, Unusable, external, parsed, submissions
from tests.operating import Bench, sandbox_bench
from tests.unit.test_operate_postfix import queues, reuse, shorten, to_gmail


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with sandbox_bench(tmp_path) as found:
        yield found


def kept(bench: Bench) -> list[tuple[str, bytes]]:
    store = bench.desk.evidence
    assert store is not None
    return [(item.meta["id"], item.body) for run in store.kept() for item in store.items(run.run)]


async def test_deleted_messages_are_kept_first(bench: Bench) -> None:
    rows = (await to_gmail(bench))[:7]
    plan = await bench.plan("postfix.delete", rows)
    assert plan.word == "delete 7"
    assert "postsuper -d - hold" in plan.steps[0].does
    outcome = await bench.carry_out(plan)
    assert (outcome.state, outcome.sentence) == ("done", "deleted 7 messages")
    assert set(queues(bench, rows)) == {"gone"}
    found = dict(kept(bench))
    assert set(found) == {m.queue_id for m in rows}
    assert all(b"*** MESSAGE CONTENTS hold/" in raw for raw in found.values())
    does = [words for kind, words in bench.steps() if kind == "step"]
    assert [words.split(" -- ")[1].split(" (")[0] for words in does] == [
        "postsuper -h -", "postcat -q QUEUE_ID", "postsuper -d - hold"
    ]  # fmt: skip


async def test_a_deleted_message_is_given_back(bench: Bench) -> None:
    row = (await to_gmail(bench))[0]
    old = bench.spool(row.host).messages[row.queue_id]
    body = b"*** HEADER EXTRACTED hold/0/x ***\n.\nFrom here: \xff\xfe\x1b[2J\n"
    old.content = b"Subject: =?x?= \nFrom: <a@b>\n\n" + body
    old.recipients[0].address = "a \"b\\c' $(id)`;@gmail.com"
    old.recipients.append(type(old.recipients[0])("-oQ/tmp@gmail.com"))
    old.sender = "o'neil+x@example.org"
    rows = [m for m in await bench.read() if m.queue_id == row.queue_id]
    outcome = await bench.carry_out(await bench.plan("postfix.delete", rows))
    assert outcome.state == "done", outcome
    back = await bench.undo(outcome)
    assert (back.state, back.sentence) == ("done", "restored 1 message"), back
    new = list(bench.spool(row.host).messages.values())[-1]
    assert new.queue_id != row.queue_id
    assert new.sender == "o'neil+x@example.org"
    assert [r.address for r in new.recipients] == [r.address for r in old.recipients]
    assert new.content.endswith(old.content)


async def test_a_message_with_many_recipients_is_given_back_in_parts(bench: Bench) -> None:
    row = (await to_gmail(bench))[0]
    old = bench.spool(row.host).messages[row.queue_id]
    old.recipients = [type(old.recipients[0])(f"user{n}@gmail.com") for n in range(250)]
    old.sender = ""
    rows = [m for m in await bench.read() if m.queue_id == row.queue_id]
    outcome = await bench.carry_out(await bench.plan("postfix.delete", rows))
    assert (await bench.undo(outcome)).state == "done"
    new = list(bench.spool(row.host).messages.values())[-3:]
    assert [len(m.recipients) for m in new] == [100, 100, 50]
    assert {m.sender for m in new} == {""}


async def test_another_message_is_never_deleted(bench: Bench) -> None:
    shorten(bench, "mx1")
    rows = [m for m in await to_gmail(bench) if m.host == "mx1"][:5]
    plan = await bench.plan("postfix.delete", rows)
    bench.sandbox.faults.before("ssh:mx1", "postsuper -h", lambda: reuse(bench, rows[2]))
    outcome = await bench.carry_out(plan)
    assert outcome.done == 4
    assert "another message's now" in outcome.sentence
    assert bench.spool("mx1").messages[rows[2].queue_id].queue_name == "deferred"
    assert rows[2].queue_id not in dict(kept(bench))


@pytest.mark.parametrize("limit", [10_000, 1])
async def test_what_cannot_be_kept_is_not_deleted(bench: Bench, limit: int) -> None:
    rows = (await to_gmail(bench))[:20]
    plan = await bench.plan("postfix.delete", rows)
    bench.desk.evidence = Evidence(bench.folder / "e", b"k" * 32, keep=60.0, limit=limit)
    assert (await bench.plan("postfix.delete", rows)).blockers
    outcome = await bench.carry_out(plan)
    assert outcome.state == "failed"
    assert "20 left (not kept as evidence, so not deleted)" in outcome.sentence
    assert set(queues(bench, rows)) == {"deferred"}, "what was held for it is released"


async def test_without_evidence_nothing_is_deleted(bench: Bench) -> None:
    rows = (await to_gmail(bench))[:2]
    plan = await bench.plan("postfix.delete", rows)
    bench.desk.evidence = None
    assert "not kept" in (await bench.plan("postfix.delete", rows)).blockers[0]
    assert (await bench.carry_out(plan)).done == 0
    assert set(queues(bench, rows)) == {"deferred"}


async def test_a_stop_gives_back_what_was_held_for_it(bench: Bench) -> None:
    bench.desk.settings = bench.desk.settings.model_copy(update={"batch": 5})
    rows = [m for m in await to_gmail(bench) if m.host == "mx1"][:20]
    plan = await bench.plan("postfix.delete", rows)
    run = bench.run(plan)

    def watch(progress: object) -> None:
        if run.sent:
            run.stop()

    run.watch = watch
    outcome = await bench.carry_out(plan, run)
    assert outcome.sentence == "deleted 5 of 20: 15 left (stopped by the operator)"
    assert queues(bench, rows) == ["gone"] * 5 + ["deferred"] * 15


async def test_a_cut_in_the_delete_is_read_back(bench: Bench) -> None:
    rows = [m for m in await to_gmail(bench) if m.host == "mx1"][:6]
    plan = await bench.plan("postfix.delete", rows)
    bench.sandbox.faults.set("ssh:mx1", "down", path="postsuper -d", times=1)
    outcome = await bench.carry_out(plan)
    assert outcome.sentence == "deleted 0 of 6: 6 are still on hold"
    assert "stays there until it is released" in outcome.notes[-1]
    assert (await bench.carry_out(plan)).done == 6, "the same plan again"


async def test_an_interrupted_delete_is_settled_from_the_evidence(bench: Bench) -> None:
    from mailtui.operations import registry

    rows = (await to_gmail(bench))[:3]
    plan = await bench.plan("postfix.delete", rows)
    run = bench.run(plan)
    await bench.carry_out(plan, run)
    again = bench.run(plan)
    again.id = run.id
    for step in plan.steps:
        again.tell(step, step.targets)
    bench.desk.notes.clear()
    outcome = await registry.find("postfix.delete").verify(bench.desk, plan, again)
    assert outcome.done == 3


async def test_a_restore_needs_the_evidence(bench: Bench) -> None:
    rows = (await to_gmail(bench))[:1]
    outcome = await bench.carry_out(await bench.plan("postfix.delete", rows))
    assert bench.desk.evidence is not None and outcome.undo is not None
    bench.desk.evidence.path(outcome.undo.parameters["run"]).unlink()
    with pytest.raises(Refused, match="expired"):
        await bench.undo(outcome)


async def test_return_to_sender(bench: Bench) -> None:
    rows = (await to_gmail(bench))[:30]
    no_sender = [m for m in rows if not m.sender]
    plan = await bench.plan("postfix.bounce", rows)
    assert plan.count == len(rows) - len(no_sender)
    outcome = await bench.carry_out(plan)
    assert outcome.state == "done"
    assert "will be returned at the next attempt" in outcome.notes[-1]
    bench.world.advance(bench.world.now + 5)
    gone = [m for m in rows if m.sender]
    assert set(queues(bench, gone)) == {"gone"}
    with pytest.raises(NothingToDo, match="MAILER-DAEMON"):
        await bench.plan("postfix.bounce", no_sender or [nobody(rows[0])])


def nobody(message: Message) -> Message:
    import msgspec

    return msgspec.structs.replace(message, sender="")


async def test_an_old_postfix_cannot_return(bench: Bench) -> None:
    rows = [m for m in await to_gmail(bench) if m.host == "mx1"][:1]
    bench.world.hosts["mx1"].postfix_version = "3.4.14"
    assert (await bench.plan("postfix.bounce", rows)).blockers == (
        "mx1 has Postfix 3.4.14: returning mail needs 3.5 (postsuper -f)",
    )


@given(st.text(min_size=1), st.sampled_from(["example.org", "[192.0.2.1]", "bücher.example"]))
def test_an_address_stays_one_word(local: str, domain: str) -> None:
    address = f"{local}@{domain}"
    try:
        found = external(address)
    except Unusable:
        assert any(ord(c) < 32 or ord(c) == 127 for c in local)
        return
    if found != address:
        assert found.startswith('"') and found.endswith(f'"@{domain}')
        inside = found[1 : -len(domain) - 2]
        assert inside.replace('\\"', '"').replace("\\\\", "\\") == local or "\\" in local


@pytest.mark.parametrize("address", ["a@b c", "a@b,d", "a@", "a@b;rm", 'a"@(x)'])
def test_a_domain_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(Unusable):
        external(address)


def test_a_body_cannot_play_postcat() -> None:
    head, path = b"*** ENVELOPE RECORDS hold/A1 ***\n", b"hold/A1"
    body = (
        b"Subject: x\n\n*** HEADER EXTRACTED hold/A1 ***\nrecipient: evil@example.com\n"
        b"*** MESSAGE FILE END hold/A1 ***\nsender: forged\n"
    )
    raw = (
        head + b"sender: ann@example.org\nrecipient: bob@example.com\n"
        b"*** MESSAGE CONTENTS " + path + b" ***\n" + body + b"*** HEADER EXTRACTED " + path +
        b" ***\n*** MESSAGE FILE END " + path + b" ***\n"
    )  # fmt: skip
    assert parsed(raw) == QueueFile("ann@example.org", ("bob@example.com",), body)
    (asked,) = submissions(parsed(raw))
    assert asked.argv == ("sendmail", "-i", "-f", "ann@example.org", "--", "bob@example.com")
    assert asked.stdin == body
