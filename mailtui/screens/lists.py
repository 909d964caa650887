"""A screen of several lists, one in view at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import ModuleType
from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.widgets import ContentSwitcher

from mailtui.collectors.state import State
from mailtui.model.reading import AnyReading
from mailtui.model.where import WhereError, compile_where
from mailtui.resources.base import Resource, Rows, rows_of
from mailtui.screens.base import ConsoleScreen
from mailtui.widgets.footline import FootKey
from mailtui.widgets.panel import TablePanel
from mailtui.widgets.tab_line import TabLine


@dataclass(frozen=True)
class ListSpec:
    """One list of a screen."""

    resource: Resource[Any]
    rows: Rows
    sources: tuple[str, ...]
    """Whose readings are behind it; empty: all."""
    more: Callable[[State], int | None]
    """How many rows the sources have beyond these; None if they do not say."""

    @classmethod
    def of(cls, module: ModuleType) -> ListSpec:
        """The list of a module of `mailtui.resources`."""
        rows = rows_of(module)
        assert rows is not None
        more = getattr(module, "more", lambda state: 0)
        return cls(module.RESOURCE, rows, module.SOURCES, more)

    def readings(self, state: State) -> list[AnyReading]:
        """What the list is made of."""
        if not self.sources:
            return state.all()
        return [reading for source in self.sources for reading in state.of(source)]


class ListsScreen(ConsoleScreen):
    """Lists side by side in a line of names; Left and Right change the one in view."""

    LISTS: ClassVar[tuple[ListSpec, ...]] = ()
    BINDINGS = [
        Binding("right,right_square_bracket", "turn(1)", "Next list", tooltip="Show the next list"),
        Binding(
            "left,left_square_bracket", "turn(-1)", "Last list", tooltip="Show the list before"
        ),
    ]

    def compose_body(self) -> ComposeResult:
        """The line of names, the list in view, what stands below it."""
        yield TabLine()
        with ContentSwitcher(initial=f"list-{self.LISTS[0].resource.name}"):
            for spec in self.LISTS:
                yield TablePanel(spec.resource, "", id=f"list-{spec.resource.name}")
        yield from self.compose_below()

    def compose_below(self) -> ComposeResult:
        """Widgets under the lists."""
        yield from ()

    def panel(self, spec: ListSpec) -> TablePanel:
        """The panel of a list."""
        return self.query_one(f"#list-{spec.resource.name}", TablePanel)

    @property
    def at(self) -> int:
        """Index of the list in view."""
        return self.query_one(TabLine).active

    @property
    def main_panel(self) -> TablePanel:
        """The list in view."""
        return self.panel(self.LISTS[self.at])

    def show_list(self, index: int) -> None:
        """Put a list into view."""
        spec = self.LISTS[index % len(self.LISTS)]
        self.query_one(TabLine).active = index % len(self.LISTS)
        self.query_one(ContentSwitcher).current = f"list-{spec.resource.name}"
        self.panel(spec).table.focus()
        self.update_foot()

    def action_turn(self, step: int) -> None:
        """Show the next or the last list."""
        self.show_list(self.at + step)

    def lead_in(self, where: str) -> None:
        """Show the first list that has the fields of this filter; a list's own name picks it."""
        name, _, rest = where.partition(" ")
        for index, spec in enumerate(self.LISTS):
            if name == spec.resource.name:
                self.show_list(index)
                where = rest
                break
        else:
            for index, spec in enumerate(self.LISTS):
                try:
                    compile_where(where, spec.resource.columns)
                except WhereError:
                    continue
                self.show_list(index)
                break
        error = self.apply_filter(self.main_panel.table, where)
        if error:
            self.notify(error, severity="warning", markup=False)

    def data_changed(self) -> None:
        """Fill every list; those out of view cost only their rows."""
        platform = self.console_app.platform
        if platform is None:
            return
        state = platform.state
        tabs: list[tuple[str, str]] = []
        for spec in self.LISTS:
            rows, readings = spec.rows(state, platform.context), spec.readings(state)
            self.panel(spec).show(rows, readings, more=bool(spec.more(state)))
            known = any(r.read_at for r in readings)
            tabs.append((spec.resource.title, f"{len(rows):,}" if known else "?"))
        self.query_one(TabLine).tabs = tuple(tabs)
        self.update_foot()

    def foot_keys(self) -> Iterable[FootKey]:
        """Switching, marking, sorting."""
        yield from super().foot_keys()
        yield FootKey("←→", "lists", "turn(1)")
        yield FootKey("s", "sort")
        yield FootKey("y", "copy", "copy")

    @on(TabLine.Picked)
    def _picked(self, event: TabLine.Picked) -> None:
        self.show_list(event.index)
