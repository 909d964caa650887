"""The overview: does mail flow, and what is wrong, worst first."""

from __future__ import annotations

from collections.abc import Iterable

from rich.cells import cell_len
from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.widgets import Static

from mailtui.model import clock
from mailtui.model import format as fmt
from mailtui.model.problem import Problem
from mailtui.resources import flow
from mailtui.resources.problems import RESOURCE
from mailtui.screens.base import ConsoleScreen
from mailtui.widgets import table_messages
from mailtui.widgets.flow_board import FlowBoard
from mailtui.widgets.footline import FootKey
from mailtui.widgets.heading import Heading
from mailtui.widgets.source_line import SourceLine
from mailtui.widgets.table import RowTable


class View(ConsoleScreen):
    """Everything else is one key further."""

    NAME = "overview"
    HEADING = "Overview"
    # not CSS: that of the first screen would be parsed after everything else, and all of it again
    DEFAULT_CSS = """
    View #wrong { margin-top: 1; }
    View.short #wrong { margin-top: 0; }
    View.tiny FlowBoard { max-height: 2; }
    View.tiny #flow-heading, View.tiny #sentence, View.tiny SourceLine { display: none; }
    View #sentence { height: auto; max-height: 3; padding: 0 1; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._faults_only = False

    def compose_body(self) -> ComposeResult:
        """Flow, problems, sources."""
        yield Heading("Does mail flow?", "reading…", id="flow-heading")
        board = FlowBoard()
        board.glyphs = self.console_app.glyphs
        names = ("in", "deferred", "out", "oldest", "logins", "pipeline")
        board.tiles = tuple(flow.Tile(name, "?") for name in names)
        yield board
        yield Heading("What is wrong", "worst first", id="wrong")
        table = RowTable(RESOURCE)
        table.notice = "connecting…"
        table.ascii_only = self.console_app.glyphs.ascii
        table.follow_first = True  # the worst stays under the cursor until the operator moves it
        yield table
        yield Static(id="sentence", markup=False)
        sources = SourceLine()
        sources.glyphs = self.console_app.glyphs
        yield sources

    def on_resize(self) -> None:
        """Save a line where there are few."""
        self.set_class(self.size.height < 30, "short")
        # where there is hardly any room, it is for what is wrong
        self.set_class(self.size.height < 16, "tiny")
        self.call_after_refresh(self._show_sentence)

    @property
    def table(self) -> RowTable:
        """The problems."""
        return self.query_one(RowTable)

    def data_changed(self) -> None:
        """Fill everything from the state."""
        app = self.console_app
        platform = app.platform
        if platform is None:
            return
        state, now = platform.state, clock.now()
        self.query_one(FlowBoard).tiles = tuple(flow.tiles(state, now))
        readings = tuple(platform.readings())
        self.query_one(SourceLine).readings = readings
        table = self.table
        answered = any(r.status != "never" for r in readings)
        waiting = sum(r.status == "never" and r.fault is None for r in readings)
        table.notice = "" if answered or app.problems else "connecting…"
        problems = app.problems
        if self._faults_only:
            problems = [p for p in problems if p.severity == "critical"]
        table.set_rows(problems)
        self.query_one("#wrong", Heading).note = self._wrong_note(len(problems), waiting)
        metrics = state.get("prometheus")
        span = "last 60 min"
        if metrics.fault is not None:
            age = fmt.age(metrics.age(now)) if metrics.read_at else "never read"
            span = f"{self.console_app.glyphs.stale} {age}: {metrics.fault.message}"
        elif not state.has("prometheus"):
            span = "no Prometheus is configured: no rates"
        self.query_one("#flow-heading", Heading).note = span

    def _wrong_note(self, shown: int, waiting: int) -> str:
        parts = [f"{shown} worst first" if shown else "worst first"]
        if self._faults_only:
            parts.insert(0, "critical only (z: all)")
        if waiting:
            parts.append(f"{waiting} sources not yet read")
        return " · ".join(parts)

    def tick(self) -> None:
        """Ages go on."""
        self.query_one(SourceLine).refresh()
        self.table.repaint_rows()

    def action_faults_only(self) -> None:
        """Show the critical problems alone, or all."""
        self._faults_only = not self._faults_only
        self.data_changed()

    BINDINGS = [("z", "faults_only", "Critical only")]

    def foot_keys(self) -> Iterable[FootKey]:
        """Keys for the problem under the cursor."""
        row = self.table.row
        if isinstance(row, Problem):
            yield FootKey(self.console_app.glyphs.enter, f"open {row.screen}", "select_row")
        yield FootKey("z", "all" if self._faults_only else "critical only", "faults_only")

    @on(RowTable.Highlighted)
    def _highlighted(self) -> None:
        self._show_sentence()
        self.update_foot()

    def _show_sentence(self) -> None:
        """The whole of a sentence that its line cuts off."""
        row, label = self.table.row, self.query_one("#sentence", Static)
        slots = self.table.painter.slots
        room = next((slot.width for slot in slots if slot.column.name == "text"), 0)
        label.display = isinstance(row, Problem) and cell_len(row.text) > room
        if isinstance(row, Problem):
            since = f", since {fmt.since(row.since, clock.now())}" if row.since else ""
            label.update(Text(f"{' '.join(row.hosts)} {row.text}{since}".strip()))

    @on(RowTable.Selected)
    def _selected(self, event: table_messages.Selected) -> None:
        problem = event.row
        if error := self.console_app.go_to(problem.screen, problem.where):
            self.notify(error, severity="warning", markup=False)
