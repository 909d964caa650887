"""Postfix's queues: groups on the left, the messages in them on the right."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Container, Vertical
from textual.widgets import Static

from mailtui.model import clock
from mailtui.model import format as fmt
from mailtui.model.groups import BY, By, Group, queue_counts
from mailtui.model.mail import Message, QueueListing
from mailtui.model.where_parse import WhereError, parse_where
from mailtui.resources import groups, messages
from mailtui.screens.base import ConsoleScreen
from mailtui.screens.selection import Selection, vanished
from mailtui.widgets import table_messages
from mailtui.widgets.footline import FootKey
from mailtui.widgets.heading import Heading
from mailtui.widgets.panel import TablePanel
from mailtui.widgets.table import RowTable

QUEUES = ("deferred", "active", "hold", "incoming", "maildrop", "corrupt")


class View(ConsoleScreen):
    """Every message of every host, by what they have in common."""

    NAME = "queues"
    HEADING = "Queues"
    SOURCES = ("postfix",)
    CSS = """
    View #queue-body { layout: horizontal; height: 1fr; }
    View #groups { width: 9fr; max-width: 70; border-right: solid $panel; }
    View #messages-side { width: 16fr; }
    View #reason { height: 3; padding: 0 1; color: $foreground 65%; border-top: solid $panel; }
    View.narrow #queue-body { layout: vertical; }
    View.narrow #groups { width: 100%; max-width: 100%; height: 2fr; border-right: none; }
    View.narrow #messages-side { width: 100%; height: 3fr; }
    View.short #reason { display: none; }
    View.short #queue-heading { display: none; }
    """
    BINDINGS = [
        Binding("b", "group_by(1)", "Group by", tooltip="Group by the next: " + ", ".join(BY)),
        Binding("B", "group_by(-1)", "Group back", tooltip="Group by the one before"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._by: By = "destination"
        self._messages: list[Message] = []
        self._wanted: tuple[By, str] | None = None
        """The group to go to, once it is there: (by, value)."""
        self._group: Group | None = None

    def compose_body(self) -> ComposeResult:
        """Groups, messages, the reason of the message under the cursor."""
        yield Heading("Queues", id="queue-heading")
        with Container(id="queue-body"):
            yield TablePanel(groups.resource(self._by), id="groups")
            with Vertical(id="messages-side"):
                yield TablePanel(messages.RESOURCE, "messages", id="messages")
                yield Static(id="reason", markup=False)

    def on_resize(self) -> None:
        """Side by side where there is room."""
        self.set_class(self.size.width < 110, "narrow")
        self.set_class(self.size.height < 20, "short")

    @property
    def main_panel(self) -> TablePanel:
        """A problem's filter is for the messages."""
        return self.query_one("#messages", TablePanel)

    @property
    def _group_panel(self) -> TablePanel:
        return self.query_one("#groups", TablePanel)

    def lead_in(self, where: str) -> None:
        """The group that the filter names, filtered: its keys act on what is in it. Without one,
        all messages, filtered."""
        self._group_panel.table.move_cursor(0)
        super().lead_in(where)
        self._wanted = _named_group(where)
        if self._wanted is not None:
            if self._wanted[0] != self._by:
                self._group_by(self._wanted[0])
            self._group_panel.table.focus()
            self._go_to_wanted()

    def _go_to_wanted(self) -> None:
        table = self._group_panel.table
        for at, row in enumerate(table.shown_rows):
            if self._wanted == (row.by, row.value):
                self._wanted = None
                table.move_cursor(at)
                self._show_members()
                return

    def clear_filter(self) -> bool:
        """That of the list in focus, else that of the messages: the groups stand for them."""
        if super().clear_filter():
            return True
        table = self.main_panel.table
        if table.where is None:
            return False
        table.set_filter(None)
        return True

    # --- what operations act on: on the list of groups, the messages of a group ---

    @property
    def _in_groups(self) -> bool:
        return self.table is self._group_panel.table

    def acting_resource(self) -> str:
        """Messages, in either list."""
        return messages.RESOURCE.name

    def acting_row(self) -> Any:
        """A group is many rows."""
        return None if self._in_groups else super().acting_row()

    def selection(self) -> Selection:
        """On the list of groups, what is in the group under the cursor (or in those marked) and
        matches the filter of the messages."""
        if not self._in_groups:
            return super().selection()
        return self._of_groups()

    def _of_groups(self) -> Selection:
        name, table = messages.RESOURCE.name, self._group_panel.table
        chosen = [g for g in table.marked_rows or [table.row] if isinstance(g, Group)]
        if not table.marked_keys and (why := vanished(table)):
            return Selection(name, refusal=why)
        if not chosen:
            return Selection(name, refusal="no message is queued")
        where = self.main_panel.table.where
        if any(g.by == groups.ALL for g in chosen):
            if where is None or where.empty:
                why = "this is every message; set a filter on the messages first (Tab, /)"
                return Selection(name, refusal=why)
            found, words = list(self._messages), ""
        else:
            now = clock.now()
            found = [m for g in chosen for m in groups.members(self._messages, g, now)]
            words = f"group{'s' if len(chosen) > 1 else ''} {chosen[0].by} " + ", ".join(
                g.name for g in chosen
            )
        if where is not None:
            found = where.filter(found)
            words += f"{' and ' if words else ''}filter {where.text}"
        words = f"all {len(found):,} of {words}"
        platform = self.console_app.platform
        if platform is not None and (more := messages.more(platform.state)):
            words += f" among those that were read; the hosts have {more:,} more"
        return Selection(name, tuple(found), words)

    def data_changed(self) -> None:
        """Group the messages anew."""
        platform = self.console_app.platform
        if platform is None:
            return
        state = platform.state
        readings = state.of("postfix")
        self._messages = messages.rows(state)
        more = messages.more(state)
        self._group_panel.show(
            groups.rows(self._messages, self._by, clock.now()),
            readings,
        )
        heading = self.query_one("#queue-heading", Heading)
        heading.heading = f"Queues   {_counts(state.values('postfix', QueueListing))}"
        heading.note = "by " + "  ".join(f"[{by}]" if by == self._by else by for by in BY)
        heading.refresh()
        if self._wanted is not None:
            self._go_to_wanted()
        self._show_members(more=bool(more))
        self.update_foot()

    def _show_members(self, *, more: bool | None = None) -> None:
        platform = self.console_app.platform
        if platform is None:
            return
        if more is None:
            more = bool(messages.more(platform.state))
        row = self._group_panel.table.row
        self._group = row if isinstance(row, Group) else None
        inside = groups.members(self._messages, self._group, clock.now())
        named = self._group is not None and self._group.by != groups.ALL
        detail = f"of {self._group.name}" if named and self._group is not None else ""
        self.main_panel.show(inside, platform.state.of("postfix"), more=more, detail=detail)

    def action_group_by(self, step: int) -> None:
        """Group by something else."""
        at = (BY.index(self._by) + step) % len(BY)
        self._group_by(BY[at])  # type: ignore[arg-type]

    def _group_by(self, by: By) -> None:
        self._by = by
        panel = self._group_panel
        panel.table.set_resource(groups.resource(self._by))
        panel.caption.heading = f"by {self._by}"
        self.data_changed()

    @on(RowTable.Highlighted)
    def _highlighted(self, event: table_messages.Highlighted) -> None:
        if event.table is self._group_panel.table:
            self._show_members()
        else:
            self._show_reason(event.row)
        self.update_foot()

    def _show_reason(self, row: Any) -> None:
        text = Text()
        if isinstance(row, Message):
            first = row.recipients[0] if row.recipients else None
            said = first.delay_reason if first is not None else ""
            text.append(said or "no delivery attempt has delayed this message yet")
        self.query_one("#reason", Static).update(text)

    @on(RowTable.Selected)
    def _selected(self, event: table_messages.Selected) -> None:
        if isinstance(event.row, Group):
            self.main_panel.table.focus()
        elif isinstance(event.row, Message):
            from mailtui.screens.message import MessageDetail

            self.app.push_screen(MessageDetail(event.row))

    def foot_keys(self) -> Iterable[FootKey]:
        """What Enter opens depends on the list in focus."""
        enter = self.console_app.glyphs.enter
        yield FootKey(enter, "messages" if self._in_groups else "message", "select_row")
        yield FootKey("b", "group by", "group_by(1)")
        yield FootKey("space", "mark")
        yield FootKey("s", "sort", rank=3)
        yield FootKey("Tab", "other list", "app.focus_next", rank=3)


def _counts(listings: Iterable[tuple[str, QueueListing]]) -> str:
    counts = [listing.counts for _, listing in listings]
    if not counts:
        return "not read"
    total = queue_counts(counts)
    shown = [name for name in QUEUES if total.get(name) or name in ("deferred", "active", "hold")]
    return " · ".join(f"{name} {fmt.count(total.get(name, 0))}" for name in shown)


def _named_group(where: str) -> tuple[By, str] | None:
    """The group that a filter names exactly (`destination:=gmail.com`), or None."""
    try:
        terms = parse_where(where)
    except WhereError:
        return None
    named: tuple[By, ...] = ("destination", "reason", "sender")
    for by in named:
        for term in terms:
            exact = len(term.choices) == 1 and term.choices[0].operator == "="
            if term.field == by and exact and not term.negated:
                return by, term.choices[0].text
    return None
