"""A journal with an entry of every kind, made by the gate's own records."""

from __future__ import annotations

from typing import Any

import msgspec

from mailtui.collectors.journal import JournalCollector
from mailtui.model import clock
from mailtui.model.operation import Left, Outcome, Plan, Step, Target, Undo
from mailtui.model.reading import Reading
from mailtui.operations.gate import Gate

HOSTILE = "Hold 3 messages to [/foo] \u202emoc.elgoog \x1b]52;c;aGk=\x07 контакт"


def plan(title: str, operation: str = "example.hold", who: str = "alice", **facts: Any) -> Plan:
    """A plan for two hosts."""
    steps = tuple(
        Step(host, host, "sudo -n postsuper -h -", count,
             tuple(Target(host, f"4jYk{host}{n:04}", "mark") for n in range(min(count, 20))))
        for host, count in (("mx1", 2190), ("mx2", 2122))
    )  # fmt: skip
    return Plan(
        operation, "demo", who, title, facts.pop("danger", "reversible"), clock.now(),
        "group destination gmail.com, filter reason:~421", steps,
        samples=("4jYkvz1rVxz14Xh  søren.kierkegaard@nordlicht.example.org → tess@gmail.com",),
        warnings=("held mail never expires by itself",), undo="release the same 4,312", **facts,
    )  # fmt: skip


async def fill(app: Any, gate: Gate) -> None:
    """Write it, and put what the collector reads of it into the console's state."""
    now = clock.now()
    at = now - 7200
    clock.set_clock(lambda: at)
    note = gate.ledger.journal.append
    for number, who in enumerate(("alice", "bob", "carol"), 1):
        at = now - 3600 + number
        done = plan(f"Hold 4,312 messages to gmail.com ({number})", who=who)
        digest = gate.ledger.plans.keep(done)
        run = f"{number:012x}"
        facts = {
            "operation": done.operation, "context": "demo", "title": done.title,
            "danger": done.danger, "count": 4312, "selection": done.selection,
            "parameters": {}, "blockers": [],
        }  # fmt: skip
        note(
            "intent", who, run=run, **facts, digest=digest, undoes="", approved_by="",
            machine="jump1", login="", process=4711,
        )  # fmt: skip
        step = {"run": run, "operation": done.operation, "step": "mx1", "place": "mx1"}
        note("step", who, **step, does="sudo -n postsuper -h -", count=2190)
        if number == 3:
            continue
        at += 3.2
        note("step-end", who, **step, held=2187)
        left = tuple(Left("mx1", f"4jYkGONE{n}", "was delivered meanwhile") for n in range(3))
        outcome = Outcome(
            "partly" if number == 1 else "done",
            "held 4,309 of 4,312: 3 were delivered meanwhile" if number == 1 else "held 4,312",
            4312, 4309 if number == 1 else 4312, left if number == 1 else (),
            counts={"held": 4309},
            undo=Undo("example.release", tuple(t for s in done.steps for t in s.targets),
                      text="releases the messages that were held"),
        )  # fmt: skip
        note(
            "outcome", who, run=run, state=outcome.state, sentence=outcome.sentence,
            planned=4312, done=outcome.done, undo={"operation": "example.release", "count": 4309},
            digest=gate.ledger.plans.keep_outcome(run, outcome),
        )  # fmt: skip
    at = now - 600
    for who in ("bob", "alice"):
        asked = plan("Delete 12 messages", "example.delete", who, danger="destructive")
        note(
            "request", who, operation=asked.operation, context="demo", title=asked.title,
            count=12, selection=asked.selection, digest=gate.ledger.plans.keep(asked), undoes="",
            expires=now + 300,
        )  # fmt: skip
    note("refused", "dave", operation="example.delete", context="demo", title="1 row", count=1,
         why="dave is a viewer; mail.delete takes an operator")  # fmt: skip
    note("plan", "alice", operation="example.hold", context="demo", title=HOSTILE, count=3,
         selection="filter sender:[red]", digest="")  # fmt: skip
    note("operator", "root", text="operator alice enrolled a second factor")
    clock.set_clock(lambda: now)

    class Configured:
        class journal:
            @staticmethod
            def file() -> Any:
                return gate.ledger.journal.path

    report = await JournalCollector(Configured()).read()  # type: ignore[arg-type]
    assert msgspec.to_builtins(report)
    app._still.state.put(Reading("journal", value=report, read_at=now - 2, seq=1, interval=3.0))
