"""Publishing evidence again: the undo of delete and purge."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar

from mailtui.access.evidence import Evidence, EvidenceError, Item
from mailtui.connections.amqp_table import BadTable
from mailtui.model import clock
from mailtui.model.operation import Danger, Left, Outcome, Plan, Step, Target
from mailtui.operations import rabbitmq_broker as asked
from mailtui.operations.base import Desk, NothingToDo, Operation, Parameter, Refused, Request
from mailtui.operations.rabbitmq_back import Publisher
from mailtui.operations.rabbitmq_base import place_of
from mailtui.operations.rabbitmq_envelope import envelope
from mailtui.operations.rabbitmq_keep import parsed
from mailtui.operations.rabbitmq_outcome import last_facts

if TYPE_CHECKING:
    from mailtui.operations.running import Run

BATCH = 500
WINDOW = 1000


class Restore(Operation):
    """What was destroyed comes back, to the tail of its queue."""

    id = "rabbitmq.restore"
    title = "Publish again what a delete or a purge kept"
    label = "restore"
    resource = "broker"
    danger: ClassVar[Danger] = "irreversible"
    permission = "broker.restore"
    sources = ("rabbitmq",)
    hidden = True
    parameters = (
        Parameter("run", "the run that destroyed them", required=True),
        Parameter("items", "numbers of its evidence; default: all", example="0-99"),
    )
    help = (
        "Publishes the evidence of a run to the queues it was in: to the tail, as new persistent "
        "messages, without expiration and without the redelivered flag."
    )

    def why_not(self, desk: Desk) -> str:
        """See Operation."""
        return asked.why_not(desk)

    async def plan(self, desk: Desk, request: Request) -> Plan:
        """See Operation."""
        if desk.evidence is None:
            raise Refused("the evidence store is not there")
        run = request.parameters["run"]
        try:
            wanted = parsed(request.parameters.get("items", ""))
        except ValueError:
            raise Refused("items: expected numbers like 0-99,200-299") from None
        try:
            places = await asyncio.to_thread(_places, desk.evidence, run, wanted)
        except EvidenceError as error:
            raise Refused(str(error)) from None
        if not places:
            raise NothingToDo(f"run {run} kept no such message")
        blockers: list[str] = []
        settings = asked.settings_of(desk)
        async with asked.broker(settings) as api:
            blockers += await asked.alarms_block(api)
        warnings: list[str] = []
        for vhost, name in places:
            asked.check_tenant(desk, vhost, name)
            async with asked.amqp(settings, vhost, desk.operator) as link:
                depth = await link.depth(name)
            if depth is None:
                blockers.append(f"there is no queue {name} in the virtual host {vhost}; "
                                "it is never made")  # fmt: skip
            elif depth.consumers:
                warnings.append(f"{name} has {depth.consumers:,} consumers: they take them at once")
        steps = tuple(
            Step(
                f"{vhost}\t{name}", place_of(vhost, name),
                f"basic.publish of the evidence of run {run} to {name} (mandatory, persistent, "
                "confirmed)",
                count, (Target(f"{vhost}\t{name}", name),),
            )
            for (vhost, name), count in places.items()
        )  # fmt: skip
        total = sum(places.values())
        return Plan(
            operation=self.id,
            context=desk.platform.name,
            operator=desk.operator,
            title=f"Restore {total:,} messages to {', '.join(name for _, name in places)}",
            danger=self.danger,
            made_at=clock.now(),
            selection=request.selection,
            steps=steps,
            parameters=dict(request.parameters),
            warnings=tuple(warnings),
            blockers=tuple(blockers),
            loses=("their place in the queue, the redelivered flag and the expiration",),
        )

    async def apply(self, desk: Desk, plan: Plan, run: Run) -> None:
        """See Operation."""
        if desk.evidence is None:
            raise Refused("the evidence store is not there")
        settings = asked.settings_of(desk)
        wanted = parsed(plan.parameters.get("items", ""))
        source = plan.parameters["run"]
        done: dict[str, tuple[int, int]] = desk.notes.setdefault(f"restored {run.id}", {})
        before = 0
        for step in plan.steps:
            vhost, _, name = step.key.partition("\t")
            run.tell(step, step.targets)
            items = _items(desk.evidence, source, wanted, (vhost, name))
            async with asked.amqp(settings, vhost, desk.operator) as link:
                publisher = await Publisher.on(link)
                published, batch = 0, 0
                done[step.key] = (0, 0)
                while some := await asyncio.to_thread(_some, items):
                    if run.stopping:
                        break
                    batch += 1
                    await run.begin(step, batch=batch, size=len(some), window=WINDOW + BATCH,
                                    published=published)  # fmt: skip
                    for item in some:
                        wrapped = _wrapped(item, run.id, settings.username or "")
                        published = publisher.publish(name, wrapped(published + 1), item.body)
                    refused = await publisher.confirmed(WINDOW)
                    done[step.key] = (
                        published - publisher.unconfirmed - len(refused), len(refused),
                    )  # fmt: skip
                    await run.end(step, published=published, confirmed=done[step.key][0])
                    run.report(before + published, f"{step.place}: published")
                refused = await publisher.confirmed()
                done[step.key] = (published - len(refused), len(refused))
                before += published

    async def verify(self, desk: Desk, plan: Plan, run: Run) -> Outcome:
        """See Operation: by the broker's confirms."""
        done: dict[str, tuple[int, int]] = desk.notes.get(f"restored {run.id}", {})
        if not done and run.begun:
            told = await asyncio.to_thread(last_facts, run, ("confirmed", "published"))
            sure = sum(told["confirmed"].values())
            return Outcome(
                "partly", f"restored at least {sure:,} of {plan.count:,} before the run ended",
                plan.count, sure, counts={"restored": sure},
                notes=(
                    f"up to {WINDOW + BATCH:,} more may be there: restoring again doubles them",
                ),
            )  # fmt: skip
        count = sum(confirmed for confirmed, _ in done.values())
        left = []
        for step in plan.steps:
            confirmed, refused = done.get(step.key, (0, 0))
            if rest := step.count - confirmed:
                why = "the broker took them not" if refused == rest else "the run ended before them"
                left.append(Left(step.place, f"{rest:,} messages", why))
        return Outcome(
            "done" if count == plan.count else "partly" if count else "failed",
            f"restored {count:,} of {plan.count:,}",
            planned=plan.count,
            done=count,
            left=tuple(left),
            counts={"restored": count},
        )


