"""Methods of AMQP that concern queues, exchanges and bindings."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pamqp import commands
from pamqp.base import Frame

from mailtui.sandbox.amqp_errors import AmqpError
from mailtui.sandbox.world.broker import Binding, Exchange, Queue

if TYPE_CHECKING:
    from mailtui.sandbox.amqp_channel import Channel

Q, X = commands.Queue, commands.Exchange


def handle(channel: Channel, method: Frame) -> bool:
    """Do a method of this module; whether it is one. AmqpError."""
    handler = _HANDLERS.get(type(method))
    if handler is None:
        return False
    handler(channel, method)
    return True


def require(channel: Channel, permission: str, name: str, kind: str = "queue") -> None:
    """Refuse (403) what the user may not do."""
    account = channel.connection.server.account
    if not account.may(permission, name):
        raise AmqpError(
            403,
            f"access to {kind} '{name or 'amq.default'}' in vhost '{channel.vhost}' refused for"
            f" user '{account.username}'",
        )


def find(channel: Channel, name: str) -> Queue:
    """The queue of that name, or the one declared last if it is empty; 404, 405."""
    name = name or channel.last_queue
    if not name:
        raise AmqpError(404, "no previously declared queue")
    server = channel.connection.server
    key = (channel.vhost, name)
    queue = server.world.broker.queues.get(key)
    if queue is None:
        raise AmqpError(404, f"no queue '{name}' in vhost '{channel.vhost}'")
    if queue.exclusive and server.owners.get(key) is not channel.connection:
        raise AmqpError(
            405,
            f"cannot obtain exclusive access to locked queue '{name}' in vhost '{channel.vhost}'."
            " It could be originally declared on another connection or the exclusive property"
            " value does not match that of the original declaration.",
        )
    return queue


# queues -------------------------------------------------------------------------------------


def _declare(channel: Channel, method: commands.Queue.Declare) -> None:
    name = method.queue
    known = (channel.vhost, name) in channel.connection.server.world.broker.queues
    if method.passive or known:
        queue = find(channel, name)
        if not method.passive:
            require(channel, "configure", name)
            _same(queue, method)
    else:
        queue = _new(channel, method)
    channel.last_queue = queue.name
    if not method.nowait:
        channel.send(Q.DeclareOk(queue.name, int(queue.ready), queue.consumers))


def _new(channel: Channel, method: commands.Queue.Declare) -> Queue:
    name = method.queue or f"amq.gen-{secrets.token_urlsafe(16)}"
    if name.startswith("amq.") and method.queue:
        text = f"queue name '{name}' contains reserved prefix 'amq.*'"
        raise AmqpError(403, text)
    require(channel, "configure", name)
    server = channel.connection.server
    broker = server.world.broker
    arguments: dict[str, Any] = dict(method.arguments or {})
    limit, grave = arguments.get("x-delivery-limit"), arguments.get("x-dead-letter-exchange")
    key = arguments.get("x-dead-letter-routing-key")
    queue = Queue(
        channel.vhost,
        name,
        str(arguments.get("x-queue-type", "classic")),
        broker.nodes[0].name,
        arguments=arguments,
        dead_letter_exchange=None if grave is None else str(grave),
        dead_letter_routing_key=None if key is None else str(key),
        delivery_limit=None if limit is None else int(limit),
        durable=method.durable,
        auto_delete=method.auto_delete,
        exclusive=method.exclusive,
    )
    broker.queues[channel.vhost, name] = queue
    if method.exclusive:
        server.owners[channel.vhost, name] = channel.connection
    return queue


def _same(queue: Queue, method: commands.Queue.Declare) -> None:
    """Refuse (406) to declare a queue otherwise than it is."""
    for name in ("durable", "exclusive", "auto_delete"):
        given, is_ = getattr(method, name), getattr(queue, name)
        if given != is_:
            _unequal(name, queue, f"'{str(given).lower()}'", f"'{str(is_).lower()}'")
    arguments = method.arguments or {}
    for name in sorted({*arguments, *queue.arguments}):
        if arguments.get(name) != queue.arguments.get(name):
            _unequal(name, queue, _shown(arguments.get(name)), _shown(queue.arguments.get(name)))


def _shown(value: Any) -> str:
    if value is None:
        return "none"
    kind = "longstr" if isinstance(value, str) else "signedint"
    return f"the value '{value}' of type '{kind}'"


def _unequal(name: str, queue: Queue, given: str, is_: str) -> None:
    raise AmqpError(
        406,
        f"inequivalent arg '{name}' for queue '{queue.name}' in vhost '{queue.vhost}': received"
        f" {given} but current is {is_}",
    )


def _purge(channel: Channel, method: commands.Queue.Purge) -> None:
    queue = find(channel, method.queue)
    require(channel, "read", queue.name)
    count = channel.connection.world.messages.purge(queue)
    if not method.nowait:
        channel.send(Q.PurgeOk(count))


def _delete(channel: Channel, method: commands.Queue.Delete) -> None:
    world = channel.connection.world
    count = 0
    # deleting what is not there succeeds
    if (channel.vhost, method.queue or channel.last_queue) in world.broker.queues:
        queue = find(channel, method.queue)
        require(channel, "configure", queue.name)
        place = f"queue '{queue.name}' in vhost '{queue.vhost}'"
        if method.if_unused and queue.consumers:
            raise AmqpError(406, f"{place} in use")
        if method.if_empty and queue.messages:
            raise AmqpError(406, f"{place} is not empty")
        count = world.messages.remove(queue)
    if not method.nowait:
        channel.send(Q.DeleteOk(count))


def _bind(channel: Channel, method: commands.Queue.Bind) -> None:
    binding = _binding(channel, method)
    bindings = channel.connection.world.broker.bindings
    if binding not in bindings:
        bindings.append(binding)
    if not method.nowait:
        channel.send(Q.BindOk())


def _unbind(channel: Channel, method: commands.Queue.Unbind) -> None:
    binding = _binding(channel, method)
    bindings = channel.connection.world.broker.bindings
    if binding in bindings:
        bindings.remove(binding)
    channel.send(Q.UnbindOk())


def _binding(channel: Channel, method: commands.Queue.Bind | commands.Queue.Unbind) -> Binding:
    queue = find(channel, method.queue)
    require(channel, "write", queue.name)
    require(channel, "read", method.exchange, "exchange")
    if not method.exchange:
        raise AmqpError(403, "operation not permitted on the default exchange")
    _exchange(channel, method.exchange)
    return Binding(channel.vhost, method.exchange, queue.name, method.routing_key)


# exchanges ----------------------------------------------------------------------------------


def _exchange(channel: Channel, name: str) -> Exchange:
    for exchange in channel.connection.world.broker.exchanges:
        if (exchange.vhost, exchange.name) == (channel.vhost, name):
            return exchange
    raise AmqpError(404, f"no exchange '{name}' in vhost '{channel.vhost}'")


def _declare_exchange(channel: Channel, method: commands.Exchange.Declare) -> None:
    name = method.exchange
    try:
        exchange = _exchange(channel, name)
    except AmqpError:
        if method.passive:
            raise
        require(channel, "configure", name, "exchange")
        if method.exchange_type not in ("direct", "fanout", "topic"):
            raise AmqpError(503, f"unknown exchange type '{method.exchange_type}'") from None
        exchange = Exchange(
            channel.vhost, name, method.exchange_type, method.durable, method.internal
        )
        channel.connection.world.broker.exchanges.append(exchange)
    if not method.passive and exchange.type != method.exchange_type:
        raise AmqpError(
            406,
            f"inequivalent arg 'type' for exchange '{name}' in vhost '{channel.vhost}': received"
            f" '{method.exchange_type}' but current is '{exchange.type}'",
        )
    if not method.nowait:
        channel.send(X.DeclareOk())


def _delete_exchange(channel: Channel, method: commands.Exchange.Delete) -> None:
    broker = channel.connection.world.broker
    place = (channel.vhost, method.exchange)
    require(channel, "configure", method.exchange, "exchange")
    if method.if_unused and any((b.vhost, b.source) == place for b in broker.bindings):
        text = f"exchange '{method.exchange}' in vhost '{channel.vhost}' in use"
        raise AmqpError(406, text)
    broker.exchanges = [e for e in broker.exchanges if (e.vhost, e.name) != place]
    broker.bindings = [b for b in broker.bindings if (b.vhost, b.source) != place]
    if not method.nowait:
        channel.send(X.DeleteOk())


def _flow(channel: Channel, method: commands.Channel.Flow) -> None:
    if not method.active:
        raise AmqpError(540, "active=false")
    channel.send(commands.Channel.FlowOk(True))


_HANDLERS: dict[type[Frame], Callable[[Channel, Any], None]] = {
    Q.Declare: _declare,
    Q.Purge: _purge,
    Q.Delete: _delete,
    Q.Bind: _bind,
    Q.Unbind: _unbind,
    X.Declare: _declare_exchange,
    X.Delete: _delete_exchange,
    commands.Channel.Flow: _flow,
}
