"""Deleting chosen messages: never another one, never one that is not kept, none is dropped."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pika
import pytest

from mailtui.connections.amqp import Message
from mailtui.model.letters import Letter
from mailtui.model.operation import Outcome
from mailtui.operations import rabbitmq_outcome
from mailtui.operations.base import NothingToDo, Refused
from mailtui.operations.rabbitmq_letters import of_message
from mailtui.operations.rabbitmq_match import matched, target_of
from mailtui.operations.rabbitmq_peek import look
from tests.unit.moving import On, opened, quicken


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    quicken(monkeypatch)


@pytest.fixture
async def on(tmp_path: Path) -> AsyncIterator[On]:
    async with opened(tmp_path) as found:
        yield found


async def delete(on: On, *letters: Letter) -> Outcome:
    return await on.bench.carry_out(await on.bench.plan("rabbitmq.delete", letters))


async def publish(on: On, *bodies: bytes, **properties: str) -> None:
    def work(channel: pika.channel.Channel) -> None:
        for body in bodies:
            given = pika.BasicProperties(**properties)
            channel.basic_publish("", on.queues.name("dead"), body, given)

    await on.queues.do(work)


async def bodies(on: On) -> list[bytes]:
    """What is in `dead`, which is empty then."""

    def work(channel: pika.channel.Channel) -> list[bytes]:
        found = []
        while (got := channel.basic_get(on.queues.name("dead"), auto_ack=True))[0] is not None:
            found.append(got[2])
        return found

    return list(await on.queues.do(work))


def alike(number: int) -> bytes:
    """Bodies whose difference comes after the bytes that peek shows."""
    return b"x" * 80 + b"%d" % number


async def test_the_chosen_go_the_others_stay_where_they_were(on: On) -> None:
    await on.queues.fill("dead", range(8), "work")
    letters = await look(on.bench.desk, on.queues.row("dead"), 8)
    plan = await on.bench.plan("rabbitmq.delete", [letters[2], letters[5]])
    assert (plan.count, plan.danger, plan.blockers) == (2, "destructive", ())
    outcome = await on.bench.carry_out(plan)
    assert (outcome.state, outcome.done) == ("done", 2), outcome
    assert any("has 6 ready messages now" in note for note in outcome.notes)
    again = await look(on.bench.desk, on.queues.row("dead"), 8)
    assert [one.fingerprint for one in again] == [
        one.fingerprint for one in letters if one.position not in (3, 6)
    ]
    back = await on.bench.undo(outcome)
    assert (back.state, back.done) == ("done", 2), back
    assert await on.queues.numbers("dead") == [0, 1, 3, 4, 6, 7, 2, 5]


async def test_running_it_again_finds_nothing(on: On) -> None:
    await on.queues.fill("dead", range(3), "work")
    letters = await look(on.bench.desk, on.queues.row("dead"), 3)
    plan = await on.bench.plan("rabbitmq.delete", letters[:1])
    assert (await on.bench.carry_out(plan)).done == 1
    again = await on.bench.carry_out(plan)
    assert (again.state, again.done, again.undo) == ("failed", 0, None)
    assert "not there any more" in again.sentence
    assert await on.queues.numbers("dead") == [1, 2]


async def test_one_of_two_that_are_the_same(on: On) -> None:
    await publish(on, b"twin", b"twin", b"other")
    letters = await look(on.bench.desk, on.queues.row("dead"), 3)
    assert letters[0].fingerprint == letters[1].fingerprint
    outcome = await delete(on, letters[1])
    assert (outcome.state, outcome.done) == ("done", 1), outcome
    assert await bodies(on) == [b"twin", b"other"]


async def test_where_nothing_tells_it_from_others_it_is_not_chosen(on: On) -> None:
    await publish(on, alike(1), alike(2))
    letters = await look(on.bench.desk, on.queues.row("dead"), 2)
    with pytest.raises(Refused, match="by=amqp"):
        await on.bench.plan("rabbitmq.delete", letters[:1])
    # seen by AMQP the whole body is known, and the very message goes
    letters = await look(on.bench.desk, on.queues.row("dead"), 2, "amqp")
    outcome = await delete(on, letters[1])
    assert (outcome.state, outcome.done) == ("done", 1), outcome
    assert await bodies(on) == [alike(1)]


async def test_another_one_in_its_place_is_not_touched(on: On) -> None:
    await publish(on, alike(1), message_id="m")
    (letter,) = await look(on.bench.desk, on.queues.row("dead"), 1, "amqp")
    assert await bodies(on) == [alike(1)]
    await publish(on, alike(2), message_id="m")
    outcome = await delete(on, letter)
    assert (outcome.state, outcome.done) == ("failed", 0)
    assert outcome.left[0].why == "another message looks like it"
    assert await bodies(on) == [alike(2)]


async def test_two_that_look_the_same_and_are_not(on: On) -> None:
    await publish(on, alike(1), alike(2), message_id="m")
    letters = await look(on.bench.desk, on.queues.row("dead"), 2)
    one = await delete(on, letters[0])
    assert (one.state, one.done) == ("failed", 0) and "none is touched" in one.left[0].why
    both = await delete(on, *letters)
    assert (both.state, both.done) == ("done", 2)
    assert await bodies(on) == []


@pytest.mark.parametrize("after", [1, 2])
async def test_a_connection_that_is_lost_when_they_are_acknowledged(on: On, after: int) -> None:
    await on.queues.fill("dead", range(6), "work")
    letters = await look(on.bench.desk, on.queues.row("dead"), 6)
    plan = await on.bench.plan("rabbitmq.delete", [letters[1], letters[3]])
    run = on.bench.run(plan)
    on.faults.drop_after = after
    outcome = await on.bench.carry_out(plan, run)
    # not called deleted, and not called there; undo would double what is there
    assert (outcome.state, outcome.done, outcome.undo) == ("unknown", 0, None), outcome
    assert "2 may be gone" in outcome.sentence
    assert on.bench.desk.evidence is not None
    kept = [item.body for item in on.bench.desk.evidence.items(run.id)]
    assert len(kept) == 2 and b'"number": 1' in kept[0]
    left = await on.queues.numbers("dead")
    assert set(left) | {1, 3} == set(range(6)) and len(left) == 6 - after


async def test_a_broker_that_is_away(on: On, monkeypatch: pytest.MonkeyPatch) -> None:
    await on.queues.fill("dead", range(2), "work")
    letters = await look(on.bench.desk, on.queues.row("dead"), 2)
    plan = await on.bench.plan("rabbitmq.delete", letters)
    monkeypatch.setattr(rabbitmq_outcome, "READ_BACK", 0.2)
    faults = on.bench.sandbox.faults
    faults.set("amqp", "down")
    try:
        outcome = await on.bench.carry_out(plan)
    finally:
        faults.clear("amqp")
    assert (outcome.state, outcome.done, len(outcome.left)) == ("failed", 0, 2), outcome
    assert any("is not known" in note for note in outcome.notes)
    assert await on.queues.numbers("dead") == [0, 1]


async def test_what_is_not_kept_is_not_deleted(on: On) -> None:
    await on.queues.fill("dead", range(4), "work")
    letters = await look(on.bench.desk, on.queues.row("dead"), 4)
    plan = await on.bench.plan("rabbitmq.delete", letters[:2])
    assert on.bench.desk.evidence is not None
    on.bench.desk.evidence.limit = 700
    outcome = await on.bench.carry_out(plan)
    assert (outcome.state, outcome.done, outcome.undo) == ("failed", 0, None), outcome
    assert {one.why for one in outcome.left} == {"not kept as evidence, so not deleted"}
    assert await on.queues.numbers("dead") == [0, 1, 2, 3]
    # and it is a blocker where it is known before
    assert (await on.bench.plan("rabbitmq.delete", letters[:2])).blockers
    on.bench.desk.evidence = None
    plan = await on.bench.plan("rabbitmq.delete", letters[:2])
    assert any("not kept" in one for one in plan.blockers)


async def test_those_on_the_way_are_not_dropped(on: On) -> None:
    """The third is chosen; the two before it would not survive another delivery."""
    await on.queues.make("edge", x_delivery_limit=3)
    await on.queues.fill("edge", range(2), "work")

    def wear_out(channel: pika.channel.Channel) -> None:
        for _ in range(3):
            tags = [channel.basic_get(on.queues.name("edge"))[0].delivery_tag for _ in range(2)]
            for tag in tags:
                channel.basic_nack(tag)

    await on.queues.do(wear_out)
    await on.queues.fill("edge", range(2, 4), "work")
    letters = await look(on.bench.desk, on.queues.row("edge"), 4)
    assert [one.remaining for one in letters] == [0, 0, 3, 3]
    outcome = await delete(on, letters[2])
    assert (outcome.state, outcome.done) == ("done", 1), outcome
    assert any("2 of these are at the tail as new messages" in note for note in outcome.notes)
    assert await on.queues.numbers("edge") == [3, 0, 1]


async def test_in_two_queues_at_once(on: On) -> None:
    await on.queues.fill("dead", range(3), "work")
    await on.queues.fill("work", range(10, 13), "dead")
    first = await look(on.bench.desk, on.queues.row("dead"), 3)
    second = await look(on.bench.desk, on.queues.row("work"), 3)
    outcome = await delete(on, first[0], second[2])
    assert (outcome.state, outcome.done) == ("done", 2), outcome
    back = await on.bench.undo(outcome)
    assert back.done == 2, back
    assert await on.queues.numbers("dead") == [1, 2, 0]
    assert await on.queues.numbers("work") == [10, 11, 12]


async def test_what_is_refused(on: On) -> None:
    with pytest.raises((Refused, NothingToDo)):
        await on.bench.plan("rabbitmq.delete", [])
    await on.queues.fill("dead", range(1), "work")
    letters = await look(on.bench.desk, on.queues.row("dead"), 1)
    gone = msgspec.structs.replace(letters[0], queue="no-such")
    with pytest.raises(Refused, match="there is no queue"):
        await on.bench.plan("rabbitmq.delete", [gone])
    on.bench.desk.tenants = frozenset({"other"})
    with pytest.raises(Refused, match="other"):
        await on.bench.plan("rabbitmq.delete", letters)


def test_which_is_which() -> None:
    """Of three taken, the same but for their tags; two were chosen, one by its digest."""
    messages = [Message(tag, False, "", "k", b"\0\0", b"same") for tag in (1, 2, 3)]
    seen = of_message(messages[0], "/", "q", 1, None)
    whole, start = target_of(seen), target_of(msgspec.structs.replace(seen, digest=""))
    chosen, left = matched(messages, [whole, start], "/", "q")
    assert (len(chosen), left) == (2, [])
    assert set(chosen.values()) == {whole, start}
    # more are chosen than are there
    chosen, left = matched(messages[:1], [start, start], "/", "q")
    assert len(chosen) == 1
    assert [why for _, why in left] == ["it is not there any more"]
