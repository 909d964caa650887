"""Closing AMQP connections, for consumers that hold messages and do nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from mailtui.collectors import rabbitmq_records
from mailtui.connections.errors import SourceError
from mailtui.model import clock
from mailtui.model.broker import BrokerConnection
from mailtui.model.operation import Danger, Outcome, Plan, Step, Target
from mailtui.operations import rabbitmq_broker as asked
from mailtui.operations.base import Desk, NothingToDo, Operation, Parameter, Refused, Request
from mailtui.operations.rabbitmq_holding import Holding, holdings, limits, path_of

if TYPE_CHECKING:
    from mailtui.connections.http import HttpClient
    from mailtui.operations.running import Run

PATIENCE = 15.0
"""Seconds in which the API must say that a connection is closed; its state is some seconds old."""
SILENT = (
    "{name}: its client does not answer; what it held is back in its queues, and the broker drops "
    "it within 30 s"
)
OTHER = "another connection has this name now"
LACKS = (
    "RabbitMQ's user {user} lacks the tag `administrator`, without which it closes no connection "
    "of others: rabbitmqctl set_user_tags {user} administrator"
)


class Close(Operation):
    """The broker ends connections; their clients may connect again."""

    id = "rabbitmq.close"
    title = "Close AMQP connections"
    label = "close"
    key = "X"
    resource = "broker_connections"
    danger: ClassVar[Danger] = "irreversible"
    permission = "broker.close"
    sources = ("rabbitmq", "broker_connections")
    parameters = (
        Parameter("reason", "what the client is told", example="it acknowledges nothing"),
    )
    help = (
        "Sends DELETE /api/connections/NAME with the reason. What the client holds unacknowledged "
        "goes back to its queues, which counts as a delivery. Clients mostly connect again at "
        "once: the outcome says so. It needs the tag `administrator`."
    )

    def why_not(self, desk: Desk) -> str:
        """See Operation."""
        return asked.why_not(desk, amqp=False)

    def why_not_row(self, row: BrokerConnection) -> str:
        """See Operation."""
        return "it is the console's own" if row.client.startswith("mailtui ") else ""

    async def plan(self, desk: Desk, request: Request) -> Plan:
        """See Operation."""
        settings = asked.settings_of(desk)
        for row in request.rows:
            asked.check_tenant(desk, row.vhost, row.name)
        wanted = [row for row in request.rows if not self.why_not_row(row)]
        excluded = [f"{row.name}: {why}" for row in request.rows if (why := self.why_not_row(row))]
        async with asked.client(settings) as http:
            await _check_tag(http, wanted)
            answers = await asyncio.gather(*(_connection(http, row.name) for row in wanted))
            rows: list[BrokerConnection] = []
            for row, answer in zip(wanted, answers, strict=True):
                now = rabbitmq_records.connection(answer) if answer else None
                if why := _changed(row.connected_at, now):
                    excluded.append(f"{row.name}: {why}")
                elif now is not None:
                    rows.append(now)
            found = await holdings(http, rows)
            warnings = await limits(http, rows, found)
        if not rows:
            raise NothingToDo("; ".join(excluded[:3]) or "no connection is selected")
        targets = [Target(row.vhost, row.name, _mark(row)) for row in rows]
        does = "DELETE " + (path_of(rows[0].name) if len(rows) == 1 else path_of("") + "NAME")
        step = Step("close", "the broker", does, len(targets), tuple(targets))
        noun = "connection" if len(targets) == 1 else "connections"
        return Plan(
            operation=self.id,
            context=desk.platform.name,
            operator=desk.operator,
            title=f"Close {len(targets):,} AMQP {noun}",
            danger=self.danger,
            made_at=clock.now(),
            selection=request.selection,
            steps=(step,),
            parameters=dict(request.parameters),
            samples=tuple(_words(row, found[row.name]) for row in rows[:5]),
            excluded=tuple(excluded),
            warnings=tuple(warnings),
            loses=(
                "what these clients published and have not seen confirmed",
                f"{_held(found)} go back to their queues, which counts as a delivery there",
            ),
        )

    async def apply(self, desk: Desk, plan: Plan, run: Run) -> None:
        """See Operation."""
        (step,) = plan.steps
        words = plan.parameters.get("reason") or "stuck"
        headers = {"X-Reason": _plain(f"closed by {desk.operator} with mailtui: {words}")}
        desk.notes[f"closed {run.id}"] = clock.now()
        async with asked.client(asked.settings_of(desk)) as http:
            for count, target in enumerate(step.targets, 1):
                if run.stopping:
                    run.leave(step.targets[count - 1 :], "stopped by the operator")
                    break
                path = path_of(target.id)
                answer = await _connection(http, target.id)
                now = rabbitmq_records.connection(answer) if answer else None
                if why := _changed(_since(target), now):
                    run.leave([target], why)
                    continue
                await run.begin(step, f"DELETE {path}", connection=target.id)
                run.tell(step, [target])
                await _delete(http, path, headers)
                await run.end(step, connection=target.id)
                run.report(count)

    async def verify(self, desk: Desk, plan: Plan, run: Run) -> Outcome:
        """See Operation: each is looked for again, and who came in its place."""
        (step,) = plan.steps
        sent = run.sent.get(step.key, [])
        gone: list[Target] = []
        notes: list[str] = []
        async with asked.client(asked.settings_of(desk)) as http:
            end = asyncio.get_running_loop().time() + PATIENCE
            waiting = list(sent)
            while waiting:
                for target in list(waiting):
                    answer = await _connection(http, target.id)
                    now = rabbitmq_records.connection(answer) if answer else None
                    closed = now is not None and now.state in ("closing", "closed")
                    if closed or _changed(_since(target), now):
                        waiting.remove(target)
                        gone.append(target)
                        notes += [SILENT.format(name=target.id)] if closed else []
                if not waiting or asyncio.get_running_loop().time() > end:
                    break
                await asyncio.sleep(0.5)
            run.leave(waiting, "it is still open")
            back = await _back(http, gone, desk.notes.get(f"closed {run.id}"))
        why = run.left[0].why if run.left else ""
        return Outcome(
            "done" if len(gone) == plan.count else "partly" if gone else "failed",
            f"closed {len(gone):,} of {plan.count:,}" + (f": {why}" if why else ""),
            planned=plan.count,
            done=len(gone),
            left=tuple(run.left),
            counts={"closed": len(gone), "back": len(back)},
            notes=(*notes, *back),
        )


async def _check_tag(http: HttpClient, rows: Sequence[BrokerConnection]) -> None:
    """Raises Refused if some are of others and our user is no administrator: with `monitoring` it
    may look at them, and closing one is answered with 401 (RabbitMQ 3.10.8)."""
    me = await http.get_json("/api/whoami")
    me = me if isinstance(me, dict) else {}
    user, tags = str(me.get("name", "")), me.get("tags") or ()
    # a list; before 3.9 one string with commas
    tags = tags.split(",") if isinstance(tags, str) else tags
    if "administrator" not in tags and any(row.user != user for row in rows):
        raise Refused(LACKS.format(user=user))


@contextmanager
def _as_administrator() -> Iterator[None]:
    """Says what a refusal means here: the API knows the user, and lets only administrators."""
    try:
        yield
    except SourceError as error:
        if error.kind != "auth" or "User not authorised" not in error.message:
            raise
        hint = "connections of others need the tag `administrator`: rabbitmqctl set_user_tags"
        raise SourceError("auth", error.message, hint) from None


async def _delete(http: HttpClient, path: str, headers: dict[str, str]) -> None:
    with _as_administrator():
        await http.delete(path, headers, accept=(404,))


async def _connection(http: HttpClient, name: str) -> dict[str, Any] | None:
    with _as_administrator():
        answer = await http.get_json(path_of(name), accept=(404,))
    return answer if isinstance(answer, dict) and "name" in answer else None


async def _back(http: HttpClient, gone: list[Target], since: float | None) -> list[str]:
    """Clients of the same user and address that connected since."""
    if since is None or not gone:
        return []
    answer = await http.get_json(
        "/api/connections", {"columns": rabbitmq_records.CONNECTION_COLUMNS, "page": "1",
                             "page_size": "500"},
    )  # fmt: skip
    items = answer.get("items", []) if isinstance(answer, dict) else []
    hosts = {(target.place, _host(target.id)) for target in gone}
    found = []
    for item in items:
        one = rabbitmq_records.connection(item)
        young = one.connected_at is not None and one.connected_at >= since - 1
        if (
            young
            and (one.vhost, _host(one.name)) in hosts
            and not one.client.startswith("mailtui ")
        ):
            found.append(f"{one.user} is back from there as {one.name} ({one.client})")
    return found


def _host(name: str) -> str:
    """The client's address of `10.0.0.1:50412 -> 10.0.0.2:5672`."""
    return name.partition(" -> ")[0].rpartition(":")[0]


def _words(row: BrokerConnection, held: Holding) -> str:
    return f"{row.user} from {row.peer} ({row.client or '?'}): {row.state or '?'}, {held.words}"


def _held(found: dict[str, Holding]) -> str:
    """`47 messages that they hold`, `at least 47 …` where not all is known."""
    counts = [holding.unacked for holding in found.values()]
    count = sum(filter(None, counts))
    least = "at least " if None in counts else ""
    return f"{least}{count:,} messages that they hold"


def _plain(text: str) -> str:
    """As a header's value may be: printable ASCII."""
    return "".join(char if " " <= char <= "~" else "?" for char in text)


def _mark(row: BrokerConnection) -> str:
    return "" if row.connected_at is None else f"{row.connected_at:.3f}"


def _since(target: Target) -> float | None:
    return float(target.mark) if target.mark else None


def _changed(since: float | None, now: BrokerConnection | None) -> str:
    """Why it is not the connection that was seen, or an empty string."""
    if now is None:
        return "it is gone already"
    if since is None or now.connected_at is None:
        return ""
    return OTHER if abs(now.connected_at - since) > 0.01 else ""


OPERATIONS: tuple[Operation, ...] = (Close(),)
