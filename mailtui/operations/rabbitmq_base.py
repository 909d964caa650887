"""What operations on the broker's queues share: what is asked of a queue before, the plan of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from mailtui.model.broker import BrokerQueue
from mailtui.model.operation import Step, Target
from mailtui.operations import rabbitmq_broker as asked
from mailtui.operations.base import Desk, NothingToDo, Operation, Refused, Request

if TYPE_CHECKING:
    from mailtui.connections.amqp import Depth


def place_of(vhost: str, name: str) -> str:
    """How a queue is named in plans and in the journal."""
    return f"{name} in {vhost}"


@dataclass
class Facts:
    """One queue, as the broker tells it now."""

    queue: BrokerQueue
    answer: Mapping[str, Any]
    limit: int | None
    """Deliveries after which it drops a message; None: never."""
    warnings: list[str] = field(default_factory=list)

    @property
    def ready(self) -> int:
        """Messages that can be taken."""
        return self.queue.ready or 0

    def target(self) -> Target:
        """The queue as a target; another one of the same name has another type or arguments."""
        return Target(self.queue.key, self.queue.name, self.queue.type)


class OnQueues(Operation):
    """What operations on queues share."""

    resource: ClassVar[str] = "broker"
    sources: ClassVar[tuple[str, ...]] = ("rabbitmq",)

    def why_not(self, desk: Desk) -> str:
        """See Operation."""
        return asked.why_not(desk)

    def why_not_row(self, row: BrokerQueue) -> str:
        """See Operation."""
        if row.type == "stream":
            return "it is a stream: its messages stay where they are"
        return "it is empty" if row.ready == 0 else ""

    async def facts(
        self, desk: Desk, request: Request, api: asked.Broker
    ) -> tuple[list[Facts], tuple[str, ...]]:
        """(the queues of a request that have ready messages, which have not and why).

        Raises Refused if there is none, SourceError.
        """
        chosen = asked.chosen(desk, request)
        version, depths, *answers = await asyncio.gather(
            api.version(),
            self._depths(desk, chosen),
            *(api.queue(vhost, name) for vhost, name in chosen),
        )
        found: list[Facts] = []
        refusals: list[str] = []
        for place, answer in zip(chosen, answers, strict=True):
            vhost, name = place
            depth = depths[place]
            if answer is None or depth is None:
                refusals.append(f"there is no queue {name} in the virtual host {vhost} any more")
                continue
            # the API's counts are some seconds old
            queue = msgspec.structs.replace(answer[0], ready=depth.ready, consumers=depth.consumers)
            told = answer[1]
            if why := self.why_not_row(queue):
                if not depth.ready and answer[0].ready:
                    # a quorum queue without a leader is declared with 0 messages
                    why += f" now, and had {answer[0].ready:,} messages some seconds ago"
                refusals.append(f"{name}: {why}")
                continue
            facts = Facts(queue, told, asked.limit_of(queue, version))
            facts.warnings += warnings_of(facts)
            found.append(facts)
        if not found:
            empty = all("empty" in one or "any more" in one for one in refusals)
            raise (NothingToDo if empty else Refused)("; ".join(refusals) or "no queue is selected")
        return found, tuple(refusals)

    async def _depths(
        self, desk: Desk, chosen: list[tuple[str, str]]
    ) -> dict[tuple[str, str], Depth | None]:
        """What each queue has now, by passive declaration."""
        found: dict[tuple[str, str], Depth | None] = {}
        for vhost in {vhost for vhost, _ in chosen}:
            async with asked.amqp(asked.settings_of(desk), vhost, desk.operator) as link:
                for place in chosen:
                    if place[0] == vhost:
                        found[place] = await link.depth(place[1])
        return found


def warnings_of(facts: Facts) -> list[str]:
    """What is worth knowing about a queue before its messages are taken."""
    queue, found = facts.queue, []
    if queue.unacked:
        found.append(f"{queue.name}: {queue.unacked:,} more are held by consumers and not touched")
    if queue.consumers:
        found.append(f"{queue.name}: {queue.consumers:,} consumers take from it meanwhile")
    if queue.state and queue.state not in ("running", "idle"):
        found.append(f"{queue.name}: its state is {queue.state}")
    if facts.limit is not None:
        found.append(
            f"{queue.name} drops a message after {facts.limit:,} deliveries; what is taken and "
            "given back counts as one"
        )
    return found


def step_of(facts: Facts, does: str, count: int) -> Step:
    """The step of one queue."""
    queue = facts.queue
    return Step(queue.key, place_of(queue.vhost, queue.name), does, count, (facts.target(),))
