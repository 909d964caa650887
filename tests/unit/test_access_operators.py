"""Operators in real databases: who may change whom, the last admin, the journal's word."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
import sqlalchemy as sa

from mailtui.access import schema
from mailtui.access.database import Database
from mailtui.access.errors import AccessError
from mailtui.access.journal import JournalError
from mailtui.access.operators import Operators
from mailtui.access.roles import Grant
from mailtui.access.whoami import Who
from mailtui.model import clock
from tests.unit.accessing import (  # noqa: F401
    ALICE,
    BOB,
    access_fixture,
    database_fixture,
    operators_fixture,
)


async def test_the_first_operator_is_an_admin_made_by_anybody(database: Database) -> None:
    found = Operators(database)
    root = Who("root", 0, "alice", "jump1")
    for weak in (Grant("operator"), Grant("admin", tenant="acme"), Grant("admin", context="prod")):
        with pytest.raises(AccessError, match="first operator must be an admin"):
            await found.add(root, "alice", weak)
    with pytest.raises(AccessError, match="there are no operators yet"):
        await found.enable(root, "alice")
    alice = await found.add(root, "alice", Grant("admin"))
    assert alice.is_admin
    assert not alice.enrolled
    # from now on root is nobody here
    with pytest.raises(AccessError, match="root is no operator") as refused:
        await found.add(root, "eve", Grant("admin"))
    assert refused.value.kind == "permission"


async def test_of_two_first_admins_at_once_one_is_first(database: Database) -> None:
    found = Operators(database)
    both = await asyncio.gather(
        found.add(ALICE, "alice", Grant("admin")),
        found.add(BOB, "bob", Grant("admin")),
        return_exceptions=True,
    )
    (refused,) = (one for one in both if isinstance(one, AccessError))
    assert refused.kind == "permission"  # he waited and then saw the other; it is no lock
    assert len(await found.all()) == 1


async def test_grants_add_up_and_are_taken_back_one_by_one(operators: Operators) -> None:
    await operators.grant(ALICE, "bob", Grant("helpdesk", tenant="acme"))
    bob = await operators.grant(ALICE, "bob", Grant("helpdesk", context="prod"))
    assert bob.words() == "operator, helpdesk for tenant acme, helpdesk on prod"
    with pytest.raises(AccessError, match="bob is helpdesk on prod already"):
        await operators.grant(ALICE, "bob", Grant("helpdesk", context="prod"))
    with pytest.raises(AccessError, match=r"bob is not viewer; bob is operator, helpdesk for"):
        await operators.revoke(ALICE, "bob", Grant("viewer"))
    for grant in bob.grants:
        bob = await operators.revoke(ALICE, "bob", grant)
    assert bob.grants == ()
    assert not bob.may("journal.read")
    assert await operators.get("bob") == bob


@pytest.mark.parametrize(
    ("name", "grant", "words"),
    [
        ("bob", Grant("admin"), "bob is an operator already"),
        ("carol", Grant("boss"), "there is no role 'boss'"),
        ("", Grant("viewer"), "no name of a system user"),
        ("a b", Grant("viewer"), "no name of a system user"),
        ("-x", Grant("viewer"), "no name of a system user"),
        ("x\x1b[2J", Grant("viewer"), "no name of a system user"),
        ("carol", Grant("viewer", tenant="a\nb"), "no name of a tenant"),
        ("carol", Grant("viewer", context="\x9b"), "no name of a context"),
    ],
)
async def test_what_is_not_added(operators: Operators, name: str, grant: Grant, words: str) -> None:
    with pytest.raises(AccessError, match=words) as refused:
        await operators.add(ALICE, name, grant)
    assert refused.value.kind == "usage"
    assert len(await operators.all()) == 2


async def test_names_are_values_never_sql(operators: Operators) -> None:
    evil = "acme'); DROP TABLE operators; --"
    bob = await operators.grant(ALICE, "bob", Grant("viewer", tenant=evil))
    assert bob.grants[-1].tenant == evil
    assert await operators.get("x' OR '1'='1") is None


async def test_only_an_admin_changes_operators(operators: Operators) -> None:
    changes = (
        operators.add(BOB, "eve", Grant("admin")),
        operators.grant(BOB, "bob", Grant("admin")),
        operators.revoke(BOB, "alice", Grant("admin")),
        operators.disable(BOB, "alice"),
        operators.reset(BOB, "alice"),
    )
    for change in changes:
        with pytest.raises(AccessError, match=r"operator\.manage needs the role admin") as refused:
            await change
        assert refused.value.kind == "permission"
    assert [one.words() for one in await operators.all()] == ["admin", "operator"]


@pytest.mark.parametrize("limits", [{"tenant": "acme"}, {"context": "prod"}])
async def test_an_admin_with_limits_changes_no_operators(
    operators: Operators, limits: dict[str, str]
) -> None:
    await operators.revoke(ALICE, "bob", Grant("operator"))
    await operators.grant(ALICE, "bob", Grant("admin", **limits))
    with pytest.raises(AccessError, match="bob is admin") as refused:
        await operators.grant(BOB, "bob", Grant("admin"))
    assert refused.value.kind == "permission"


async def test_a_disabled_admin_changes_nothing(operators: Operators) -> None:
    await operators.grant(ALICE, "bob", Grant("admin"))
    await operators.disable(ALICE, "bob")
    with pytest.raises(AccessError, match="bob is disabled"):
        await operators.enable(BOB, "bob")


async def test_the_last_admin_stays(operators: Operators) -> None:
    for change in (
        operators.disable(ALICE, "alice"),
        operators.revoke(ALICE, "alice", Grant("admin")),
    ):
        with pytest.raises(AccessError, match="alice is the last admin") as refused:
            await change
        assert "make another first" in refused.value.hint
    # one with limits, or a disabled one, does not count
    await operators.grant(ALICE, "bob", Grant("admin", tenant="acme"))
    with pytest.raises(AccessError, match="last admin"):
        await operators.disable(ALICE, "alice")
    await operators.grant(ALICE, "bob", Grant("admin"))
    assert (await operators.disable(ALICE, "alice")).disabled
    with pytest.raises(AccessError, match="last admin"):
        await operators.disable(BOB, "bob")


async def test_two_admins_who_disable_each_other_at_once_leave_one(operators: Operators) -> None:
    await operators.grant(ALICE, "bob", Grant("admin"))
    await asyncio.gather(
        operators.disable(ALICE, "bob"), operators.disable(BOB, "alice"), return_exceptions=True
    )
    assert sum(one.is_admin for one in await operators.all()) == 1


async def test_every_change_and_every_refusal_is_told(database: Database) -> None:
    told: list[Mapping[str, Any]] = []
    found = Operators(database, lambda kind, facts: told.append({"kind": kind, **facts}))
    root = Who("root", 0, "alice", "jump1")
    await found.add(root, "alice", Grant("admin"))
    await found.add(ALICE, "bob", Grant("operator", tenant="acme", context="prod"))
    with pytest.raises(AccessError):
        await found.disable(BOB, "alice")
    assert [one["kind"] for one in told] == ["operator"] * 3
    assert told[0]["text"] == "add alice (role admin) by root (logged in as alice)"
    assert told[0]["login"] == "alice"
    assert (told[1]["tenant"], told[1]["in_context"]) == ("acme", "prod")
    assert told[2]["action"] == "disable"
    assert "needs the role admin" in told[2]["refused"]


async def test_what_cannot_be_told_is_not_done(database: Database) -> None:
    def full(_: str, __: Mapping[str, Any]) -> None:
        raise JournalError("No space left on device")

    with pytest.raises(JournalError):
        await Operators(database, full).add(ALICE, "alice", Grant("admin"))
    assert await Operators(database).all() == []


async def test_seen_is_noted_and_not_every_second(operators: Operators, database: Database) -> None:
    times = iter([1000.0, 1010.0, 1100.0])
    seen = []
    try:
        for at in times:
            clock.set_clock(lambda at=at: at)
            await operators.seen("bob")
            bob = await operators.get("bob")
            assert bob is not None
            seen.append(bob.last_seen)
    finally:
        clock.set_clock(None)
    assert seen == [1000.0, 1000.0, 1100.0]


async def test_an_operator_who_is_deleted_by_hand_leaves_nothing(
    operators: Operators, database: Database
) -> None:
    async with database.writing() as connection:
        await connection.execute(
            sa.delete(schema.operators).where(schema.operators.c.name == "bob")
        )
    async with database.reading() as connection:
        rows = (await connection.execute(sa.select(schema.grants.c.operator))).all()
    assert [row.operator for row in rows] == ["alice"]
