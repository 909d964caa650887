"""`lab up` and `lab down`: repeatable, and without a trace. First, because others need it up."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lab.conftest import ROOT, lab

NAMES = ("mtlab", "mailtui-lab", "10.78.0.")
"""What everything has in it that the lab takes of this machine; others work here too."""
KINDS = ("cgroup", "ipc", "mnt", "net", "pid", "uts")


def output(*argv: str) -> list[str]:
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.splitlines()


def named(lines: list[str]) -> set[str]:
    return {line for line in lines if any(name in line for name in NAMES)}


def namespaces(process: Path) -> set[str]:
    """The namespaces of a process, as `net:[4026531840]`."""
    try:
        return {str((process / "ns" / kind).readlink()) for kind in KINDS}
    except OSError:
        return set()


def processes() -> set[str]:
    """What runs for the lab: in one of its cgroups, or named by its command line."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            if named([(process / "cgroup").read_text()]) or "--machine=mtlab" in command:
                found.add(f"{process.name} {command}")
        except OSError:
            continue
    return found


LOOKS: dict[str, Callable[[], set[str]]] = {
    "namespaces": lambda: named(output("ip", "netns", "list")),
    "links": lambda: named([path.name for path in Path("/sys/class/net").iterdir()]),
    "addresses": lambda: named(output("ip", "-o", "-4", "addr", "show")),
    "routes": lambda: named(output("ip", "route", "show", "table", "all")),
    "mounts": lambda: named(Path("/proc/self/mounts").read_text().splitlines()),
    "cgroups": lambda: named([str(path) for path in Path("/sys/fs/cgroup").glob("*/*")]),
    "cgroups of version 2": lambda: named([str(p) for p in Path("/sys/fs/cgroup").iterdir()]),
    "runtime files": lambda: named([str(path) for path in Path("/run").iterdir()]),
    "nspawn's files": lambda: {str(path) for path in Path("/run/systemd/nspawn").glob("*/*")},
    "processes": processes,
}


def traces() -> dict[str, set[str]]:
    """Everything there is of a lab on this machine now."""
    return {name: found for name, look in LOOKS.items() if (found := look())}


def inner() -> set[str]:
    """The namespaces in which the lab's processes are, this machine's own left out."""
    found = {one for line in processes() for one in namespaces(Path("/proc", line.split()[0]))}
    return found - namespaces(Path("/proc/self"))


def holders(of: set[str]) -> set[str]:
    """Processes, whoever's, that are in one of these namespaces."""
    return {path.name for path in Path("/proc").glob("[0-9]*") if namespaces(path) & of}


def killed_up(when: Callable[[str], bool], after: float = 0.0) -> None:
    """`lab up`, killed so many seconds after it printed a line that `when` is true of."""
    with subprocess.Popen(
        [ROOT / "lab" / "lab", "up"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert any(when(line) for line in process.stdout)
        time.sleep(after)
        process.send_signal(signal.SIGKILL)


@pytest.mark.parametrize("seed", range(3))
def test_an_up_killed_at_any_moment_is_no_hindrance(seed: int) -> None:
    """While hosts are laid, while they boot: nothing printed yet, so by the clock."""
    lab("down")
    process = subprocess.Popen([ROOT / "lab" / "lab", "up"], stdout=subprocess.DEVNULL)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(random.Random(seed).uniform(0.3, 4))
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    lab("down")
    assert traces() == {}


def test_nothing_is_left_behind_even_by_an_up_that_was_killed() -> None:
    lab("down")
    assert traces() == {}
    killed_up(lambda line: "booted" in line)
    assert {"namespaces", "links", "mounts", "processes"} <= traces().keys(), "it had begun"
    lab("up")
    assert "is up" in lab("up"), "a second time there is nothing to do"
    inside = inner()
    assert len(inside) >= 5 * 8
    lab("down")
    assert traces() == {}
    assert holders(inside) == set()
    lab("down")
    lab("up")
    assert "down" not in lab("status").split()


def test_an_up_after_killed_tests_undoes_their_faults() -> None:
    lab("up")
    for words in (("cut", "mx2"), ("fill", "store1"), ("stop", "mx1", "fail2ban.service")):
        lab("chaos", *words)
    assert lab("status").count("a fault is there") == 3
    assert lab("up").count("undoing") == 3
    assert "a fault is there" not in lab("status")
    assert lab("shell", "mx1", "systemctl is-active fail2ban") == "active\n"
    assert "filler" not in lab("shell", "store1", "ls /var/tmp")
    assert "is up" in lab("up")
