"""What is read of every host over SSH, and from when on it is a problem."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import Field

from mailtui.config.base import Duration, HostSource, Strict
from mailtui.model.problem import Severity


class Served(Strict):
    """A port whose served certificate is checked."""

    port: int = Field(ge=1, le=65535)
    service: str
    """Name on the screen: smtp, submissions, imaps, https…"""
    starttls: str | None = Field(default=None, pattern="^(smtp|imap|pop3|lmtp|sieve)$")


class Role(Strict):
    """What a host with this role runs."""

    units: tuple[str, ...] = ()
    """systemd units; `a.service|b.service` is the one of these that the host has."""
    certificates: tuple[Served, ...] = ()


ROLES: dict[str, Role] = {
    "mx": Role(
        # Debian 12 runs the instance, Debian 13 the service itself
        units=("postfix@-.service|postfix.service", "fail2ban.service"),
        certificates=(Served(port=25, service="smtp", starttls="smtp"),),
    ),
    "submission": Role(certificates=(Served(port=465, service="submissions"),)),
    "store": Role(units=("dovecot.service",), certificates=(Served(port=993, service="imaps"),)),
    "web": Role(units=("nginx.service",), certificates=(Served(port=443, service="https"),)),
    "db": Role(units=("patroni.service",)),
    "broker": Role(units=("rabbitmq-server.service",)),
    "search": Role(units=("elasticsearch.service",)),
    "mon": Role(units=("prometheus.service",)),
    "bk": Role(),
}
"""Roles that are known without configuration; `roles` in the configuration adds and replaces."""


class Settings(HostSource):
    """`sources.hosts`."""

    interval: Duration = 15.0
    certificate_interval: Duration = 600.0
    """Time between reads of the served certificates."""
    roles: dict[str, Role] = {}
    disk_warning: float = Field(default=0.85, gt=0, le=1)
    disk_critical: float = Field(default=0.95, gt=0, le=1)
    full_in_critical: Duration = 4 * 3600.0
    """A file system that is full within this time is critical."""
    full_in_warning: Duration = 24 * 3600.0
    certificate_warning: Duration = 21 * 86400.0
    certificate_critical: Duration = 3 * 86400.0
    ignore_filesystems: tuple[str, ...] = (
        "tmpfs",
        "devtmpfs",
        "squashfs",
        "efivarfs",
        "ramfs",
        "overlay",
        "iso9660",
        "erofs",
        "autofs",
        "fuse.lxcfs",
        "fuse.snapfuse",
    )
    """Types that are no place to store mail; a root file system is shown whatever its type is."""

    def of_share(self, used: float | None) -> Severity | None:
        """How bad it is that this share of a file system, or of its inodes, is used."""
        if used is None or used < self.disk_warning:
            return None
        return "critical" if used >= self.disk_critical else "warning"

    def of_full_in(self, seconds: float | None) -> Severity | None:
        """How bad it is that a file system will be full in so long."""
        if seconds is None or seconds > self.full_in_warning:
            return None
        return "critical" if seconds <= self.full_in_critical else "warning"

    def of_certificate(self, left: float) -> Severity | None:
        """How bad it is that a certificate has so many seconds left, negative when it ended."""
        if left > self.certificate_warning:
            return None
        return "critical" if left <= self.certificate_critical else "warning"

    def role(self, name: str) -> Role:
        """The role called `name`; an unknown one asks for nothing."""
        return self.roles.get(name) or ROLES.get(name) or Role()

    def units(self, roles: Iterable[str]) -> tuple[str, ...]:
        """The units that hosts with these roles run, each once."""
        return tuple(dict.fromkeys(unit for name in roles for unit in self.role(name).units))

    def certificates(self, roles: Iterable[str]) -> tuple[Served, ...]:
        """The ports whose certificates are checked on hosts with these roles, each once."""
        served = [one for name in roles for one in self.role(name).certificates]
        return tuple({one.port: one for one in served}.values())

    def runs(self, roles: Iterable[str], unit: str) -> bool:
        """True if a host with these roles runs a unit whose name begins with `unit`."""
        return any(
            name.startswith(unit) for names in self.units(roles) for name in names.split("|")
        )
