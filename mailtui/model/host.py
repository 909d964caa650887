"""What a host says of itself."""

from __future__ import annotations

import msgspec


class Mount(msgspec.Struct, frozen=True, gc=False):
    """One mounted file system (`df -PT`, `df -iPT`); sizes in bytes."""

    target: str
    source: str
    fstype: str
    size: int
    used: int
    available: int
    inodes: int = 0
    """0 where the file system has no fixed number of inodes."""
    inodes_used: int = 0

    @property
    def used_ratio(self) -> float | None:
        """Used share of what users can have (`df` counts it so), 0 to 1; None if size unknown."""
        usable = self.used + self.available
        return self.used / usable if usable else None

    @property
    def inodes_ratio(self) -> float | None:
        """Used share of the inodes, 0 to 1; None where there is no limit."""
        return self.inodes_used / self.inodes if self.inodes else None


class Unit(msgspec.Struct, frozen=True, gc=False):
    """A systemd unit (`systemctl show`)."""

    name: str
    load: str
    """loaded, not-found, masked, error…"""
    active: str
    """active, inactive, failed, activating, deactivating, reloading."""
    sub: str
    result: str = ""
    since: float | None = None
    """Epoch seconds at which it entered its active state; None if it never did."""
    restarts: int | None = None
    expected: bool = False
    """True if a role of the host asks for it."""


class Certificate(msgspec.Struct, frozen=True, gc=False):
    """The leaf certificate that a port serves."""

    port: int
    service: str
    """smtp, submissions, imaps, https…"""
    subject: str = ""
    names: tuple[str, ...] = ()
    issuer: str = ""
    not_before: float = 0.0
    not_after: float = 0.0
    """Epoch seconds."""
    error: str = ""
    """Why no certificate was read, if none was."""


class HostFacts(msgspec.Struct, frozen=True):
    """One reading of one host."""

    hostname: str = ""
    os: str = ""
    """PRETTY_NAME of os-release(5)."""
    kernel: str = ""
    uptime: float | None = None
    """Seconds."""
    load: tuple[float, float, float] | None = None
    cpus: int | None = None
    memory_total: int | None = None
    memory_available: int | None = None
    swap_total: int | None = None
    swap_free: int | None = None
    """Bytes (proc(5), /proc/meminfo)."""
    mounts: tuple[Mount, ...] = ()
    units: tuple[Unit, ...] = ()
    """Those that its roles ask for, and those that failed."""
    certificates: tuple[Certificate, ...] = ()
    missing: tuple[str, ...] = ()
    """Tools that this host does not have."""
    notes: tuple[str, ...] = ()
    """What could not be read, and why, as sentences."""
