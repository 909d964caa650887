"""One entry of the journal in full: steps, counts, what was left, approvals, the exact commands."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.widget import Widget
from textual.widgets import Static

from mailtui.access.history import Entry, StepTrace
from mailtui.access.journal import JournalError
from mailtui.connections.clean import clean
from mailtui.model import clock
from mailtui.model import format as fmt
from mailtui.operations.gate import Gate
from mailtui.screens import outcome as outcomes
from mailtui.screens import plan_text
from mailtui.screens.dialog import Dialog, Middle
from mailtui.screens.plan_text import clean_text, place
from mailtui.widgets.choice import Choice
from mailtui.widgets.glyphs import Glyphs

Part = Text | Table


class EntryDialog(Dialog[str]):
    """Gives "undo", "settle", "approve", "decline", "run" or None."""

    DEFAULT_CSS = """
    EntryDialog #title { height: auto; text-style: bold; }
    EntryDialog #middle { margin-top: 1; }
    EntryDialog #middle > * { margin-bottom: 1; }
    EntryDialog #middle > .head { text-style: bold; margin-bottom: 0; }
    EntryDialog #buttons { height: 1; align-horizontal: right; }
    """
    BINDINGS = [
        Binding("escape,q", "dismiss(None)", "Close"),
        Binding("right,tab", "app.focus_next", "Next", show=False),
        Binding("left,shift+tab", "app.focus_previous", "Before", show=False),
        *(
            Binding(key, f"choose('{name}')", name, show=False)
            for key, name in (
                ("u", "undo"),
                ("b", "settle"),
                ("a", "approve"),
                ("x", "decline"),
                ("R", "run"),
            )
        ),
    ]

    def __init__(self, entry: Entry, gate: Gate | None, glyphs: Glyphs) -> None:
        super().__init__()
        self._entry, self._gate, self._glyphs = entry, gate, glyphs

    def compose(self) -> ComposeResult:
        """What the journal says at once; plan and outcome when their files are read."""
        entry = self._entry
        with Vertical(id="box"):
            title = f"{entry.title or entry.operation or entry.kind}"
            yield Static(Text(clean(title), overflow="fold"), id="title")
            with Middle(id="middle"):
                yield Static(_facts(entry), markup=False)
                if entry.steps:
                    yield Static("steps that were begun", classes="head")
                    yield Static(_steps(entry.steps), markup=False)
            with Horizontal(id="buttons"):
                yield Choice("Close", id="close")
                yield from self._choices()

    def _choices(self) -> Iterator[Choice]:
        entry = self._entry
        if entry.can_undo:
            yield Choice("Undo…", id="undo")
        if entry.state == "interrupted":
            yield Choice("Read back", id="settle")
        if entry.state == "waiting":
            yield Choice("Decline", id="decline")
            yield Choice("Approve…", id="approve")
        if entry.state == "approved":
            yield Choice("Run…", id="run")

    def on_mount(self) -> None:
        """Enter closes."""
        super().on_mount()
        self.query_one("#close", Choice).focus()
        self.run_worker(self._read(), exit_on_error=False)

    async def _read(self) -> None:
        """The files beside the journal."""
        gate, entry = self._gate, self._entry
        if gate is None:
            return
        found: list[Widget] = []
        if entry.outcome_digest:
            try:
                outcome = await asyncio.to_thread(
                    gate.ledger.plans.outcome, entry.id, entry.outcome_digest
                )
            except JournalError as error:
                found.append(Static(clean_text(f"? the outcome: {error}")))
            else:
                found.append(Static("as it was read back", classes="head"))
                found += [
                    Static(part, markup=False) for part in outcomes.words(outcome, self._glyphs)
                ]
        if entry.digest:
            try:
                plan = await gate.ledger.frozen(entry)
            except JournalError as error:
                found.append(Static(clean_text(f"? the plan: {error}")))
            else:
                found.append(Static("the plan, frozen", classes="head"))
                found += [
                    Static(part, markup=False) for part in plan_text.parts(plan, self._glyphs)
                ]
        await self.query_one(Middle).mount(*found)
        self.call_after_refresh(self.fit)

    def action_choose(self, name: str) -> None:
        """Close, and do that with the entry."""
        self.dismiss(name)

    def on_choice_pressed(self, event: Choice.Pressed) -> None:
        """Close, or more."""
        event.stop()
        self.dismiss(None if event.choice.id == "close" else event.choice.id)


def _facts(entry: Entry) -> Table:
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True, style="dim")
    table.add_column(overflow="fold", ratio=1)
    now, facts = clock.now(), entry.facts
    state = f"{entry.state}: {entry.sentence}" if entry.sentence else entry.state
    machine = " ".join(
        f"{word} {facts[name]}"
        for word, name in (("on", "machine"), ("as", "login"), ("process", "process"))
        if facts.get(name)
    )
    took = f", took {fmt.age(entry.ended_at - entry.at)}" if entry.ended_at is not None else ""
    changed = "?" if entry.done is None else f"{entry.done:,}"
    lines = [
        ("state", state),
        ("when", f"{fmt.date_time(entry.at)}, {fmt.age(now - entry.at)} ago{took}"),
        ("who", f"{entry.who} {machine}".strip()),
        ("operation", f"{entry.operation} on {entry.context}" if entry.operation else ""),
        ("chosen by", entry.selection),
        ("counts", f"planned {entry.count:,}  done {changed}" if entry.kind == "intent" else ""),
        ("approved by", entry.approved_by),
        ("until", fmt.date_time(entry.expires) if entry.expires else ""),
        ("undo", _undo(entry)),
        ("undoes", entry.undoes),
        ("run", entry.id if not entry.id.startswith("#") else ""),
        ("record", f"{entry.seq}"),
        ("plan", entry.digest),
    ]
    for name, words in lines:
        if words:
            table.add_row(name, clean_text(words))
    return table


def _undo(entry: Entry) -> str:
    if entry.undone_by:
        return f"taken back by {entry.undone_by}"
    if entry.can_undo:
        return f"u takes it back by {entry.undo}"
    return ""


def _steps(steps: tuple[StepTrace, ...]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(overflow="fold", ratio=1)
    for step in steps:
        took = "no end" if step.ended_at is None else fmt.age(step.ended_at - step.at)
        facts = "  ".join(f"{name} {value}" for name, value in step.facts.items())
        does = clean_text(step.does)
        if facts:
            does.append(f"\n{clean(facts)}", style="dim")
        table.add_row(
            fmt.clock_time(step.at), place(step.place), f"{step.count:,}", took, does
        )  # fmt: skip
    return table
