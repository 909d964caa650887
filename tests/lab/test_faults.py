"""Faults of real hosts, as the console shows them."""

from __future__ import annotations

import asyncio
import collections
import json
import subprocess
from collections.abc import Iterable
from typing import Any

import pytest

from mailtui.collectors.platform import Platform
from mailtui.model import clock
from tests.lab.conftest import ROOT, as_mailtui, chaos, lab, mailtui, on, rows, until

pytestmark = pytest.mark.usefixtures("running")


STEADY = {"hosts", "postfix", "fail2ban", "prometheus", "rabbitmq", "elasticsearch"}
"""The sources that are read all the time, whatever screen is open."""


def of_host(platform: Platform, host: str) -> list[Any]:
    return [r for r in platform.state.all() if r.target == host and not r.absent]


def others(platform: Platform, host: str) -> dict[tuple[str, str], Any]:
    return {
        (r.source, r.target): r
        for r in platform.state.all()
        if r.target != host and not r.absent and r.source in STEADY
    }


def every(readings: Iterable[Any], status: str) -> bool:
    return all(r.status == status for r in readings)


async def test_a_cut_link_makes_that_host_stale_and_nothing_else(platform: Platform) -> None:
    await until(lambda: every(of_host(platform, "mx2"), "fresh"))
    await until(lambda: every(others(platform, "mx2").values(), "fresh"))
    chaos("cut", "mx2")
    try:
        await until(lambda: every(of_host(platform, "mx2"), "stale"))
        for reading in of_host(platform, "mx2"):
            assert reading.value is not None, "the last good value stays"
            assert reading.age(clock.now()) > 0
            assert reading.fault.kind in ("timeout", "unreachable"), reading.fault
        before = others(platform, "mx2")

        def went_on() -> bool:
            return all(
                r.status == "fresh" and r.seq > before[key].seq
                for key, r in others(platform, "mx2").items()
            )

        await until(went_on)
        assert every(of_host(platform, "mx2"), "stale")
    finally:
        chaos("heal", "mx2")
    await until(lambda: every(of_host(platform, "mx2"), "fresh"))


def link(host: str) -> str:
    argv = ("tc", "-s", "qdisc", "show", "dev", f"mtlab-{host}")
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


async def test_a_slow_link_holds_packets_back_and_heals(platform: Platform) -> None:
    chaos("slow", "mx1", "64kbit")
    try:
        assert "qdisc tbf" in link("mx1") and "rate 64Kbit" in link("mx1")
        assert "qdisc tbf" not in link("mx2")
        assert as_mailtui("mx1", "wc -c", given="x" * 30_000).stdout.strip() == "30000"
        assert "overlimits 0 " not in link("mx1"), "packets had to wait"
    finally:
        chaos("heal", "mx1")
    assert "qdisc tbf" not in link("mx1")
    await until(lambda: every(of_host(platform, "mx1"), "fresh"))


async def test_a_full_disk_is_the_first_line(platform: Platform) -> None:
    chaos("fill", "store1", 4)
    try:

        def first() -> str:
            problems = json.loads(mailtui("status", "-o", "json"))["problems"]
            return (
                f"{problems[0]['severity']} {' '.join(problems[0]['hosts'])} {problems[0]['text']}"
            )

        await until(lambda: first().startswith("critical store1 / "))
    finally:
        chaos("free", "store1")


async def test_four_wrong_logins_are_a_ban_with_its_time_left() -> None:
    source = "203.0.113.11"
    chaos("unban", "mx1", source)
    assert chaos("login", "mx1", source, 4).split() == ["refused"] * 4
    try:

        def ban() -> dict[str, Any] | None:
            return next((r for r in rows("bans") if r["address"] == source), None)

        def banned() -> bool:
            return ban() is not None

        await until(banned)
        found = ban()
        assert found is not None
        assert found["host"] == "mx1" and found["jail"] == "postfix-sasl"
        assert 0 < found["left"] <= 3600, found
        assert chaos("login", "mx1", source, 1).startswith("no answer"), "the firewall is closed"
    finally:
        chaos("unban", "mx1", source)
    await until(lambda: not banned())
    assert chaos("login", "mx1", source, 1).split() == ["refused"]
    chaos("unban", "mx1", source)


