"""The journal: what was done, by whom, how it ended; undo, read back, approve."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.widgets import Static

from mailtui.access.history import Entry
from mailtui.access.journal import Journal, JournalError, Verified
from mailtui.collectors.journal import JournalReport
from mailtui.connections.clean import clean
from mailtui.model import clock
from mailtui.model import format as fmt
from mailtui.resources import journal
from mailtui.screens import second_person
from mailtui.screens.acting import Acting
from mailtui.screens.base import ConsoleScreen
from mailtui.widgets import table_messages
from mailtui.widgets.footline import FootKey
from mailtui.widgets.panel import TablePanel
from mailtui.widgets.table import RowTable

Act = Callable[[Acting, Entry], str]


class View(ConsoleScreen):
    """Entries of every context and operator of this machine, newest first."""

    NAME = "journal"
    HEADING = "Journal"
    SOURCES = ("journal",)
    ENTER = "entry"
    CSS = """
    View #chain, View #shipping { height: 1; padding: 0 1; color: $foreground 65%; }
    View #chain.broken { color: $text-error; text-style: bold; height: auto; max-height: 4; }
    View #ended { height: auto; max-height: 4; padding: 0 1; border-top: solid $panel; }
    View.short #ended { max-height: 3; }
    """
    BINDINGS = [
        Binding("u", "undo_run", "Undo", tooltip="Plan to take back the run under the cursor"),
        Binding("b", "settle", "Read back", tooltip="Read back what an interrupted run made true"),
        Binding("a", "approve", "Approve", tooltip="Show a request's frozen plan, to approve it"),
        Binding("x", "decline", "Decline", tooltip="Decline a request, or take back your own"),
        Binding("R", "run_approved", "Run", tooltip="Run a request that was approved"),
        Binding("V", "verify", "Verify", tooltip="Check the journal's chain again"),
    ]

    def compose_body(self) -> ComposeResult:
        """Is the chain whole, is it shipped; the entries; how the one under the cursor ended."""
        yield Static("chain: not checked yet", id="chain", markup=False)
        yield Static(id="shipping", markup=False)
        yield TablePanel(journal.RESOURCE, "journal", id="entries")
        yield Static(id="ended", markup=False)

    def on_mount(self) -> None:
        """The chain is checked once, in the background."""
        super().on_mount()
        self.query_one("#shipping").display = False
        self.action_verify()

    def on_resize(self) -> None:
        """Fewer lines for the end where there are few."""
        self.set_class(self.size.height < 30, "short")

    def data_changed(self) -> None:
        """The entries."""
        platform = self.console_app.platform
        if platform is None:
            return
        state = platform.state
        more = journal.more(state)
        panel = self.query_one("#entries", TablePanel)
        known = state.value("journal", JournalReport) is not None
        panel.show(journal.rows(state) if known else None, state.of("journal"), more=more != 0)
        self._show_ended()
        self._show_shipping()
        self.update_foot()

    def _show_shipping(self) -> None:
        """How far the audit index is behind, if the journal is shipped at all."""
        words = self.console_app.acting.shipping
        label = self.query_one("#shipping", Static)
        label.display = bool(words)
        label.update(Text(clean(words), no_wrap=True, overflow="ellipsis"))

    def _show_ended(self) -> None:
        row, label = self._entry, self.query_one("#ended", Static)
        label.display = row is not None
        if row is not None:
            text = Text(clean(f"{row.title or row.operation or row.kind}"), style="bold")
            text.append(f"\n{clean(row.sentence or row.selection)}", style="not bold")
            label.update(text)

    # --- the chain ---

    def action_verify(self) -> None:
        """Check the chain."""
        self.run_worker(self._verify(), group="verify", exclusive=True, exit_on_error=False)

    async def _verify(self) -> None:
        app = self.console_app
        settings, gate = app.settings, app.acting.gate if app.acting_ready else None
        label = self.query_one("#chain", Static)
        label.set_class(False, "broken")
        try:
            if gate is not None:
                book = gate.ledger.journal
            elif settings is not None:
                book = Journal(settings.journal.file())
            else:
                label.update("chain: not checked: there is no journal here")
                return
            label.update("chain: being checked…")
            found = await asyncio.to_thread(book.verify)
        except (JournalError, OSError) as error:
            label.set_class(True, "broken")
            label.update(clean(f"? chain: it cannot be checked: {error}"))
            return
        label.set_class(bool(found.broken), "broken")
        label.update(self._chain(found))

    def _chain(self, found: Verified) -> Text:
        glyphs = self.console_app.glyphs
        if not found.broken:
            text = f"{glyphs.ok} chain whole: {found.records:,} records"
            if found.torn:
                text += "; the last line is incomplete: what it announced did not run"
            return Text(f"{text}, checked {fmt.clock_time(clock.now())}")
        first = found.broken[0]
        number = f"record {first.seq}" if first.seq is not None else f"line {first.line}"
        text = f"{glyphs.critical} chain BROKEN at {number}: {first.what}"
        if len(found.broken) > 1:
            text += f"; {len(found.broken) - 1:,} more places (mailtui journal verify lists them)"
        return Text(clean(text))

    # --- the entry under the cursor ---

    @property
    def _entry(self) -> Entry | None:
        table = self.table
        row = table.row if table is not None else None
        return row if isinstance(row, Entry) else None

    @on(RowTable.Highlighted)
    def _highlighted(self) -> None:
        self._show_ended()
        self.update_foot()

    @on(RowTable.Selected)
    def _selected(self, event: table_messages.Selected) -> None:
        self.run_worker(self._open(event.row), exit_on_error=False)

    async def _open(self, entry: Entry) -> None:
        from mailtui.screens.entry import EntryDialog

        app = self.console_app
        dialog = EntryDialog(entry, app.acting.gate, app.glyphs)
        action = await dialog.answer(app)
        if action:
            self._act(entry, _ACTS[action])

    def action_undo_run(self) -> None:
        """Undo the run under the cursor."""
        self._on_cursor("undo")

    def action_settle(self) -> None:
        """Read back an interrupted run."""
        self._on_cursor("settle")

    def action_approve(self) -> None:
        """Look at a request, to approve it."""
        self._on_cursor("approve")

    def action_decline(self) -> None:
        """Decline a request."""
        self._on_cursor("decline")

    def action_run_approved(self) -> None:
        """Run what was approved."""
        self._on_cursor("run")

    def _on_cursor(self, name: str) -> None:
        if (entry := self._entry) is not None:
            self._act(entry, _ACTS[name])

    def _act(self, entry: Entry, act: Act) -> None:
        if why := act(self.console_app.acting, entry):
            self.notify(why, severity="warning", markup=False)

    def foot_keys(self) -> Iterable[FootKey]:
        """What fits the state of the entry under the cursor."""
        yield from super().foot_keys()
        entry = self._entry
        state = entry.state if entry is not None else ""
        undo = entry is not None and entry.can_undo
        yield FootKey("u", "undo", "undo_run", not undo, rank=1)
        yield FootKey("b", "read back", "settle", state != "interrupted", rank=1)
        yield FootKey("a", "approve", "approve", state != "waiting", rank=1)
        yield FootKey("x", "decline", "decline", state != "waiting", rank=1)
        yield FootKey("R", "run", "run_approved", state != "approved", rank=1)
        yield FootKey("V", "verify", "verify")
        yield FootKey("y", "copy", "app.copy", rank=3)


_ACTS: dict[str, Act] = {
    "undo": lambda acting, entry: acting.undo(entry),
    "settle": second_person.settle,
    "approve": second_person.approve,
    "decline": second_person.decline,
    "run": second_person.run,
}
