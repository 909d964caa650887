"""What an AMQP server closes a channel or a connection with (AMQP 0-9-1, "Reply codes")."""

from __future__ import annotations

NAMES = {
    312: "NO_ROUTE",
    320: "CONNECTION_FORCED",
    403: "ACCESS_REFUSED",
    404: "NOT_FOUND",
    405: "RESOURCE_LOCKED",
    406: "PRECONDITION_FAILED",
    501: "FRAME_ERROR",
    502: "SYNTAX_ERROR",
    503: "COMMAND_INVALID",
    504: "CHANNEL_ERROR",
    505: "UNEXPECTED_FRAME",
    530: "NOT_ALLOWED",
    540: "NOT_IMPLEMENTED",
    541: "INTERNAL_ERROR",
}
_SOFT = {312, 403, 404, 405, 406}
"""Those that end only the channel."""


class AmqpError(Exception):
    """An error that ends the channel, or the connection (`hard`)."""

    def __init__(self, code: int, text: str, *, hard: bool | None = None) -> None:
        super().__init__(text)
        self.code = code
        self.text = f"{NAMES[code]} - {text}"
        self.hard = code not in _SOFT if hard is None else hard
