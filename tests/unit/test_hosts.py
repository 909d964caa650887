"""What hosts print, Debian 12 and 13, and what they print when something is missing."""

from __future__ import annotations

import datetime
import subprocess
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailtui.collectors import certificates, host_facts, host_units
from mailtui.collectors.host_local import LocalHostCollector
from mailtui.collectors.hosts import HostCollector
from mailtui.config.settings import Host
from mailtui.config.sources.hosts import Served, Settings
from mailtui.connections.pool import Connections
from mailtui.connections.runner import Completed, command
from mailtui.model.host import Mount
from tests.unit.captured import captured
from tests.unit.fake_runner import Answer, FakeRunner

IGNORED = Settings().ignore_filesystems
ALTERNATIVES = ("postfix@-.service|postfix.service", "fail2ban.service")


def host(version: str) -> Callable[[tuple[str, ...]], Answer]:
    """A host that answers as the captured one."""
    systemd = {"12": "252", "13": "257"}[version]
    directory = f"debian-{version}"
    files = "".join(
        (
            captured(f"{directory}/loadavg.txt"),
            captured(f"{directory}/uptime.txt"),
            captured(f"{directory}/hostname.txt").splitlines()[0] + "\n",
            "6.1.0-40-amd64\n",
            captured(f"{directory}/meminfo.txt"),
            captured(f"{directory}/os-release.txt"),
        )
    )

    def answer(argv: tuple[str, ...]) -> Answer:
        words = " ".join(argv)
        if argv[0] == "cat":
            return 0, files, ""
        if argv[0] == "nproc":
            return 0, "2\n", ""
        if "df -PT -B1" in words:
            return 0, captured(f"{directory}/df-B1-PT.txt"), ""
        if "df -iPT" in words:
            return 0, captured(f"{directory}/df-iPT.txt"), ""
        if "list-units" in words:
            return 0, captured(f"systemd-{systemd}/systemctl-failed.txt"), ""
        if "systemctl show" in words:
            return 0, captured(f"systemd-{systemd}/systemctl-show-unix.txt"), ""
        if "openssl" in words and ":25" in words:
            return 0, captured(f"{directory}/openssl-25-starttls.txt"), ""
        return 127, "", f"sh: {argv[0]}: not found"

    return answer


def collector(answer: Callable[[tuple[str, ...]], Answer]) -> HostCollector:
    return HostCollector("mx1", Host(roles=("mx",)), Settings(), FakeRunner(answer))  # type: ignore[arg-type]


@pytest.mark.parametrize("version", ["12", "13"])
async def test_a_captured_host(version: str) -> None:
    facts = await collector(host(version)).read()
    assert facts.os.startswith(f"Debian GNU/Linux {version} ")
    assert facts.hostname in ("mx1", "mx3")
    assert facts.kernel == "6.1.0-40-amd64"
    assert facts.uptime and facts.uptime > 900
    assert facts.load is not None and facts.load[0] > 0
    assert facts.cpus == 2
    assert facts.memory_total and facts.memory_total > 2**30
    assert [m.target for m in facts.mounts] == ["/"]
    assert facts.mounts[0].inodes == 3085457
    units = {u.name: u for u in facts.units}
    postfix = "postfix@-.service" if version == "12" else "postfix.service"
    assert units[postfix].expected and units[postfix].active == "active"
    assert units[postfix].since and units[postfix].since > 1.7e9
    assert units["backup-nightly.service"].active == "failed"
    assert not units["backup-nightly.service"].expected
    (certificate,) = facts.certificates
    assert (certificate.port, certificate.error) == (25, "")
    assert facts.missing == facts.notes == ()


async def test_tools_that_are_missing_are_no_error() -> None:
    whole = host("12")

    def answer(argv: tuple[str, ...]) -> Answer:
        if argv[0] == "systemctl" or "df" in argv or "openssl" in argv:
            return 127, "", f"sh: {argv[0]}: not found"
        return whole(argv)

    facts = await collector(answer).read()
    assert set(facts.missing) == {"df", "systemctl", "openssl"}
    assert facts.units == facts.mounts == ()
    assert facts.memory_total


async def test_a_host_without_systemd_says_so() -> None:
    whole = host("12")
    words = (
        "System has not been booted with systemd as init system (PID 1). Can't operate.\n"
        "Failed to connect to bus: Host is down\n"
    )
    facts = await collector(lambda a: (1, "", words) if a[0] == "systemctl" else whole(a)).read()
    assert facts.notes == ("units: systemd does not run here",)
    assert facts.units == ()


