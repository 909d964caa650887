"""Suspend delivery to a destination until a time, and resume it; the hosts end it by themselves.

Each mail host has deploy/mailtui-suspend, which keeps a table of transport(5) that is the first of
transport_maps, and a timer that removes what has expired: no console is needed for that.
"""

from __future__ import annotations

import asyncio
import re
from abc import abstractmethod
from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

from mailtui.config.sources import hosts as hosts_source
from mailtui.config.sources.postfix import Settings
from mailtui.connections.clean import clean
from mailtui.connections.errors import SourceError, ToolMissing
from mailtui.model import clock
from mailtui.model import format as fmt
from mailtui.model.mail import Message
from mailtui.model.operation import Danger, Left, Outcome, Plan, State, Step, Target, Undo
from mailtui.model.suspension import Suspension
from mailtui.operations.base import Desk, NothingToDo, Operation, Parameter, Refused, Request
from mailtui.operations.postfix_facts import PATIENCE
from mailtui.operations.postfix_queue import is_root
from mailtui.operations.postfix_suspender import (
    ask,
    domain_of,
    listed,
    looked_up,
    program,
    span_of,
    state,
)

if TYPE_CHECKING:
    from mailtui.operations.running import Run

_NAME = re.compile(r"[^A-Za-z0-9._-]")


class OnDestinations(Operation):
    """What both share: the hosts, the program there, and what it says."""

    scope = "platform"
    danger: ClassVar[Danger] = "reversible"
    permission = "mail.suspend"
    sources: ClassVar[tuple[str, ...]] = ("postfix", "postfix_suspended")
    did: ClassVar[str]

    def why_not(self, desk: Desk) -> str:
        """See Operation."""
        if desk.platform.context.source("postfix", Settings) is None:
            return "this context has no Postfix (sources.postfix)"
        return "" if _hosts(desk) else "no host of this context has a role that runs Postfix"

    @abstractmethod
    def line(self, one: Target) -> str:
        """The command that the program gets for a target."""

    async def apply(self, desk: Desk, plan: Plan, run: Run) -> None:
        """See Operation."""
        for number, step in enumerate(plan.steps, 1):
            if run.stopping:
                run.leave(step.targets, "stopped by the operator")
                continue
            await run.begin(step, step.does)
            given = "".join(f"{self.line(one)}\n" for one in step.targets)
            run.tell(step, step.targets)
            try:
                await ask(desk, step.place, given, desk.settings.timeout)
            except SourceError as error:
                run.faults.append(str(error))
            await run.end(step)
            run.report(number, step.does)

    def steps(self, desk: Desk, targets: Iterable[Target]) -> tuple[Step, ...]:
        """One for each host, with what is written to the program."""
        by_host: dict[str, list[Target]] = {}
        for one in targets:
            by_host.setdefault(one.place, []).append(one)
        return tuple(
            Step(host, host, self._does(desk, host, found), len(found), tuple(found))
            for host, found in by_host.items()
        )

    def _does(self, desk: Desk, host: str, found: list[Target]) -> str:
        given = "; ".join(self.line(one) for one in found[:3])
        more = f" and {len(found) - 3:,} more" if len(found) > 3 else ""
        return f"{program().line(sudo=not is_root(desk, host))} <<< {given}{more}"

    async def answers(self, desk: Desk, run: Run) -> dict[str, dict[str, Suspension] | SourceError]:
        """Host → domain → what it has now."""

        async def one(host: str) -> dict[str, Suspension] | SourceError:
            try:
                _, found = await listed(desk, host, desk.settings.timeout)
            except SourceError as error:
                return error
            return {each.destination: each for each in found}

        places = [step.place for step in run.plan.steps if step.key in run.sent]
        return dict(zip(places, await asyncio.gather(*map(one, places)), strict=True))

    def outcome(
        self, run: Run, done: list[Target], left: list[Left], *, unknown: list[str], undo: Undo
    ) -> Outcome:
        """`left` has what run.left has not yet."""
        every = [*run.left, *left]
        hosts = ", ".join(sorted({one.place for one in done}))
        domains = ", ".join(sorted({one.id for one in done})[:3])
        words = f"{self.did} {domains} on {hosts}" if done else f"{self.did} nothing"
        if every:
            words += f"; not on {', '.join(sorted({f'{x.place} ({x.why})' for x in every}))}"
        if unknown:
            words += f"; {', '.join(unknown)} not known"
        how: State = "unknown" if unknown else "partly" if every else "done"
        if every and not done and not unknown:
            how = "failed"
        return Outcome(
            how,
            words,
            planned=run.plan.count,
            done=len(done),
            left=tuple(every),
            undo=undo if done else None,
        )


