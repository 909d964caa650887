"""The simulated hosts: what runs on them, their disks, units and certificates."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mailtui.sandbox.world.clock import swell

if TYPE_CHECKING:
    from mailtui.sandbox.world import World

GIB = 1024**3
MIB = 1024**2
DAY = 86400.0

DOMAIN = "example.org"


@dataclass(slots=True)
class Mount:
    """A mounted file system; sizes in bytes."""

    source: str
    target: str
    fstype: str
    size: int
    used: float
    reserved: int
    """Bytes that only root can use (ext4's 5 %): free but not available."""
    inodes: int
    inodes_used: float
    growth: float = 0.0
    """Bytes a second."""
    options: str = "rw,relatime"

    @property
    def free(self) -> int:
        """Bytes not used (statvfs f_bfree)."""
        return max(0, self.size - int(self.used))

    @property
    def available(self) -> int:
        """Bytes that users can have (statvfs f_bavail)."""
        return max(0, self.size - int(self.used) - self.reserved)


@dataclass(slots=True)
class Unit:
    """A systemd unit."""

    name: str
    description: str
    load: str = "loaded"
    active: str = "active"
    sub: str = "running"
    result: str = "success"
    since: float = 0.0
    """Epoch seconds at which it entered its state."""
    restarts: int = 0
    main_pid: int = 0
    memory: int = 0
    """Bytes (MemoryCurrent)."""
    enabled: bool = True

    def stop(self, now: float) -> None:
        """As `systemctl stop`."""
        self.active, self.sub, self.since, self.main_pid = "inactive", "dead", now, 0

    def start(self, now: float, pid: int) -> None:
        """As `systemctl start`."""
        self.active, self.sub, self.result = "active", "running", "success"
        self.since, self.main_pid = now, pid

    def fail(self, now: float, result: str = "exit-code") -> None:
        """Its main process ended badly."""
        self.active, self.sub, self.result = "failed", "failed", result
        self.since, self.main_pid = now, 0


@dataclass(slots=True)
class Certificate:
    """What a port serves. The DER is made by the protocol server when it is asked for."""

    port: int
    service: str
    subject: str
    names: tuple[str, ...]
    issuer: str
    not_before: float
    not_after: float


@dataclass(slots=True)
class Host:
    """One machine."""

    name: str
    address: str
    """Its address inside the simulated platform; the sandbox itself listens on loopback."""
    roles: tuple[str, ...]
    tags: tuple[str, ...]
    os: str
    """PRETTY_NAME of os-release(5)."""
    os_version: str
    """VERSION_ID: 12 or 13."""
    kernel: str
    boot_time: float
    cpus: int
    memory_total: int
    memory_available: int
    swap_total: int
    swap_free: int
    load: tuple[float, float, float] = (0.0, 0.0, 0.0)
    base_load: float = 0.3
    mounts: list[Mount] = field(default_factory=list)
    units: dict[str, Unit] = field(default_factory=dict)
    certificates: list[Certificate] = field(default_factory=list)
    tools: frozenset[str] = frozenset()
    """Programs beyond the base system (postqueue, fail2ban-client, doveadm…)."""
    postfix_version: str = ""
    fail2ban_version: str = ""
    reachable: bool = True
    key: int = 0
    """Seed of its noise."""

    @property
    def fqdn(self) -> str:
        """Its full name."""
        return f"{self.name}.{DOMAIN}"

    def mount(self, target: str) -> Mount:
        """The mount at `target`; KeyError if there is none."""
        for mount in self.mounts:
            if mount.target == target:
                return mount
        raise KeyError(target)

    def load_at(self, t: float) -> tuple[float, float, float]:
        """Load averages over 1, 5 and 15 minutes at epoch second t."""
        base = self.base_load
        one = base * (1.0 + 2.2 * (swell(t, self.key) - 1.0) + 1.5 * (swell(3.1 * t, self.key) - 1))
        five = base * (1.0 + 1.6 * (swell(t - 120.0, self.key) - 1.0))
        fifteen = base * (1.0 + 0.8 * (swell(t - 400.0, self.key) - 1.0))
        return round(one, 2), round(five, 2), round(fifteen, 2)

    def step(self, now: float, dt: float) -> None:
        """Move on by dt seconds, to epoch second `now`."""
        self.load = self.load_at(now)
        for mount in self.mounts:
            if mount.growth:
                mount.used = min(mount.used + mount.growth * dt, float(mount.size - mount.reserved))
        self.memory_available = self.memory_at(now)

    def memory_at(self, t: float) -> int:
        """Bytes available at epoch second t."""
        return int(self.memory_total * (0.56 + 0.35 * (swell(t, self.key + 5) - 1.0)))


ROLE_UNITS: dict[str, tuple[tuple[str, str], ...]] = {
    "mx": (
        ("postfix@-.service", "Postfix Mail Transport Agent (instance -)"),
        ("fail2ban.service", "Fail2Ban Service"),
        ("clamav-daemon.service", "Clam AntiVirus userspace daemon"),
        ("spamd.service", "Perl-based spam filter using text analysis"),
        ("prometheus-postfix-exporter.service", "Prometheus exporter for Postfix"),
    ),
    "store": (
        ("dovecot.service", "Dovecot IMAP/POP3 email server"),
        ("fail2ban.service", "Fail2Ban Service"),
    ),
    "db": (
        ("patroni.service", "Runners to orchestrate a high-availability PostgreSQL"),
        ("etcd.service", "etcd - highly-available key value store"),
    ),
    "mon": (
        ("prometheus.service", "Monitoring system and time series database"),
        ("prometheus-alertmanager.service", "Alertmanager for prometheus"),
        ("rabbitmq-server.service", "RabbitMQ Messaging Server"),
        ("elasticsearch.service", "Elasticsearch"),
    ),
    "bk": (("borg-backup.timer", "Nightly backup of the mail stores"),),
    "web": (
        ("nginx.service", "A high performance web server and a reverse proxy server"),
        ("php8.2-fpm.service", "The PHP 8.2 FastCGI Process Manager"),
    ),
}

_COMMON_UNITS = (
    ("ssh.service", "OpenBSD Secure Shell server"),
    ("cron.service", "Regular background program processing daemon"),
    ("rsyslog.service", "System Logging Service"),
    ("prometheus-node-exporter.service", "Prometheus exporter for machine metrics"),
)

_ROLE_PORTS: dict[str, tuple[tuple[int, str], ...]] = {
    "mx": ((25, "smtp"), (465, "submissions"), (587, "submission")),
    "store": ((993, "imaps"), (995, "pop3s"), (4190, "sieve")),
    "web": ((443, "https"),),
    "mon": ((443, "https"),),
}

_ROLE_NAMES = {
    "mx": ("mx.example.org", "smtp.example.org"),
    "store": ("imap.example.org",),
    "web": ("webmail.example.org", "autoconfig.example.org"),
    "mon": ("monitor.example.org",),
}

_ROLE_TOOLS: dict[str, tuple[str, ...]] = {
    "mx": ("postqueue", "postsuper", "postcat", "postconf", "qshape", "fail2ban-client"),
    "store": ("doveadm", "dovecot", "fail2ban-client"),
    "db": ("patronictl", "psql", "etcdctl"),
    "mon": ("rabbitmqctl", "promtool", "amtool"),
    "bk": ("borg",),
    "web": ("nginx",),
}

_MACHINES: dict[str, tuple[int, int, int]] = {
    # role: cpus, memory GiB, root disk GiB
    "mx": (4, 8, 40),
    "store": (8, 32, 40),
    "db": (8, 32, 40),
    "mon": (4, 16, 60),
    "bk": (2, 4, 20),
    "web": (4, 8, 40),
}

_DATA_MOUNTS: dict[str, tuple[tuple[str, str, str, int, float, float], ...]] = {
    # role: source, target, fstype, size GiB, used share, growth bytes/s
    "mx": (("/dev/vdb1", "/var/spool/postfix", "ext4", 20, 0.06, 0.0),),
    "store": (("/dev/mapper/vmail", "/var/vmail", "xfs", 500, 0.61, 42_000.0),),
    "db": (("/dev/vdb1", "/var/lib/postgresql", "ext4", 200, 0.37, 5_000.0),),
    "mon": (("/dev/vdb1", "/var/lib/elasticsearch", "xfs", 300, 0.58, 21_000.0),),
    "bk": (("/dev/vdb1", "/srv/borg", "xfs", 2000, 0.66, 9_000.0),),
    "web": (),
}

DEFAULT_HOSTS = (
    ("mx1", "mx"),
    ("mx2", "mx"),
    ("store1", "store"),
    ("db1", "db"),
    ("db2", "db"),
    ("mon1", "mon"),
    ("bk1", "bk"),
)

_MORE = ("web", "mx", "store", "web", "mx", "store", "web")


def names_of(count: int | None) -> list[tuple[str, str]]:
    """(name, role) of `count` hosts: the default seven first, then web, mx and store hosts."""
    chosen = list(DEFAULT_HOSTS)
    if count is None:
        return chosen
    numbers = {"mx": 2, "store": 1, "web": 0}
    i = 0
    while len(chosen) < count:
        role = _MORE[i % len(_MORE)]
        numbers[role] += 1
        chosen.append((f"{role}{numbers[role]}", role))
        i += 1
    return chosen[: max(1, count)]


def _mounts(role: str, root_gib: int, source: random.Random) -> list[Mount]:
    size = root_gib * GIB
    used = size * source.uniform(0.18, 0.34)
    mounts = [
        Mount("/dev/vda1", "/", "ext4", size, used, size // 20, root_gib * 65536, 118_000.0, 400.0),
        Mount("/dev/vda15", "/boot/efi", "vfat", 124 * MIB, 11.0 * MIB, 0, 0, 0.0),
        Mount("tmpfs", "/run", "tmpfs", 800 * MIB, 1.2 * MIB, 0, 1_000_000, 820.0),
    ]
    for dev, target, fstype, gib, share, growth in _DATA_MOUNTS[role]:
        total = gib * GIB
        reserved = total // 20 if fstype == "ext4" else 0
        inodes = gib * (65536 if fstype == "ext4" else 524_288)
        used = total * (share + source.uniform(-0.03, 0.03))
        mounts.append(
            Mount(dev, target, fstype, total, used, reserved, inodes, inodes * share * 0.11, growth)
        )
    return mounts


def _units(role: str, boot: float, source: random.Random) -> dict[str, Unit]:
    units = {}
    for name, description in (*ROLE_UNITS[role], *_COMMON_UNITS):
        timer = name.endswith(".timer")
        units[name] = Unit(
            name,
            description,
            sub="waiting" if timer else "running",
            since=boot + source.uniform(2.0, 40.0),
            main_pid=0 if timer else source.randrange(400, 30_000),
            memory=0 if timer else source.randrange(4, 700) * MIB,
        )
    return units


def _certificates(name: str, role: str, now: float, source: random.Random) -> list[Certificate]:
    begin = now - source.uniform(8.0, 40.0) * DAY
    names = (f"{name}.{DOMAIN}", *_ROLE_NAMES.get(role, ()))
    return [
        Certificate(port, service, names[0], names, "R11 (Let's Encrypt)", begin, begin + 90 * DAY)
        for port, service in _ROLE_PORTS.get(role, ())
    ]


def build(world: World, count: int | None) -> dict[str, Host]:
    """The hosts by name; mx2 runs Debian 13, as a platform in the middle of an upgrade does."""
    hosts: dict[str, Host] = {}
    for i, (name, role) in enumerate(names_of(count)):
        source = random.Random(f"{world.seed}/host/{name}")
        cpus, memory, root = _MACHINES[role]
        newer = name == "mx2"
        boot = world.start - source.uniform(9.0, 140.0) * DAY
        host = Host(
            name=name,
            address=f"10.77.0.{11 + i}",
            roles=(role,),
            tags=("eu-west", "a" if i % 2 == 0 else "b"),
            os=f"Debian GNU/Linux {'13 (trixie)' if newer else '12 (bookworm)'}",
            os_version="13" if newer else "12",
            kernel="6.12.48+deb13-amd64" if newer else "6.1.0-40-amd64",
            boot_time=float(int(boot)),
            cpus=cpus,
            memory_total=memory * GIB - 210 * MIB,
            memory_available=0,
            swap_total=2 * GIB,
            swap_free=2 * GIB - source.randrange(0, 90) * MIB,
            base_load=cpus * source.uniform(0.07, 0.2),
            mounts=_mounts(role, root, source),
            units=_units(role, boot, source),
            certificates=_certificates(name, role, world.start, source),
            tools=frozenset(_ROLE_TOOLS[role]),
            postfix_version=("3.10.4" if newer else "3.7.11") if role == "mx" else "",
            fail2ban_version=("1.1.0" if newer else "1.0.2") if role in ("mx", "store") else "",
            key=i + 1,
        )
        host.step(world.start, 0.0)
        hosts[name] = host
    return hosts