async def test_a_df_that_hangs_leaves_the_rest() -> None:
    whole = host("12")
    facts = await collector(lambda a: (137, "", "Killed") if "df" in a else whole(a)).read()
    assert facts.mounts == ()
    assert "gave no answer" in facts.notes[0]
    assert facts.load is not None


async def test_a_df_that_may_not_read_all_tells_what_it_read() -> None:
    whole = host("12")

    def answer(argv: tuple[str, ...]) -> Answer:
        status, out, err = whole(argv)
        return (1, out, "df: /mnt/x: Permission denied") if "df" in argv else (status, out, err)

    facts = await collector(answer).read()
    assert [m.target for m in facts.mounts] == ["/"]
    assert facts.notes == ("df: /mnt/x: Permission denied",)


DF = """\
Filesystem     Type    1-blocks        Used   Available Capacity Mounted on
/dev/vda1      ext4 10000000000  4000000000  5500000000      43% /
/dev/vda1      ext4 10000000000  4000000000  5500000000      43% /srv/chroot/spool
/dev/mapper/v  xfs  50000000000 47000000000  3000000000      94% /var/vmail
tmpfs          tmpfs  100000000           0   100000000       0% /tmp
nas:/export a  nfs4 70000000000 10000000000 60000000000      15% /mnt/with space
/dev/loop0     squashfs   1000         1000           0     100% /snap/core
/dev/vda       ext4 99000000000 10000000000 89000000000      11% /run/host/os-release
none           proc           0           0           0       -  /proc
/dev/full      ext4  1000000000   990000000     -500000     100% /full
cut off
"""
DF_INODES = """\
Filesystem     Type    Inodes   IUsed    IFree IUse% Mounted on
/dev/vda1      ext4    600000  590000    10000   99% /
/dev/mapper/v  xfs          0       0        0     - /var/vmail
nas:/export a  nfs4         -       -        -     - /mnt/with space
"""


def test_mounts_are_those_that_can_run_full() -> None:
    found = {m.target: m for m in host_facts.mounts(DF, DF_INODES, IGNORED)}
    assert set(found) == {"/", "/full", "/var/vmail", "/mnt/with space"}
    assert found["/"].inodes_ratio == pytest.approx(0.983, abs=0.001)
    assert found["/var/vmail"].inodes_ratio is None
    assert found["/mnt/with space"].source == "nas:/export a"
    assert found["/full"].available == 0
    assert found["/full"].used_ratio == 1.0


def test_the_root_counts_whatever_it_is() -> None:
    root = Mount("/", "overlay", "overlay", 1000, 500, 500)
    other = Mount("/var/lib/docker/x", "overlay", "overlay", 1000, 500, 500)
    assert host_facts.chosen([other, root], IGNORED) == (root,)


@given(st.text(max_size=300))
def test_no_output_breaks_the_parsers(text: str) -> None:
    host_facts.files(text)
    host_facts.mounts(text, text, IGNORED)
    host_facts.cpus(text)
    host_units.shown(text)
    host_units.failed(text)


def test_files_that_are_missing_are_unknown() -> None:
    files = host_facts.files("mx1\n")
    assert files.hostname == "mx1"
    assert (files.load, files.uptime, files.kernel, files.os, files.memory) == (
        *(None, None, "", "", {}),
    )


@pytest.mark.parametrize("version", ["252", "257"])
def test_captured_units(version: str) -> None:
    units = {u.name: u for u in host_units.shown(captured(f"systemd-{version}/systemctl-show.txt"))}
    assert units["nosuch.service"].load == "not-found"
    assert units["nosuch.service"].since is None
    assert units["backup-nightly.service"].active == "failed"
    assert units["backup-nightly.service"].result == "exit-code"
    (masked,) = host_units.shown(captured(f"systemd-{version}/systemctl-show-masked.txt"))
    assert masked.load == "masked"
    (failed,) = host_units.failed(captured(f"systemd-{version}/systemctl-failed.txt"))
    assert (failed.name, failed.active) == ("backup-nightly.service", "failed")


UNIT = (
    "Id={0}\nLoadState={1}\nActiveState={2}\nSubState={3}\nActiveEnterTimestamp={4}\nNRestarts=2\n"
)


