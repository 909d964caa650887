"""Facts of hosts: the sandbox answers as real hosts do."""

from __future__ import annotations

import asyncio

from mailtui.collectors.hosts import HostCollector, collectors
from mailtui.config.settings import Context
from mailtui.connections.pool import Connections
from mailtui.model import clock
from mailtui.model.host import HostFacts


async def read(context: Context, connections: Connections) -> dict[str, HostFacts]:
    found = collectors(context, connections)
    try:
        values = await asyncio.gather(*(collector.read() for collector in found))
        return {c.target: value for c, value in zip(found, values, strict=True)}
    finally:
        for collector in found:
            await collector.close()


async def test_every_host_tells_what_it_is(context: Context, connections: Connections) -> None:
    for name, facts in (await read(context, connections)).items():
        assert facts.hostname, name
        assert facts.os.startswith("Debian GNU/Linux 1"), name
        assert facts.kernel[0].isdigit(), name
        assert facts.uptime and facts.uptime > 0, name
        assert facts.cpus and facts.cpus >= 1, name
        assert facts.load is not None and len(facts.load) == 3, name
        assert facts.memory_total and facts.memory_available is not None, name
        assert 0 < facts.memory_available <= facts.memory_total, name
        assert facts.notes == (), (name, facts.notes)
        assert facts.missing == (), (name, facts.missing)


async def test_mounts_are_places_that_can_run_full(
    context: Context, connections: Connections
) -> None:
    for name, facts in (await read(context, connections)).items():
        targets = [mount.target for mount in facts.mounts]
        assert "/" in targets, (name, targets)
        assert len(targets) == len(set(targets))
        for mount in facts.mounts:
            assert mount.fstype != "tmpfs", (name, mount)
            assert 0 < mount.used + mount.available <= mount.size
            assert mount.inodes_used <= mount.inodes


async def test_the_role_s_units_are_there_and_run(
    context: Context, connections: Connections, mx_names: list[str]
) -> None:
    found = await read(context, connections)
    for name in mx_names:
        units = {unit.name: unit for unit in found[name].units if unit.expected}
        postfix = [unit for key, unit in units.items() if key.startswith("postfix")]
        assert len(postfix) == 1, (name, list(units))
        assert (postfix[0].active, postfix[0].sub) == ("active", "running")
        assert postfix[0].since is not None and postfix[0].since <= clock.now()
        assert units["fail2ban.service"].active == "active"


async def test_certificates_are_read_from_the_ports(
    context: Context, connections: Connections, mx: str
) -> None:
    facts = (await read(context, connections))[mx]
    smtp = next(c for c in facts.certificates if c.port == 25)
    assert smtp.error == ""
    assert smtp.subject
    assert smtp.names
    assert 0 < smtp.not_before < smtp.not_after


async def test_a_second_read_keeps_the_certificates(
    context: Context, connections: Connections, mx: str
) -> None:
    collector = next(c for c in collectors(context, connections) if c.target == mx)
    assert isinstance(collector, HostCollector)
    first = await collector.read()
    second = await collector.read()
    assert second.certificates == first.certificates
    assert second.hostname == first.hostname
    await collector.close()
