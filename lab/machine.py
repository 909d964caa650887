"""What this machine lends the lab: a bridge, namespaces, cgroups. Each call undoes nothing."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lab.plan import STATE, HostPlan, Plan

_CGROUPS = Path("/sys/fs/cgroup")
OUTSIDE = ("198.51.100.0/24", "203.0.113.0/24")
"""Documentation networks (RFC 5737) that stand for the internet; the host `world` has them."""


def run(*argv: str, check: bool = True) -> str:
    """Run a program; its output."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise SystemExit(f"lab: {' '.join(argv)}: {done.stderr.strip() or done.returncode}")
    return done.stdout


@contextmanager
def alone() -> Iterator[None]:
    """One `lab` changes things at a time; the others wait. Ends with the process that has it."""
    folder = os.open(Path(__file__).parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def bridge(plan: Plan) -> None:
    """The bridge, with this machine's address on it; hosts have no way out of it."""
    run("ip", "link", "add", plan.bridge, "type", "bridge")
    prefix = plan.network.partition("/")[2]
    run("ip", "addr", "add", f"{plan.gateway}/{prefix}", "dev", plan.bridge)
    # this machine may have addresses of these networks too: it answers for the bridge's own only
    Path("/proc/sys/net/ipv4/conf", plan.bridge, "arp_ignore").write_text("1")
    run("ip", "link", "set", plan.bridge, "up")


def netns(plan: Plan, host: HostPlan) -> Path:
    """A host's network namespace, its link `v-…` on the bridge and its addresses."""
    name = f"{plan.name}-{host.name}"
    link = link_name(plan, host.name)
    run("ip", "netns", "add", name)
    run("ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", name)
    run("ip", "link", "set", link, "master", plan.bridge, "up")
    prefix = plan.network.partition("/")[2]
    lines = ["link set lo up", f"addr add {host.address}/{prefix} dev eth0", "link set eth0 up"]
    if "world" in host.roles:
        lines += [f"addr add {one['address']}/32 dev eth0" for one in plan.destinations.values()]
        lines += [f"addr add 203.0.113.{n}/32 dev eth0" for n in range(10, 60)]
    else:
        lines += [f"route add {network} dev eth0" for network in OUTSIDE]
    subprocess.run(["ip", "-n", name, "-batch", "-"], input="\n".join(lines), text=True, check=True)
    return Path("/run/netns") / name


def link_name(plan: Plan, host: str) -> str:
    """This machine's end of a host's link."""
    return f"{plan.name}-{host}"[:15]


def in_cgroup(name: str) -> list[str]:
    """What to put before a command line to run it in a cgroup of its own, as systemd needs it."""
    folders = [root / name for root in _cgroup_roots()]
    for folder in folders:
        folder.mkdir(exist_ok=True)
    joining = "".join(f"echo $$ > {folder}/cgroup.procs; " for folder in folders)
    return ["/bin/sh", "-c", f'{joining}exec "$@"', "sh"]


def cgroups_writable() -> bool:
    """True if cgroups can be made here."""
    probe = _cgroup_roots()[0] / "mtlab-probe" if _cgroup_roots() else None
    try:
        if probe is not None:
            probe.mkdir(exist_ok=True)
            probe.rmdir()
    except OSError:
        return False
    return probe is not None


def remove_all(plan: Plan) -> None:
    """Take away whatever there is of a lab by this name, whoever left it behind."""
    prefix = f"{plan.name}-"
    _kill(prefix)
    for mount in sorted(_mounts(), reverse=True):
        # systemd-nspawn's lock of a root file system, if that one was killed too
        with suppress(OSError):
            status = Path(mount).stat()
            lock = f"inode-{status.st_dev}:{status.st_ino}"
            Path("/run/systemd/nspawn/locks", lock).unlink()
        run("umount", "-l", mount, check=False)
    for line in run("ip", "netns", "list").splitlines():
        if (name := line.split()[0]).startswith(prefix):
            run("ip", "netns", "del", name, check=False)
    for link in Path("/sys/class/net").glob(f"{prefix}*"):
        run("ip", "link", "del", link.name, check=False)
    if Path("/sys/class/net", plan.bridge).exists():
        run("ip", "link", "del", plan.bridge)
    for root in _cgroup_roots():
        for top in root.glob(f"{prefix}*"):
            _remove_cgroup(top)
    for left in Path("/run/systemd/nspawn").glob(f"*/{prefix}*"):
        shutil.rmtree(left, ignore_errors=True)
    shutil.rmtree(STATE, ignore_errors=True)


def _kill(prefix: str) -> None:
    """End all hosts: first what runs in them, so that systemd-nspawn clears up after itself."""
    seen: set[int] = set()
    for below, seconds in (("payload", 2.0), ("", 8.0)):
        until = time.monotonic() + seconds
        while (pids := set(_processes(prefix, ""))) and time.monotonic() < until:
            seen |= pids
            for pid in _processes(prefix, below):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)
    # what is dead stays in the list of processes until its parent has looked
    until = time.monotonic() + 3
    while any(Path("/proc", str(pid)).exists() for pid in seen) and time.monotonic() < until:
        time.sleep(0.02)


def _processes(prefix: str, below: str) -> Iterator[int]:
    for root in _cgroup_roots():
        for top in root.glob(f"{prefix}*"):
            # not by glob: it raises where a group goes while it looks
            for folder, _, files in os.walk(top / below):
                if "cgroup.procs" in files:
                    # it went meanwhile, or is of a kind that holds none
                    with suppress(OSError):
                        yield from map(int, Path(folder, "cgroup.procs").read_text().split())


def _remove_cgroup(top: Path) -> None:
    folders = [Path(path) for path, _, _ in os.walk(top, topdown=False)]
    for folder in folders:
        for _ in range(50):
            try:
                folder.rmdir()
                break
            except FileNotFoundError:
                break
            except OSError:  # the last process is not quite gone
                time.sleep(0.05)


def _mounts() -> list[str]:
    lines = Path("/proc/self/mounts").read_text().splitlines()
    targets = [line.split()[1] for line in lines]
    return [target for target in targets if target.startswith(f"{STATE}/")]


def cgroup2() -> bool:
    """True if this machine has the unified hierarchy alone."""
    return (_CGROUPS / "cgroup.controllers").exists()


def _cgroup_roots() -> list[Path]:
    """cgroup v2 alone, or the hierarchies of v1 that systemd uses."""
    if cgroup2():
        return [_CGROUPS]
    return [_CGROUPS / name for name in ("systemd", "unified") if (_CGROUPS / name).exists()]