@pytest.mark.parametrize(
    ("instance", "service", "speaks"),
    [
        # Debian 12: the service is a wrapper that is always active (exited)
        (("loaded", "active", "running", "@9"), ("loaded", "active", "exited", "@9"), "instance"),
        (("loaded", "inactive", "dead", "@9"), ("loaded", "active", "exited", "@9"), "instance"),
        (("loaded", "failed", "failed", "@9"), ("loaded", "active", "exited", "@9"), "instance"),
        # Debian 13: the instance exists and is never started
        (("loaded", "inactive", "dead", ""), ("loaded", "active", "running", "@9"), "service"),
        (("loaded", "inactive", "dead", ""), ("loaded", "inactive", "dead", "@9"), "service"),
        (("loaded", "inactive", "dead", ""), ("loaded", "failed", "failed", "@9"), "service"),
        (("not-found", "inactive", "dead", ""), ("loaded", "active", "running", "@9"), "service"),
    ],
)
def test_which_of_two_units_speaks(
    instance: tuple[str, ...], service: tuple[str, ...], speaks: str
) -> None:
    text = "\n".join(
        (UNIT.format("postfix@-.service", *instance), UNIT.format("postfix.service", *service))
    )
    (unit,) = host_units.of_roles(ALTERNATIVES[:1], host_units.shown(text))
    assert unit.name == ("postfix@-.service" if speaks == "instance" else "postfix.service")
    assert unit.expected
    assert unit.restarts == 2


def test_a_unit_that_nobody_has_is_told() -> None:
    text = UNIT.format("patroni.service", "not-found", "inactive", "dead", "")
    (unit,) = host_units.of_roles(("patroni.service",), host_units.shown(text))
    assert unit.load == "not-found"


SERVED = Served(port=25, service="smtp", starttls="smtp")


def answered(status: int, out: str = "", err: str = "") -> Completed:
    return Completed("mx1", command("openssl"), status, out, err)


@pytest.mark.parametrize("version", ["12", "13"])
def test_captured_certificates(version: str) -> None:
    out = captured(f"debian-{version}/openssl-25-starttls.txt")
    found = certificates.parse(SERVED, answered(0, out))
    assert found.error == ""
    assert found.subject in ("mx1.example.org", "mx3.example.org")
    assert found.names[0] == found.subject
    assert "Example Mail Lab CA" in found.issuer
    start = datetime.datetime(2026, 11, 24, 11, 52, 36, tzinfo=datetime.UTC).timestamp()
    assert found.not_before == start


@pytest.mark.parametrize("version", ["12", "13"])
@pytest.mark.parametrize(
    ("name", "status", "error"),
    [
        ("openssl-closed-port.err", 1, "connection refused"),
        ("openssl-not-tls", 1, "the port does not speak TLS"),
    ],
)
def test_why_there_is_no_certificate(version: str, name: str, status: int, error: str) -> None:
    both = name if name.endswith(".err") else f"{name}.err"
    out = "" if name.endswith(".err") else captured(f"debian-{version}/{name}.txt")
    answer = answered(status, out, captured(f"debian-{version}/{both}"))
    assert certificates.parse(SERVED, answer).error == error


def test_a_port_that_hangs() -> None:
    assert certificates.parse(SERVED, answered(124)).error == "no answer within 5 s"


def test_a_certificate_that_is_none() -> None:
    pem = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"
    assert certificates.parse(SERVED, answered(0, pem)).error.startswith("unreadable")


async def test_a_daemon_on_its_public_address_alone_is_asked_there() -> None:
    pem = captured("debian-12/openssl-25-starttls.txt")
    refused = captured("debian-12/openssl-closed-port.err")
    fake = FakeRunner(lambda argv: (0, pem, "") if "192.0.2.5:25" in argv else (1, "", refused))
    assert (await certificates.read(fake, SERVED, "192.0.2.5")).error == ""  # type: ignore[arg-type]
    assert (await certificates.read(fake, SERVED, None)).error == "connection refused"  # type: ignore[arg-type]


async def test_this_machine_agrees_with_df() -> None:
    from mailtui.config.load import parse as parse_config

    text = "contexts:\n  t:\n    hosts:\n      here: {local: true}\n"
    context = parse_config(text, host_path()).choose()[1]
    reader = LocalHostCollector("here", context.hosts["here"], Settings(), Connections(context))
    facts = await reader.read()
    await reader.close()
    done = subprocess.run(["df", "-PT", "-B1", "/"], capture_output=True, text=True, check=True)
    (root,) = host_facts.mounts(done.stdout, "", ())
    mine = next(m for m in facts.mounts if m.target == "/")
    assert (mine.size, mine.fstype) == (root.size, root.fstype)
    assert mine.used_ratio == pytest.approx(root.used_ratio, abs=0.02)
    assert facts.memory_total and facts.cpus and facts.load and facts.uptime
    assert facts.os and facts.kernel and facts.hostname


def host_path():
    from pathlib import Path

    return Path("/tmp/config.yaml")
