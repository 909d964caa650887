"""What every screen has: first line, body, prompt, last line; filter, copy, export, ages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar, cast

import msgspec
from textual import on
from textual.app import ComposeResult
from textual.widget import Widget

from mailtui.model.where import WhereError, compile_where
from mailtui.model.where_complete import complete_where
from mailtui.screens.acts import ActsOnRows
from mailtui.widgets import table_messages
from mailtui.widgets.footline import FootKey, FootLine
from mailtui.widgets.glyphs import Glyphs
from mailtui.widgets.panel import TablePanel
from mailtui.widgets.prompt import Prompt
from mailtui.widgets.run_line import RunLine
from mailtui.widgets.table import RowTable
from mailtui.widgets.topline import TopLine

if TYPE_CHECKING:
    from mailtui.app import ConsoleApp
    from mailtui.collectors.platform import Platform


class ConsoleScreen(ActsOnRows):
    """A screen of the console. A subclass gives its body and fills it from the state."""

    NAME: ClassVar[str] = ""
    """Its word in commands and in a problem's `screen`."""
    HEADING: ClassVar[str] = ""
    SOURCES: ClassVar[tuple[str, ...]] = ()
    """What it shows, so that it is read while this screen is in view."""
    ENTER: ClassVar[str] = "open"
    """What Enter does here, for the last line."""
    AUTO_FOCUS = "RowTable"

    def __init__(self) -> None:
        super().__init__()
        self._lead = ""
        """The filter that a problem's line set; Escape then goes back at once."""
        self._before = ""
        """The filter before the prompt was opened, for Escape."""

    @property
    def console_app(self) -> ConsoleApp:
        """The application, typed."""
        return cast("ConsoleApp", self.app)

    # --- for subclasses ---

    def compose_body(self) -> ComposeResult:
        """The widgets between the first line and the last."""
        yield from ()

    def data_changed(self) -> None:
        """The state changed (or this screen came into view): show it."""

    def wanted(self, platform: Platform) -> tuple[str, ...]:
        """Names of the sources that this screen needs read while it is in view."""
        return self.SOURCES

    def lead_in(self, where: str) -> None:
        """Come here from a problem: filter the main table by `where`."""
        if (panel := self.main_panel) is not None:
            self.apply_filter(panel.table, where)
            panel.table.focus()

    def foot_keys(self) -> Iterable[FootKey]:
        """The keys of this screen, in the order in which they are needed."""
        if self.ENTER:
            yield FootKey(self.console_app.glyphs.enter, self.ENTER, "select_row")

    # --- layout ---

    def compose(self) -> ComposeResult:
        """First line, body, prompt, last line."""
        top, foot = TopLine(), FootLine()
        top.glyphs = self.console_app.glyphs
        yield top
        yield from self.compose_body()
        yield RunLine()
        yield foot
        yield Prompt(id="prompt")

    def on_mount(self) -> None:
        """Glyphs of this terminal."""
        self.use_glyphs(self.console_app.glyphs)

    def use_glyphs(self, glyphs: Glyphs) -> None:
        """Paint with these signs from now on."""
        for widget in self.query(Widget):
            if hasattr(widget, "glyphs"):
                widget.glyphs = glyphs
                widget.refresh()
            if isinstance(widget, RowTable):
                widget.ascii_only = glyphs.ascii

    def on_screen_resume(self) -> None:
        """In view again: show what came meanwhile."""
        self.console_app.screen_in_view(self)

    @property
    def main_panel(self) -> TablePanel | None:
        """The table that a filter from elsewhere is for: the first."""
        return next(iter(self.query(TablePanel)), None)

    @property
    def table(self) -> RowTable | None:
        """The table that has the focus, or the main one."""
        if isinstance(self.focused, RowTable):
            return self.focused
        panel = self.main_panel
        return panel.table if panel is not None else None

    @property
    def acting_table(self) -> RowTable | None:
        """Operations mean the rows of the table in focus."""
        return self.table

    def tick(self) -> None:
        """A second passed."""
        for panel in self.query(TablePanel):
            panel.tick()

    def update_foot(self) -> None:
        """Work out the last line again."""
        app = self.console_app
        foot = self.query_one(FootLine)
        common = (
            FootKey("/", "filter", "filter"),
            FootKey(":", "command", "command"),
            FootKey("?", "help", "help", rank=0),
        )
        own = tuple(self.foot_keys())
        first = [key for key in own[:1] if key.key == app.glyphs.enter]
        foot.keys = (
            *(msgspec.structs.replace(key, rank=0) for key in first),
            *self.operation_keys(),
            *own[len(first) :],
            *common,
        )
        foot.right = tuple(
            FootKey(str(number), name, f"go('{name}')")
            for number, name in enumerate(app.screen_names(), 1)
        )

    # --- filter ---

    def apply_filter(self, table: RowTable, text: str) -> str:
        """Filter `table` by an expression; the error as a sentence, or an empty string."""
        try:
            where = compile_where(text, table.resource.columns) if text.strip() else None
        except WhereError as error:
            return str(error)
        table.set_filter(where)
        return ""

    def action_filter(self) -> None:
        """Open the prompt for a filter of the table in focus."""
        table = self.table
        if table is None:
            self.notify("there is no list on this screen to filter", severity="warning")
            return
        self._before = table.where.text if table.where is not None else ""
        self._filtered = table

        def complete(text: str, cursor: int) -> list[str]:
            return complete_where(text, cursor, table.resource.columns, table.sample())

        self.query_one(Prompt).open("/", self._before, complete)

    @on(Prompt.Changed)
    def _prompt_changed(self, event: Prompt.Changed) -> None:
        event.stop()
        if event.mode == "/":
            error = self.apply_filter(self._filtered, event.text)
            prompt = self.query_one(Prompt)
            # what is half typed is no error while it can be completed
            if error and not prompt.completing:
                prompt.hint(error, error=True)

    @on(Prompt.Submitted)
    def _prompt_submitted(self, event: Prompt.Submitted) -> None:
        event.stop()
        prompt = self.query_one(Prompt)
        if event.mode == "/":
            error = self.apply_filter(self._filtered, event.text)
            if error:
                prompt.hint(error, error=True)
                return
            prompt.close()
            self._filtered.focus()
            return
        error = self.console_app.run_command(event.text)
        if error:
            prompt.hint(error, error=True)
        else:
            self.close_prompt()

    @on(Prompt.Cancelled)
    def _prompt_cancelled(self, event: Prompt.Cancelled) -> None:
        event.stop()
        if event.mode == "/":
            self.apply_filter(self._filtered, self._before)
        self.close_prompt()

    def close_prompt(self) -> None:
        """Hide the prompt; the table has the focus again."""
        prompt = self.query_one(Prompt)
        if prompt.is_open:
            prompt.close()
            if (table := self.table) is not None:
                table.focus()
            elif self.focused is not None:
                self.set_focus(None)

    def clear_filter(self) -> bool:
        """Take the filter off the table in focus; False if there was none."""
        table = self.table
        if table is None or table.where is None:
            return False
        table.set_filter(None)
        return True

    # --- rows ---

    def action_select_row(self) -> None:
        """Open the row under the cursor (a click on the last line)."""
        if (table := self.table) is not None:
            table.action_select()

    @on(FootLine.Clicked)
    async def _foot_clicked(self, event: FootLine.Clicked) -> None:
        event.stop()
        if event.key.action:
            await self.run_action(event.key.action)

    @on(RunLine.Clicked)
    async def _run_clicked(self, event: RunLine.Clicked) -> None:
        event.stop()
        await self.run_action(event.action)

    @on(RowTable.CursorRowVanished)
    def _row_vanished(self, event: table_messages.CursorRowVanished) -> None:
        if event.table is self.focused and not self._acts:
            self.notify("the row under the cursor is gone; the cursor is on the next one")

    @property
    def _acts(self) -> bool:
        # rows that go by one's own hand are told by the outcome
        app = cast("ConsoleApp", self.app)
        return app.acting_ready and app.acting.jobs.at_hand
