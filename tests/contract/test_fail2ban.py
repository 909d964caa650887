"""Bans: the sandbox answers as a real fail2ban does."""

from __future__ import annotations

import ipaddress

import pytest

from mailtui.collectors.fail2ban import Fail2banCollector, collectors
from mailtui.config.settings import Context
from mailtui.connections.errors import ToolMissing
from mailtui.connections.pool import Connections
from mailtui.model import clock


@pytest.fixture
def readers(
    context: Context, connections: Connections, mx_names: list[str]
) -> list[Fail2banCollector]:
    return [c for c in collectors(context, connections) if c.target in mx_names]


async def test_jails_and_bans_agree(readers: list[Fail2banCollector]) -> None:
    for collector in readers:
        report = await collector.read()
        assert report.version[:2] in ("1.", "0.")
        assert report.jails
        for jail in report.jails:
            bans = [ban for ban in report.bans if ban.jail == jail.name]
            assert jail.currently_banned is not None
            # a ban may come or go between the two commands
            assert abs(len(bans) - jail.currently_banned) <= 2
            assert jail.total_banned is not None and jail.total_banned >= 0
            assert jail.find_time and jail.find_time > 0
            assert jail.max_retry and jail.max_retry > 0
            assert jail.ban_time is not None


async def test_each_ban_is_an_address_with_times(readers: list[Fail2banCollector]) -> None:
    for collector in readers:
        for ban in (await collector.read()).bans:
            assert ipaddress.ip_network(ban.address)
            assert ban.host == collector.target
            assert ban.banned_at is not None and ban.banned_at <= clock.now() + 5
            assert ban.permanent == (ban.expires_at is None)
            if ban.expires_at is not None:
                assert ban.expires_at > ban.banned_at


async def test_a_second_read_agrees_with_the_first(readers: list[Fail2banCollector]) -> None:
    collector = readers[0]
    first, second = await collector.read(), await collector.read()
    assert {j.name for j in first.jails} == {j.name for j in second.jails}
    assert [j.max_retry for j in first.jails] == [j.max_retry for j in second.jails]
    common = {b.key: b for b in first.bans}.keys() & {b.key for b in second.bans}
    assert len(common) >= len(first.bans) - 2


async def test_a_host_that_does_not_use_fail2ban_is_no_error(
    context: Context, connections: Connections
) -> None:
    for collector in collectors(context, connections):
        if "mx" not in context.hosts[collector.target].roles:
            try:
                assert (await collector.read()).jails, collector.target
            except ToolMissing as error:
                assert collector.target in str(error)
