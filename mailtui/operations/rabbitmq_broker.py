"""What operations on the broker ask it before they act: queues, alarms, limits, permissions."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from mailtui.collectors import rabbitmq_queues, rabbitmq_records
from mailtui.connections.errors import SourceError
from mailtui.model.broker import BrokerQueue, BrokerReport
from mailtui.operations.base import Desk, Refused, Request

if TYPE_CHECKING:
    from mailtui.config.sources.rabbitmq import Settings
    from mailtui.connections.amqp import Link
    from mailtui.connections.http import HttpClient

DELIVERY_LIMIT = 20
"""Of a quorum queue without a limit of its own, since 4.0 (rabbitmq.com/docs/quorum-queues)."""


def settings_of(desk: Desk) -> Settings:
    """The settings of RabbitMQ. Raises Refused."""
    from mailtui.config.sources.rabbitmq import Settings

    found = desk.platform.context.source("rabbitmq", Settings)
    if found is None:
        raise Refused("no RabbitMQ is configured here (sources.rabbitmq)")
    return found


def why_not(desk: Desk, *, amqp: bool = True) -> str:
    """Why nothing can be done on a broker here, or an empty string."""
    try:
        settings = settings_of(desk)
    except Refused as refused:
        return str(refused)
    if amqp and settings.username is None:
        return "AMQP needs username and password in sources.rabbitmq"
    return ""


def chosen(desk: Desk, request: Request) -> list[tuple[str, str]]:
    """(vhost, queue) of a request's rows or targets, each once. Raises Refused."""
    found: dict[tuple[str, str], None] = {}
    for row in request.rows:
        found[(row.vhost, row.name)] = None
    for target in request.targets:
        vhost, _, name = target.place.partition("\t")
        found[(vhost, name or target.id)] = None
    for vhost, name in found:
        check_tenant(desk, vhost, name)
    return list(found)


def check_tenant(desk: Desk, vhost: str, name: str) -> None:
    """Raises Refused if the virtual host is none of the operator's tenants."""
    if desk.tenants is not None and vhost not in desk.tenants:
        raise Refused(
            f"{name} is in the virtual host {vhost}, and you may act for "
            f"{', '.join(sorted(desk.tenants)) or 'no tenant'} only"
        )


class Broker:
    """The management API, asked for what is true now."""

    def __init__(self, client: HttpClient) -> None:
        self._client = client

    async def queue(self, vhost: str, name: str) -> tuple[BrokerQueue, Mapping[str, Any]] | None:
        """A queue, as a record and as it was answered; None if there is none."""
        path = f"/api/queues/{quote(vhost, safe='')}/{quote(name, safe='')}"
        answer = await self._client.get_json(path, accept=(404,))
        if not isinstance(answer, dict) or "name" not in answer:
            return None
        return rabbitmq_queues.record(answer), answer

    async def alarms(self) -> tuple[str, ...]:
        """Alarms in effect, as sentences. Raises SourceError if it cannot be told."""
        answer = await self._client.get_json("/api/health/checks/alarms", accept=(503,))
        return rabbitmq_records.alarms(answer)

    async def version(self) -> tuple[int, int]:
        """(major, minor); (0, 0) if it is not told."""
        answer = await self._client.get_json("/api/overview")
        parts = str(answer.get("rabbitmq_version", "") if isinstance(answer, dict) else "").split(
            "."
        )
        try:
            return int(parts[0]), int(parts[1])
        except (ValueError, IndexError):
            return 0, 0

    async def bindings(self, vhost: str) -> rabbitmq_queues.Bindings:
        """The bindings of a virtual host."""
        found = await self._client.get_json(
            f"/api/bindings/{quote(vhost, safe='')}",
            {"columns": "source,vhost,destination,destination_type,routing_key"},
        )
        return rabbitmq_queues.bindings(found if isinstance(found, list) else ())


async def origins_of(desk: Desk, api: Broker, queue: BrokerQueue) -> list[str]:
    """Queues whose dead letters end in `queue`, as far as the last reading and the bindings tell;
    each message is asked for its own when it is moved."""
    report = desk.platform.state.value("rabbitmq", BrokerReport)
    if report is None:
        return []
    place = (queue.vhost, queue.name)
    known = [one for one in report.queues if one.vhost == queue.vhost]
    named = any(one.dead_letter_exchange for one in known)
    bound = await api.bindings(queue.vhost) if named else {}
    return sorted(one.name for one in known if place in rabbitmq_queues.targets(one, bound))


def limit_of(queue: BrokerQueue, version: tuple[int, int]) -> int | None:
    """Deliveries after which the queue drops a message; None: never. A broker that does not tell
    its version, (0, 0), may be a new one."""
    if queue.type != "quorum":
        return None
    if queue.delivery_limit is not None:
        return None if queue.delivery_limit < 0 else queue.delivery_limit
    return DELIVERY_LIMIT if version >= (4, 0) or version == (0, 0) else None


def size_of(answer: Mapping[str, Any]) -> float | None:
    """Bytes of a queue's message on the average; None: not known."""
    count, size = answer.get("messages"), answer.get("message_bytes")
    if isinstance(count, int) and isinstance(size, int) and count > 0:
        return size / count
    return None


@asynccontextmanager
async def client(settings: Settings) -> AsyncIterator[HttpClient]:
    """HTTP to the management API, closed at the end."""
    from mailtui.connections.http import HttpClient

    found = HttpClient("rabbitmq", settings.url, settings)
    try:
        yield found
    finally:
        await found.close()


@asynccontextmanager
async def broker(settings: Settings) -> AsyncIterator[Broker]:
    """The management API, closed at the end."""
    async with client(settings) as http:
        yield Broker(http)


@asynccontextmanager
async def amqp(settings: Settings, vhost: str, operator: str) -> AsyncIterator[Link]:
    """A connection, closed at the end. Raises SourceError."""
    from mailtui.connections.amqp import Link, connection_name

    link = await Link.open(settings, vhost, connection_name(operator))
    try:
        yield link
    finally:
        await link.close()


async def alarms_block(api: Broker) -> tuple[str, ...]:
    """Blockers: alarms that stop every publisher, or that these could not be asked for."""
    try:
        return tuple(f"{alarm}: the broker blocks publishers" for alarm in await api.alarms())
    except SourceError as error:
        return (f"whether an alarm blocks publishers is not known: {error}",)


def number(parameters: Mapping[str, str], name: str, default: float) -> float:
    """A parameter that is a number of 0 or more. Raises Refused."""
    text = parameters.get(name, "").strip()
    if not text:
        return default
    try:
        value = float(text.replace(",", "").removesuffix("s"))
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e9:
        raise Refused(f"{name}: expected a number, not {text!r}")
    return value


def count_of(parameters: Mapping[str, str], there: int) -> int:
    """The parameter `count`: a number, or `all` (the default). Raises Refused."""
    text = parameters.get("count", "").strip().lower()
    if text in ("", "all"):
        return there
    wanted = number(parameters, "count", 0)
    if wanted < 1 or wanted != int(wanted):
        raise Refused(f"count: expected a whole number from 1, or all, not {text!r}")
    return min(there, int(wanted))
