"""A wall to paint: operations for tests of the gate and of the verbs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import msgspec

from mailtui.access.journal import Journal
from mailtui.config.acting import Operations
from mailtui.config.settings import Context
from mailtui.connections.errors import SourceError
from mailtui.model.operation import Danger, Left, Outcome, Plan, Step, Target, Undo
from mailtui.operations.base import (
    Desk,
    NothingToDo,
    Operation,
    Parameter,
    Refused,
    Request,
    targets_by_step,
)
from mailtui.operations.gate import Gate
from mailtui.operations.running import Run


class Brick(msgspec.Struct, frozen=True):
    """A row."""

    host: str
    id: str
    tenant: str = "a"


@dataclass
class Person:
    """Whoever the test wants."""

    name: str = "ops"
    machine: str = "jump"
    login: str = ""
    evidence: Any = None
    refusal: str = ""
    limited: frozenset[str] | None = None
    needs_code: bool = False
    enrolled: bool = False
    armed: bool = False
    good: set[str] = field(default_factory=set)
    """Codes that are accepted, each once."""

    def may(self, permission: str, context: str) -> str:
        return self.refusal

    def tenants(self, permission: str, context: str) -> frozenset[str] | None:
        return self.limited

    async def check(self, code: str) -> str:
        if code not in self.good:
            return "the code is wrong or was used already"
        self.good.discard(code)
        self.armed = True
        return ""

    async def refresh(self) -> None:
        return None


class Wall:
    """What the operations change: colour by place and brick."""

    def __init__(self) -> None:
        self.colours: dict[tuple[str, str], str] = {}
        self.commands: list[str] = []
        self.during: Callable[[Step, Run], Any] = lambda step, run: None
        """Called after each step was sent; may raise."""
        self.reading: Callable[[], Any] = lambda: None
        """Called when it is read back; may raise."""


WALL = Wall()


class Paint(Operation):
    """Reversible."""

    id = "test.paint"
    title = "Paint bricks"
    label = "paint"
    key = "p"
    resource = "bricks"
    danger: Danger = "reversible"
    permission = "wall.paint"
    parameters = (
        Parameter("colour", "what to paint them", default="red", choices=("red", "blue")),
        Parameter("reason", "why, in 100 % of the cases", example="TEXT"),
    )
    inverse = "test.strip"
    help = "Paints."
    word = "Paint"
    past = "painted"

    async def plan(self, desk: Desk, request: Request) -> Plan:
        targets = list(request.targets) or [Target(b.host, b.id) for b in request.rows]
        excluded: tuple[str, ...] = ()
        if desk.tenants is not None:
            own = {b.id for b in request.rows if b.tenant in desk.tenants}
            excluded = (f"{len(targets) - len(own)} of other tenants",)
            targets = [t for t in targets if t.id in own]
        if not targets:
            raise NothingToDo("there is nothing to paint")
        if any(t.id == "wet" for t in targets):
            raise Refused("a wet brick cannot be painted")
        places = dict.fromkeys(t.place for t in targets)
        steps = [
            Step(p, p, f"brush {p} -", sum(t.place == p for t in targets),
                 tuple(t for t in targets if t.place == p))
            for p in places
        ]  # fmt: skip
        return Plan(
            self.id, desk.platform.name, desk.operator,
            f"{self.word} {len(targets):,} bricks", self.danger, 1_700_000_000.0,
            request.selection, tuple(steps), dict(request.parameters),
            samples=tuple(f"{t.place} {t.id}" for t in targets[:3]), excluded=excluded,
            blockers=("it rains",) if any(t.id == "rain" for t in targets) else (),
            undo="test.strip" if self.inverse else "",
        )  # fmt: skip

    def colour(self, plan: Plan) -> str:
        return plan.parameters.get("colour") or "red"

    async def apply(self, desk: Desk, plan: Plan, run: Run) -> None:
        done = 0
        for number, step in enumerate(plan.steps):
            if run.stopping:
                for rest in plan.steps[number:]:
                    run.leave(rest.targets, "stopped by the operator")
                return
            await run.begin(step)
            run.tell(step, step.targets)
            WALL.commands.append(step.does)
            for target in step.targets:
                WALL.colours[target.place, target.id] = self.colour(plan)
            await asyncio.sleep(0)
            result = WALL.during(step, run)
            if asyncio.iscoroutine(result):
                await result
            done += step.count
            run.report(done)
            await run.end(step, painted=step.count)

    async def verify(self, desk: Desk, plan: Plan, run: Run) -> Outcome:
        WALL.reading()
        sent = [t for targets in run.sent.values() for t in targets]
        good = [t for t in sent if WALL.colours.get((t.place, t.id)) == self.colour(plan)]
        left = [*run.left]
        known = {(one.place, one.id) for one in left}
        for _, targets in targets_by_step(plan).values():
            left += [
                Left(t.place, t.id, "it was not reached")
                for t in targets.values()
                if t not in good and (t.place, t.id) not in known
            ]
        state = "done" if len(good) == plan.count else "partly" if good else "failed"
        undo = Undo(self.inverse, tuple(good), text="takes it off") if self.inverse else None
        return Outcome(
            state, f"{self.past} {len(good):,} of {plan.count:,}", plan.count, len(good),
            tuple(left), undo=undo if good else None,
        )  # fmt: skip


class Strip(Paint):
    """The inverse, reached by undo only."""

    id = "test.strip"
    title = "Take the paint off"
    key = ""
    inverse = "test.paint"
    hidden = True
    parameters = ()
    word = "Strip"
    past = "stripped"

    def colour(self, plan: Plan) -> str:
        return "none"


class Burn(Paint):
    """Destructive."""

    id = "test.burn"
    title = "Burn bricks"
    danger: Danger = "destructive"
    permission = "wall.burn"
    parameters = ()
    inverse = ""
    word = "Burn"
    past = "burned"

    def colour(self, plan: Plan) -> str:
        return "ash"


class Look(Paint):
    """Safe."""

    id = "test.look"
    title = "Look at bricks"
    danger: Danger = "safe"
    permission = "wall.look"
    scope = "one"
    parameters = ()
    inverse = ""
    word = "Look"
    past = "looked at"


OPERATIONS: tuple[Operation, ...] = (Burn(), Look(), Paint(), Strip())


def lost(*_: Any) -> None:
    """For `during` and `reading`."""
    raise SourceError("unreachable", "wall: the connection was lost", "try again")


def bricks(count: int = 4, hosts: int = 2) -> tuple[Brick, ...]:
    return tuple(Brick(f"mx{n % hosts + 1}", f"b{n}", "ab"[n % 2]) for n in range(count))


def context(**more: Any) -> Context:
    settings = Operations(**more.pop("operations", {}))
    return Context.model_validate(
        {"hosts": {"here": {"local": True}}, "read_only": False, **more}
    ).model_copy(update={"operations": settings})


def gate(journal: Journal, person: Person | None = None, name: str = "lab", **more: Any) -> Gate:
    """A gate on a platform that has nothing but the wall."""
    platform: Any = SimpleNamespace(name=name, context=context(**more))
    return Gate(platform, person or Person(), journal)
