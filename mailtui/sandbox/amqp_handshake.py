"""How an AMQP connection begins: what the server says of itself, who logs in, what he says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from pamqp import commands

from mailtui.sandbox.world.broker import Broker, Connection

if TYPE_CHECKING:
    from mailtui.sandbox.world import World

Ends = tuple[tuple[str, int], tuple[str, int]]
_CAPABILITIES: dict[str, Any] = {
    "publisher_confirms": True,
    "exchange_exchange_bindings": True,
    "basic.nack": True,
    "consumer_cancel_notify": True,
    "connection.blocked": True,
    "consumer_priorities": True,
    "authentication_failure_close": True,
    "per_consumer_qos": True,
    "direct_reply_to": True,
}
"""As RabbitMQ 3.10 announces them."""


def start(broker: Broker) -> commands.Connection.Start:
    """The server's first method."""
    return commands.Connection.Start(
        0,
        9,
        {
            "capabilities": dict(_CAPABILITIES),
            "cluster_name": broker.cluster,
            "copyright": "Copyright (c) 2007-2022 VMware, Inc. or its affiliates.",
            "information": "Licensed under the MPL 2.0. Website: https://rabbitmq.com",
            "platform": f"Erlang/OTP {broker.erlang}",
            "product": "RabbitMQ",
            "version": broker.version,
        },
        "PLAIN",
        "en_US",
    )


def credentials(method: commands.Connection.StartOk) -> tuple[str, str]:
    """User and password of a PLAIN response (RFC 4616)."""
    response = cast("str | bytes", method.response)
    if isinstance(response, bytes):
        response = response.decode("utf-8", "surrogateescape")
    _, _, login = response.partition("\0")
    user, _, password = login.partition("\0")
    return user, password


def described(world: World, user: str, ends: Ends, said: dict[str, Any]) -> Connection:
    """What the world knows of a connection; `said`: the client's properties."""
    (peer, peer_port), (own, own_port) = ends
    return Connection(
        name=f"{peer}:{peer_port} -> {own}:{own_port}",
        vhost="",
        user=user,
        node=world.broker.nodes[0].name,
        peer_host=peer,
        peer_port=peer_port,
        host=own,
        port=own_port,
        connected_at=world.now,
        client=str(said.get("connection_name", "")),
        product=str(said.get("product", "")),
        version=str(said.get("version", "")),
        channels=0,
        receive_rate=0.0,
        send_rate=0.0,
        open={},
        properties=said,
    )
