"""`rabbitmq-queues peek`, as the broker's own command line prints it.

Texts and forms are captures of RabbitMQ 4.0.5 on Debian 13; a table is drawn with the terminal's
line characters also where the output is no terminal. Banner and table go to standard output, errors
to standard error.
"""

from __future__ import annotations

import datetime as dt
import getopt
import json
from typing import Any

from mailtui.sandbox.commands import Command, Context
from mailtui.sandbox.rabbitmq_writes import as_json
from mailtui.sandbox.world.broker import Queue
from mailtui.sandbox.world.messages import Message

_NOT_ROOT = "\nOnly root or rabbitmq can run rabbitmq-queues\n"
_BANNER = "Peeking at quorum queue {queue} at position {position} on node {node} ..."
_NO_QUEUE = "Target queue was not found in virtual host '{vhost}'"
_NO_MESSAGE = "Target queue does not have a message at that position"
_CLASSIC = "Cannot peek into a classic queue"
_CLASSIC_JSON = "Failed to perform the operation: Cannot peek into a classic queue"
_NOT_A_POSITION = '"position value must be a positive integer"'
_TOO_FEW, _TOO_MANY = "not enough arguments.", "too many arguments."
_USAGE = (
    "Usage\n\nrabbitmq-queues [--node <node>] [--longnames] [--quiet] peek [--vhost <vhost>]"
    " <queue> <position> [--timeout <timeout>]"
)
_EX_USAGE, _EX_UNAVAILABLE = 64, 69
_SHOWN = 64
"""Bytes of the body."""
_PAYLOAD = f"payload (max {_SHOWN} bytes)"
_LINE = 60
"""Characters from which Erlang breaks a term into lines, about."""


async def rabbitmq_queues(context: Context, argv: list[str]) -> int:
    """`rabbitmq-queues [-q|-s] [--formatter json] peek [--vhost V] QUEUE POSITION`."""
    if context.user not in ("root", "rabbitmq"):
        await context.err(_NOT_ROOT)
        return 1
    options, operands = getopt.gnu_getopt(
        argv[1:],
        "n:p:t:qsl",
        ["node=", "vhost=", "timeout=", "formatter=", "quiet", "silent", "longnames"],
    )
    given = dict(options)
    if not operands or operands[0] != "peek":
        await context.err(f"Command '{' '.join(operands)}' is not known to this sandbox")
        return _EX_USAGE
    fault = _bad(operands[1:])
    if fault is not None:
        said = f"Error (argument validation): {fault}\nArguments given:\n\t{' '.join(argv[1:])}\n"
        await context.err(f"{said}\n{_USAGE}")
        return _EX_USAGE
    name, position = operands[1], int(operands[2])
    vhost = given.get("--vhost", given.get("-p", "/"))
    world = context.machine.world
    queue: Queue | None = world.broker.queues.get((vhost, name))
    message = error = None
    if queue is None:
        error = _NO_QUEUE.format(vhost=vhost)
    elif queue.type != "quorum":
        error = _CLASSIC
    else:
        message = world.messages.at(queue, position)
        error = _NO_MESSAGE if message is None else None
    if given.get("--formatter") == "json":
        return await _json(context, message, error)
    if not {"-q", "--quiet", "-s", "--silent"} & set(given):
        node = world.broker.nodes[0].name
        await context.out(_BANNER.format(queue=name, position=position, node=node))
    if message is None:
        await context.err(f"Error:\n{error}")
        return _EX_UNAVAILABLE
    await context.out(_table(message))
    return 0


def _bad(operands: list[str]) -> str | None:
    """What is wrong with queue and position."""
    if len(operands) != 2:
        return _TOO_FEW if len(operands) < 2 else _TOO_MANY
    position = operands[1]
    good = position.isascii() and position.isdecimal() and int(position) > 0
    return None if good else _NOT_A_POSITION


async def _json(context: Context, message: Message | None, error: str | None) -> int:
    if message is None:
        said = {"message": _CLASSIC_JSON if error == _CLASSIC else error, "result": "error"}
        await context.out(_dumps(said))
        return _EX_UNAVAILABLE
    pairs = {key: _dumps(value) for key, value in _properties(message)}
    pairs["routing_keys"] = _dumps([message.routing_key])
    pairs[_PAYLOAD] = _dumps(_text(message.body[:_SHOWN]))
    pairs |= {key: _tagged(value) for key, value in _headers(message)}
    text = ",".join(f"{_dumps(key)}:{value}" for key, value in sorted(pairs.items()))
    await context.out(f'{{"message":{{{text}}},"result":"ok"}}')
    return 0


