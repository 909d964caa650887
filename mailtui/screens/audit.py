"""The audit trail: a query, its histogram, and the events as they come, newest first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rich.text import Text
from textual import events, on
from textual.actions import SkipAction
from textual.app import ComposeResult
from textual.binding import Binding
from textual.widgets import Static

from mailtui.model import clock
from mailtui.model import format as fmt
from mailtui.model.audit import AuditEvent
from mailtui.model.querystring import narrowed
from mailtui.model.timerange import TimeRangeError
from mailtui.model.window import Window, between, parse_window
from mailtui.resources import audit
from mailtui.screens.audit_desk import AuditDesk
from mailtui.screens.base import ConsoleScreen
from mailtui.widgets import table_messages
from mailtui.widgets.event_strip import EventStrip
from mailtui.widgets.footline import FootKey
from mailtui.widgets.histogram import HistogramView
from mailtui.widgets.panel import TablePanel
from mailtui.widgets.query_bar import Part, QueryBar
from mailtui.widgets.table import RowTable

RANGES = ("15m", "1h", "6h", "24h", "7d")


class View(ConsoleScreen):
    """Who did what, from where, and did it succeed."""

    NAME = "audit"
    HEADING = "Audit"
    SOURCES = ("audit",)
    ENTER = "event"
    CSS = """
    View #notes { display: none; height: auto; max-height: 2; padding: 0 1;
        color: $warning; text-style: bold; }
    View #notes.some { display: block; }
    View HistogramView { height: 5; }
    View.low HistogramView { height: 4; }
    View.high HistogramView { height: 7; }
    View.flat HistogramView { display: none; }
    View EventStrip { display: none; }
    View.strip EventStrip { display: block; }
    """
    BINDINGS = [
        Binding("Q", "edit('query')", "Query", tooltip="Search the audit trail"),
        Binding("t", "next_range", "Range", tooltip="The next range: " + ", ".join(RANGES)),
        Binding("T", "edit('range')", "Type range", tooltip="Type a range: 2h, 13:00..14:00"),
        Binding("f", "by_value", "By value", tooltip="Only events with a value of this one"),
        Binding("p", "pause", "Pause", tooltip="Let no event in; again: let them in"),
        Binding("r,f5", "read_again", "Read now", tooltip="Search again, and read now"),
        Binding("left_square_bracket", "bars(-1)", "Bars", tooltip="Select a bar, Enter zooms in"),
        Binding("right_square_bracket", "bars(1)", "Bars", tooltip="Select a bar, Enter zooms in"),
        Binding("0,backspace", "zoom_out", "Zoom out", tooltip="The range before zooming in"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._desk = AuditDesk(parse_window(RANGES[0], clock.now()))
        self._zoomed: list[Window] = []
        self.bar = QueryBar()
        self.bars = HistogramView()
        self.events_panel = TablePanel(audit.RESOURCE, "Events", id="events")
        self._notes = Static(id="notes", markup=False)
        self._strip = EventStrip()

    def compose_body(self) -> ComposeResult:
        """Query, histogram, what is missing, events, the one under the cursor."""
        glyphs = self.console_app.glyphs
        self.bars.glyphs = glyphs
        self._strip.set_class(glyphs.ascii, "ascii")
        yield from (self.bar, self.bars, self._notes, self.events_panel, self._strip)

    def on_mount(self) -> None:
        """What is asked at first is what the line says."""
        super().on_mount()
        self.events_panel.table.follow_first = True
        self._show_state()

    def on_resize(self, event: events.Resize) -> None:
        """What is less needed leaves first."""
        height = event.size.height
        self.set_class(height < 16, "flat")
        self.set_class(height < 30, "low")
        self.set_class(height >= 45, "high")
        self.set_class(height >= 30, "strip")
        self._desk.buckets = max(10, self.bars.room or event.size.width - 10)

    # --- what is shown ---

    def data_changed(self) -> None:
        """The tail was read, or a step of the search is due."""
        platform = self.console_app.platform
        if platform is None:
            return
        first = not self._desk.connected
        self._desk.connect(platform)
        if (fields := self._desk.fields) is not None:
            strip = self._strip
            strip.first = (fields.user, fields.source_ip, fields.tenant)
            strip.last = (fields.action, fields.outcome, fields.host, fields.service)
        if self._desk.tail_read() or first:
            self._show()
        self._pump()

    def tick(self) -> None:
        """Ages go on; what is due is read."""
        super().tick()
        self._pump()
        self._show_state()

    def _pump(self) -> None:
        """Work until nothing is due: one request at a time."""
        if self._desk.work_due() and not self._desk.working:
            self.run_worker(self._work(), group="audit", exit_on_error=True)

    async def _work(self) -> None:
        await self._desk.work(self._show)

    def _show(self) -> None:
        """Everything, from what is known now."""
        if not self.events_panel.table.is_mounted:
            return
        desk = self._desk
        if desk.connected and not desk.paused:
            rows = desk.rows()
            detail = desk.counts_text(len(rows or ()))
            self.events_panel.show(rows, desk.readings(), more=desk.more, detail=detail)
            if desk.grown:
                desk.grown = False
                self.events_panel.table.show_pending()
            if desk.without_search:
                self.events_panel.table.notice = desk.without_search
        if desk.trouble:
            self.notify(desk.trouble, severity="warning", markup=False)
            desk.trouble = ""
        bars = self.bars
        bars.histogram = desk.histogram
        bars.note = desk.histogram_note()
        self._show_notes(desk.notes())
        self._show_outcome()
        self._show_state()
        self.update_foot()

    def _show_notes(self, notes: Sequence[str]) -> None:
        label = self._notes
        glyph = self.console_app.glyphs.warning
        text = Text("\n", overflow="ellipsis", no_wrap=True).join(
            Text(f"{glyph} {note}") for note in notes[:2]
        )
        label.set_class(bool(notes), "some")
        label.update(text)

    def _show_outcome(self) -> None:
        """Close the editor when its query was accepted; say what is wrong if it was not."""
        bar, desk = self.bar, self._desk
        if (refused := desk.take_refusal()) is not None:
            if bar.editing != "query":
                bar.edit("query", refused.query)
            bar.error(refused.message, refused.position)
        elif desk.take_acceptance() and bar.editing == "query":
            bar.remember("query", desk.query)
            self._leave_bar()

    def _show_state(self) -> None:
        line, desk = self.bar.line, self._desk
        glyphs = self.console_app.glyphs
        line.query_text, line.range_text = desk.query, desk.window.label
        if desk.searching:
            line.state = ("fixed", "searching")
        elif desk.paused:
            new = desk.came_meanwhile
            line.state = ("paused", f"PAUSED {fmt.count(new)} new" if new else "PAUSED")
        elif not desk.window.live:
            line.state = ("fixed", "fixed")
        elif desk.failing:
            line.state = ("paused", f"{glyphs.stale} stale")
        else:
            line.state = ("live", f"{glyphs.ok} live")

    # --- query and range ---

    def action_edit(self, part: Part) -> None:
        """Edit the query or the range in its place."""
        desk = self._desk
        self.bar.edit(part, desk.query if part == "query" else desk.window.text)

    @on(QueryBar.Asked)
    def _asked(self, event: QueryBar.Asked) -> None:
        self.action_edit(event.part)

    @on(QueryBar.Left)
    def _left(self) -> None:
        self._desk.give_up()
        self.events_panel.table.focus()
        self._show_state()

    def _leave_bar(self) -> None:
        self.bar.close()
        self.events_panel.table.focus()

    @on(QueryBar.Submitted)
    def _submitted(self, event: QueryBar.Submitted) -> None:
        if event.part == "query":
            self._ask(query=event.text)
            return
        try:
            window = parse_window(event.text, clock.now())
        except TimeRangeError as error:
            self.bar.error(str(error), error.position)
            return
        self.bar.remember("range", event.text)
        self._leave_bar()
        self._zoomed.clear()
        self._ask(window=window)

    def _ask(self, *, query: str | None = None, window: Window | None = None) -> None:
        """Search anew."""
        self._desk.ask(query, window)
        self._pump()
        self._show_state()

    def action_read_again(self) -> None:
        """Search again, and read every source."""
        self._desk.refresh()
        self._pump()
        self.console_app.action_read_now()

    def action_next_range(self) -> None:
        """The next of the usual ranges."""
        now = self._desk.wanted_window.text
        at = RANGES.index(now) + 1 if now in RANGES else 0
        self._zoomed.clear()
        self._ask(window=parse_window(RANGES[at % len(RANGES)], clock.now()))

    def action_by_value(self) -> None:
        """Make a term of the query from a field of the event under the cursor."""
        from mailtui.screens.event import FieldMenu, choices, named_fields

        event, fields = self.events_panel.table.row, self._desk.fields
        if not isinstance(event, AuditEvent) or fields is None:
            self.notify("there is no event under the cursor", severity="warning")
            return
        offered = choices(event, named_fields(fields))
        if not offered:
            self.notify("this event has no field to search by", severity="warning")
            return
        self.app.push_screen(FieldMenu(offered), self._narrow)

    def _narrow(self, term: str | None) -> None:
        if term:
            self._ask(query=narrowed(self._desk.wanted_query, term))

    def lead_in(self, where: str) -> None:
        """Come here from a problem: all events, filtered; `?QUERY` searches instead."""
        if where.startswith("?"):
            self._ask(query=where[1:].strip())
            return
        super().lead_in(where)

    # --- histogram ---

    def action_bars(self, by: int) -> None:
        """Select a bar."""
        bars = self.bars
        if not bars.display:
            self.notify("the terminal is too low for the histogram", severity="warning")
        elif bars.has_focus:
            bars.action_move(by)
        else:
            bars.focus()

    @on(HistogramView.Zoomed)
    def _zoom(self, event: HistogramView.Zoomed) -> None:
        window = self._desk.wanted_window
        narrow = between(event.start, event.end, clock.now())
        self.events_panel.table.focus()
        if narrow.at(0.0) == window.at(clock.now()):
            self.notify("a bar is as short as it gets", timeout=3)
            return
        self._zoomed.append(window)
        self._ask(window=narrow)

    @on(HistogramView.Left)
    def _left_bars(self) -> None:
        self.events_panel.table.focus()

    def action_zoom_out(self) -> None:
        """The range before zooming in."""
        if not self._zoomed:
            raise SkipAction
        self._ask(window=self._zoomed.pop())

    # --- events ---

    def action_pause(self) -> None:
        """Let no event in, or let them in again."""
        self._desk.pause(not self._desk.paused)
        self._show()

    @on(RowTable.Highlighted)
    def _highlighted(self, event: table_messages.Highlighted) -> None:
        self._show_event(event.row)
        table = self.events_panel.table
        if table.cursor_row == table.shown - 1 > 0 and table.where is None:
            self._desk.want_older(table.loaded)
            self._pump()

    def _show_event(self, row: Any) -> None:
        strip = self._strip
        if strip.display:
            strip.event = row if isinstance(row, AuditEvent) else None

    @on(RowTable.Selected)
    def _selected(self, event: table_messages.Selected) -> None:
        from mailtui.screens.event import EventDetail

        if isinstance(event.row, AuditEvent):
            self.app.push_screen(EventDetail(event.row))

    def foot_keys(self) -> Iterable[FootKey]:
        """What is needed first while watching."""
        yield from super().foot_keys()
        yield FootKey("Q", "query", "edit('query')")
        yield FootKey("f", "by value", "by_value")
        yield FootKey("t", "range", "next_range")
        yield FootKey("p", "go on" if self._desk.paused else "pause", "pause")
        if self._zoomed:
            yield FootKey("0", "zoom out", "zoom_out")
        else:
            yield FootKey("[ ]", "zoom", "bars(-1)")
