"""fail2ban: bans, addresses across all hosts, jails."""

from __future__ import annotations

from collections.abc import Iterable

from textual import on

from mailtui.model.where_parse import exactly
from mailtui.resources import addresses, bans, jails
from mailtui.screens.lists import ListSpec, ListsScreen
from mailtui.widgets import table_messages
from mailtui.widgets.footline import FootKey
from mailtui.widgets.table import RowTable


class View(ListsScreen):
    """Who is kept out, where, and for how long."""

    NAME = "bans"
    HEADING = "Bans"
    SOURCES = ("fail2ban",)
    LISTS = tuple(map(ListSpec.of, (bans, addresses, jails)))

    def foot_keys(self) -> Iterable[FootKey]:
        """Enter goes from a jail or an address to its bans, and back to the address."""
        enter = self.console_app.glyphs.enter
        words = ("this address everywhere", "its bans", "its bans")[self.at]
        yield FootKey(enter, words, "select_row")
        yield from list(super().foot_keys())[1:]

    @on(RowTable.Selected)
    def _selected(self, event: table_messages.Selected) -> None:
        row, at = event.row, self.at
        if at == 0:
            self._narrow(1, exactly("address", row.address))
        elif at == 1:
            self._narrow(0, exactly("address", row.address))
        else:
            self._narrow(0, f"{exactly('jail', row.name)} {exactly('host', row.host)}")

    def _narrow(self, index: int, where: str) -> None:
        self.show_list(index)
        self.apply_filter(self.main_panel.table, where)
