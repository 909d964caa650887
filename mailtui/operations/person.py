"""Who acts: the operator of the system user that runs the program, and the second factor."""

from __future__ import annotations

from typing import Protocol

from mailtui.access.evidence import Evidence


class Person(Protocol):
    """What the gate asks of the one who acts."""

    @property
    def name(self) -> str:
        """The system user."""

    @property
    def machine(self) -> str:
        """The machine that this runs on."""

    @property
    def login(self) -> str:
        """The user that logged in, where it is another (root by sudo); else empty."""

    @property
    def evidence(self) -> Evidence | None:
        """The evidence store; None if it cannot be opened."""

    def may(self, permission: str, context: str) -> str:
        """Why not, as a sentence that names the role that may; or an empty string."""

    def tenants(self, permission: str, context: str) -> frozenset[str] | None:
        """Tenants that the permission is limited to; None: not limited."""

    @property
    def needs_code(self) -> bool:
        """True if destructive operations ask for a second factor."""

    @property
    def enrolled(self) -> bool:
        """True if the operator has a second factor."""

    @property
    def armed(self) -> bool:
        """True for some minutes after a code was accepted."""

    @property
    def armed_left(self) -> float:
        """Seconds for which no code is asked for; 0: not armed."""

    def role(self, context: str) -> str:
        """What this person is here, in words: `operator for tenant acme`."""

    async def check(self, code: str) -> str:
        """Check a code and arm; why it is refused, or an empty string."""

    async def refresh(self) -> None:
        """Read anew who this is and what he may. Raises operations.base.Refused."""
