"""`lab up` and `lab down`."""

from __future__ import annotations

import importlib
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

from lab import chaos, keys, machine
from lab.host import Host, hosts
from lab.plan import HERE, STATE, Plan
from lab.roles import broker

_DONE = STATE / "up"
"""There once everything has started."""


def up(plan: Plan) -> int:
    """Bring everything up; where it is up already, undo the faults that were left in it."""
    if why := cannot():
        print(f"lab: {why}", file=sys.stderr)
        return 1
    begun = time.monotonic()
    with machine.alone():
        everyone = hosts(plan)
        if _is_up(plan, everyone):
            print("lab: is up")
            return 0
        bases = {suite: _base(suite) for suite in {own.suite for own in plan.hosts.values()}}
        machine.remove_all(plan)
        try:
            _start(plan, everyone, bases)
        except (KeyboardInterrupt, SystemExit):
            print(f"lab: logs: {STATE}/hosts/*/console; lab down removes all", file=sys.stderr)
            raise
    print(f"lab: up in {time.monotonic() - begun:.0f} s")
    return 0


def down(plan: Plan) -> int:
    """Remove everything."""
    begun = time.monotonic()
    with machine.alone():
        machine.remove_all(plan)
    print(f"lab: down in {time.monotonic() - begun:.1f} s")
    return 0


def _is_up(plan: Plan, everyone: dict[str, Host]) -> bool:
    """True if everything runs, without a fault that somebody left there."""
    if not _DONE.exists() or not all(host.runs for host in everyone.values()):
        return False
    try:
        for words in chaos.present():
            _say(f"undoing a fault: chaos {' '.join(words)}")
            chaos.undo(plan, words)
        with ThreadPoolExecutor(len(everyone)) as threads:
            list(threads.map(_wait, everyone.values()))
    except SystemExit as error:
        print(f"{error}\nlab: starts anew", file=sys.stderr)
        return False
    return True


def cannot() -> str:
    """Why this machine cannot have a lab; empty if it can."""
    if os.geteuid() != 0:
        return "needs root"
    if not Path("/proc/self/ns/net").exists() or not shutil.which("ip"):
        return "needs network namespaces and iproute2"
    probe = "mtlab-probe"
    try:
        for argv in (["ip", "netns", "add", probe], ["ip", "netns", "del", probe]):
            subprocess.run(argv, check=True, capture_output=True)
    except subprocess.CalledProcessError as error:
        return f"no network namespace can be made: {error.stderr.decode().strip()}"
    if "overlay" not in Path("/proc/filesystems").read_text():
        return "the kernel has no overlay file system"
    if not machine.cgroups_writable():
        return "cgroups cannot be made below /sys/fs/cgroup"
    return ""


def _base(suite: str) -> Path:
    done = subprocess.run(
        [HERE / "base" / "build", suite], stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"lab: the base for {suite} could not be built")
    return Path(done.stdout.strip())


def _start(plan: Plan, everyone: dict[str, Host], bases: dict[str, Path]) -> None:
    STATE.mkdir(mode=0o755, exist_ok=True)
    keys.make(plan)
    secret = STATE / "rabbitmq.password"
    secret.write_text(f"{broker.CONSOLE[1]}\n")
    secret.chmod(0o600)
    shutil.copy(keys.KEYS / "console", STATE / "id_ed25519")
    (STATE / "id_ed25519").chmod(0o600)
    machine.bridge(plan)
    with ThreadPoolExecutor(len(everyone)) as threads:
        list(threads.map(lambda host: _boot(host, bases[host.own.suite]), everyone.values()))
        _say("booted")
        list(threads.map(_started, everyone.values()))
    _DONE.touch()


def _boot(host: Host, base: Path) -> None:
    host.lay(base)
    for role in _roles(host):
        role.configure(host)
    host.boot()


def _started(host: Host) -> None:
    _wait(host)
    _say(f"{host.name} is up ({', '.join(host.roles)})")


def _wait(host: Host) -> None:
    for role in _roles(host):
        if hasattr(role, "started"):
            role.started(host)


def _roles(host: Host) -> list[ModuleType]:
    return [importlib.import_module(f"lab.roles.{name}") for name in ("common", *host.roles)]


def _say(words: str) -> None:
    print(f"lab: {words}", flush=True)


def interrupted(*_: object) -> None:
    """SIGTERM ends `up` as Ctrl-C does."""
    raise KeyboardInterrupt


signal.signal(signal.SIGTERM, interrupted)
