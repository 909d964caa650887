"""The sources themselves: who answers, alerts, scrape targets, search indices."""

from __future__ import annotations

from mailtui.resources import alerts, indices, sources, targets
from mailtui.screens.lists import ListSpec, ListsScreen


class View(ListsScreen):
    """What the console reads, and how well."""

    NAME = "sources"
    HEADING = "Sources"
    ENTER = ""
    LISTS = tuple(map(ListSpec.of, (sources, alerts, targets, indices)))
