"""Why the gate does not run something, beyond `base.Refused`: told apart by exit codes."""

from __future__ import annotations

from mailtui.operations.base import Refused


class NotPermitted(Refused):
    """The operator may not do this; the message says which role may."""


class NeedsApproval(Refused):
    """A second operator has to approve the plan first."""


class AtWork(Refused):
    """Somebody else is at work there now; the message says who."""
