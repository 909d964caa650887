"""What strangers may write into mail, logins, names of queues and labels."""

from __future__ import annotations

import re
import time
from collections import deque
from dataclasses import replace

from mailtui.sandbox.world import World
from mailtui.sandbox.world.audit import AuditEvent
from mailtui.sandbox.world.bans import Jail
from mailtui.sandbox.world.mail import Message, Recipient

TEXTS = (
    "\x1b[2J\x1b[31mowned\x1b[0m",
    "\x1b]52;c;cm0gLXJmIC8=\x07",
    "\x1b]0;title\x1b\\",
    "\x1bPq#0;2;0;0;0\x1b\\",
    "[/markup]",
    "[red]red",
    "[@click=app.quit]click[/]",
    "[bold",
    "\\[escaped\\",
    "invoice \u202efdp.exe",
    "\u2066isolate\u2069",
    "nul\x00byte",
    "\x9b31mC1\x85next",
    "line\nbreak\r\ttab",
    "\udcff\udcfe not utf-8",
    "wide 田中 \U0001f389 e\u0301 zero\u200bwidth",
    "{{ $labels }} %s {0} $(id) `id`",
    "",
    " ",
)
FORBIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Characters that no output may hold (line feeds and tabs may stand in a file)."""


def plant(world: World) -> None:
    """Put every text everywhere."""
    plant_audit(world)
    now = int(world.now)
    spool = world.mail.spools["mx1"]
    jails = world.bans.hosts["mx1"].jails
    for n, text in enumerate(TEXTS):
        queue_id = spool.new_id(now, n)
        spool.messages[queue_id] = Message(
            queue_id=queue_id,
            queue_name="hold",
            arrival_time=now - 60,
            size=1000,
            sender=f"{text}@example.com",
            recipients=[Recipient(f"{text}@example.net", f"host said: 421 {text}")],
            tenant="acme",
            subject=text,
        )
        if text.strip() and "\n" not in text:
            template = next(iter(world.broker.queues.values()))
            name = text.encode("utf-8", "replace").decode()
            queue = replace(template, name=name, letters=deque())
            world.broker.queues[(queue.vhost, name) if _by_pair(world) else name] = queue
    name = "[red]jail[/markup]"
    jails[name] = Jail(name, ("/var/log/x",), 5, 600.0, 3600.0)
    jails[name].ban("192.0.2.77", world.now)
    queue_id = spool.new_id(now, 999)
    spool.messages[queue_id] = Message(
        queue_id=queue_id,
        queue_name="hold",
        arrival_time=now,
        size=5_000_000,
        sender="list@example.com",
        recipients=[
            Recipient(f"user{n:05}@destination.example.net", f"\x1b[2J 421 {n}")
            for n in range(16_000)
        ],
        tenant="acme",
        subject="\x1b]52;c;AAAA\x07",
    )


def plant_audit(world: World) -> None:
    """Events of this moment; the tail begins with the newest 500 only."""
    for n, text in enumerate(TEXTS):
        world.audit.append(
            AuditEvent(
                millis=int(time.time() * 1000),
                id=f"hostile-{time.time()}-{n}-{text!r}",
                action=text,
                outcome="failure",
                category="authentication",
                user=text,
                source_ip="192.0.2.1",
                host=text,
                service=text,
                tenant=text,
                message=text,
                extra=(("labels.note", text),),
            )
        )


def _by_pair(world: World) -> bool:
    return isinstance(next(iter(world.broker.queues)), tuple)
