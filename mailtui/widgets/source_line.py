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
        & > .sources--name { color: $foreground 65%; }
        & > .sources--ok { color: $success; }
        & > .sources--warning { color: $warning; text-style: bold; }
        & > .sources--muted { color: $foreground 65%; }
    }
    """
    readings: reactive[tuple[AnyReading, ...]] = reactive(())
    glyphs: Glyphs = UNICODE

    def render(self) -> Text:
        """The entries that fit."""
        by_source: dict[str, list[AnyReading]] = {}
        for reading in self.readings:
            by_source.setdefault(reading.source, []).append(reading)
        states = {name: self._state(found) for name, found in by_source.items()}
        # what fails comes first, and what is well says less where there is little room
        names = sorted(states, key=lambda name: states[name][0] in ("ok", ""))
        text = self._entries(names, states, ages=True)
        if text.cell_len > self.content_size.width:
            text = self._entries(names, states, ages=False)
        text.truncate(self.content_size.width, overflow="ellipsis")
        return text

    def _entries(
        self, names: list[str], states: dict[str, tuple[Level, str]], *, ages: bool
    ) -> Text:
        text = Text("Sources", style=self._style("name"), no_wrap=True, end="")
        if not names:
            text.append("  connecting…", style=self._style("muted"))
        for name in names:
            level, words = states[name]
            style = self._style("ok" if level == "ok" else "muted" if not level else "warning")
            text.append(f"  {name} ", style=self._style("name"))
            said = words if ages or level != "ok" else ""
            text.append(f"{self.glyphs.of(level)} {said}".strip(), style=style)
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
        return self.get_component_rich_style(f"sources--{name}")
