"""Looking at a queue's messages without harm.

`GET` of the management API and basic.get take a message and give it back: it is then marked as
redelivered, and a quorum queue counts a delivery, after so many of which it drops the message. The
broker's own `rabbitmq-queues peek` reads it where it is; only quorum queues have it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar

from mailtui.connections.errors import ToolMissing
from mailtui.connections.runner import Command, Completed, command
from mailtui.model import clock
from mailtui.model.broker import BrokerQueue
from mailtui.model.letters import Letter
from mailtui.model.operation import Danger, Outcome, Plan
from mailtui.operations import rabbitmq_broker as asked
from mailtui.operations.base import Desk, Operation, Parameter, Refused, Request, Scope
from mailtui.operations.rabbitmq_back import Owner, give_back
from mailtui.operations.rabbitmq_base import OnQueues, step_of
from mailtui.operations.rabbitmq_letters import of_message, of_peek

if TYPE_CHECKING:
    from mailtui.config.settings import Context
    from mailtui.operations.running import Run

COUNT = 5
"""Messages of one look: each starts an Erlang VM on the broker's host, about a second."""
MOST = 100
TIMEOUT = 20.0
EDGE = 2
"""Returns left from which on nothing is taken to be looked at."""
_SAFE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./@-]{0,200}")
_VHOST = re.compile(r"[A-Za-z0-9_./][A-Za-z0-9_./-]{0,99}")
"""Names that deploy/sudoers lets through."""
_UNAVAILABLE, _SOFTWARE = 69, 70
"""Exit codes (sysexits.h) of rabbitmq-queues."""


async def look(desk: Desk, queue: BrokerQueue, count: int = COUNT) -> list[Letter]:
    """The first `count` messages of a queue, without taking them where that is possible.

    Raises Refused with why they cannot be looked at without harm, SourceError.
    """
    asked.check_tenant(desk, queue.vhost, queue.name)
    async with asked.broker(asked.settings_of(desk)) as api:
        found = await api.queue(queue.vhost, queue.name)
        limit = None if found is None else asked.limit_of(found[0], await api.version())
    if found is None:
        raise Refused(f"there is no queue {queue.name} in the virtual host {queue.vhost} any more")
    queue = found[0]
    if why := why_not(queue):
        raise Refused(why)
    host = host_of(desk.platform.context, queue.node)
    if host is not None and _SAFE.fullmatch(queue.name) and _VHOST.fullmatch(queue.vhost):
        try:
            return await _by_command(desk, host, queue, count, limit)
        except ToolMissing:
            host = None
    return await _by_taking(desk, queue, count, limit, host is None)


def why_not(queue: BrokerQueue) -> str:
    """Why a queue cannot be looked into without harm, or an empty string."""
    if queue.type == "quorum":
        return ""
    return (
        f"{queue.name} is a {queue.type} queue: the broker shows its messages only by taking them, "
        "which marks them as redelivered and changes their order; move some to a quorum queue"
    )


def host_of(context: Context, node: str) -> str | None:
    """The configured host that a node (`rabbit@mon1`) runs on; None: it is not known."""
    name = node.partition("@")[2]
    for host, settings in context.hosts.items():
        if name and name in (host, settings.address):
            return host
    return next((host for host in context.hosts if host == name.partition(".")[0]), None)


def line(queue: BrokerQueue, position: int, form: str = "json") -> Command:
    """The command that shows one message."""
    return command(
        "rabbitmq-queues", "peek", "-s", "--vhost", queue.vhost, "--formatter", form,
        queue.name, str(position), root=True,
    )  # fmt: skip


async def _by_command(
    desk: Desk, host: str, queue: BrokerQueue, count: int, limit: int | None
) -> list[Letter]:
    runner = desk.platform.connections.runner(host)
    letters: list[Letter] = []
    for position in range(1, count + 1):
        done = await runner.run(line(queue, position), timeout=TIMEOUT)
        if done.status == _SOFTWARE:
            # 3.10's JSON breaks off at bytes that are no UTF-8
            done = await runner.run(line(queue, position, "erlang"), timeout=TIMEOUT)
        if _at_end(done):
            break
        output = done.check()
        letters.append(of_peek(output, queue.vhost, queue.name, position, limit))
    return letters


def _at_end(done: Completed) -> bool:
    if done.status != _UNAVAILABLE:
        return False
    # on standard output or on standard error, by version
    if "does not have a message at that position" in done.stdout + done.stderr:
        return True
    raise Refused(f"{done.host}: {(done.stderr or done.stdout).strip()[:200]}")


