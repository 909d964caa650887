"""How a run ended: read back, with what was left and why."""

from __future__ import annotations

from collections.abc import Iterator

from rich.table import Table
from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.widgets import Static

from mailtui.connections.clean import clean
from mailtui.model.operation import Outcome, Plan
from mailtui.resources.base import Level
from mailtui.screens.dialog import Dialog, Middle
from mailtui.screens.plan_text import clean_text, place
from mailtui.widgets.choice import Choice
from mailtui.widgets.glyphs import Glyphs

LEVELS: dict[str, Level] = {
    "done": "ok", "partly": "warning", "failed": "critical", "unknown": "unknown",
}  # fmt: skip
"""State of an outcome → how bad it is."""


def words(outcome: Outcome, glyphs: Glyphs) -> Iterator[Text | Table]:
    """Sentence, counts, notes, what was left, undo."""
    head = Text(f"{glyphs.of(LEVELS[outcome.state])} {outcome.state}  ", style="bold")
    head.append(clean(outcome.sentence), style="not bold")
    yield head
    facts = Table.grid(padding=(0, 1))
    facts.add_column(no_wrap=True, style="dim")
    facts.add_column(overflow="fold", ratio=1)
    counts = {"planned": outcome.planned, "done": outcome.done, **outcome.counts}
    facts.add_row("counts", "  ".join(f"{name} {count:,}" for name, count in counts.items()))
    for number, note in enumerate(outcome.notes):
        facts.add_row("" if number else "note", clean_text(note))
    undo = outcome.undo
    facts.add_row(
        "undo",
        clean_text(undo.text or f"{undo.operation} on {len(undo.targets):,}")
        if undo is not None
        else "none: nothing was changed that can be taken back",
    )
    yield facts
    if not outcome.left:
        return
    count = len(outcome.left) + outcome.left_more
    yield Text(f"left as they were: {count:,}", style="bold")
    left = Table.grid(padding=(0, 2))
    left.add_column(no_wrap=True)
    left.add_column(no_wrap=True)
    left.add_column(overflow="fold", ratio=1)
    for one in outcome.left:
        left.add_row(place(one.place), clean(one.id), clean_text(one.why))
    yield left
    if outcome.left_more:
        yield Text(f"and {outcome.left_more:,} more that are not named one by one")


class OutcomeDialog(Dialog[str]):
    """Gives "undo" or None."""

    DEFAULT_CSS = """
    OutcomeDialog #title { height: auto; text-style: bold; }
    OutcomeDialog #middle { margin-top: 1; }
    OutcomeDialog #middle > * { margin-bottom: 1; }
    OutcomeDialog #buttons { height: 1; align-horizontal: right; }
    """
    BINDINGS = [
        Binding("escape,q,o", "dismiss(None)", "Close"),
        Binding("u", "take_back", "Undo", show=False),
        Binding("right,tab", "app.focus_next", "Next", show=False),
        Binding("left,shift+tab", "app.focus_previous", "Before", show=False),
    ]

    def __init__(self, plan: Plan, outcome: Outcome, glyphs: Glyphs) -> None:
        super().__init__()
        self._plan, self._outcome, self._glyphs = plan, outcome, glyphs

    def compose(self) -> ComposeResult:
        """What was planned; how it ended; the buttons."""
        with Vertical(id="box"):
            yield Static(Text(clean(self._plan.title), overflow="fold"), id="title")
            with Middle(id="middle"):
                for part in words(self._outcome, self._glyphs):
                    yield Static(part, markup=False)
            with Horizontal(id="buttons"):
                yield Choice("Close", id="close")
                if self._outcome.undo is not None:
                    yield Choice("Undo…", id="undo")

    def on_mount(self) -> None:
        """Enter closes."""
        super().on_mount()
        self.query_one("#close", Choice).focus()

    def action_take_back(self) -> None:
        """Plan what takes it back."""
        if self._outcome.undo is None:
            self.notify("nothing was changed that can be taken back")
        else:
            self.dismiss("undo")

    @on(Choice.Pressed)
    def _pressed(self, event: Choice.Pressed) -> None:
        event.stop()
        if event.choice.id == "undo":
            self.action_take_back()
        else:
            self.dismiss(None)
