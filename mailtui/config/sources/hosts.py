"""What is read of every host over SSH, and from when on it is a problem."""

from __future__ import annotations

from pydantic import Field

from mailtui.config.base import Duration, HostSource, Strict


class Served(Strict):
    """A port whose served certificate is checked."""

    port: int = Field(ge=1, le=65535)
    service: str
    """Name on the screen: smtp, submissions, imaps, https…"""
    starttls: str | None = Field(default=None, pattern="^(smtp|imap|pop3|lmtp|sieve)$")


class Role(Strict):
    """What a host with this role runs."""

    units: tuple[str, ...] = ()
    certificates: tuple[Served, ...] = ()


ROLES: dict[str, Role] = {
    "mx": Role(
        units=("postfix@-.service", "fail2ban.service"),
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
    )

    def role(self, name: str) -> Role:
        """The role called `name`; an unknown one asks for nothing."""
        return self.roles.get(name) or ROLES.get(name) or Role()
