"""Looking into a queue: what is taken and what is not, where it is refused, what is said."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from mailtui.connections.runner import Command, Completed
from mailtui.model.operation import Outcome
from mailtui.operations import rabbitmq_peek
from mailtui.operations.base import NothingToDo, Refused
from mailtui.operations.running import Progress, Run
from tests.unit.moving import On, opened

CAPTURES = Path(__file__).parent / "captures" / "rabbitmq-3.10.8"


@pytest.fixture
async def on(tmp_path: Path) -> AsyncIterator[On]:
    async with opened(tmp_path) as found:
        yield found


async def peeked(on: On, short: str = "dead", **parameters: str) -> tuple[Outcome, Run]:
    run = on.bench.run(await on.plan("rabbitmq.peek", short, **parameters))
    return await on.bench.carry_out(run.plan, run), run


async def test_it_shows_them_and_takes_nothing(on: On) -> None:
    await on.queues.fill("dead", range(4), "work", message_id="the-id")
    plan = await on.plan("rabbitmq.peek", count="3")
    assert (plan.danger, plan.count, plan.blockers) == ("safe", 3, ())
    assert "rabbitmq-queues peek -s --vhost mail" in plan.steps[0].does
    run = on.bench.run(plan)
    outcome = await on.bench.carry_out(plan, run)
    assert (outcome.state, outcome.done) == ("done", 3), outcome
    assert [letter.position for letter in run.found] == [1, 2, 3]
    first = run.found[0]
    assert (first.origin, first.redelivered, first.digest) == (on.queues.name("work"), None, "")
    assert ("message_id", "the-id") in first.properties
    taken = await on.queues.taken("dead")
    assert [number for number, _ in taken] == [0, 1, 2, 3]
    assert {(p.headers or {}).get("x-delivery-count", 0) for _, p in taken} == {0}


async def test_what_is_seen_is_in_memory_alone(on: On) -> None:
    await on.queues.fill("dead", range(2), "work")
    outcome, run = await peeked(on)
    assert "user0@example.org" in run.found[0].body
    assert "example.org" not in repr(outcome)
    assert "example.org" not in (on.bench.folder / "journal.jsonl").read_text()


async def test_it_says_what_it_does_not_show(on: On) -> None:
    await on.queues.do(lambda c: c.basic_publish("", on.queues.name("dead"), b"x" * 100))
    outcome, run = await peeked(on)
    (letter,) = run.found
    assert (letter.body, letter.size, letter.cut) == ("x" * 64, None, True)
    assert outcome.notes == ("of a body, peek shows the first 64 bytes",)


async def test_it_can_be_stopped_between_two(on: On) -> None:
    await on.queues.fill("dead", range(5), "work")
    seen: list[int] = []

    def watch(progress: Progress) -> None:
        seen.append(progress.done)
        if progress.done == 2:
            run.stop()

    run = on.bench.run(await on.plan("rabbitmq.peek"), watch)
    outcome = await on.bench.carry_out(run.plan, run)
    assert (outcome.state, outcome.done, len(run.found)) == ("partly", 2, 2), outcome
    assert "stopped by the operator" in outcome.sentence
    assert {0, 1, 2} <= set(seen)


async def test_a_classic_queue_is_refused_and_looked_at_by_amqp(on: On) -> None:
    await on.queues.make("old", kind="classic")
    await on.queues.fill("old", range(4))
    with pytest.raises(Refused, match=r"classic queue.*by=amqp"):
        await on.plan("rabbitmq.peek", "old")
    plan = await on.plan("rabbitmq.peek", "old", by="amqp", count="3")
    # not for nothing: it is asked for before
    assert plan.danger == "irreversible" and any("redelivered" in one for one in plan.loses)
    run = on.bench.run(plan)
    outcome = await on.bench.carry_out(plan, run)
    assert (outcome.state, outcome.done) == ("done", 3), outcome
    assert {(one.redelivered, one.deliveries, one.cut) for one in run.found} == {
        (True, None, False)
    }
    assert await on.queues.numbers("old") == [0, 1, 2, 3]


async def test_without_the_host_it_is_by_amqp_or_not(
    on: On, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rabbitmq_peek, "host_of", lambda context, node: None)
    await on.queues.fill("dead", range(3), "work")
    with pytest.raises(Refused, match=r"none of the configured hosts.*by=amqp"):
        await on.plan("rabbitmq.peek")
    outcome, run = await peeked(on, by="amqp")
    assert outcome.state == "done", outcome
    assert [one.deliveries for one in run.found] == [1, 1, 1]
    taken = await on.queues.taken("dead")
    assert [number for number, _ in taken] == [0, 1, 2]
    assert {p.headers["x-delivery-count"] for _, p in taken} == {1}


async def test_a_name_that_sudoers_does_not_let_through(on: On) -> None:
    await on.queues.make("a b")
    await on.queues.fill("a b", range(1))
    with pytest.raises(Refused, match="sudoers"):
        await on.plan("rabbitmq.peek", "a b")


async def test_the_edge_of_the_delivery_limit(on: On) -> None:
    await on.queues.make("edge", x_delivery_limit=3)
    await on.queues.fill("edge", range(3), "work")
    plan = await on.plan("rabbitmq.peek", "edge", by="amqp")
    assert any("drops a message after 3 deliveries" in one for one in plan.warnings)
    outcome, run = await peeked(on, "edge", by="amqp")
    assert outcome.state == "done" and [one.remaining for one in run.found] == [2, 2, 2]
    with pytest.raises(Refused, match="message 1 could be given back 2 times more"):
        await peeked(on, "edge", by="amqp")
    for _ in range(5):
        with pytest.raises(Refused, match="times more"):
            await peeked(on, "edge", by="amqp", count="1")
    # not one was dropped, however often it was asked
    assert sorted(await on.queues.numbers("edge")) == [0, 1, 2]


async def test_what_is_refused(on: On) -> None:
    with pytest.raises(NothingToDo):
        await on.plan("rabbitmq.peek")
    await on.queues.fill("dead", range(1))
    with pytest.raises(Refused, match="count"):
        await on.plan("rabbitmq.peek", count="0")
    with pytest.raises(Refused, match="peek or amqp"):
        await on.plan("rabbitmq.peek", by="get")
    on.bench.desk.tenants = frozenset({"other"})
    with pytest.raises(Refused, match="other"):
        await on.plan("rabbitmq.peek")


# --- what the command answers ---


class Host:
    """A broker's host that answers as it is told; 70: as 3.10 where bytes are no UTF-8."""

    def __init__(self, *answers: tuple[int, str, str]) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, ...]] = []

    async def run(self, cmd: Command, **options: Any) -> Completed:
        self.asked.append(cmd.argv)
        return Completed("mon1", cmd, *self.answers.pop(0))


