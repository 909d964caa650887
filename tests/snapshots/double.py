"""Operations that change nothing, a person, and a gate over a real journal: for the screens."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any, ClassVar

import pytest

from mailtui.access.journal import Journal
from mailtui.model import clock
from mailtui.model.mail import Message
from mailtui.model.operation import Danger, Outcome, Plan, Step, Target, Undo
from mailtui.operations import registry
from mailtui.operations.base import Desk, Operation, Parameter, Refused, Request
from mailtui.operations.gate import Gate
from mailtui.operations.running import Run
from mailtui.resources.messages import rows


class Double(Operation):
    """Plans steps a host, and does as it is told in `script`."""

    resource = "messages"
    danger: ClassVar[Danger] = "reversible"
    permission = "mail.hold"
    command: ClassVar[str] = "sudo -n postsuper -h -"
    warnings: ClassVar[tuple[str, ...]] = ()
    loses: ClassVar[tuple[str, ...]] = ()
    blockers: ClassVar[tuple[str, ...]] = ()
    excluded: ClassVar[tuple[str, ...]] = ()
    undo: ClassVar[str] = ""
    requests: ClassVar[list[Request]] = []
    """What was planned."""
    ran: ClassVar[list[Plan]] = []
    """What was run."""
    hurdle: ClassVar[asyncio.Event | None] = None
    """A run waits for it in the middle."""

    def why_not_row(self, row: Any) -> str:
        """Held is held."""
        held = isinstance(row, Message) and row.queue_name == "hold" and self.id == "example.hold"
        return f"{row.queue_id} is held already" if held else ""

    async def plan(self, desk: Desk, request: Request) -> Plan:
        """A step for each host."""
        Double.requests.append(request)
        if request.parameters.get("reason") == "bad":
            raise Refused("reason: 'bad' is no reason that anybody understands")
        targets = request.targets or tuple(
            Target(getattr(row, "host", "broker"), getattr(row, "queue_id", ""), "mark")
            for row in request.rows
        )
        steps = []
        for host, count in sorted(Counter(target.place for target in targets).items()):
            own = tuple(target for target in targets if target.place == host)
            steps.append(Step(host, host, self.command, count, own))
        noun = "message" if len(targets) == 1 else "messages"
        samples = tuple(
            f"{m.queue_id}  {m.sender or 'MAILER-DAEMON'} → {m.recipients[0].address}"
            for m in request.rows[:3]
            if isinstance(m, Message)
        )
        return Plan(
            self.id, desk.platform.name, desk.operator, f"{self.label.capitalize()} "
            f"{len(targets):,} {noun}", self.danger, clock.now(), request.selection, tuple(steps),
            dict(request.parameters), samples, self.excluded, self.warnings, self.blockers,
            self.loses, self.undo,
        )  # fmt: skip

    async def apply(self, desk: Desk, plan: Plan, run: Run) -> None:
        """Step by step, with a hurdle after the first."""
        done = 0
        for step in plan.steps:
            if run.stopping:
                run.leave(step.targets, "stopped by the operator")
                continue
            await run.begin(step)
            done += step.count
            run.report(done, f"{step.place}: {step.does}")
            if Double.hurdle is not None:
                await Double.hurdle.wait()
            await run.end(step)
        Double.ran.append(plan)

    async def verify(self, desk: Desk, plan: Plan, run: Run) -> Outcome:
        """Everything that was not left."""
        targets = [target for step in plan.steps for target in step.targets]
        left = tuple(run.left)
        names = {(one.place, one.id) for one in left}
        done = tuple(t for t in targets if (t.place, t.id) not in names)
        sentence = f"{self.label} {len(done):,} of {len(targets):,}"
        undo = Undo(self.inverse, done, text=self.undo) if self.inverse and done else None
        return Outcome(
            "partly" if left else "done", sentence, len(targets), len(done), left[:1000],
            max(0, len(left) - 1000), undo=undo,
        )  # fmt: skip


class Hold(Double):
    """Reversible, with everything that a plan can say."""

    id, title, label, key, inverse = (
        "example.hold", "Hold messages", "hold", "h", "example.release",
    )  # fmt: skip
    sources = ("postfix",)
    warnings = (
        "held mail never expires by itself; release requeues what is older than 5 days "
        "(maximal_queue_lifetime), and the sender hears of it then",
    )
    excluded = ("22 with another reason",)
    undo = "release the same messages"


class Release(Double):
    """Its inverse."""

    id, title, label, key, inverse = (
        "example.release", "Release messages", "release", "H", "example.hold",
    )  # fmt: skip
    command = "sudo -n postsuper -H -"


class Delete(Double):
    """Something is lost."""

    id, title, label, key = "example.delete", "Delete messages", "delete", "D"
    danger: ClassVar[Danger] = "destructive"
    permission = "mail.delete"
    command = "sudo -n postsuper -d -"
    loses = ("the messages leave the queue; copies are kept encrypted for 30 days",)


class Bounce(Double):
    """Asks for more."""

    id, title, label, key = "example.bounce", "Return messages to their senders", "return", "x"
    danger: ClassVar[Danger] = "destructive"
    parameters = (
        Parameter(
            "reason", "what the sender is told", required=True, example="the address is retired"
        ),
        Parameter("status", "enhanced status code", default="5.7.1", choices=("5.7.1", "5.1.1")),
        Parameter("limit", "messages a minute at most"),
    )


class Requeue(Double):
    """Cannot be run as planned."""

    id, title, label, key = "example.requeue", "Requeue messages", "requeue", "R"
    command = "sudo -n postsuper -r -"
    blockers = (
        "mx2: the queue directory has 3 % of its space left, and requeueing copies each message",
    )


class Move(Double):
    """On the broker's queues."""

    id, title, label, key = "example.move", "Move messages to a queue", "move", "m"
    resource = "broker"
    scope = "one"
    permission = "broker.move"


