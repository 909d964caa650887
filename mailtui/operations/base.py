"""What an operation is: one class, four steps, no Textual. The gate runs it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from mailtui.model.operation import Danger, Left, Outcome, Plan, Step, Target

if TYPE_CHECKING:
    from mailtui.access.evidence import Evidence
    from mailtui.collectors.platform import Platform
    from mailtui.config.acting import Operations
    from mailtui.operations.running import Run


class Refused(Exception):
    """An operation cannot be planned as asked: a sentence, and what to do next."""


class NothingToDo(Refused):
    """Everything is already as asked, or nothing of what is selected is there any more."""


Scope = Literal["rows", "one", "platform"]
"""rows: acts on any number of rows; one: on exactly one; platform: needs no row."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """Something that the operator gives: an option of `mailtui do`, a field of the dialog."""

    name: str
    help: str
    required: bool = False
    default: str = ""
    choices: tuple[str, ...] = ()
    """Empty: any text."""
    example: str = ""


@dataclass(frozen=True)
class Request:
    """What the operator asks for: on which rows, with which parameters."""

    operation: str
    rows: tuple[Any, ...] = ()
    """Records of the operation's resource, as the screen or the verb has them."""
    targets: tuple[Target, ...] = ()
    """Instead of rows: what an earlier run changed (undo)."""
    selection: str = ""
    """How they were chosen, in words: `group destination gmail.com`, `filter …`, `1 row`."""
    parameters: Mapping[str, str] = field(default_factory=dict)
    undoes: str = ""
    """The run that this takes back."""


@dataclass
class Desk:
    """What an operation works with."""

    platform: Platform
    settings: Operations
    operator: str
    evidence: Evidence | None = None
    tenants: frozenset[str] | None = None
    """Tenants that the operator is limited to; None: none."""
    notes: dict[str, Any] = field(default_factory=dict)
    """What `apply` leaves for `verify`."""


class Operation(ABC):
    """One verb on one kind of row."""

    id: ClassVar[str]
    """`postfix.hold`: source and verb; stable, because scripts and the journal use it."""
    title: ClassVar[str]
    """What it does, for help and palette: `Hold messages`."""
    label: ClassVar[str]
    """The last line's word: `hold`."""
    key: ClassVar[str] = ""
    """Key on the screens that show its resource; empty: palette and command only."""
    resource: ClassVar[str]
    """The resource whose rows it acts on (`messages`, `broker-queues`, …)."""
    scope: ClassVar[Scope] = "rows"
    danger: ClassVar[Danger]
    permission: ClassVar[str]
    """`mail.hold`: see `access.roles`."""
    parameters: ClassVar[tuple[Parameter, ...]] = ()
    inverse: ClassVar[str] = ""
    """Operation that takes it back; empty: none."""
    sources: ClassVar[tuple[str, ...]] = ()
    """Sources that it needs read, before and after."""
    help: ClassVar[str] = ""
    """For docs/operations.md: what it does on the daemon, what changes, what cannot be undone."""
    gives: ClassVar[str] = ""
    """The resource of what a run finds (`run.found`: peeked letters); the console lists it."""
    hidden: ClassVar[bool] = False
    """True for what is only reached by undo."""

    def why_not(self, desk: Desk) -> str:
        """Why it cannot be done on this platform at all, or an empty string. Asks nobody."""
        return ""

    def why_not_row(self, row: Any) -> str:
        """Why it makes no sense on this row (held already), or an empty string."""
        return ""

    @abstractmethod
    async def plan(self, desk: Desk, request: Request) -> Plan:
        """The frozen plan. Changes nothing. Raises Refused, SourceError."""

    @abstractmethod
    async def apply(self, desk: Desk, plan: Plan, run: Run) -> None:
        """Do it, step by step: `run.begin(step)`, work, `run.end(step, …)`.

        Preconditions are read again first; what no longer holds is `run.leave(…)`. Between steps
        it looks at `run.stopping`. Raises SourceError: what was begun is then verified all the
        same. Running the same plan again must be safe.
        """

    @abstractmethod
    async def verify(self, desk: Desk, plan: Plan, run: Run) -> Outcome:
        """Read back what is true now. Raises SourceError: the outcome is then unknown."""


def targets_by_step(plan: Plan) -> dict[str, tuple[Step, dict[str, Target]]]:
    """Place → (step, its targets by ID)."""
    return {step.place: (step, {t.id: t for t in step.targets}) for step in plan.steps}


def capped(left: list[Left], limit: int) -> tuple[tuple[Left, ...], int]:
    """(the first `limit`, how many more)."""
    return tuple(left[:limit]), max(0, len(left) - limit)
