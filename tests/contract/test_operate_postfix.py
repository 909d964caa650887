"""Operations on messages: what was planned is what the queue has afterwards, on real daemons too.

The messages are the test's own: sent by sendmail(1) on the host to a destination that defers them.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mailtui.collectors.postfix import PostfixCollector
from mailtui.connections.runner import command
from mailtui.model.mail import Message
from mailtui.resources import suspended
from tests.contract.conftest import LAB
from tests.operating import Bench, bench

DESTINATION = "gmail.com"
PATIENCE = 60


class Mail:
    """Messages of one test on one host."""

    def __init__(self, bench: Bench, host: str) -> None:
        self.bench, self.host = bench, host
        self.sender = f"op-{secrets.token_hex(4)}@example.org"
        found = bench.platform.find(PostfixCollector, lambda c: c.target == host)
        assert found is not None
        self.collector = found

    async def send(self, count: int, body: bytes = b"body\n") -> list[Message]:
        """Send messages; them once all are deferred."""
        runner = self.bench.platform.connections.runner(self.host)
        for number in range(count):
            asked = command(
                "sendmail", "-i", "-f", self.sender, "--", f"op{number}@{DESTINATION}",
                stdin=b"From: <a@example.org>\nSubject: %d\n\n" % number + body,
            )  # fmt: skip
            (await runner.run(asked, timeout=30)).check()
        return await self.until(lambda found: len(found) == count, "deferred")

    async def mine(self) -> list[Message]:
        """Those in the queue now."""
        await self.bench.platform.read_all(["postfix"])
        return [m for m in (await self.collector.read()).messages if m.sender == self.sender]

    async def until(self, true: object, queue: str = "") -> list[Message]:
        """Them, once `true` of those in a queue."""
        end = time.monotonic() + PATIENCE
        while True:
            every = await self.mine()
            found = [m for m in every if queue in ("", m.queue_name)]
            if true(found):  # type: ignore[operator]
                return found
            assert time.monotonic() < end, [(m.queue_id, m.queue_name) for m in every]
            await asyncio.sleep(0.5)


@pytest.fixture
async def on_mx(
    platform_name: str, request: pytest.FixtureRequest, mx_names: list[str], tmp_path: Path
) -> AsyncIterator[list[Mail]]:
    """Mail on every mx: in the lab one has long queue IDs and one short ones."""
    lab = platform_name == "lab"
    config = Path(os.environ[LAB]) if lab else request.getfixturevalue("sandbox_config")
    async with bench(tmp_path, config) as found:
        mails = [Mail(found, name) for name in mx_names]
        yield mails
        for mail in mails:
            rows = await mail.mine()
            if rows:
                await found.carry_out(await found.plan("postfix.delete", rows))


async def test_hold_and_its_undo(on_mx: list[Mail]) -> None:
    for mail in on_mx:
        rows = await mail.send(3)
        outcome = await mail.bench.carry_out(await mail.bench.plan("postfix.hold", rows))
        assert (outcome.state, outcome.done) == ("done", 3), outcome
        assert {m.queue_name for m in await mail.mine()} == {"hold"}
        back = await mail.bench.undo(outcome)
        assert (back.state, back.done) == ("done", 3), back
        assert {m.queue_name for m in await mail.mine()} <= {"deferred", "active", "incoming"}
        assert {m.queue_id for m in await mail.mine()} == {m.queue_id for m in rows}


async def test_what_goes_between_plan_and_apply_is_said(on_mx: list[Mail]) -> None:
    for mail in on_mx:
        rows = await mail.send(3)
        plan = await mail.bench.plan("postfix.hold", rows)
        assert (await mail.bench.carry_out(await mail.bench.plan("postfix.delete", rows[:1]))).done
        outcome = await mail.bench.carry_out(plan)
        assert outcome.sentence == "held 2 of 3: 1 was delivered or removed meanwhile"
        assert [left.id for left in outcome.left] == [rows[0].queue_id]


async def test_requeue_gives_new_ids(on_mx: list[Mail]) -> None:
    for mail in on_mx:
        rows = await mail.send(3)
        outcome = await mail.bench.carry_out(await mail.bench.plan("postfix.requeue", rows))
        assert (outcome.state, outcome.done) == ("done", 3), outcome
        after = await mail.until(lambda found: len(found) == 3, "deferred")
        assert not {m.queue_id for m in rows} & {m.queue_id for m in after}
        assert {m.arrival_time for m in rows} == {m.arrival_time for m in after}


async def test_requeue_from_hold(on_mx: list[Mail]) -> None:
    for mail in on_mx:
        rows = await mail.send(2)
        await mail.bench.carry_out(await mail.bench.plan("postfix.hold", rows))
        held = await mail.mine()
        outcome = await mail.bench.carry_out(await mail.bench.plan("postfix.requeue", held))
        assert outcome.done == 2, outcome
        assert len(await mail.until(lambda found: len(found) == 2, "deferred")) == 2


async def test_flush_leaves_nothing_behind(on_mx: list[Mail]) -> None:
    for mail in on_mx:
        rows = await mail.send(3)
        outcome = await mail.bench.carry_out(await mail.bench.plan("postfix.flush", rows))
        assert outcome.sentence == "flushed 3 messages", outcome
        assert sum(outcome.counts.values()) == 3


async def test_flush_of_a_destination_without_the_service_is_blocked(on_mx: list[Mail]) -> None:
    for mail in on_mx:
        rows = await mail.send(1)
        plan = await mail.bench.plan(
            "postfix.flush", rows, scope="destination", destination=DESTINATION
        )
        assert "fast_flush_domains" in plan.blockers[0]


async def test_delete_keeps_and_restores(on_mx: list[Mail]) -> None:
    for mail in on_mx:
        body = b"*** HEADER EXTRACTED ***\n.\n..\nFrom x: caf\xe9 \xc3\xa9 \x1b[2J\n" + b"y" * 3000
        rows = await mail.send(3, body + b"\n")
        outcome = await mail.bench.carry_out(await mail.bench.plan("postfix.delete", rows))
        assert (outcome.state, outcome.done) == ("done", 3), outcome
        assert await mail.mine() == []
        store = mail.bench.desk.evidence
        assert store is not None and outcome.undo is not None
        items = list(store.items(outcome.undo.parameters["run"]))
        assert {item.meta["id"] for item in items} == {m.queue_id for m in rows}
        assert all(body in item.body for item in items)

        back = await mail.bench.undo(outcome)
        assert (back.state, back.done) == ("done", 3), back
        again = await mail.until(lambda found: len(found) == 3, "deferred")
        assert {m.recipients[0].address for m in again} == {m.recipients[0].address for m in rows}
        # byte for byte the same content, below one more Received line
        second = await mail.bench.carry_out(await mail.bench.plan("postfix.delete", again))
        assert second.undo is not None
        for item in store.items(second.undo.parameters["run"]):
            assert body in item.body


async def test_an_address_with_every_character_comes_back(on_mx: list[Mail]) -> None:
    address = f'"a b\\"c\\\\d\'$(id)`;<>,(x"@{DESTINATION}'
    for mail in on_mx:
        runner = mail.bench.platform.connections.runner(mail.host)
        asked = command(
            "sendmail", "-i", "-f", mail.sender, "--", address, f"ann@{DESTINATION}",
            stdin=b"Subject: x\n\n.\n",
        )  # fmt: skip
        (await runner.run(asked, timeout=30)).check()
        rows = await mail.until(lambda found: len(found) == 1, "deferred")
        outcome = await mail.bench.carry_out(await mail.bench.plan("postfix.delete", rows))
        assert (await mail.bench.undo(outcome)).state == "done"
        (again,) = await mail.until(lambda found: len(found) == 1, "deferred")
        before, after = ({r.address for r in m.recipients} for m in (rows[0], again))
        assert before == after
        assert len(after) == 2


async def test_return_to_sender(on_mx: list[Mail]) -> None:
    for mail in on_mx:
        rows = await mail.send(2)
        outcome = await mail.bench.carry_out(await mail.bench.plan("postfix.bounce", rows))
        assert (outcome.state, outcome.done) == ("done", 2), outcome
        await mail.until(lambda found: not found)


async def test_the_journal_has_each_command(on_mx: list[Mail]) -> None:
    mail = on_mx[0]
    rows = await mail.send(1)
    plan = await mail.bench.plan("postfix.hold", rows)
    await mail.bench.carry_out(plan)
    assert mail.bench.steps() == [
        ("step", "sudo -n -- postsuper -h - (queue IDs on standard input)"),
        ("step-end", ""),
    ]
    assert not mail.bench.journal.verify().broken


async def test_a_suspended_destination_gets_nothing(on_mx: list[Mail]) -> None:
    found = on_mx[0].bench
    domain = f"{secrets.token_hex(4)}.example.net"
    plan = await found.plan(
        "postfix.suspend", destination=domain, reason="a test: $(id) 'q' ü", given={"for": "5m"}
    )
    if plan.blockers:
        pytest.skip(plan.blockers[0])
    outcome = await found.carry_out(plan)
    assert outcome.state == "done", outcome
    try:
        await found.platform.read_all(["postfix_suspended"])
        mine = [s for s in suspended.rows(found.platform.state) if s.destination == domain]
        assert {s.host for s in mine} == {mail.host for mail in on_mx}
        assert {s.reason for s in mine} == {"a test: $(id) 'q' ü"}
        for mail in on_mx:
            runner = found.platform.connections.runner(mail.host)
            asked = command("sendmail", "-i", "-f", mail.sender, "--", f"ann@{domain}",
                            stdin=b"Subject: x\n\nx\n")  # fmt: skip
            (await runner.run(asked, timeout=30)).check()
            while True:  # trivial-rewrite(8) looks at its tables every 10 s
                (row,) = await mail.until(lambda rows: len(rows) == 1, "deferred")
                if "delivery suspended" in row.recipients[0].delay_reason:
                    break
                await found.carry_out(await found.plan("postfix.flush", [row]))
    finally:
        back = await found.undo(outcome)
    assert back.state == "done", back
    await found.platform.read_all(["postfix_suspended"])
    assert domain not in {s.destination for s in suspended.rows(found.platform.state)}
