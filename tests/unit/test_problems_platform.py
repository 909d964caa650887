"""The sentences under "what is wrong": hosts, queues, bans, what could not be read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mailtui.collectors.state import State
from mailtui.config.load import parse
from mailtui.config.settings import Context
from mailtui.model.bans import Ban, BanReport
from mailtui.model.host import Certificate, HostFacts, Mount, Unit
from mailtui.model.mail import Message, QueueListing, Recipient
from mailtui.model.metrics import Forecast, MetricsReport
from mailtui.model.problem import Problem
from mailtui.model.reading import Fault, FaultKind, Reading
from mailtui.model.where import compile_where
from mailtui.problems import engine, fail2ban, hosts, postfix, readings
from mailtui.resources import bans, certificates, disks, messages, units
from mailtui.resources import hosts as host_rows

NOW = 1_795_000_000.0
DAY = 86400.0


@pytest.fixture
def context() -> Context:
    text = (
        "contexts:\n  t:\n    hosts:\n      mx1: {roles: [mx]}\n      mx2: {roles: [mx]}\n"
        "      store1: {roles: [store]}\n"
    )
    return parse(text, Path("/tmp/config.yaml")).choose()[1]


def put(state: State, source: str, target: str, value: Any, **fields: Any) -> None:
    fields = {"read_at": NOW - 5, "interval": 15.0, "seq": 1, **fields}
    state.put(Reading(source, target, value, **fields))


def host_state(**facts: Any) -> State:
    state = State()
    put(state, "hosts", "store1", HostFacts(**facts))
    return state


def mount(target: str, used: int, inodes_used: int = 0) -> Mount:
    return Mount(target, f"/dev{target}", "ext4", 1000, used, 1000 - used, 1000, inodes_used)


def only(found: Any) -> Problem:
    (problem,) = list(found)
    return problem


def matches(problem: Problem, resource: Any, rows: list[Any]) -> list[Any]:
    return [row for row in rows if compile_where(problem.where, resource.columns).matches(row)]


@pytest.mark.parametrize(
    ("used", "severity"), [(849, None), (850, "warning"), (949, "warning"), (950, "critical")]
)
def test_disks_by_thresholds(context: Context, used: int, severity: str | None) -> None:
    state = host_state(mounts=(mount("/", 100), mount("/var/my mail", used)))
    found = list(hosts.find(state, context, NOW))
    assert [p.severity for p in found] == ([severity] if severity else [])
    for problem in found:
        assert problem.key == "disk/store1//var/my mail"
        assert problem.text.startswith("/var/my mail 8" if used < 900 else "/var/my mail 9")
        found = matches(problem, disks.RESOURCE, disks.rows_in(state, context))
        assert [disk.target for disk in found] == ["/var/my mail"]


def test_tables_are_coloured_by_the_configured_limits(frozen: None) -> None:
    limits = (
        "{disk_warning: 0.5, disk_critical: 0.6, full_in_warning: 10d, full_in_critical: 5d,"
        " certificate_warning: 90d, certificate_critical: 50d}"
    )
    text = (
        f"contexts:\n  t:\n    hosts: {{store1: {{roles: [store], tags: [eu, a]}}}}\n"
        f"    sources: {{hosts: {limits}}}\n"
    )
    strict = parse(text, Path("/tmp/config.yaml")).choose()[1]
    state = host_state(
        mounts=(mount("/a", 550, 650), mount("/b", 400, 100)),
        certificates=(certificate(40 * DAY), certificate(80 * DAY, port=25)),
    )
    growing = Forecast("store1", "/b", 0.4, available=7 * DAY, growth=1.0)
    put(state, "prometheus", "", MetricsReport(forecasts=(growing,)))

    def grades(module: Any, name: str) -> list[str]:
        column = module.RESOURCE.column(name)
        return [column.grade(row) for row in module.rows_in(state, strict)]

    assert grades(disks, "used") == ["warning", ""]
    assert grades(disks, "inodes") == ["critical", ""]
    assert grades(disks, "full") == ["", "warning"]
    assert grades(certificates, "left") == ["critical", "warning"]
    assert grades(host_rows, "disk") == ["warning"]
    assert grades(host_rows, "certificate") == ["critical"]
    (row,) = host_rows.rows_in(state, strict)
    assert compile_where("tags:=eu roles:=store", host_rows.RESOURCE.columns).matches(row)


def test_inodes_run_out_before_the_space_does(context: Context) -> None:
    problem = only(hosts.find(host_state(mounts=(mount("/", 100, 970),)), context, NOW))
    assert problem.severity == "critical"
    assert problem.text == "/ 97 % of its inodes, 30 free"
    assert problem.key == "disk/store1//"


def unit(active: str, load: str = "loaded", sub: str = "", expected: bool = True) -> Unit:
    return Unit("dovecot.service", load, active, sub or active, "exit-code", expected=expected)


@pytest.mark.parametrize(
    ("one", "severity", "words"),
    [
        (unit("failed"), "critical", "failed (exit-code)"),
        (unit("failed", expected=False), "warning", "failed (exit-code)"),
        (unit("inactive", sub="dead"), "critical", "does not run"),
        (unit("inactive", load="not-found"), "warning", "is not installed"),
        (unit("inactive", load="masked"), "warning", "is masked"),
        (unit("activating"), "warning", "is activating"),
    ],
)
def test_units(context: Context, one: Unit, severity: str, words: str) -> None:
    state = host_state(units=(one,))
    problem = only(hosts.find(state, context, NOW))
    assert problem.severity == severity
    assert words in problem.text
    assert len(matches(problem, units.RESOURCE, units.rows(state))) == 1


def test_units_that_are_well(context: Context) -> None:
    state = host_state(units=(unit("active"), unit("inactive", expected=False)))
    assert list(hosts.find(state, context, NOW)) == []


def certificate(left: float, port: int = 993, **fields: Any) -> Certificate:
    values = {"service": "imaps", "subject": "s", "names": ("s",), "not_before": NOW - 90 * DAY}
    return Certificate(port=port, not_after=NOW + left, **{**values, **fields})


@pytest.mark.parametrize(
    ("left", "severity", "words"),
    [
        (22 * DAY, None, ""),
        (20 * DAY, "warning", "expires in 20 d"),
        (2 * DAY, "critical", "expires in 2 d"),
        (-3 * DAY, "critical", "expired 3 d 00 h ago"),
    ],
)
def test_certificates_end(
    context: Context, left: float, severity: str | None, words: str, frozen: None
) -> None:
    state = host_state(certificates=(certificate(left),))
    found = list(hosts.find(state, context, NOW))
    assert [p.severity for p in found] == ([severity] if severity else [])
    for problem in found:
        assert words in problem.text
        assert matches(problem, certificates.RESOURCE, certificates.rows_in(state, context))


@pytest.fixture
def frozen():
    from mailtui.model import clock

    clock.set_clock(lambda: NOW)
    yield
    clock.set_clock(None)


def test_a_port_without_a_certificate(context: Context) -> None:
    broken = Certificate(port=993, service="imaps", error="connection refused")
    problem = only(hosts.find(host_state(certificates=(broken,)), context, NOW))
    assert problem.text == "imaps (993) serves no certificate: connection refused"


def test_a_daemon_that_was_not_reloaded(context: Context) -> None:
    old, new = certificate(30 * DAY, 25, service="smtp"), certificate(90 * DAY)
    problem = only(hosts.find(host_state(certificates=(old, new)), context, NOW))
    assert "smtp (25) serves an older certificate than imaps (993)" in problem.text


def test_load_and_memory_only_when_extreme(context: Context) -> None:
    calm = {"load": (8.0, 8.0, 8.0), "cpus": 2, "memory_total": 1000, "memory_available": 100}
    assert list(hosts.find(host_state(**calm), context, NOW)) == []
    spike = {**calm, "load": (90.0, 3.0, 1.0)}
    assert list(hosts.find(host_state(**spike), context, NOW)) == []
    wild = {**calm, "load": (40.0, 20.0, 9.0), "memory_available": 10}
    found = {p.key: p for p in hosts.find(host_state(**wild), context, NOW)}
    assert found["load/store1"].text == "load 40 on 2 CPUs for more than 5 min"
    assert found["memory/store1"].severity == "critical"
    state = host_state(**wild)
    assert matches(found["load/store1"], host_rows.RESOURCE, host_rows.rows_in(state, context))


def listing(host: str, *parts: tuple[int, str, str, str], **fields: Any) -> QueueListing:
    """(count, destination, reason, sender) of deferred messages, one a second from 20 min ago."""
    found = [
        Message(
            host=host,
            queue_name="deferred",
            queue_id=f"{host}{n}{destination}",
            arrival_time=int(NOW) - 1200 + number,
            message_size=1000,
            sender=sender,
            recipients=(Recipient(f"a@{destination}", reason),),
            recipient_count=1,
            destination=destination,
            reason=reason,
        )
        for n, (count, destination, reason, sender) in enumerate(parts)
        for number in range(count)
    ]
    counts = {"deferred": len(found)}
    return QueueListing(tuple(found), len(found), **{"counts": counts, **fields})


def queues(**listings: QueueListing) -> State:
    state = State()
    for host, value in listings.items():
        put(state, "postfix", host, value)
    return state


RATE = "421-4.7.0 rate limited"


def test_a_destination_dominates(context: Context) -> None:
    state = queues(
        mx1=listing("mx1", (300, "gmail.com", RATE, "a@x"), (50, "b.example", "450 y", "c@x")),
        mx2=listing("mx2", (400, "gmail.com", RATE, "b@x")),
    )
    problem = only(p for p in postfix.find(state, context, NOW) if "/destination/" in p.key)
    assert problem.text == f"700 of 750 deferred go to gmail.com: {RATE}"
    assert problem.hosts == ("mx2", "mx1")
    assert problem.severity == "warning"
    assert problem.screen == "queues"
    assert len(matches(problem, messages.RESOURCE, messages.rows(state))) == 700


def test_several_reasons_of_one_destination(context: Context) -> None:
    state = queues(
        mx1=listing("mx1", (400, "gmail.com", RATE, "a@x"), (300, "gmail.com", "550 z", "b@x"))
    )
    problem = only(p for p in postfix.find(state, context, NOW) if "/destination/" in p.key)
    assert problem.text == f"700 of 700 deferred go to gmail.com: {RATE} (400)"


def test_many_deferred_and_nothing_dominates(context: Context) -> None:
    parts = [(100, f"d{n}.example", "450 y", f"s{n}@x") for n in range(8)]
    problem = only(postfix.find(queues(mx1=listing("mx1", *parts)), context, NOW))
    assert problem.text.startswith("800 messages are deferred, oldest 20 m; most go to d0.example")


def test_few_deferred_are_everyday_mail(context: Context) -> None:
    state = queues(mx1=listing("mx1", (400, "gmail.com", RATE, "a@x")))
    assert [p for p in postfix.find(state, context, NOW) if "destination" in p.key] == []


@pytest.mark.parametrize(
    ("sender", "words"), [("", "bounces (MAILER-DAEMON)"), ("bob@example.org", "bob@example.org")]
)
def test_a_sender_dominates(context: Context, sender: str, words: str) -> None:
    parts = [(100, f"d{n}.example", "450 y", sender) for n in range(8)]
    state = queues(mx1=listing("mx1", *parts))
    problem = only(p for p in postfix.find(state, context, NOW) if "/sender/" in p.key)
    assert problem.text.startswith("800 of 800 deferred")
    assert words in problem.text
    assert len(matches(problem, messages.RESOURCE, messages.rows(state))) == 800


def test_what_our_own_platform_refuses(context: Context) -> None:
    reason = '452 4.2.2 Failed: write("…") failed: No space left on device …'
    state = queues(mx1=listing("mx1", (9, "example.org", reason, "a@x")))
    problem = only(postfix.find(state, context, NOW))
    assert problem.text == f"9 deferred by our own platform: {reason}"
    assert len(matches(problem, messages.RESOURCE, messages.rows(state))) == 9


def fault(kind: FaultKind, message: str, hint: str = "", since: float = NOW - 130) -> Fault:
    return Fault(kind, message, hint, since, 3)


def test_a_mail_system_that_is_down_is_told_once(context: Context) -> None:
    down = fault("server", "mx1: the mail system is down: its queue cannot be listed", "start it")
    state = State()
    put(state, "postfix", "mx1", listing("mx1", (7, "x.example", "", "a@x")), fault=down)
    put(state, "hosts", "mx1", HostFacts())
    problem = only(engine.find_all(state, context, NOW))
    assert (problem.severity, problem.hosts) == ("critical", ("mx1",))
    assert problem.text == "the mail system is down; 7 messages wait in its queue"


def test_a_listing_by_root_of_a_mail_system_that_is_down(context: Context) -> None:
    notes = ("mx1: the mail system is down",)
    state = queues(mx1=listing("mx1", (7, "x.example", "", "a@x"), notes=notes))
    assert only(postfix.find(state, context, NOW)).severity == "critical"


def test_corrupt_and_malformed(context: Context) -> None:
    state = queues(mx1=listing("mx1", counts={"corrupt": 2}, malformed=3))
    found = {p.key: p for p in postfix.find(state, context, NOW)}
    assert found["postfix/corrupt/mx1"].text == "2 messages in the corrupt queue"
    assert found["postfix/malformed/mx1"].severity == "unknown"


def banned(count: int, prefix: str, ago: float = 60, jail: str = "postfix-sasl") -> list[Ban]:
    return [Ban("mx2", jail, f"{prefix}{n}", NOW - ago, NOW + 600) for n in range(1, count + 1)]


def test_a_burst_names_its_network(context: Context, frozen: None) -> None:
    found = banned(58, "203.0.113.") + banned(3, "198.51.100.", jail="sshd")
    found += banned(50, "192.0.2.", ago=7200)
    state = State()
    put(state, "fail2ban", "mx2", BanReport(bans=tuple(found), total=len(found)))
    problem = only(fail2ban.find(state, context, NOW))
    assert problem.text == (
        "61 bans in 10 min, 58 of them 203.0.113.0/24, most in jail postfix-sasl"
    )
    assert len(matches(problem, bans.RESOURCE, bans.rows(state))) == 61


def test_a_burst_from_one_ipv6_network_and_one_from_everywhere(context: Context) -> None:
    state = State()
    put(state, "fail2ban", "mx1", BanReport(bans=tuple(banned(25, "2001:db8:1:2::"))))
    assert (
        "25 of them 2001:db8:1:2::/64, jail postfix-sasl"
        in only(fail2ban.find(state, context, NOW)).text
    )
    spread = [Ban("mx1", "sshd", f"192.0.{n}.1", NOW - 60) for n in range(25)]
    put(state, "fail2ban", "mx1", BanReport(bans=tuple(spread)), seq=2)
    assert only(fail2ban.find(state, context, NOW)).text == "25 bans in 10 min, jail sshd"


def test_a_host_that_does_not_answer_is_one_line(context: Context) -> None:
    state = State()
    late = fault("timeout", "store1: SSH connect timed out after 10 s")
    for source in ("hosts", "postfix", "fail2ban"):
        value = HostFacts() if source == "hosts" else None
        read_at = NOW - 130 if source == "hosts" else 0.0
        put(state, source, "store1", value, fault=late, read_at=read_at)
    problem = only(readings.find(state, context, NOW))
    assert problem.severity == "unknown"
    assert problem.hosts == ("store1",)
    assert problem.text == "no answer for 2 m 10 s (SSH connect timed out after 10 s)"
    assert problem.where == "host:=store1"


def test_one_source_that_fails_while_the_host_answers(context: Context) -> None:
    state = State()
    put(state, "hosts", "mx1", HostFacts())
    refused = fault("auth", "mx1: sudo -n fail2ban-client was refused (x)", "in sudoers there: y")
    put(state, "fail2ban", "mx1", None, fault=refused, read_at=0.0)
    problem = only(readings.find(state, context, NOW))
    assert problem.screen == "bans"
    assert problem.text == (
        "fail2ban: never read: sudo -n fail2ban-client was refused (x); in sudoers there: y"
    )


def test_a_changed_host_key_keeps_its_words(context: Context) -> None:
    state = State()
    changed = fault("host-key", "mx1: the host key CHANGED (it shows SHA256:x)", "compare it")
    put(state, "hosts", "mx1", HostFacts(), fault=changed, read_at=NOW - 60)
    text = only(readings.find(state, context, NOW)).text
    assert text == "not read for 1 m 00 s: the host key CHANGED (it shows SHA256:x); compare it"


def test_sources_of_the_whole_platform(context: Context) -> None:
    state = State()
    put(state, "rabbitmq", "", None, fault=fault("auth", "rabbitmq: 401", "check it"), read_at=0.0)
    put(state, "prometheus", "", object(), read_at=NOW - 500)
    state.expect("elasticsearch", "", 15)
    found = {p.source: p for p in readings.find(state, context, NOW)}
    assert found["rabbitmq"].text == "rabbitmq: never read: 401; check it"
    assert found["rabbitmq"].screen == "broker"
    assert found["prometheus"].text == "prometheus: not read for 8 m 20 s, every 15 s is due"
    assert "elasticsearch" not in found, "it has only just begun"


def test_absent_tools_are_no_problem(context: Context) -> None:
    state = State()
    put(state, "hosts", "store1", HostFacts())
    missing = fault("missing-tool", "postqueue is not on store1")
    put(state, "postfix", "store1", None, fault=missing, absent=True, read_at=0.0)
    assert list(readings.find(state, context, NOW)) == []


def test_of_one_key_the_worse_is_kept(monkeypatch: pytest.MonkeyPatch, context: Context) -> None:
    def rule(severity: Any, weight: float) -> Any:
        return lambda *_: [Problem("disk/a//", severity, ("a",), severity, "hosts", weight=weight)]

    rules = {"one": rule("warning", 99), "two": rule("critical", 1), "three": rule("unknown", 500)}
    monkeypatch.setattr(engine, "finders", lambda: rules)
    assert only(engine.find_all(State(), context, NOW)).severity == "critical"
