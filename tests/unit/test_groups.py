"""Groups of messages: nothing is lost, nothing counted twice."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailtui.model.groups import AGE_EDGES, AGE_NAMES, BY, age_histogram, group, queue_counts
from mailtui.model.mail import Message, Recipient

NOW = 1_795_000_000


def message(**fields: object) -> Message:
    values: dict[str, object] = {
        "host": "mx1",
        "queue_name": "deferred",
        "queue_id": "4bXk2Q7zWnz1Kp",
        "arrival_time": NOW - 60,
        "message_size": 1000,
        "sender": "a@example.org",
        "recipients": (Recipient("b@example.com"),),
        "recipient_count": 1,
        "destination": "example.com",
        "reason": "421 x",
        **fields,
    }
    return Message(**values)  # type: ignore[arg-type]


messages = st.lists(
    st.builds(
        lambda *parts: message(
            host=parts[0],
            destination=parts[1],
            reason=parts[2],
            sender=parts[3],
            arrival_time=NOW - parts[4],
            queue_name=parts[5],
        ),
        st.sampled_from(["mx1", "mx2"]),
        st.sampled_from(["gmail.com", "example.net", ""]),
        st.sampled_from(["421 x", "450 y", ""]),
        st.sampled_from(["a@example.org", ""]),
        st.integers(min_value=-100, max_value=10**6),
        st.sampled_from(["deferred", "hold"]),
    ),
    max_size=40,
)


@pytest.mark.parametrize("by", BY)
@given(found=messages)
def test_every_message_is_in_one_group(by: str, found: list[Message]) -> None:
    groups = group(found, by, NOW)  # type: ignore[arg-type]
    assert sum(g.count for g in groups) == len(found)
    assert len({g.key for g in groups}) == len(groups)
    for one in groups:
        assert sum(one.ages) == one.count == sum(count for _, count, _ in one.inner)
        assert one.oldest == min(oldest for _, _, oldest in one.inner)
        assert one.name
    if by != "age":
        assert [g.count for g in groups] == sorted((g.count for g in groups), reverse=True)


@given(found=messages)
def test_groups_by_age_agree_with_the_histogram(found: list[Message]) -> None:
    groups = group(found, "age", NOW)
    counts = age_histogram([m.arrival_time for m in found], NOW)
    assert {g.value: g.count for g in groups} == {
        name: n for name, n in zip(AGE_NAMES, counts, strict=True) if n
    }
    assert [AGE_NAMES.index(g.value) for g in groups] == sorted(
        AGE_NAMES.index(g.value) for g in groups
    )


def test_an_age_of_exactly_the_edge_is_in_the_older_bucket() -> None:
    for number, edge in enumerate(AGE_EDGES):
        assert age_histogram([NOW - edge], NOW)[number + 1] == 1
        assert age_histogram([NOW - edge + 1], NOW)[number] == 1


def test_a_destination_has_its_reasons_inside() -> None:
    found = [message(reason="421 x")] * 3 + [message(reason="550 y", arrival_time=NOW - 999)]
    (only,) = group(found, "destination", NOW)
    assert only.inner == (("421 x", 3, NOW - 60), ("550 y", 1, NOW - 999))
    assert only.size == 4000


def test_names_of_what_is_empty() -> None:
    assert group([message(sender="")], "sender", NOW)[0].name == "MAILER-DAEMON"
    assert group([message(reason="")], "reason", NOW)[0].name == "(no reason yet)"


def test_counts_of_hosts_add_up() -> None:
    assert queue_counts([{"deferred": 3, "hold": 1}, {"deferred": 4}, {}]) == {
        "deferred": 7,
        "hold": 1,
    }
