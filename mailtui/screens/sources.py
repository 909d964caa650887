"""The sources themselves: who answers, alerts, scrape targets, search indices."""

from __future__ import annotations

from mailtui.resources import alerts, indices, sources, targets
from mailtui.screens.lists import ListSpec, ListsScreen


class View(ListsScreen):
    """What the console reads, and how well."""

    NAME = "sources"
    HEADING = "Sources"
    ENTER = ""
    LISTS = (
        ListSpec(sources.RESOURCE, sources.rows, "prometheus"),
        ListSpec(alerts.RESOURCE, alerts.rows, "prometheus"),
        ListSpec(targets.RESOURCE, targets.rows, "prometheus"),
        ListSpec(indices.RESOURCE, indices.rows, "elasticsearch"),
    )
