"""Hosts: disks with a forecast, load, services, certificates."""

from __future__ import annotations

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.widgets import Static

from mailtui.model import clock
from mailtui.model import format as fmt
from mailtui.model.where_parse import exactly
from mailtui.resources import certificates, disks, hosts, units
from mailtui.screens.lists import ListSpec, ListsScreen
from mailtui.widgets import table_messages
from mailtui.widgets.table import RowTable


class View(ListsScreen):
    """Each host in a line; below it, what is notable on the one under the cursor."""

    NAME = "hosts"
    HEADING = "Hosts"
    SOURCES = ("hosts",)
    ENTER = "its disks"
    LISTS = tuple(map(ListSpec.of, (hosts, disks, units, certificates)))
    CSS = """
    View #host-detail { height: auto; max-height: 9; padding: 0 1; border-top: solid $panel; }
    """

    def compose_below(self) -> ComposeResult:
        """The host under the cursor."""
        yield Static(id="host-detail", markup=False)

    def on_resize(self) -> None:
        """The detail needs room."""
        self.set_class(self.size.height < 20, "short")
        self.call_after_refresh(self._show_detail)

    def data_changed(self) -> None:
        """Lists, then the detail."""
        super().data_changed()
        self._show_detail()

    def show_list(self, index: int) -> None:
        """The detail belongs to the list of hosts."""
        super().show_list(index)
        self._show_detail()

    @on(RowTable.Highlighted)
    def _highlighted(self, event: table_messages.Highlighted) -> None:
        self._show_detail()

    @on(RowTable.Selected)
    def _selected(self, event: table_messages.Selected) -> None:
        if self.at == 0:
            host = event.key
            self.show_list(1)
            self.apply_filter(self.main_panel.table, exactly("host", host))

    def _show_detail(self) -> None:
        detail = self.query_one("#host-detail", Static)
        row = self.panel(self.LISTS[0]).table.row
        known = isinstance(row, hosts.HostRow) and row.known
        detail.display = self.at == 0 and known and not self.has_class("short")
        if isinstance(row, hosts.HostRow) and known:
            detail.update(_describe(row))


def _describe(row: hosts.HostRow) -> Text:
    facts, now = row.facts, clock.now()
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append(row.name, style="bold")
    text.append(f"  {facts.os or 'system unknown'}  kernel {facts.kernel or '?'}")
    text.append(f"  up {fmt.age(facts.uptime)}\n")
    _line(text, "disks", [_disk(disk) for disk in row.disks[:6]])
    bad = [u for u in facts.units if u.active != "active"]
    good = [u.name.removesuffix(".service") for u in facts.units if u.active == "active"]
    _line(text, "running", [(name, "") for name in good])
    _line(text, "not running", [(f"{u.name} {u.active}/{u.sub}", "bold") for u in bad])
    _line(
        text,
        "certificates",
        [
            (
                f"{c.service}:{c.port} {c.error}"
                if c.error
                else f"{c.service}:{c.port} {_days(c.not_after - now)}",
                "bold" if c.error or c.not_after < now else "",
            )
            for c in facts.certificates
        ],
    )
    if facts.missing:
        _line(text, "not here", [(tool, "dim") for tool in facts.missing])
    for note in facts.notes:
        text.append(f"? {note}\n")
    text.rstrip()
    return text


def _disk(disk: disks.Disk) -> tuple[str, str]:
    size = fmt.size(disk.mount.size if disk.mount else None)
    words = f"{disk.target} {fmt.used(disk.used_ratio)} of {size}"
    return words, "bold" if disk.used_level else ""


def _days(seconds: float) -> str:
    return f"expired {fmt.age(-seconds)} ago" if seconds < 0 else f"{fmt.age(seconds)} left"


def _line(text: Text, title: str, parts: list[tuple[str, str]]) -> None:
    if not parts:
        return
    text.append(f"{title:<13}", style="dim")
    for index, (words, style) in enumerate(parts):
        text.append("   " if index else "")
        text.append(words, style=style)
    text.append("\n")
