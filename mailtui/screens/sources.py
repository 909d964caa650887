"""The sources themselves: who answers, alerts, scrape targets, search indices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailtui.resources import alerts, indices, sources, targets
from mailtui.screens.lists import ListSpec, ListsScreen

if TYPE_CHECKING:
    from mailtui.collectors.platform import Platform


class View(ListsScreen):
    """What the console reads, and how well."""

    NAME = "sources"
    HEADING = "Sources"
    ENTER = ""
    LISTS = tuple(map(ListSpec.of, (sources, alerts, targets, indices)))

    def wanted(self, platform: Platform) -> tuple[str, ...]:
        """Every source: whoever looks here wants to see them read."""
        return tuple(dict.fromkeys(collector.source for collector in platform.collectors))
