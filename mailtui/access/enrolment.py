"""A new second factor before it counts: in memory only."""

from __future__ import annotations

from dataclasses import dataclass, field

from mailtui.access import qr

ISSUER = "mailtui"


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A new secret, in memory only until a code of it was given."""

    operator: str
    secret: str = field(repr=False)
    """Base32, 160 bits."""
    account: str
    """What the phone shows: `alice@jump1`."""
    replaces: float | None = None
    """When the factor that it replaces was confirmed."""

    @property
    def uri(self) -> str:
        """otpauth://totp/…, what the QR code says; it contains the secret."""
        import pyotp

        code = pyotp.TOTP(self.secret)
        return code.provisioning_uri(name=self.account, issuer_name=ISSUER)

    @property
    def groups(self) -> str:
        """The secret in groups of four, to be typed."""
        return " ".join(self.secret[i : i + 4] for i in range(0, len(self.secret), 4))

    def qr(self) -> qr.Matrix:
        """The QR code; see `access.qr` for its lines."""
        return qr.matrix(self.uri)