def _wanted(item: Item, wanted: Sequence[tuple[int, int]]) -> bool:
    number = int(item.id.rpartition("/")[2])
    return not wanted or any(first <= number <= last for first, last in wanted)


def _place(item: Item) -> tuple[str, str]:
    return str(item.meta.get("vhost")), str(item.meta.get("queue"))


def _places(
    store: Evidence, run: str, wanted: Sequence[tuple[int, int]]
) -> dict[tuple[str, str], int]:
    found: dict[tuple[str, str], int] = {}
    for item in store.items(run):
        if "properties" in item.meta and _wanted(item, wanted):
            found[_place(item)] = found.get(_place(item), 0) + 1
    return found


def _items(
    store: Evidence, run: str, wanted: Sequence[tuple[int, int]], place: tuple[str, str]
) -> Iterator[Item]:
    return (item for item in store.items(run) if _wanted(item, wanted) and _place(item) == place)


def _some(items: Iterator[Item]) -> list[Item]:
    return list(islice(items, BATCH))


def _wrapped(item: Item, run: str, user: str) -> Any:
    try:
        return envelope(bytes.fromhex(item.meta["properties"]), run, user).numbered
    except BadTable:
        # no properties that can be read: its body is what is left
        return envelope(b"\0\0", run, user).numbered


OPERATIONS: tuple[Operation, ...] = (Restore(),)