class Peek(Double):
    """Changes nothing, and finds messages."""

    id, title, label, key = "example.peek", "Look at messages", "peek", "p"
    danger: ClassVar[Danger] = "safe"
    resource = "broker"
    scope = "one"
    gives = "messages"
    permission = "broker.read"

    async def apply(self, desk: Desk, plan: Plan, run: Run) -> None:
        """The first three that the recording has."""
        await super().apply(desk, plan, run)
        run.found += rows(desk.platform.state)[:3]


OPERATIONS: tuple[Operation, ...] = (
    Bounce(), Delete(), Hold(), Move(), Peek(), Release(), Requeue(),
)  # fmt: skip


class Somebody:
    """An operator as the gate sees one."""

    machine, login, evidence = "jump1", "", None
    enrolled = True

    def __init__(self, name: str = "alice", *, code: str = "", denied: str = "") -> None:
        self.name, self._code, self._denied = name, code, denied
        self.armed = False

    @property
    def needs_code(self) -> bool:
        """True if it was made with a code."""
        return bool(self._code)

    def may(self, permission: str, context: str) -> str:
        """Denied is a prefix of a permission."""
        if self._denied and permission.startswith(self._denied):
            return f"you are a viewer; {permission} takes an operator"
        return ""

    def tenants(self, permission: str, context: str) -> frozenset[str] | None:
        """All."""
        return None

    @property
    def armed_left(self) -> float:
        """A little less than five minutes."""
        return 272.0 if self.armed else 0.0

    def role(self, context: str) -> str:
        """Always the same."""
        return "operator"

    async def refresh(self) -> None:
        """Nothing is read."""

    async def check(self, code: str) -> str:
        """Only the one."""
        if code != self._code:
            return "the code is wrong or was used already"
        self.armed = True
        return ""


@pytest.fixture
def doubles(monkeypatch: pytest.MonkeyPatch) -> type[Double]:
    """Only these operations are known."""
    monkeypatch.setattr(registry, "every", lambda: OPERATIONS)
    Double.requests.clear()
    Double.ran.clear()
    monkeypatch.setattr(Double, "hurdle", None)
    return Double


def armed(app: Any, folder: Path, person: Somebody | None = None, **operations: Any) -> Gate:
    """Let this console (a StillApp) act on its recording, with a journal in `folder`."""
    platform = app._still
    platform.context = platform.context.model_copy(
        update={
            "read_only": False,
            "operations": platform.context.operations.model_copy(update=operations),
        }
    )
    gate = Gate(platform, person or Somebody(), Journal(folder / "journal.jsonl"))  # type: ignore[arg-type]
    app.acting.use(gate)
    return gate