GROUPS = [
    ("gmail.com", "421-4.7.0 rate limited", 4000),
    ("yahoo.com", "421 4.7.0 [TSS04] temporarily deferred", 3000),
    ("outlook.com", "451 4.7.500 Server busy", 2000),
    ("gmail.com", "452 4.2.2 mailbox full", 1000),
]
_CLONES = 'select(.recipients[0].address | startswith("clone-"))'


def counted(host: str, expression: str) -> dict[str, int]:
    """jq's own counts of the clones."""
    text = on(host, f"postqueue -j | jq -r '{_CLONES} | {expression}' | sort | uniq -c")
    return {
        word: int(number)
        for number, word in (line.strip().split(" ", 1) for line in text.splitlines())
    }


async def test_ten_thousand_clones_are_grouped_as_jq_counts_them(platform: Platform) -> None:
    chaos("traffic", 0)
    try:
        for destination, reason, count in GROUPS:
            chaos("clone", "mx1", count, f"{destination}={reason}")
        by_domain = counted("mx1", '.recipients[0].address | split("@")[1]')
        assert by_domain == {"gmail.com": 5000, "yahoo.com": 3000, "outlook.com": 2000}
        by_reason = counted("mx1", ".recipients[0].delay_reason")
        await platform.read_all(["postfix"])
        listing = next(r for r in of_host(platform, "mx1") if r.source == "postfix").value
        clones = [m for m in listing.messages if m.recipients[0].address.startswith("clone-")]
        assert {m.queue_name for m in clones} == {"deferred"}
        assert collections.Counter(m.destination for m in clones) == by_domain
        reasons = collections.Counter(m.reason for m in clones)
        assert sorted(reasons.values()) == sorted(by_reason.values()) == [1000, 2000, 3000, 4000]
        pairs = collections.Counter((m.destination, m.reason) for m in clones)
        assert sorted(pairs.values()) == [1000, 2000, 3000, 4000]
        shown = collections.Counter(
            row["destination"]
            for row in rows("messages")
            if any(address.startswith("clone-") for address in row["recipient"])
        )
        assert shown == by_domain
        described = await asyncio.wait_for(_describe(platform, clones[0].queue_id), 30)
        assert "clone-" in described
    finally:
        chaos("unclone", "mx1")
        chaos("traffic")
    assert counted("mx1", ".queue_id") == {}


async def _describe(platform: Platform, queue_id: str) -> str:
    from mailtui.collectors.postfix import PostfixCollector

    collector = platform.find(PostfixCollector, lambda c: c.target == "mx1")
    assert collector is not None
    return (await collector.describe(queue_id)).text


async def test_poison_becomes_dead_letters() -> None:
    def truth() -> int:
        names = on(
            "mon1", "rabbitmqctl -q -p mail --no-table-headers list_queues name messages_ready"
        )
        return int(dict(line.split("\t") for line in names.splitlines())["mail.dead"])

    def shown() -> int:
        return next(int(row["ready"]) for row in rows("broker") if row["queue"] == "mail.dead")

    before = truth()
    assert chaos("poison", 7).strip() == "7"
    await until(lambda: truth() == before + 7)
    await until(lambda: shown() == before + 7)
    chaos("purge")
    await until(lambda: truth() == shown() == 0)


@pytest.mark.parametrize("unit", ["clamav-daemon.service"])
async def test_a_stopped_unit_is_named(unit: str) -> None:
    chaos("stop", "mx2", unit)
    try:

        def named() -> bool:
            problems = json.loads(mailtui("status", "-o", "json"))["problems"]
            return any("mx2" in p["hosts"] and unit in p["text"] for p in problems)

        await until(named)
    finally:
        chaos("start", "mx2", unit)


@pytest.mark.parametrize(
    ("verb", "words"),
    [
        (("cut", "nohost"), "no host nohost; there are mx1"),
        (("stop", "mx2", "nosuch"), "mx2 has no unit nosuch"),
        (("clone", "mx1", "3", "gmail.com"), "'gmail.com' is no DESTINATION=REASON"),
    ],
)
def test_what_is_no_fault_is_refused_and_not_written_down(
    verb: tuple[str, ...], words: str
) -> None:
    before = lab("status", check=False)
    done = subprocess.run(
        [ROOT / "lab" / "lab", "chaos", *verb], capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert words in done.stderr
    assert lab("status", check=False) == before
