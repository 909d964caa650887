"""Real X.509 certificates (ECDSA P-256, signed by a CA of the sandbox) for the world's ports.

Each is made once, when it is first asked for.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from mailtui.sandbox.world.hosts import Certificate

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey


@dataclass(frozen=True)
class _Served:
    """What a certificate is made from; the cache's key."""

    subject: str
    names: tuple[str, ...]
    issuer: str
    not_before: int
    not_after: int


def _name(common: str, organisation: str = "") -> x509.Name:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    parts = [x509.NameAttribute(NameOID.COMMON_NAME, common[:64])]
    if organisation:
        parts.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation[:64]))
    return x509.Name(parts)


@functools.cache
def _authority(issuer: str) -> tuple[x509.Name, EllipticCurvePrivateKey]:
    """`R11 (Let's Encrypt)` is CN R11 of O Let's Encrypt."""
    from cryptography.hazmat.primitives.asymmetric import ec

    match = re.fullmatch(r"(.+?) \((.+)\)", issuer)
    name = _name(match[1], match[2]) if match else _name(issuer)
    return name, ec.generate_private_key(ec.SECP256R1())


@functools.lru_cache(maxsize=256)
def _make(served: _Served) -> x509.Certificate:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    issuer, key = _authority(served.issuer)
    # a certificate may be long expired: datetimes are made by addition, for negative epochs too
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_name(served.subject))
        .issuer_name(issuer)
        .public_key(ec.generate_private_key(ec.SECP256R1()).public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(epoch + timedelta(seconds=served.not_before))
        .not_valid_after(epoch + timedelta(seconds=served.not_after))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(name) for name in served.names]), False
        )
        .sign(key, hashes.SHA256())
    )


def certificate(described: Certificate) -> x509.Certificate:
    """The X.509 certificate of a port of the world; the same one at each call."""
    return _make(
        _Served(
            described.subject,
            described.names,
            described.issuer,
            int(described.not_before),
            int(described.not_after),
        )
    )
