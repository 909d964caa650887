"""fail2ban-client's answers, versions 1.0 and 1.1."""

from __future__ import annotations

import calendar

import pytest

from mailtui.collectors import fail2ban_parse as parse
from mailtui.collectors.fail2ban import Fail2banCollector
from mailtui.config.sources.fail2ban import Settings
from mailtui.connections.errors import SourceError, ToolMissing
from mailtui.model import clock
from mailtui.problems.fail2ban import network
from tests.unit.captured import captured
from tests.unit.fake_runner import Answer, FakeRunner

VERSIONS = ["1.0.2", "1.1.0"]
TAKEN = float(calendar.timegm((2026, 11, 24, 12, 1, 0)))
"""When the captures were made; their hosts' time zone is UTC."""


@pytest.fixture(autouse=True)
def at_capture_time():
    clock.set_clock(lambda: TAKEN)
    yield
    clock.set_clock(None)


class Captured:
    """A fail2ban that answers as the captured one."""

    def __init__(self, version: str, zone: str = "+0000") -> None:
        self.zone = zone
        text = lambda name: captured(f"fail2ban-{version}/{name}")  # noqa: E731
        self.answers: dict[tuple[str, ...], str] = {
            ("status",): text("status.txt"),
            ("version",): f"{version}\n",
            ("status", "postfix-sasl"): text("status-postfix-sasl.txt"),
            ("status", "dovecot"): text("status-empty-jail.txt"),
            ("status", "sshd"): text("status-sshd.txt"),
            ("status", "recidive-mail"): text("status-recidive-permanent.txt"),
            ("get", "postfix-sasl", "banip", "--with-time"): text("get-sasl-banip-with-time.txt"),
            ("get", "recidive-mail", "banip", "--with-time"): text(
                "get-permanent-banip-with-time.txt"
            ),
            ("get", "dovecot", "banip", "--with-time"): text("get-empty-banip-with-time.txt"),
            ("get", "sshd", "banip", "--with-time"): "",
        }

    def __call__(self, argv: tuple[str, ...]) -> Answer:
        if argv[0] == "date":
            return 0, f"{self.zone}\n", ""
        asked = argv[1:]
        if asked in self.answers:
            return 0, self.answers[asked], ""
        settings = {"bantime": "28800", "findtime": "600", "maxretry": "3"}
        if asked[0] == "get" and asked[-1] in settings:
            return 0, f"{settings[asked[-1]]}\n", ""
        return 255, "", captured("fail2ban-1.0.2/status-no-such-jail.err")