class Suspend(OnDestinations):
    """`add` for each host that runs Postfix."""

    id = "postfix.suspend"
    title = "Suspend delivery to a destination for a time"
    label = "suspend"
    resource = "messages"
    inverse = "postfix.resume"
    did = "suspended"
    parameters = (
        Parameter("destination", "the domain; default: that of the selection", example="gmail.com"),
        Parameter("reason", "why, for everybody who wonders", required=True),
        Parameter("for", "how long: 30m, 2h, 1d", default="2h", example="2h"),
    )
    help = (
        "Has mail to a domain deferred on every mail host until a time. The hosts end it by "
        "themselves (mailtui-suspend.timer), also when no console runs. Subdomains are not "
        "included. Install deploy/mailtui-suspend there first: its head says how."
    )

    def line(self, one: Target) -> str:
        """See OnDestinations."""
        return f"add {one.id} {one.mark}"

    async def plan(self, desk: Desk, request: Request) -> Plan:
        """See Operation."""
        if desk.tenants is not None:
            raise Refused("a destination is every tenant's: this needs a role for the platform")
        given = request.parameters
        now = clock.now()
        if request.targets:
            targets = [_renewed(one, now) for one in request.targets]
        else:
            domain = domain_of(given.get("destination") or _shared(request.rows))
            until = int(now + span_of(given.get("for") or "2h"))
            reason = clean(given.get("reason", "")).strip()[:200]
            if not reason:
                raise Refused("say why: reason=…")
            who = _NAME.sub("-", desk.operator) or "mailtui"
            targets = [Target(h, domain, f"{until} {who} {reason}") for h in _hosts(desk)]
        hosts = {one.place for one in targets}
        found = await asyncio.gather(*(state(desk, host) for host in hosts))
        tables = dict(zip(hosts, found, strict=True))
        domains = sorted({one.id for one in targets})
        ends = max(int(one.mark.split(" ", 1)[0]) for one in targets)
        return Plan(
            operation=self.id,
            context=desk.platform.name,
            operator=desk.operator,
            title=f"Suspend delivery to {', '.join(domains)} until {fmt.date_time(ends)}",
            danger=self.danger,
            made_at=now,
            selection=request.selection,
            steps=self.steps(desk, targets),
            parameters=dict(given),
            samples=tuple(_words(one) for one in targets[:5]),
            warnings=(
                f"mail to {', '.join(domains)} is deferred and grows older: what exceeds "
                "maximal_queue_lifetime meanwhile is returned",
                "Postfix looks at its tables every 10 s: until then some may still go out",
                *(f"{h}: {words}" for h, (words, stops) in tables.items() if words and not stops),
            ),
            blockers=tuple(f"{h}: {words}" for h, (words, stops) in tables.items() if stops),
            undo="postfix.resume ends it at once; the time does in any case",
        )

    async def verify(self, desk: Desk, plan: Plan, run: Run) -> Outcome:
        """See Operation. Read back from the list, and as Postfix looks it up (postmap -q)."""
        answers = await self.answers(desk, run)
        done, left, unknown = list[Target](), list[Left](), list[str]()
        for step in plan.steps:
            answer = answers.get(step.place)
            if isinstance(answer, SourceError):
                unknown.append(step.place)
                continue
            for one in run.sent.get(step.key, ()):
                entry = (answer or {}).get(one.id)
                until = int(one.mark.split(" ", 1)[0])
                if entry is None or int(entry.until) != until:
                    left.append(Left(one.place, one.id, "not in the table"))
                elif not await looked_up(desk, one):
                    left.append(Left(one.place, one.id, "in the table, but not looked up"))
                else:
                    done.append(one)
        undo = Undo("postfix.resume", tuple(done), text="delivery goes on")
        return self.outcome(run, done, left, unknown=unknown, undo=undo)


