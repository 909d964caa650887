"""Have deferred mail tried now: messages, one destination, or a host's whole queue."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from mailtui.connections.errors import SourceError
from mailtui.connections.runner import Command, command
from mailtui.model.mail import Message
from mailtui.model.operation import Danger, Outcome, Plan, Target
from mailtui.operations.base import Desk, Parameter, Refused, Request
from mailtui.operations.postfix_act import Act, each_host
from mailtui.operations.postfix_base import OnMessages, unreachable
from mailtui.operations.postfix_facts import Facts
from mailtui.operations.postfix_outcome import Tally, told
from mailtui.operations.postfix_pick import Picked
from mailtui.operations.postfix_queue import Queue, changed, read_back

if TYPE_CHECKING:
    from mailtui.operations.running import Run

EACH = command("xargs", "-r", "-n1", "postqueue", "-i")
_ALL = "everything deferred"
_SITE = re.compile(r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?")
"""A domain as postqueue -s takes it: ASCII, so an IDN as its A-label."""
_LOOKS, _BETWEEN = 3, 1.0
"""Looks at the queue, and seconds between them, until what was tried has an answer."""


class Flush(OnMessages):
    """`postqueue -i`, `-s` or `-f`."""

    id = "postfix.flush"
    title = "Flush: try to deliver deferred messages now"
    label = "flush"
    key = "f"
    # no inverse, and nothing to take back: only an attempt that comes anyway comes sooner. Not
    # "safe", since it makes the daemons work: a read-only context must not do it.
    danger: ClassVar[Danger] = "irreversible"
    permission = "mail.flush"
    verb, did = "Flush", "flushed"
    parameters = (
        Parameter(
            "scope",
            "what is tried now: the selected messages, all mail to one destination, or everything "
            "that the hosts of the selection have",
            default="messages",
            choices=("messages", "destination", "all"),
        ),
        Parameter("destination", "the domain, for scope=destination", example="gmail.com"),
    )
    undo = "nothing to take back: the next attempt only comes sooner"
    help = (
        "Schedules delivery now: `postqueue -i` for messages, `postqueue -s` for a destination "
        "(which fast_flush_domains must have), `postqueue -f` for the whole queue. Frequent -f "
        "slows the delivery of all other mail."
    )

    def why_not_row(self, row: Message) -> str:
        """See Operation."""
        if row.queue_name == "hold":
            return "on hold: release them first"
        if row.queue_name in ("active", "incoming"):
            return "in delivery already"
        return unreachable(row)

    async def plan(self, desk: Desk, request: Request) -> Plan:
        """See Operation."""
        scope, destination = _scope(request.parameters)
        if scope == "destination" and not _SITE.fullmatch(destination):
            raise Refused(
                f"{destination!r} is no domain; give one as destination=gmail.com (an "
                "internationalised one in its xn-- form)"
            )
        if scope == "destination" and desk.tenants is not None and destination not in desk.tenants:
            raise Refused("you may flush your own messages only: scope=messages")
        if scope == "all" and desk.tenants is not None:
            raise Refused("a whole queue is not one tenant's: scope=messages")
        return await super().plan(desk, request)

    def picked(self, desk: Desk, request: Request) -> Picked:
        """A destination or a whole queue is one target at each host of the selection."""
        scope, destination = _scope(request.parameters)
        if scope == "messages":
            return super().picked(desk, request)
        hosts = dict.fromkeys(
            [m.host for m in request.rows if isinstance(m, Message)]
            + [one.place for one in request.targets]
        )
        unknown = [host for host in hosts if host not in desk.platform.context.hosts]
        if unknown or not hosts:
            raise Refused(f"{', '.join(unknown) or 'no host'} is not a host of this platform")
        what = _ALL if scope == "all" else destination
        return Picked({host: [Target(host, what)] for host in hosts}, what=what)

    def does(self, queue: Queue, picked: Picked, host: str) -> str:
        """See OnMessages."""
        asked = _command(picked.what)
        return queue.line(asked) + ("" if picked.what else " (queue IDs on standard input)")

    def warnings(self, desk: Desk, picked: Picked, facts: dict[str, Facts]) -> list[str]:
        """What flushing costs."""
        if picked.what == _ALL:
            return [
                "this tries every deferred message of these hosts; done often, it slows the "
                "delivery of all other mail"
            ]
        said = []
        for host, known in facts.items():
            if picked.what and known.fast_flush is not None and _in_tables(known.fast_flush):
                said.append(f"whether {host} keeps a list for it stands in a table: it may refuse")
        return said

    def blockers(self, desk: Desk, picked: Picked, facts: dict[str, Facts]) -> tuple[str, ...]:
        """`postqueue -s` works only for what the flush service keeps (flush(8))."""
        if not picked.what or picked.what == _ALL:
            return ()
        return tuple(
            f"{host} keeps no list of mail for {picked.what} (fast_flush_domains): flush the "
            "messages instead (scope=messages)"
            for host, known in facts.items()
            if known.fast_flush is not None
            and not _in_tables(known.fast_flush)
            and not _listed(picked.what, known.fast_flush)
        )

    async def apply(self, desk: Desk, plan: Plan, run: Run) -> None:
        """See Operation."""

        async def messages(act: Act) -> None:
            await act.look(self.why_not_row)
            async for batch in act.batches(EACH, desk.settings.batch):
                run.tell(act.step, batch)
                await act.queue.run(EACH, "".join(f"{one.id}\n" for one in batch).encode())
                await run.end(act.step, messages=len(batch))

        async def whole(act: Act) -> None:
            asked = _command(act.step.targets[0].id)
            await run.begin(act.step, act.queue.line(asked))
            await act.queue.run(asked)
            # told only once it was accepted: there is nothing to read back that would tell
            run.tell(act.step, act.step.targets)
            await run.end(act.step)

        await each_host(desk, run, messages if _scope(plan.parameters)[0] == "messages" else whole)

    async def verify(self, desk: Desk, plan: Plan, run: Run) -> Outcome:
        """See Operation. Whether a message was tried shows only if it moved."""
        if _scope(plan.parameters)[0] != "messages":
            return await _verified_whole(desk, run)
        for look in range(_LOOKS):
            answers = await read_back(desk, told(run))
            moving = any(
                m.queue_name in ("active", "incoming")
                for answer in answers.values()
                if isinstance(answer, dict)
                for m in answer.values()
            )
            if not moving or look == _LOOKS - 1:
                break
            await asyncio.sleep(_BETWEEN)
        tally, counts = Tally(run), dict.fromkeys(("delivered", "in delivery", "deferred"), 0)
        for one, message in tally.sent(answers):
            tally.done.append(one)
            if changed(one, message):
                counts["delivered"] += 1
            elif message is not None and message.queue_name == "deferred":
                counts["deferred"] += 1
            else:
                counts["in delivery"] += 1
        if tally.done:
            tally.notes.append(
                f"{counts['delivered']:,} {'has' if counts['delivered'] == 1 else 'have'} left the "
                f"queue, {counts['in delivery']:,} in delivery, {counts['deferred']:,} deferred"
            )
        return tally.outcome(self.did, counts=counts)


def _scope(given: Mapping[str, str]) -> tuple[str, str]:
    """(scope, destination) of a request or a plan."""
    destination = given.get("destination", "").strip().rstrip(".").lower()
    return given.get("scope") or ("destination" if destination else "messages"), destination


def _command(what: str) -> Command:
    if not what:
        return EACH
    return command("postqueue", "-f") if what == _ALL else command("postqueue", "-s", what)


def _in_tables(words: tuple[str, ...]) -> bool:
    return any(":" in word or "/" in word for word in words)


def _listed(domain: str, words: tuple[str, ...]) -> bool:
    """As match_list(3) has it, with parent_domain_matches_subdomains at its default."""
    return any(domain == word.lower() or domain.endswith(f".{word.lower()}") for word in words)


async def _verified_whole(desk: Desk, run: Run) -> Outcome:
    """What the hosts have now; that they accepted it is all that can be known."""
    tally = Tally(run)
    for targets in run.sent.values():
        for one in targets:
            queue = Queue(desk, one.place)
            try:
                await queue.listing(None, lambda m: False)
                deferred = queue.counts.get("deferred", 0)
                tally.notes.append(f"{one.place} has {deferred:,} deferred messages now")
            except SourceError as error:
                tally.notes.append(str(error))
            tally.done.append(one)
    asked = ", ".join(f"{one.place} ({one.id})" for one in tally.done)
    failed = run.plan.count - len(tally.done)
    words = f"told {asked} to try now" if asked else "told no host"
    return Outcome(
        "done" if not failed else "partly" if tally.done else "failed",
        f"{words}; {failed:,} of {run.plan.count:,} hosts not" if failed else words,
        planned=run.plan.count,
        done=len(tally.done),
        left=tuple(tally.left),
        notes=tuple(tally.notes),
    )


OPERATIONS = (Flush(),)
