"""`lab up` and `lab down`: repeatable, and without a trace. First, because others need it up."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.lab.conftest import ROOT, lab


def lines(*argv: str) -> set[str]:
    return set(subprocess.run(argv, capture_output=True, text=True, check=True).stdout.splitlines())


def processes() -> set[str]:
    """Every systemd-nspawn, and the PID namespaces that have processes (not these: they change)."""
    found = set()
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            found.add(str((directory / "ns/pid").readlink()))
            if (directory / "comm").read_text().strip() == "systemd-nspawn":
                found.add(f"{directory.name} systemd-nspawn")
        except OSError:
            continue
    return found


LOOKS: dict[str, Callable[[], set[str]]] = {
    "namespaces": lambda: lines("ip", "netns", "list"),
    "links": lambda: {path.name for path in Path("/sys/class/net").iterdir()},
    "addresses": lambda: lines("ip", "-o", "-4", "addr", "show"),
    "routes": lambda: lines("ip", "route", "show", "table", "all"),
    # below /tmp are other people's; nothing of the lab is there
    "mounts": lambda: {
        line
        for line in Path("/proc/self/mounts").read_text().splitlines()
        if not line.split()[1].startswith("/tmp/")
    },
    "cgroups": lambda: {
        str(path) for path in Path("/sys/fs/cgroup").glob("**/cgroup.procs") if path.exists()
    },
    "runtime files": lambda: {
        str(path) for name in ("mailtui", "mtlab") for path in Path("/run").glob(f"*{name}*")
    },
    "nspawn's files": lambda: {str(path) for path in Path("/run/systemd/nspawn").glob("*/*")},
    "processes": processes,
}


def traces() -> dict[str, set[str]]:
    """Everything that a lab could leave behind."""
    return {name: look() for name, look in LOOKS.items()}


def ours(found: dict[str, set[str]], before: dict[str, set[str]]) -> dict[str, set[str]]:
    """What is there now and was not before."""
    return {name: now - before[name] for name, now in found.items() if now - before[name]}


def test_nothing_is_left_behind_even_by_an_up_that_was_killed() -> None:
    lab("down")
    before = traces()
    with subprocess.Popen(
        [ROOT / "lab" / "lab", "up"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert any("booted" in line for line in process.stdout)
        process.send_signal(signal.SIGKILL)
    assert ours(traces(), before), "the killed one had begun"
    lab("up")
    assert "is up" in lab("up"), "a second time there is nothing to do"
    lab("down")
    assert ours(traces(), before) == {}
    lab("down")
    lab("up")
    assert "down" not in lab("status")
