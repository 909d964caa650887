"""Roles: what is allowed, for whom, and the sentence that says why not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailtui.access.roles import PERMISSIONS, ROLES, Grant, Operator, least_role, reach

WORDS = (
    "mail.hold", "mail.release", "mail.requeue", "mail.flush", "mail.delete", "mail.bounce",
    "mail.suspend", "broker.peek", "broker.requeue", "broker.move", "broker.delete",
    "broker.purge", "broker.connection", "operator.manage", "journal.read", "plan.approve",
    "something.new",
)  # fmt: skip

permissions = st.sampled_from(WORDS)
roles = st.sampled_from(ROLES)
tenants = st.sampled_from(["", "acme", "globex"])
contexts = st.sampled_from(["", "prod", "staging"])
grants = st.builds(Grant, roles, tenants, contexts)
operators = st.builds(
    Operator, st.just("alice"), st.lists(grants, max_size=4).map(tuple), disabled=st.booleans()
)
places = st.sampled_from([None, "prod", "staging", "lab"])
targets = st.sampled_from([None, "", "acme", "globex", "other"])


@given(operators, permissions, places, targets)
def test_a_higher_role_may_whatever_a_lower_one_may(
    who: Operator, permission: str, context: str | None, tenant: str | None
) -> None:
    for number, grant in enumerate(who.grants):
        for higher in ROLES[ROLES.index(grant.role) :]:
            raised = (
                *who.grants[:number], Grant(higher, grant.tenant, grant.context),
                *who.grants[number + 1 :],
            )  # fmt: skip
            more = Operator(who.name, raised, disabled=who.disabled)
            if who.may(permission, context, tenant):
                assert more.may(permission, context, tenant)


@given(operators, grants, permissions, places, targets)
def test_one_more_grant_never_takes_anything_away(
    who: Operator, grant: Grant, permission: str, context: str | None, tenant: str | None
) -> None:
    more = Operator(who.name, (*who.grants, grant), disabled=who.disabled)
    if who.may(permission, context, tenant):
        assert more.may(permission, context, tenant)


@given(operators, permissions, places, targets)
def test_may_and_tenant_scope_agree(
    who: Operator, permission: str, context: str | None, tenant: str | None
) -> None:
    scope = who.tenant_scope(permission, context)
    allowed = bool(who.may(permission, context, tenant))
    if scope is None:
        assert allowed
    elif tenant is None:
        assert allowed == bool(scope)
    else:
        assert allowed == (tenant in scope)
        assert "" not in scope


@given(operators, permissions, places, targets)
def test_a_refusal_says_who_and_which_role_would_do(
    who: Operator, permission: str, context: str | None, tenant: str | None
) -> None:
    decision = who.may(permission, context, tenant)
    if decision:
        assert not decision.why
    else:
        assert "alice" in decision.why
        assert who.disabled or f"--role {least_role(permission)}" in decision.why


@given(operators, permissions, places, targets)
def test_a_disabled_operator_may_nothing(
    who: Operator, permission: str, context: str | None, tenant: str | None
) -> None:
    off = Operator(who.name, who.grants, disabled=True)
    assert not off.may(permission, context, tenant)
    assert off.tenant_scope(permission, context) == frozenset()
    assert not off.is_admin


@pytest.mark.parametrize(
    ("role", "may", "may_not"),
    [
        ("viewer", {"journal.read"}, {"mail.flush", "broker.peek", "plan.approve"}),
        ("helpdesk", {"journal.read", "mail.flush", "mail.requeue"}, {"mail.hold", "mail.delete"}),
        ("operator", {"mail.delete", "broker.purge", "plan.approve"}, {"operator.manage"}),
        ("admin", set(WORDS), set()),
    ],
)
def test_the_table(role: str, may: set[str], may_not: set[str]) -> None:
    assert all(permission in reach(role) for permission in may)
    assert not any(permission in reach(role) for permission in may_not)


def test_every_role_is_in_the_table_and_an_unknown_one_may_nothing() -> None:
    assert tuple(PERMISSIONS) == ROLES
    assert "journal.read" not in reach("superuser")
    assert not Operator("x", (Grant("superuser"),)).may("journal.read")


def test_a_new_permission_is_an_admins_until_the_table_says_otherwise() -> None:
    assert least_role("something.new") == "admin"
    assert least_role("mail.something") == "operator"


def test_limits_in_words() -> None:
    carol = Operator("carol", (Grant("operator", "acme", "prod"), Grant("viewer")))
    assert carol.words() == "operator for tenant acme on prod, viewer"
    assert carol.words("staging") == "viewer"
    refused = carol.may("mail.hold", "prod", "globex").why
    assert "carol is operator for tenant acme on prod, and this is of tenant globex" in refused
    assert "and this is of no tenant" in carol.may("mail.hold", "prod", "").why
    assert "not on staging" in carol.may("mail.hold", "staging").why
    assert (
        "needs the role operator, and dave is nothing there"
        in Operator("dave").may("mail.hold", "prod").why
    )


def test_only_an_admin_without_limits_manages_operators() -> None:
    assert Operator("a", (Grant("admin"),)).is_admin
    for limited in (Grant("admin", tenant="acme"), Grant("admin", context="prod")):
        assert not Operator("a", (limited,)).is_admin
        assert not Operator("a", (limited,)).may("operator.manage", None, "")
