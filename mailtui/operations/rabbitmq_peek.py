"""Looking at a queue's messages without harm.

`GET` of the management API and basic.get take a message and give it back: it is then marked as
redelivered, and a quorum queue counts a delivery, after so many of which it drops the message. The
broker's own `rabbitmq-queues peek` reads it where it is; only quorum queues have it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar

from mailtui.connections.runner import Command, Completed, command
from mailtui.model import clock
from mailtui.model.broker import BrokerQueue
from mailtui.model.letters import Letter
from mailtui.model.operation import Danger, Outcome, Plan
from mailtui.operations import rabbitmq_broker as asked
from mailtui.operations.base import Desk, Operation, Parameter, Refused, Request, Scope
from mailtui.operations.rabbitmq_base import Facts, OnQueues, step_of
from mailtui.operations.rabbitmq_get import EDGE, by_taking
from mailtui.operations.rabbitmq_letters import SHOWN, of_peek

if TYPE_CHECKING:
    from mailtui.config.settings import Context
    from mailtui.operations.running import Run

COUNT = 10
"""Messages of one look: each starts an Erlang VM on the broker's host, about a second."""
MOST = 100
TIMEOUT = 20.0
_SAFE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./@-]{0,200}")
_VHOST = re.compile(r"[A-Za-z0-9_./][A-Za-z0-9_./-]{0,99}")
"""Names that deploy/sudoers lets through."""
_UNAVAILABLE, _SOFTWARE = 69, 70
"""Exit codes (sysexits.h) of rabbitmq-queues."""
_BY_AMQP = (
    "by=amqp takes the messages and gives them back, which marks them as redelivered and counts as "
    "a delivery"
)


async def look(
    desk: Desk,
    queue: BrokerQueue,
    count: int = COUNT,
    by: str = "peek",
    run: Run | None = None,
) -> list[Letter]:
    """The first `count` messages of a queue; also into `run.found`, one by one.

    `by`: `peek` takes nothing, `amqp` takes them and gives them back. Raises Refused with why they
    cannot be looked at that way, SourceError.
    """
    asked.check_tenant(desk, queue.vhost, queue.name)
    async with asked.broker(asked.settings_of(desk)) as api:
        found = await api.queue(queue.vhost, queue.name)
        limit = None if found is None else asked.limit_of(found[0], await api.version())
    if found is None:
        raise Refused(f"there is no queue {queue.name} in the virtual host {queue.vhost} any more")
    queue = found[0]
    host = host_for(desk, queue, by)
    if host:
        return await _by_command(desk, host, queue, count, limit=limit, run=run)
    letters = await by_taking(desk, queue, count, limit, run)
    if run is not None:
        run.found.extend(letters)
    return letters


def host_for(desk: Desk, queue: BrokerQueue, by: str) -> str:
    """The host that shows a queue's messages; empty: by AMQP, as it was asked for. Raises
    Refused."""
    if by not in ("", "peek", "amqp"):
        raise Refused(f"by: expected peek or amqp, not {by!r}")
    if queue.type == "stream":
        raise Refused(f"{queue.name} is a stream: its messages stay where they are")
    if by == "amqp":
        return ""
    host = host_of(desk.platform.context, queue.node)
    if queue.type != "quorum":
        why = f"{queue.name} is a {queue.type} queue, and the broker peeks into quorum queues alone"
    elif host is None:
        why = (
            f"{queue.name} has its leader on {queue.node or '?'}, which is none of the "
            "configured hosts (hosts: in the configuration)"
        )
    elif not (_SAFE.fullmatch(queue.name) and _VHOST.fullmatch(queue.vhost)):
        why = f"deploy/sudoers does not let a name like {queue.name} in {queue.vhost} through"
    else:
        return host
    raise Refused(f"{why}; {_BY_AMQP}")


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
    desk: Desk, host: str, queue: BrokerQueue, count: int, *, limit: int | None, run: Run | None
) -> list[Letter]:
    """One command a message: between two of them it can be stopped, and each is shown at once."""
    runner = desk.platform.connections.runner(host)
    letters: list[Letter] = []
    for position in range(1, count + 1):
        if run is not None and run.stopping:
            break
        cmd = line(queue, position)
        done = await runner.run(cmd, timeout=TIMEOUT)
        if done.status == _SOFTWARE:
            # 3.10's JSON breaks off at bytes that are no UTF-8
            done = await runner.run(line(queue, position, "erlang"), timeout=TIMEOUT)
        if _at_end(done):
            break
        letters.append(of_peek(done.check(), queue.vhost, queue.name, position, limit))
        if run is not None:
            run.found.append(letters[-1])
            run.report(position, f"{host}: {' '.join(cmd.argv)}")
    return letters


