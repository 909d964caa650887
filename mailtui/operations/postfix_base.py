"""What operations on messages in Postfix's queues share: their plan, and what cannot be touched."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from mailtui.config.sources.postfix import Settings
from mailtui.model import clock
from mailtui.model.mail import Message
from mailtui.model.operation import Plan, Step
from mailtui.operations.base import Desk, Operation, Request
from mailtui.operations.postfix_facts import Facts, facts_of
from mailtui.operations.postfix_pick import Picked, pick
from mailtui.operations.postfix_queue import Queue


class OnMessages(Operation):
    """What operations on messages in Postfix's queues share."""

    resource: ClassVar[str] = "messages"
    sources: ClassVar[tuple[str, ...]] = ("postfix",)
    verb: ClassVar[str]
    """`Hold`: how the plan's title begins."""
    did: ClassVar[str]
    """`held`: how the outcome's sentence begins."""
    loses: ClassVar[tuple[str, ...]] = ()
    undo: ClassVar[str] = ""

    def why_not(self, desk: Desk) -> str:
        """See Operation."""
        if desk.platform.context.source("postfix", Settings) is None:
            return "this context has no Postfix (sources.postfix)"
        return ""

    async def plan(self, desk: Desk, request: Request) -> Plan:
        """See Operation."""
        picked = self.picked(desk, request)
        facts = await facts_of(desk, picked.by_host)
        return Plan(
            operation=self.id,
            context=desk.platform.name,
            operator=desk.operator,
            title=picked.title(self.verb),
            danger=self.danger,
            made_at=clock.now(),
            selection=request.selection,
            steps=self.steps(desk, picked),
            parameters=dict(request.parameters),
            samples=picked.samples(),
            excluded=picked.excluded,
            warnings=(
                *self.warnings(desk, picked, facts),
                *picked.warnings(desk, facts, self.did),
            ),
            blockers=self.blockers(desk, picked, facts),
            loses=self.loses,
            undo=self.undo,
        )

    def picked(self, desk: Desk, request: Request) -> Picked:
        """The targets of a request. Raises Refused."""
        return pick(desk, request, self.why_not_row)

    def steps(self, desk: Desk, picked: Picked) -> tuple[Step, ...]:
        """One for each host."""
        return tuple(
            Step(host, host, self.does(Queue(desk, host), picked, host), len(found), tuple(found))
            for host, found in picked.by_host.items()
        )

    @abstractmethod
    def does(self, queue: Queue, picked: Picked, host: str) -> str:
        """The exact commands at one host."""

    def warnings(self, desk: Desk, picked: Picked, facts: dict[str, Facts]) -> list[str]:
        """What is particular to this operation."""
        return []

    def blockers(self, desk: Desk, picked: Picked, facts: dict[str, Facts]) -> tuple[str, ...]:
        """Why it cannot be run at all."""
        return ()


def unreachable(row: Message) -> str:
    """Why postsuper cannot do anything with it, or an empty string."""
    if row.queue_name == "maildrop":
        return "in the maildrop, where postsuper does not hold"
    if row.queue_name == "corrupt":
        return "corrupt: Postfix could not read the queue file"
    return ""
