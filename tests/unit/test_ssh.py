"""Ways to hosts: how jump hosts are written, who shares a connection, one attempt for all."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mailtui.config.settings import Host, Ssh
from mailtui.connections.errors import SourceError
from mailtui.connections.runner import command
from mailtui.connections.ssh import SshPool
from mailtui.connections.ssh_options import Endpoint

SSH = Ssh(user="ops")


def endpoint(name: str = "mx1", **fields: Any) -> Endpoint:
    return Endpoint.of(name, Host(**fields), SSH)


@pytest.mark.parametrize(
    ("written", "user", "address", "port"),
    [
        ("jump", "ops", "jump", None),
        ("jump.example.org:2222", "ops", "jump.example.org", 2222),
        ("alice@jump", "alice", "jump", None),
        ("alice@corp@jump:22", "alice@corp", "jump", 22),
        ("2001:db8::1", "ops", "2001:db8::1", None),
        ("[2001:db8::1]:2222", "ops", "2001:db8::1", 2222),
        ("root@[fe80::1%eth0]", "root", "fe80::1%eth0", None),
    ],
)
def test_a_jump_host_as_ssh_writes_it(
    written: str, user: str, address: str, port: int | None
) -> None:
    jump = endpoint(jump=written).jump
    assert jump is not None
    assert (jump.user, jump.address, jump.port) == (user, address, port)


@pytest.mark.parametrize("written", ["jump:ssh", "jump host", "[2001:db8::1", "jump:"])
def test_a_jump_host_that_is_none(written: str) -> None:
    with pytest.raises(SourceError, match="expected"):
        endpoint(jump=written)


def test_hosts_share_the_connection_to_a_jump_host_only_by_the_same_way() -> None:
    pool = SshPool(16)
    one, other = endpoint("mx1", jump="jump"), endpoint("mx2", jump="jump")
    assert one.jump is not None
    assert other.jump is not None
    assert pool.runner(one.jump) is pool.runner(other.jump)
    assert pool.runner(one) is not pool.runner(other)
    # the same jump host behind another one is reached by a connection of its own
    chained = endpoint("mx3", jump="jump").jump
    assert chained is not None
    import dataclasses

    behind = dataclasses.replace(chained, jump=one.jump)
    assert pool.runner(behind) is not pool.runner(chained)


async def test_who_waits_for_one_attempt_shares_its_outcome(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    attempts = 0

    async def refuse(self: Endpoint) -> Any:
        nonlocal attempts
        attempts += 1
        await asyncio.sleep(0)
        raise ConnectionRefusedError(111, "Connection refused")

    monkeypatch.setattr(Endpoint, "resolve", refuse)
    runner = SshPool(16).runner(endpoint())
    asked = [runner.run(command("true"), timeout=5.0) for _ in range(3)]
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(one) for one in outcomes] == [SourceError] * 3
    assert {one.kind for one in outcomes if isinstance(one, SourceError)} == {"unreachable"}
    assert attempts == 1
    with pytest.raises(SourceError):
        await runner.run(command("true"), timeout=5.0)
    assert attempts == 2


async def test_a_wait_that_is_given_up_leaves_the_next_one_free(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def hang(self: Endpoint) -> Any:
        await asyncio.sleep(3600)

    monkeypatch.setattr(Endpoint, "resolve", hang)
    runner = SshPool(16).runner(endpoint())
    for _ in range(2):
        with pytest.raises(SourceError) as error:
            await runner.run(command("true"), timeout=0.01)
        assert error.value.kind == "timeout"


def test_no_secret_way_is_in_the_repr() -> None:
    assert "keys" not in repr(endpoint(jump="jump"))