def answer(body: str) -> tuple[int, str, str]:
    message = {"exchange": "", "routing_keys": ["k"], "payload (max 64 bytes)": body}
    return 0, json.dumps({"message": message, "result": "ok"}), ""


END = (69, "", '{"message":"Target queue does not have a message at that position"}')


async def asked_of(on: On, monkeypatch: pytest.MonkeyPatch, host: Host) -> tuple[Outcome, Run]:
    await on.queues.fill("dead", range(3))
    plan = await on.plan("rabbitmq.peek")
    monkeypatch.setattr(on.bench.platform.connections, "runner", lambda name: host)
    run = on.bench.run(plan)
    return await on.bench.carry_out(plan, run), run


async def test_sudo_refuses(on: On, monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host((1, "", "sudo: a password is required"))
    outcome, run = await asked_of(on, monkeypatch, host)
    assert (outcome.state, run.found) == ("failed", [])
    assert "deploy/sudoers" in outcome.sentence
    # and nothing else is tried instead
    assert len(host.asked) == 1 and await on.queues.numbers("dead") == [0, 1, 2]


async def test_bytes_that_are_no_text(on: On, monkeypatch: pytest.MonkeyPatch) -> None:
    erlang = (CAPTURES / "peek-6-erlang.txt").read_text()
    host = Host((70, "Stack trace", ":function_clause"), (0, erlang, ""), END)
    outcome, run = await asked_of(on, monkeypatch, host)
    assert (outcome.state, [one.size for one in run.found]) == ("done", [10]), outcome
    assert [argv[argv.index("--formatter") + 1] for argv in host.asked] == [
        "json", "erlang", "json",
    ]  # fmt: skip
    assert "there are no more" in outcome.notes


async def test_what_was_seen_before_a_fault_is_kept(
    on: On, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = Host(answer("one"), answer("two"), (2, "", "Error: unable to connect to node"))
    outcome, run = await asked_of(on, monkeypatch, host)
    assert (outcome.state, outcome.done) == ("partly", 2), outcome
    assert [one.body for one in run.found] == ["one", "two"]
    assert "unable to connect" in outcome.sentence


async def test_a_message_that_shrugs_off_control_characters(
    on: On, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome, run = await asked_of(on, monkeypatch, Host(answer("\x1b]52;c;eA==\x07[red]"), END))
    assert outcome.state == "done" and "\x1b" not in run.found[0].body
    assert run.found[0].body.endswith("[red]")
