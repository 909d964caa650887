"""Which sources answer, and how long ago they did."""

from __future__ import annotations

from rich.text import Text
from textual.reactive import reactive
from textual.widget import Widget

from mailtui.model import clock
from mailtui.model import format as fmt
from mailtui.model.freshness import summarise
from mailtui.model.reading import AnyReading
from mailtui.resources.base import Level
from mailtui.widgets.glyphs import UNICODE, Glyphs


class SourceLine(Widget):
    """One entry a source: glyph and age; of many hosts, how many answer."""

    COMPONENT_CLASSES = {"sources--name", "sources--ok", "sources--warning", "sources--muted"}
    DEFAULT_CSS = """
    SourceLine {
        height: 1; padding: 0 1;
        & > .sources--name { color: $text-muted; }
        & > .sources--ok { color: $success; }
        & > .sources--warning { color: $warning; text-style: bold; }
        & > .sources--muted { color: $text-muted; }
    }
    """
    readings: reactive[tuple[AnyReading, ...]] = reactive(())
    glyphs: Glyphs = UNICODE

    def render(self) -> Text:
        """The entries that fit."""
        by_source: dict[str, list[AnyReading]] = {}
        for reading in self.readings:
            by_source.setdefault(reading.source, []).append(reading)
        text = Text("Sources", style=self._style("name"), no_wrap=True, overflow="ellipsis", end="")
        if not by_source:
            text.append("  connecting…", style=self._style("muted"))
        for name, readings in by_source.items():
            level, words = self._state(readings)
            style = self._style("ok" if level == "ok" else "muted" if not level else "warning")
            text.append(f"  {name} ", style=self._style("name"))
            text.append(f"{self.glyphs.of(level)} {words}".strip(), style=style)
        return text

    def _state(self, readings: list[AnyReading]) -> tuple[Level, str]:
        fresh = summarise(readings, clock.now())
        here = [r for r in readings if not r.absent]
        failed = [r for r in here if r.fault is not None]
        if not here:
            return "", "not here"
        if failed:
            good = len(here) - len(failed)
            count = f"{good} of {len(here)} " if len(here) > 1 else ""
            age = f" {fmt.age(fresh.oldest)}" if fresh.oldest is not None else ""
            fault = failed[0].fault
            assert fault is not None
            level: Level = "stale" if fresh.stale else "unknown"
            return level, f"{count}{fault.kind}{age}"
        if fresh.oldest is None:
            return "", "reading…"
        return "ok", fmt.age(fresh.oldest)

    def _style(self, name: str):  # type: ignore[no-untyped-def]
        return self.get_component_rich_style(f"sources--{name}", partial=True)