def _at_end(done: Completed) -> bool:
    if done.status != _UNAVAILABLE:
        return False
    # on standard output or on standard error, by version
    if "does not have a message at that position" in done.stdout + done.stderr:
        return True
    raise Refused(f"{done.host}: {(done.stderr or done.stdout).strip()[:200]}")


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
    parameters = (
        Parameter("count", "how many, from the head", default=str(COUNT), example="10"),
        Parameter("by", "peek takes nothing; amqp takes them and gives them back", default="peek",
                  choices=("peek", "amqp")),
    )  # fmt: skip
    help = (
        "Shows a quorum queue's first messages by `rabbitmq-queues peek` on the leader's host, "
        "which takes nothing and shows the first 64 bytes of a body; it takes about a second for "
        "each. Refused for classic queues and where that host is not in the configuration. "
        "`by=amqp` works there too: it takes the messages and gives them back in their order, "
        "which marks them as redelivered, and which a quorum queue counts as a delivery; refused "
        f"where a message has {EDGE} returns or fewer left before its queue drops it."
    )

    async def plan(self, desk: Desk, request: Request) -> Plan:
        """See Operation."""
        by = request.parameters.get("by", "").strip()
        async with asked.broker(asked.settings_of(desk)) as api:
            (facts,), _ = await self.facts(desk, request, api)
        count = asked.count_of({"count": request.parameters.get("count", "") or str(COUNT)}, MOST)
        count = min(count, facts.ready)
        host = host_for(desk, facts.queue, by)
        does = f"basic.get of {count:,} messages, given back by closing the channel"
        if host:
            place = f"on {host}: " + " ".join(line(facts.queue, 1).argv[:-1])
            does = f"{place} 1…{count}" if count > 1 else f"{place} 1"
        return Plan(
            operation=self.id,
            context=desk.platform.name,
            operator=desk.operator,
            title=f"Look at {count:,} {'message' if count == 1 else 'messages'} "
            f"of {facts.queue.name}",
            danger=self.danger if host else "irreversible",
            made_at=clock.now(),
            selection=request.selection,
            steps=(step_of(facts, does, count),),
            parameters=dict(request.parameters),
            warnings=() if host else (*facts.warnings, *_edge(facts)),
            loses=() if host else ("the messages are marked as redelivered",),
        )

    async def apply(self, desk: Desk, plan: Plan, run: Run) -> None:
        """See Operation. What is seen is not in the journal: that it was looked at is."""
        (step,) = plan.steps
        vhost, _, name = step.key.partition("\t")
        await run.begin(step)
        by = plan.parameters.get("by", "").strip()
        await look(desk, BrokerQueue(vhost, name), step.count, by, run)
        await run.end(step, seen=len(run.found))

    async def verify(self, desk: Desk, plan: Plan, run: Run) -> Outcome:
        """See Operation: nothing was changed, so it is what was seen."""
        seen, place = len(run.found), plan.steps[0].place
        if not seen and run.faults:
            return Outcome("failed", f"nothing was seen: {run.faults[-1]}", plan.count)
        if not seen and run.begun and plan.steps[0].key not in run.ended:
            return Outcome("unknown", "the run ended before anything was shown", plan.count)
        notes = []
        if any(letter.size is None for letter in run.found):
            notes.append(f"of a body, peek shows the first {SHOWN} bytes")
        cut_off = run.faults or run.stopping
        if seen < plan.count and not cut_off:
            notes.append(
                "the others were no longer there, or too big to be held at the same time"
                if plan.danger != "safe"
                else "there are no more"
            )
        words = f"{seen:,} of {plan.count:,} messages of {place}"
        if cut_off:
            words += f"; {run.faults[-1]}" if run.faults else "; stopped by the operator"
        return Outcome(
            "partly" if cut_off and seen < plan.count else "done", words, plan.count, seen,
            notes=tuple(notes),
        )  # fmt: skip


def _edge(facts: Facts) -> list[str]:
    """What is not known before the first message is taken."""
    if facts.limit is None:
        return []
    return [
        f"how many of these {facts.limit:,} are left is known only when a message is taken: the "
        f"look ends at the first that has {EDGE} or fewer"
    ]


OPERATIONS: tuple[Operation, ...] = (Peek(),)