async def _by_taking(
    desk: Desk, queue: BrokerQueue, count: int, limit: int | None, unknown: bool
) -> list[Letter]:
    """Take them and give them back, which counts as a delivery, while that leaves room."""
    settings = asked.settings_of(desk)
    owner = Owner(queue.name, "", settings.username or "", limit)
    async with asked.amqp(settings, queue.vhost, desk.operator) as link:
        taker = await link.channel()
        taken, letters = [], []
        for position in range(1, count + 1):
            message = await taker.get(queue.name)
            if message is None:
                break
            letter = of_message(message, queue.vhost, queue.name, position, limit)
            taken.append(message)
            if letter.remaining is not None and letter.remaining <= EDGE:
                break
            letters.append(letter)
        await give_back(taker, link, owner, taken)
    if len(taken) > len(letters):
        last = letter.remaining
        raise Refused(
            f"{queue.name}: message {len(taken)} can be given back {last:,} times more before "
            "the queue drops it, and each look counts as one: it is not looked at that way; "
            + (
                "mailtui needs SSH to the broker's host for rabbitmq-queues peek"
                if unknown
                else "its name is none that deploy/sudoers lets through"
            )
        )
    return letters


class Peek(OnQueues):
    """Shows messages."""

    id = "rabbitmq.peek"
    title = "Look at the first messages of a queue"
    label = "peek"
    key = "p"
    scope: ClassVar[Scope] = "one"
    danger: ClassVar[Danger] = "safe"
    permission = "broker.peek"
    gives: ClassVar[str] = "letters"
    parameters = (Parameter("count", "how many, from the head", default=str(COUNT), example="10"),)
    help = (
        "Shows a quorum queue's first messages by `rabbitmq-queues peek` on the leader's host, "
        "which takes nothing. Without SSH to that host they are taken and given back, which counts "
        "as a delivery, and only while the delivery limit leaves room. Classic queues are refused: "
        "there is no look into them that changes nothing."
    )

    def why_not_row(self, row: BrokerQueue) -> str:
        """See Operation."""
        return super().why_not_row(row) or why_not(row)

    async def plan(self, desk: Desk, request: Request) -> Plan:
        """See Operation."""
        async with asked.broker(asked.settings_of(desk)) as api:
            (facts,), _ = await self.facts(desk, request, api)
        count = min(facts.ready, int(asked.number(request.parameters, "count", COUNT)))
        if not 1 <= count <= MOST:
            raise Refused(f"count: expected 1 to {MOST}")
        host = host_of(desk.platform.context, facts.queue.node)
        does = " ".join(line(facts.queue, 1).argv[:-1]) + f" 1…{count}"
        warnings: tuple[str, ...] = ()
        if host is None:
            does = f"basic.get and basic.nack (requeue) of {count} messages"
            warnings = (
                f"{facts.queue.node} is none of the configured hosts: the messages are taken and "
                "given back, which counts as a delivery and marks them as redelivered"
                + (
                    ""
                    if facts.limit is not None
                    else "; without a delivery limit they go to the tail"
                ),
            )
        return Plan(
            operation=self.id,
            context=desk.platform.name,
            operator=desk.operator,
            title=f"Look at {count:,} messages of {facts.queue.name}",
            danger=self.danger,
            made_at=clock.now(),
            selection=request.selection,
            steps=(step_of(facts, does, count),),
            parameters=dict(request.parameters),
            warnings=warnings,
        )

    async def apply(self, desk: Desk, plan: Plan, run: Run) -> None:
        """See Operation. What is seen is not in the journal: that it was looked at is."""
        (step,) = plan.steps
        vhost, _, name = step.key.partition("\t")
        await run.begin(step)
        letters = await look(desk, BrokerQueue(vhost, name), step.count)
        desk.notes[f"letters {run.id}"] = letters
        run.found.extend(letters)
        await run.end(step, seen=len(letters))

    async def verify(self, desk: Desk, plan: Plan, run: Run) -> Outcome:
        """See Operation: nothing was changed."""
        letters: list[Letter] | None = desk.notes.get(f"letters {run.id}")
        if letters is None:
            why = f": {run.faults[-1]}" if run.faults else ""
            return Outcome("failed", f"nothing was seen{why}", plan.count)
        return Outcome(
            "done",
            f"{len(letters):,} messages of {plan.steps[0].place}",
            plan.count,
            len(letters),
            notes=tuple(_words(letter) for letter in letters),
        )


def _words(letter: Letter) -> str:
    died = f", died in {letter.origin} ({letter.reason})" if letter.origin else ""
    size = "" if letter.size is None else f", {letter.size:,} bytes"
    return f"{letter.position}. {letter.fingerprint}{died}{size}: {letter.body[:200]}"


OPERATIONS: tuple[Operation, ...] = (Peek(),)
