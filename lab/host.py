"""One host: a root file system over the base, its own network, its own systemd."""

from __future__ import annotations

import os
import shlex
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from lab import machine
from lab.plan import STATE, HostPlan, Plan

_PATIENCE = 240.0
"""Seconds within which everything starts, whatever else the machine has to do."""


class Host:
    """A host of the lab, whether it runs or not."""

    def __init__(self, plan: Plan, own: HostPlan) -> None:
        self.plan, self.own = plan, own
        self.name, self.address, self.roles = own.name, own.address, own.roles
        self.directory = STATE / "hosts" / own.name
        self.root = self.directory / "root"
        self._units: list[str] = []

    @property
    def fqdn(self) -> str:
        """Its name in the organisation's domain."""
        return f"{self.name}.{self.plan.domain}"

    # before it boots

    def lay(self, base: Path) -> None:
        """An overlay over `base`, all changes in a tmpfs of the host's size."""
        disk = self.directory / "disk"
        for place in (disk, self.root):
            place.mkdir(parents=True)
        name = f"{self.plan.name}-{self.name}"
        machine.run("mount", "-t", "tmpfs", "-o", f"size={self.own.disk}", name, str(disk))
        for folder in ("upper", "work"):
            (disk / folder).mkdir()
        options = f"lowerdir={base},upperdir={disk}/upper,workdir={disk}/work"
        machine.run("mount", "-t", "overlay", "-o", options, name, str(self.root))
        (self.directory / "suite").write_text(self.own.suite)

    def write(
        self, path: str, text: str | bytes, mode: int = 0o644, owner: str = "root:root"
    ) -> None:
        """Write one of its files; `owner` is USER:GROUP as the host knows them."""
        target = self.root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        target.write_bytes(text.encode() if isinstance(text, str) else text)
        target.chmod(mode)
        user, _, group = owner.partition(":")
        os.chown(target, self._users[user], self._groups[group])

    def folder(self, path: str, mode: int = 0o755, owner: str = "root:root") -> None:
        """Make one of its folders."""
        target = self.root / path.lstrip("/")
        target.mkdir(parents=True, exist_ok=True)
        target.chmod(mode)
        user, _, group = owner.partition(":")
        os.chown(target, self._users[user], self._groups[group])

    def append(self, path: str, text: str) -> None:
        """Add to one of its files."""
        with (self.root / path.lstrip("/")).open("a") as file:
            file.write(text)

    def remove(self, *paths: str) -> None:
        """Files that this host does not have."""
        for path in paths:
            (self.root / path.lstrip("/")).unlink(missing_ok=True)

    def enable(self, *units: str) -> None:
        """Units that start when it boots."""
        self._units += units

    def service(self, name: str, command: str, more: str = "", unit: str = "") -> None:
        """A unit of our own that runs `command` and starts when it boots."""
        self.write(
            f"/etc/systemd/system/{name}.service",
            # on a busy machine what it needs may come late: it tries for ever
            f"[Unit]\nAfter=network.target\nStartLimitIntervalSec=0\n{unit}\n"
            f"[Service]\nExecStart={command}\n"
            f"Restart=always\nRestartSec=1\n{more}\n[Install]\nWantedBy=multi-user.target\n",
        )
        self.enable(f"{name}.service")

    # its life

    def boot(self) -> None:
        """Start its systemd; does not wait for it."""
        machine.run("systemctl", f"--root={self.root}", "enable", "-q", *self._units)
        network = machine.netns(self.plan, self.own)
        name = f"{self.plan.name}-{self.name}"
        process = subprocess.Popen(
            [
                *machine.in_cgroup(name),
                *("systemd-nspawn", "-q", "-D", str(self.root), "--boot", f"--machine={name}"),
                *(f"--hostname={self.name}", f"--network-namespace-path={network}"),
                *("--keep-unit", "--register=no", "--capability=all", "--resolv-conf=off"),
                *("--timezone=off", "--link-journal=no", "--console=pipe"),
                *self._kernel_arguments(),
            ],
            stdin=subprocess.DEVNULL,
            stdout=(self.directory / "console").open("wb"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        (self.directory / "nspawn.pid").write_text(str(process.pid))

    def _kernel_arguments(self) -> tuple[str, ...]:
        """What its systemd is told: from 256 on it starts in cgroup v1 only if that is wanted."""
        if self.own.suite == "bookworm" or machine.cgroup2():
            return ()
        return ("systemd.unified_cgroup_hierarchy=0", "SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1")

    @property
    def runs(self) -> bool:
        """True if it runs, as the plan wants it."""
        try:
            same = (self.directory / "suite").read_text() == self.own.suite
        except OSError:
            return False
        return same and self.leader is not None

    @property
    def leader(self) -> int | None:
        """The process that is PID 1 there, or None if the host does not run."""
        try:
            nspawn = int((self.directory / "nspawn.pid").read_text())
            children = Path(f"/proc/{nspawn}/task/{nspawn}/children").read_text().split()
        except (OSError, ValueError):
            return None
        return int(children[0]) if children else None

    def enter(self, *argv: str) -> list[str]:
        """The command line that runs `argv` there, as root."""
        if (leader := self.leader) is None:
            raise SystemExit(f"lab: {self.name} does not run")
        return ["nsenter", "-t", str(leader), "-m", "-u", "-i", "-n", "-p", "-C", "--", *argv]

    def run(self, script: str, stdin: bytes | None = None, check: bool = True) -> str:
        """Run a shell script there, as root; its output."""
        environment = "export LC_ALL=C.UTF-8 HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin; cd /\n"
        done = subprocess.run(
            self.enter("/bin/bash", "-c", environment + script),
            input=stdin if stdin is not None else b"",
            capture_output=True,
            check=False,
        )
        if check and done.returncode:
            words = (done.stderr or done.stdout).decode(errors="replace").strip()
            raise SystemExit(f"lab: on {self.name}: {script[:200]}\n{words}")
        return done.stdout.decode(errors="replace")

    # limits are for what never comes; on a busy machine all may take several times as long

    def wait_port(self, port: int, seconds: float = _PATIENCE) -> None:
        """Wait until somebody listens on a TCP port there."""
        self._wait(lambda: self._listens(port), f"port {port}", seconds)

    def wait_for(self, script: str, seconds: float = _PATIENCE, every: float = 0.5) -> None:
        """Wait until a shell script succeeds there."""
        test = shlex.quote(script)
        self._wait(
            lambda: self.run(f"bash -c {test} >/dev/null 2>&1 && echo yes", check=False) != "",
            script,
            seconds,
            every,
        )

    def _wait(
        self, test: Callable[[], bool], what: str, seconds: float, every: float = 0.2
    ) -> None:
        until = time.monotonic() + seconds
        while not test():
            if time.monotonic() > until:
                raise SystemExit(f"lab: {self.name}: {what}: not within {seconds:.0f} s")
            if self._ended():
                raise SystemExit(f"lab: {self.name} ended: see {self.directory}/console")
            time.sleep(every)

    def _listens(self, port: int) -> bool:
        try:
            with socket.create_connection((self.address, port), 1):
                return True
        except OSError:
            return False

    def _ended(self) -> bool:
        return not Path("/proc", (self.directory / "nspawn.pid").read_text()).exists()

    # names on the host

    @property
    def _users(self) -> dict[str, int]:
        return self._ids("passwd")

    @property
    def _groups(self) -> dict[str, int]:
        return self._ids("group")

    def _ids(self, file: str) -> dict[str, int]:
        lines = (self.root / "etc" / file).read_text().splitlines()
        return {name: int(number) for name, _, number, *_ in (line.split(":") for line in lines)}


def hosts(plan: Plan) -> dict[str, Host]:
    """Every host, whether it runs or not."""
    return {name: Host(plan, own) for name, own in plan.hosts.items()}