class Resume(OnDestinations):
    """`remove`."""

    id = "postfix.resume"
    title = "Resume delivery to a suspended destination"
    label = "resume"
    resource = "suspended"
    inverse = "postfix.suspend"
    did = "resumed"
    parameters = (
        Parameter("destination", "the domain; default: the selected rows", example="gmail.com"),
    )
    help = (
        "Ends a suspension. What was deferred is tried at its next retry; flush it to have it "
        "tried now."
    )

    def line(self, one: Target) -> str:
        """See OnDestinations."""
        return f"remove {one.id}"

    async def plan(self, desk: Desk, request: Request) -> Plan:
        """See Operation."""
        if desk.tenants is not None:
            raise Refused("a destination is every tenant's: this needs a role for the platform")
        targets = list(request.targets)
        wanted = request.parameters.get("destination", "")
        rows = [row for row in request.rows if isinstance(row, Suspension)]
        if wanted:
            domain = domain_of(wanted)
            answers = await asyncio.gather(
                *(listed(desk, host, PATIENCE) for host in _hosts(desk)), return_exceptions=True
            )
            for answer in answers:
                if isinstance(answer, SourceError):
                    if not isinstance(answer, ToolMissing):
                        raise answer
                elif isinstance(answer, BaseException):
                    raise answer
                else:
                    rows += [one for one in answer[1] if one.destination == domain]
        if not targets:
            targets = [_target(row) for row in rows]
        targets = list(dict.fromkeys(targets))
        if not targets:
            raise NothingToDo(f"{wanted or 'what is selected'} is not suspended anywhere")
        domains = sorted({domain_of(one.id) for one in targets})
        return Plan(
            operation=self.id,
            context=desk.platform.name,
            operator=desk.operator,
            title=f"Resume delivery to {', '.join(domains)}",
            danger=self.danger,
            made_at=clock.now(),
            selection=request.selection,
            steps=self.steps(desk, targets),
            parameters=dict(request.parameters),
            samples=tuple(_words(one) for one in targets[:5]),
            undo="postfix.suspend, until the time that it had",
        )

    async def verify(self, desk: Desk, plan: Plan, run: Run) -> Outcome:
        """See Operation."""
        answers = await self.answers(desk, run)
        done, left, unknown = list[Target](), list[Left](), list[str]()
        for step in plan.steps:
            answer = answers.get(step.place)
            if isinstance(answer, SourceError):
                unknown.append(step.place)
                continue
            for one in run.sent.get(step.key, ()):
                if one.id in (answer or {}):
                    left.append(Left(one.place, one.id, "still suspended"))
                else:
                    done.append(one)
        now = clock.now()
        again = tuple(one for one in done if int(one.mark.split(" ", 1)[0] or 0) > now + 60)
        undo = Undo("postfix.suspend", again, {"reason": "undo"}, "until the time that it had")
        return self.outcome(run, done, left, unknown=unknown, undo=undo)


def _words(one: Target) -> str:
    """A suspension as people read it; its mark is `UNTIL WHO REASON`."""
    until, _, rest = one.mark.partition(" ")
    who, _, reason = rest.partition(" ")
    if not until.isdigit():
        return f"{one.place} {one.id}"
    return f"{one.place} {one.id} until {fmt.date_time(int(until))}, {who}: {reason}"


def _hosts(desk: Desk) -> list[str]:
    roles = desk.platform.context.source("hosts", hosts_source.Settings) or hosts_source.Settings()
    every = desk.platform.context.hosts.items()
    return [name for name, host in every if roles.runs(host.roles, "postfix")]


def _shared(rows: Iterable[object]) -> str:
    found = {row.destination for row in rows if isinstance(row, Message)}
    if len(found) != 1:
        raise Refused("say which: destination=gmail.com")
    return found.pop()


def _target(row: Suspension) -> Target:
    return Target(row.host, row.destination, f"{int(row.until)} {row.who} {row.reason}")


def _renewed(one: Target, now: float) -> Target:
    until = one.mark.split(" ", 1)[0]
    if not until.isdigit() or int(until) <= now:
        raise NothingToDo(f"the suspension of {clean(one.id)} would have ended by now")
    return Target(one.place, domain_of(one.id), clean(one.mark))


OPERATIONS = (Suspend(), Resume())
