"""The certificates that the hosts' ports serve."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from mailtui.collectors.state import State
from mailtui.model import clock
from mailtui.model import format as fmt
from mailtui.model.host import Certificate, HostFacts
from mailtui.resources.base import Column, Level, Resource

if TYPE_CHECKING:
    from mailtui.config.settings import Context
    from mailtui.config.sources.hosts import Settings

SOURCES = ("hosts",)


class CertificateRow(msgspec.Struct, frozen=True, gc=False):
    """One port of one host."""

    host: str
    certificate: Certificate
    limits: Settings
    """From when on the time left is a problem."""

    @property
    def key(self) -> str:
        """Identity across polls."""
        return f"{self.host}:{self.certificate.port}"

    def left(self) -> float | None:
        """Seconds until it ends, negative when it has; None if none was read."""
        if self.certificate.error:
            return None
        return self.certificate.not_after - clock.now()


def _level(row: CertificateRow) -> Level:
    left = row.left()
    return "unknown" if left is None else row.limits.of_certificate(left) or "ok"


def _left(row: CertificateRow) -> str:
    left = row.left()
    if left is None:
        return "?"
    return f"expired {fmt.age(-left)}" if left < 0 else fmt.age(left)


def _ends(row: CertificateRow) -> float | None:
    return None if row.certificate.error else row.certificate.not_after


RESOURCE: Resource[CertificateRow] = Resource(
    name="certificates",
    title="certificates",
    columns=(
        Column("host", "host", lambda r: r.host, width=10),
        Column("port", "port", lambda r: r.certificate.port, align="right", width=5),
        Column("service", "service", lambda r: r.certificate.service, width=11),
        Column("left", "time left", lambda r: r.left(), _left, "right", 15, level=_level),
        Column(
            "ends",
            "ends",
            _ends,
            lambda r: fmt.date_time(_ends(r)),
            "right",
            19,
            priority=3,
        ),
        Column(
            "subject",
            "subject",
            lambda r: r.certificate.subject,
            width=16,
            flex=1,
            priority=1,
        ),
        Column(
            "names",
            "names",
            lambda r: r.certificate.names,
            lambda r: " ".join(r.certificate.names),
            width=16,
            flex=1,
            priority=4,
        ),
        Column("issuer", "issuer", lambda r: r.certificate.issuer, width=16, flex=1, priority=3),
        Column(
            "error",
            "error",
            lambda r: r.certificate.error,
            width=12,
            flex=1,
            priority=2,
            level=lambda r: "unknown",
        ),
    ),
    key=lambda r: r.key,
    empty="no port's certificate is checked: the roles of the hosts name none",
    sort="left",
    tick=60.0,
)


def rows_in(state: State, context: Context) -> list[CertificateRow]:
    """Every port, the first to end first."""
    from mailtui.config.sources.hosts import Settings

    limits = context.source("hosts", Settings) or Settings()
    found = [
        CertificateRow(host, certificate, limits)
        for host, facts in state.values("hosts", HostFacts)
        for certificate in facts.certificates
    ]
    return sorted(found, key=lambda r: (not r.certificate.error, r.certificate.not_after))
