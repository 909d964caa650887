"""What went wrong over AMQP, in words that say what to do next."""

from __future__ import annotations

import re
from typing import Any

from mailtui.connections.clean import clean
from mailtui.connections.errors import SourceError
from mailtui.connections.http_errors import reason

_PREFIX = re.compile(r"^[A-Z_]+ - ")


def of_open(where: str, vhost: str, error: BaseException | None) -> SourceError:
    """Why a connection to `where` (host:port) could not be opened."""
    causes = _causes(error)
    names = {type(one).__name__ for one in causes}
    words = "; ".join(dict.fromkeys(clean(str(one)) for one in causes if str(one)))
    if "ProbableAuthenticationError" in names or "AuthenticationError" in names:
        return SourceError(
            "auth", f"rabbitmq: {where} refuses the user", "check username and password of rabbitmq"
        )
    closed = next((one for one in causes if getattr(one, "reply_code", None)), None)
    code, text = _reply(closed)
    if code == 530 or "ProbableAccessDeniedError" in names or "vhost" in words:
        if "not found" in (text or words):
            return SourceError("auth", f"rabbitmq: {where} has no virtual host {vhost!r}")
        return SourceError(
            "auth",
            f"rabbitmq: the user may not use the virtual host {vhost!r} at {where}"
            + (f" ({text})" if text else ""),
            "rabbitmqctl set_permissions grants it",
        )
    if code == 403:
        return SourceError("auth", f"rabbitmq: {where} refuses the user ({text})")
    if closed is not None:
        return SourceError("server", f"rabbitmq: {where} closes the connection ({text})")
    if any(name.startswith("SSL") or "Certificate" in name for name in names):
        return SourceError(
            "auth",
            f"rabbitmq: TLS at {where}: {words[:160]}",
            "check tls.ca and the name; amqps:// is TLS, amqp:// is not",
        )
    if "IncompatibleProtocolError" in names or "ProtocolVersionMismatch" in names:
        return SourceError("protocol", f"rabbitmq: {where} does not speak AMQP 0-9-1")
    if any("Timeout" in name for name in names):
        return SourceError("timeout", f"rabbitmq: {where} gave no answer")
    last = causes[-1] if causes else None
    return SourceError(
        "unreachable",
        f"rabbitmq: {where}: {reason(last) if last is not None else 'no connection'}",
        "sources.rabbitmq.amqp says where AMQP is",
    )


def of_close(where: str, error: BaseException | None) -> SourceError:
    """Why an open connection ended."""
    names = {base.__name__ for base in type(error).__mro__}
    code, text = _reply(error)
    if "ConnectionBlockedTimeout" in names:
        return SourceError(
            "refused",
            f"rabbitmq: {where} blocks publishers: a resource alarm is in effect",
            "free memory or disk on the broker",
        )
    if "AMQPHeartbeatTimeout" in names:
        return SourceError("timeout", f"rabbitmq: {where} sends no heartbeat any more")
    if code == 320:
        return SourceError("unreachable", f"rabbitmq: {where} closes the connection ({text})")
    if code:
        return SourceError("server", f"rabbitmq: {where} closes the connection ({text})")
    return SourceError("unreachable", f"rabbitmq: {where}: the connection was lost")


def of_channel(where: str, error: BaseException | None) -> SourceError:
    """Why a channel ended."""
    code, text = _reply(error)
    if code == 403:
        return SourceError(
            "auth",
            f"rabbitmq: {where}: {text}",
            "rabbitmqctl set_permissions grants configure, write and read",
        )
    if code == 404:
        return SourceError("refused", f"rabbitmq: {where}: {text}")
    if code:
        return SourceError("server", f"rabbitmq: {where} closes the channel ({text})")
    return of_close(where, error)


def _reply(error: Any) -> tuple[int, str]:
    """(code, text) that the broker closed with; (0, "") if it did not."""
    code = getattr(error, "reply_code", None)
    if not isinstance(code, int):
        return 0, ""
    return code, _PREFIX.sub("", clean(str(getattr(error, "reply_text", ""))))[:200]


def _causes(error: BaseException | None) -> list[BaseException]:
    """The exceptions that pika wrapped, outermost first."""
    found: list[BaseException] = []
    waiting: list[Any] = [error]
    while waiting:
        one = waiting.pop(0)
        if isinstance(one, BaseException) and one not in found:
            found.append(one)
            waiting += [getattr(one, "exception", None), one.__cause__]
            waiting += list(getattr(one, "exceptions", ()))
            waiting += list(one.args)
    return found
