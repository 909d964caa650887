"""What an operation will do, what it did, and how it is undone: frozen records, no I/O."""

from __future__ import annotations

import hashlib
from typing import Literal

import msgspec

Danger = Literal["safe", "reversible", "irreversible", "destructive"]
"""safe: changes nothing; reversible: an inverse restores it; irreversible: no mail is lost, and
nothing takes it back; destructive: mail is lost, or somebody is told that it was."""

State = Literal["done", "partly", "failed", "unknown"]
"""How a run ended, as it was read back; `unknown` is never called anything better."""

KEPT_LEFT = 1000
"""Targets that were left alone and are named one by one; of more, only their number is kept."""


class Target(msgspec.Struct, frozen=True, gc=False):
    """One thing that an operation acts on."""

    place: str
    """Host, or virtual host and queue with a tab between (`BrokerQueue.key`)."""
    id: str
    """Queue ID, fingerprint of a message, name of a queue or of a connection."""
    mark: str = ""
    """What must be the same too, before it is touched: queue IDs are reused."""


class Left(msgspec.Struct, frozen=True, gc=False):
    """A target that was planned and is not as it should be, and why."""

    place: str
    id: str
    why: str


class Step(msgspec.Struct, frozen=True):
    """One part of a plan that is begun and ended as a whole, at one place."""

    key: str
    """Unique within the plan."""
    place: str
    """Host or broker."""
    does: str
    """The exact command, request or SQL, as it will be sent."""
    count: int
    """Targets of it."""
    targets: tuple[Target, ...] = ()


class Plan(msgspec.Struct, frozen=True):
    """What will be done. Nothing in it changes between the dialog and the run."""

    operation: str
    context: str
    operator: str
    title: str
    """As a command with its count: `Hold 4,312 messages to gmail.com`."""
    danger: Danger
    made_at: float
    """Epoch seconds."""
    selection: str
    """How the targets were chosen: `group destination gmail.com`, `filter size:>10M`, `1 row`."""
    steps: tuple[Step, ...] = ()
    parameters: dict[str, str] = {}
    samples: tuple[str, ...] = ()
    """Some targets, in words."""
    excluded: tuple[str, ...] = ()
    """What the selection has and the plan has not, and why."""
    warnings: tuple[str, ...] = ()
    blockers: tuple[str, ...] = ()
    """Why it cannot be run; empty if it can."""
    loses: tuple[str, ...] = ()
    """What cannot be undone, or changes although it is undone."""
    undo: str = ""
    """How it can be undone, in words; empty if it cannot."""
    tenants: tuple[str, ...] | None = None
    """Tenants that the operator was limited to when it was made; None: to none."""

    @property
    def count(self) -> int:
        """Targets in all."""
        return sum(step.count for step in self.steps)

    @property
    def word(self) -> str:
        """What is typed to confirm a destructive plan: never the same by habit."""
        return f"{self.operation.rpartition('.')[2]} {self.count}"

    def encoded(self) -> bytes:
        """As JSON, the same bytes for the same plan."""
        return msgspec.json.encode(self, order="deterministic")

    @property
    def digest(self) -> str:
        """SHA-256 of `encoded`, hexadecimal: what an approval is given for."""
        return hashlib.sha256(self.encoded()).hexdigest()


class Undo(msgspec.Struct, frozen=True):
    """The operation that takes a run back, and on what."""

    operation: str
    targets: tuple[Target, ...]
    """Those that the run really changed."""
    parameters: dict[str, str] = {}
    text: str = ""
    """What it will do, and what will not be as before."""


class Outcome(msgspec.Struct, frozen=True):
    """How a run ended, read back from the source."""

    state: State
    sentence: str
    """`held 4,309 of 4,312: 3 were delivered meanwhile`."""
    planned: int = 0
    done: int = 0
    left: tuple[Left, ...] = ()
    """At most KEPT_LEFT."""
    left_more: int = 0
    """How many more were left."""
    counts: dict[str, int] = {}
    """What must add up (`in`, `moved`, `kept`, `returned`, `doubled`), by the field's words."""
    notes: tuple[str, ...] = ()
    """What else the operator must know: new queue IDs, messages that may exist twice."""
    undo: Undo | None = None
