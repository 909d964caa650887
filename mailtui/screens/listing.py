"""Rows of one resource over the screen before: what a run found, or what has no screen of its own.

Filter, marks, sort and the keys of its operations work as anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from rich.table import Table
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.widgets import Static

from mailtui.connections.clean import clean, clean_lines
from mailtui.model import clock
from mailtui.model import format as fmt
from mailtui.model.reading import AnyReading, Fault, Reading
from mailtui.resources.base import Resource
from mailtui.screens.base import ConsoleScreen
from mailtui.screens.dialog import Dialog, Middle
from mailtui.screens.plan_text import clean_text
from mailtui.widgets import table_messages
from mailtui.widgets.choice import Choice
from mailtui.widgets.footline import FootKey
from mailtui.widgets.panel import TablePanel
from mailtui.widgets.table import RowTable

if TYPE_CHECKING:
    from mailtui.collectors.platform import Platform

Fetch = Callable[[], tuple[Sequence[Any], Sequence[AnyReading]]]
"""The rows now, and the readings that they come from."""


class Found:
    """Rows that were read once, a moment ago; they only grow older."""

    def __init__(self, name: str, rows: Sequence[Any]) -> None:
        self._rows = rows
        self._reading: AnyReading = Reading(name, read_at=clock.now(), seq=1)

    def __call__(self) -> tuple[Sequence[Any], Sequence[AnyReading]]:
        """See Fetch."""
        return self._rows, [self._reading]

    def outdated(self, by: str) -> None:
        """They were changed by one's own hand."""
        fault = Fault("refused", f"from before {by!r}", "look again", since=clock.now())
        self._reading = msgspec.structs.replace(
            self._reading, fault=fault, seq=self._reading.seq + 1
        )


class Listing(ConsoleScreen):
    """One list; Escape goes back to the screen below."""

    HEADING = "List"
    BINDINGS = [Binding("escape,backspace", "leave_list", "Back", tooltip="Back to the screen")]

    def __init__(
        self,
        resource: Resource[Any],
        fetch: Fetch,
        title: str = "",
        sources: tuple[str, ...] = (),
    ) -> None:
        super().__init__()
        self._sources = sources
        self._resource, self._fetch = resource, fetch
        self._title = title or resource.title

    def wanted(self, platform: Platform) -> tuple[str, ...]:
        """The sources of its rows."""
        return self._sources

    def compose_body(self) -> ComposeResult:
        """The list."""
        yield TablePanel(self._resource, clean(self._title), id="listing")

    def data_changed(self) -> None:
        """Take the rows again."""
        rows, readings = self._fetch()
        self.query_one("#listing", TablePanel).show(rows, readings)
        self.update_foot()

    def acted(self, name: str, title: str) -> None:
        """A run on rows of the resource `name` ended: what was read once is no longer so."""
        if name == self._resource.name and isinstance(self._fetch, Found):
            self._fetch.outdated(title)
            self.data_changed()

    def action_leave_list(self) -> None:
        """Take off the filter, else go back."""
        if not self.clear_filter():
            self.dismiss()

    def foot_keys(self) -> Iterable[FootKey]:
        """Open, mark, go back."""
        yield from super().foot_keys()
        yield FootKey("space", "mark")
        yield FootKey("Esc", "back", "leave_list", rank=1)

    @on(RowTable.Highlighted)
    def _highlighted(self) -> None:
        self.update_foot()

    @on(RowTable.Selected)
    def _selected(self, event: table_messages.Selected) -> None:
        self.app.push_screen(RowDialog(self._resource, event.row))


class RowDialog(Dialog[None]):
    """Everything that is known of one row."""

    DEFAULT_CSS = """
    RowDialog #title { height: auto; text-style: bold; }
    RowDialog #middle { margin-top: 1; }
    RowDialog #buttons { height: 1; align-horizontal: right; }
    """
    BINDINGS = [Binding("escape,q", "dismiss(None)", "Close"), Binding("y", "copy", "Copy")]

    def __init__(self, resource: Resource[Any], row: Any) -> None:
        super().__init__()
        self._resource, self._row = resource, row

    def compose(self) -> ComposeResult:
        """Its columns, then the fields that no column shows."""
        with Vertical(id="box"):
            key = " ".join(self._resource.key(self._row).split("\t"))
            yield Static(clean_text(key), id="title")
            with Middle(id="middle"):
                yield Static(self._facts(), markup=False)
            with Horizontal(id="buttons"):
                yield Choice("Close", id="close")

    def _facts(self) -> Table:
        table = Table.grid(padding=(0, 1))
        table.add_column(no_wrap=True, style="dim")
        table.add_column(overflow="fold", ratio=1)
        for name, words in self._lines():
            table.add_row(clean(name), clean_lines(words))
        return table

    def _lines(self) -> list[tuple[str, str]]:
        lines = [(column.title, column.render(self._row)) for column in self._resource.columns]
        shown = {column.name for column in self._resource.columns}
        if isinstance(self._row, msgspec.Struct):
            for name, value in msgspec.structs.asdict(self._row).items():
                if name not in shown and value not in (None, "", (), {}):
                    lines.append((name.replace("_", " "), _words(value)))
        return lines

    def on_mount(self) -> None:
        """Enter closes."""
        super().on_mount()
        self.query_one(Choice).focus()

    def on_choice_pressed(self, event: Choice.Pressed) -> None:
        """Close."""
        event.stop()
        self.dismiss(None)

    def action_copy(self) -> None:
        """Copy everything."""
        self.app.copy_to_clipboard("\n".join(f"{n}\t{clean_lines(w)}" for n, w in self._lines()))
        self.notify("copied", timeout=2)


def _words(value: Any) -> str:
    if isinstance(value, dict):
        return "\n".join(f"{name}: {_words(inner)}" for name, inner in value.items())
    if isinstance(value, (list, tuple)):
        return "\n".join(_words(inner) for inner in value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return fmt.count(value) if isinstance(value, int) else str(value)