def _table(message: Message) -> str:
    rows = [(key, str(value)) for key, value in reversed(_properties(message))]
    rows.insert(-1, ("routing_keys", message.routing_key))
    rows.append((_PAYLOAD, _text(message.body[:_SHOWN])))
    return drawn([*rows, *((key, _cell(value)) for key, value in _headers(message))])


def _properties(message: Message) -> list[tuple[str, Any]]:
    """The exchange and the properties besides the headers, in the order of their flags."""
    fields = message.properties.fields.items()
    return [
        ("exchange", message.exchange),
        *((name, as_json(value)) for name, value in fields if name != "headers"),
    ]


def _headers(message: Message) -> list[tuple[str, Any]]:
    headers = {**message.properties.headers, "x-delivery-count": message.deliveries}
    return [(f"header.{name}", value) for name, value in sorted(headers.items())]


def _text(value: bytes) -> str:
    """A binary as text, or as Erlang writes one that is none."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return f"<<{','.join(map(str, value))}>>"


def _kind(name: str, value: Any) -> str:
    """AMQP's type of a field's value, as RabbitMQ calls it."""
    match value:
        case None:
            return "void"
        case bool():
            return "bool"
        case int():
            return "long" if name == "count" else "signedint"
        case dt.datetime():
            return "timestamp"
        case dict():
            return "table"
        case list():
            return "array"
        case bytes():
            return "binary"
    return "longstr" if isinstance(value, str) else "double"


# JSON ----------------------------------------------------------------------------------------


def _dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _tagged(value: Any) -> str:
    """A header's value: tables are lists of [name, type, value], arrays objects by type, in which
    the same key may stand twice.
    """
    if isinstance(value, dict):
        fields = (
            f"[{_dumps(name)},{_dumps(_kind(name, item))},{_tagged(item)}]"
            for name, item in value.items()
        )
        return f"[{','.join(fields)}]"
    if isinstance(value, list):
        items = (f"{_dumps(_kind('', item))}:{_tagged(item)}" for item in value)
        return f"{{{','.join(items)}}}"
    return _dumps(as_json(value))


# the table -----------------------------------------------------------------------------------


def _cell(value: Any) -> str:
    """A header's value in the table: text as it is, the rest as Erlang's terms."""
    if isinstance(value, dict):
        return "".join(_field(name, item) for name, item in value.items())
    if isinstance(value, list):
        return "".join(
            f"{{{_kind('', item)},{_term(item, len(_kind('', item)) + 3)}}}" for item in value
        )
    return str(as_json(value)).lower() if isinstance(value, bool) else str(as_json(value))


def _field(name: str, item: Any) -> str:
    return f'{{<<"{name}">>,{_kind(name, item)},{_term(item, 0)}}}'


def _term(value: Any, indent: int) -> str:
    """An Erlang term; a table that is too long for a line has one field a line."""
    if isinstance(value, dict):
        fields = [_field(name, item) for name, item in value.items()]
        separator = ",\n" + " " * indent if sum(map(len, fields)) > _LINE else ","
        return f"[{separator.join(fields)}]"
    if isinstance(value, list):
        items = (f"{{{_kind('', item)},{_term(item, 0)}}}" for item in value)
        return f"[{','.join(items)}]"
    if isinstance(value, str | bytes):
        text = value if isinstance(value, str) else _text(value)
        return f'<<"{text}">>' if text else "<<>>"
    return str(as_json(value)).lower() if isinstance(value, bool) else str(as_json(value))


def drawn(rows: list[tuple[str, str]]) -> str:
    """A table of two columns with DEC's line characters."""
    cells = [(key, value.split("\n")) for key, value in rows]
    keys = max(len(key) for key, _ in [("keys", []), *cells])
    values = max(len(line) for _, lines in [("", ["values"]), *cells] for line in lines)
    bar = "\x1b(0x\x1b(B"

    def rule(left: str, middle: str, right: str) -> str:
        return f"\x1b(0{left}{'q' * (keys + 2)}{middle}{'q' * (values + 2)}{right}\x1b(B"

    def line(key: str, value: str) -> str:
        return f"{bar} {key:<{keys}} {bar} {value:<{values}} {bar}"

    bold = f"{bar} \x1b[1mkeys\x1b[0m{' ' * (keys - 4)} {bar} \x1b[1mvalues\x1b[0m"
    lines = [rule("l", "w", "k"), f"{bold}{' ' * (values - 6)} {bar}"]
    for key, found in cells:
        lines.append(rule("t", "n", "u"))
        lines += [line(key if i == 0 else "", text) for i, text in enumerate(found)]
    return "\n".join([*lines, rule("m", "v", "j")])


COMMANDS: dict[str, Command] = {
    "/usr/sbin/rabbitmq-queues": rabbitmq_queues,
}