def collector(fake: FakeRunner, **options: object) -> Fail2banCollector:
    return Fail2banCollector("mx1", Settings(), fake, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_captured_fail2ban(version: str) -> None:
    report = await collector(FakeRunner(Captured(version))).read()
    assert report.version == version
    jails = {jail.name: jail for jail in report.jails}
    assert set(jails) == {"dovecot", "postfix-sasl", "recidive-mail", "sshd"}
    sasl = [ban for ban in report.bans if ban.jail == "postfix-sasl"]
    assert len(sasl) == jails["postfix-sasl"].currently_banned
    assert sasl[0].expires_at is not None and sasl[0].banned_at is not None
    assert sasl[0].expires_at - sasl[0].banned_at == 28800
    assert jails["postfix-sasl"].max_retry == 3
    permanent = [ban for ban in report.bans if ban.permanent]
    assert {ban.address for ban in permanent} == {"198.51.100.0/24", "203.0.113.59"}
    assert all(ban.expires_at is None for ban in permanent)
    assert report.total == len(report.bans)


async def test_times_are_of_the_host_s_zone() -> None:
    utc = await collector(FakeRunner(Captured("1.0.2"))).read()
    east = await collector(FakeRunner(Captured("1.0.2", "+0530"))).read()
    west = await collector(FakeRunner(Captured("1.0.2", "-0330"))).read()
    strange = await collector(FakeRunner(Captured("1.0.2", "CET"))).read()
    first = utc.bans[0].banned_at
    assert first == calendar.timegm((2026, 11, 24, 11, 57, 51))
    assert east.bans[0].banned_at == first - 5.5 * 3600
    assert west.bans[0].banned_at == first + 3.5 * 3600
    assert strange.bans[0].banned_at is None
    assert strange.bans[0].expires_at is None


async def test_a_quiet_second_read_asks_little() -> None:
    fake = FakeRunner(Captured("1.0.2"))
    reader = collector(fake)
    first = await reader.read()
    fake.asked.clear()
    assert await reader.read() == first
    asked = [" ".join(cmd.argv[1:]) for cmd in fake.asked if cmd.argv[0] == "fail2ban-client"]
    assert "status" in asked
    assert not any("banip" in words and "sshd" not in words for words in asked)
    assert not any("bantime" in words for words in asked)


async def test_a_new_ban_is_asked_for() -> None:
    answers = Captured("1.0.2")
    fake = FakeRunner(answers)
    reader = collector(fake)
    before = await reader.read()
    status = ("status", "dovecot")
    banip = ("get", "dovecot", "banip", "--with-time")
    answers.answers[status] = answers.answers[status].rstrip() + " 192.0.2.7\n"
    answers.answers[banip] += "192.0.2.7 \t2026-11-24 12:00:59 + 600 = 2026-11-24 12:10:59\n"
    after = await reader.read()
    assert {b.address for b in after.bans} - {b.address for b in before.bans} == {"192.0.2.7"}


async def test_a_jail_that_stopped_meanwhile_is_no_error() -> None:
    answers = Captured("1.0.2")
    del answers.answers["status", "sshd"]
    report = await collector(FakeRunner(answers)).read()
    assert "sshd" not in {jail.name for jail in report.jails}
    assert len(report.jails) == 3


async def test_bans_beyond_the_limit_are_counted() -> None:
    reader = Fail2banCollector("mx1", Settings(limit=2), FakeRunner(Captured("1.0.2")))  # type: ignore[arg-type]
    report = await reader.read()
    assert len(report.bans) == 2
    assert report.total > 2


def answering(status: int, name: str) -> FakeRunner:
    err = captured(name)
    return FakeRunner(lambda argv: (0, "+0000", "") if argv[0] == "date" else (status, "", err))


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_fail2ban_that_is_down(version: str) -> None:
    down = answering(255, f"fail2ban-{version}/status-down.err")
    with pytest.raises(SourceError) as caught:
        await collector(down).read()
    assert caught.value.kind == "server"
    assert "does not run" in caught.value.message
    assert "systemctl start fail2ban" in caught.value.hint
    with pytest.raises(ToolMissing):
        await collector(down, expected=False).read()


@pytest.mark.parametrize(
    ("status", "name"),
    [(255, "fail2ban-1.0.2/status-non-root.err"), (1, "fail2ban-1.0.2/status-nosudo-user.err")],
)
async def test_without_root_it_names_the_file_for_sudoers(status: int, name: str) -> None:
    with pytest.raises(SourceError) as caught:
        await collector(answering(status, name)).read()
    assert caught.value.kind == "auth"
    assert "deploy/sudoers" in caught.value.hint


async def test_every_client_runs_as_root() -> None:
    fake = FakeRunner(Captured("1.0.2"))
    await collector(fake).read()
    assert all(cmd.root == (cmd.argv[0] == "fail2ban-client") for cmd in fake.asked)


def test_offsets() -> None:
    assert parse.utc_offset("+0200\n") == 7200
    assert parse.utc_offset("-0030") == -1800
    assert parse.utc_offset("UTC") is None


def test_no_jail_at_all() -> None:
    assert parse.jails("Status\n|- Number of jail:\t0\n`- Jail list:\t\n") == []


def test_networks() -> None:
    assert network("203.0.113.77") == "203.0.113.0/24"
    assert network("2001:db8:1:2:3::7") == "2001:db8:1:2::/64"
    assert network("198.51.0.0/16") == "198.51.0.0/16"
    assert network("not an address") is None
