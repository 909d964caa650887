"""postsuper(1) of Postfix 3.7 to 3.10: what it does, and every word that it says of it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable

from mailtui.sandbox.commands import Command, Context, UsageError
from mailtui.sandbox.postfix import spool
from mailtui.sandbox.streams import Batched, lines
from mailtui.sandbox.world.mail import QUEUES, SUPER, Spool

_BATCH = 200
"""Messages between two looks at the event loop."""
_QUEUE_ID = re.compile(r"[0-9A-Za-z_]{1,100}")
_DIRECTORIES = (*QUEUES, "corrupt")

_Act = Callable[[Spool, list[str], tuple[str, ...]], list[str]]
_ACTS: dict[str, tuple[str, str, tuple[str, ...], _Act]] = {
    "d": ("removed", "Deleted", SUPER, Spool.delete),
    "e": ("expired", "Force-expired", SUPER, Spool.expire),
    "h": ("placed on hold", "Placed on hold", ("incoming", "active", "deferred"), Spool.hold),
    "H": ("released from hold", "Released from hold", ("hold",), Spool.release),
    "r": ("requeued", "Requeued", SUPER, Spool.requeue),
}
"""Flag → what is said of each message, of all, the queues unless told otherwise, what is done."""


async def postsuper(context: Context, argv: list[str]) -> int:
    """`postsuper -d|-e|-f|-h|-H|-r ID… [DIRECTORY…]`, IDs of `-` from standard input."""
    name = argv[0].rpartition("/")[2]
    asked, directories = _arguments(argv[1:])
    if context.user != "root":
        await context.err(f"{name}: fatal: use of this command is reserved for the superuser")
        return 1
    for directory in directories:
        if directory not in _DIRECTORIES:
            await context.err(f"{name}: fatal: invalid directory name: {directory}")
            return 1
    queues = spool(context)
    said, totals = Batched(context.stderr), dict[str, int]()
    for flag, queue_id in asked:
        flags = ("e", "H") if flag == "f" else (flag,)
        for each in flags:
            totals.setdefault(each, 0)
        ids = _given(context) if queue_id == "-" else _these([queue_id])
        count = 0
        async for each_id in ids:
            every = list(queues.messages) if each_id == "ALL" else [each_id]
            for one in flags:
                word, _, usual, act = _ACTS[one]
                if each_id != "ALL" and not _QUEUE_ID.fullmatch(each_id):
                    line = f"{name}: warning: invalid mail queue id: {each_id}\n"
                    await said.write(line.encode("utf-8", "surrogateescape"))
                    continue
                done = act(queues, every, tuple(directories) or usual)
                totals[one] += len(done)
                for acted in done:
                    await said.write(f"{name}: {acted}: {word}\n".encode())
            count += 1
            if count % _BATCH == 0:
                await asyncio.sleep(0)
    for flag, total in totals.items():
        plural = "" if total == 1 else "s"
        await said.write(f"{name}: {_ACTS[flag][1]}: {total} message{plural}\n".encode())
    await said.flush()
    return 0


def _arguments(words: list[str]) -> tuple[list[tuple[str, str]], list[str]]:
    asked: list[tuple[str, str]] = []
    rest = list(words)
    while rest and rest[0].startswith("-") and rest[0] != "-":
        flag = rest.pop(0)
        if flag == "--":
            break
        if flag[1:2] not in "defhHr" or not (flag[2:] or rest):
            raise UsageError("only -d, -e, -f, -h, -H and -r are supported by this sandbox")
        asked.append((flag[1], flag[2:] or rest.pop(0)))
    if not asked:
        raise UsageError("a structure check is not supported by this sandbox")
    return asked, rest


async def _given(context: Context) -> AsyncIterator[str]:
    async for line in lines(context.stdin):
        yield line.rstrip(b"\n").decode("utf-8", "surrogateescape")


async def _these(ids: list[str]) -> AsyncIterator[str]:
    for queue_id in ids:
        yield queue_id


COMMANDS: dict[str, Command] = {"/usr/sbin/postsuper": postsuper}
