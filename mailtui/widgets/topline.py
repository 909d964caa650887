"""The first line: where am I, may I act, who am I, how old is what I see, how bad is it."""

from __future__ import annotations

import msgspec
from rich.text import Text
from textual.reactive import reactive
from textual.widget import Widget

from mailtui.model import format as fmt
from mailtui.widgets.glyphs import UNICODE, Glyphs


class TopFacts(msgspec.Struct, frozen=True):
    """Everything that the first line says."""

    label: str
    color: str = "cyan"
    simulation: bool = False
    may: str = ""
    """What the operator may do here: `read-only`, `may act as operator`; empty: not known yet."""
    armed: float | None = None
    """Seconds for which no second factor is asked for; None: it is not armed."""
    runs: int = 0
    """Runs of this console that go on."""
    interrupted: int = 0
    """Runs of which nobody knows what they did."""
    waiting: int = 0
    """Requests that wait for an approval by this operator."""
    path: tuple[str, ...] = ()
    """Headings of the screens that led here, the present one last."""
    user: str = ""
    time: float = 0.0
    critical: int = 0
    warning: int = 0
    unknown: int = 0
    known: bool = False
    """False until the first problems were worked out."""
    oldest: float | None = None
    """Age in seconds of the oldest data in view; None if nothing was read."""
    stale: bool = False


# a foreground that reads well on each context colour, in 16 colours too
_ON = {
    "red": "bold white on red",
    "yellow": "bold black on yellow",
    "green": "bold black on green",
    "cyan": "bold black on cyan",
    "blue": "bold white on blue",
    "magenta": "bold white on magenta",
    "white": "bold black on white",
}


class TopLine(Widget):
    """One line; parts leave by priority when the terminal is narrow, the context never."""

    COMPONENT_CLASSES = {
        "topline--critical",
        "topline--warning",
        "topline--unknown",
        "topline--muted",
        "topline--stale",
        "topline--armed",
    }
    DEFAULT_CSS = """
    TopLine {
        height: 1; dock: top; background: $panel; color: $text;
        & > .topline--critical { color: $foreground; background: $error; text-style: bold; }
        & > .topline--warning { color: $warning; text-style: bold; }
        & > .topline--unknown { color: $accent; text-style: bold; }
        & > .topline--muted { color: $foreground 65%; }
        & > .topline--armed { color: $warning; text-style: bold; }
        & > .topline--stale { color: $warning; text-style: bold; }
    }
    """
    facts: reactive[TopFacts] = reactive(TopFacts(label=""))
    glyphs: Glyphs = UNICODE

    def render(self) -> Text:
        """The line for the present width."""
        facts, width = self.facts, self.size.width
        bar = Text(f" {self.glyphs.separator} ", style=self._style("muted"))
        label = Text(f" {facts.label} ", style=_ON.get(facts.color, _ON["cyan"]))
        crumbs = f" {self.glyphs.breadcrumb} ".join(facts.path)
        # (priority, part): the highest number leaves first when the line is narrow
        parts: list[tuple[int, Text]] = [
            (7, Text(" mailtui ", style="bold")),
            (0, label),
            (1, Text(" SIMULATION ", style="bold reverse") if facts.simulation else Text()),
            (5, Text(crumbs, style="bold")),
            (2, self._may()),
            (1, self._acting()),
            (6, Text(facts.user)),
            (4, Text(fmt.clock_time(facts.time))),
            (1, self._counts()),
            (2 if facts.stale else 3, self._age()),
        ]
        kept = [part for part in parts if part[1].plain.strip()]
        if facts.may and _width(kept) > width:
            # that one may act matters more than as whom
            short = Text(facts.may.partition(" as ")[0])
            kept = [(rank, short if text.plain == facts.may else text) for rank, text in kept]
        while _width(kept) > width and len(kept) > 1:
            kept.remove(max(kept, key=lambda part: part[0]))
        line = Text(no_wrap=True, overflow="ellipsis", end="")
        for number, (_, text) in enumerate(kept):
            if number:
                line.append_text(bar)
            line.append_text(text)
        return line

    def _may(self) -> Text:
        """What one may do; a second factor that is armed counts down."""
        facts = self.facts
        if facts.armed is None:
            return Text(facts.may)
        minutes, seconds = divmod(int(facts.armed), 60)
        return Text(f"armed {minutes}:{seconds:02}", style=self._style("armed"))

    def _acting(self) -> Text:
        """What goes on, and what wants a look at the Journal."""
        facts = self.facts
        words = []
        if facts.runs:
            words.append(f"{facts.runs} {'run' if facts.runs == 1 else 'runs'}")
        if facts.interrupted:
            words.append(f"{facts.interrupted} interrupted")
        if facts.waiting:
            words.append(f"{facts.waiting} to approve")
        return Text(", ".join(words), style=self._style("armed"))

    def _counts(self) -> Text:
        facts, glyphs = self.facts, self.glyphs
        if not facts.known:
            return Text("reading", style=self._style("muted"))
        text = Text()
        for count, glyph, name in (
            (facts.critical, glyphs.critical, "critical"),
            (facts.warning, glyphs.warning, "warning"),
            (facts.unknown, glyphs.unknown, "unknown"),
        ):
            if text:
                text.append(" ")
            text.append(f"{glyph} {count} ", style=self._style(name if count else "muted"))
        text.rstrip()
        return text

    def _age(self) -> Text:
        facts = self.facts
        if facts.oldest is None:
            return Text("")
        if facts.stale:
            return Text(
                f"{self.glyphs.stale} stale {fmt.age(facts.oldest)}", style=self._style("stale")
            )
        return Text(f"data {fmt.age(facts.oldest)}", style=self._style("muted"))

    def _style(self, name: str):  # type: ignore[no-untyped-def]
        return self.get_component_rich_style(f"topline--{name}")


def _width(parts: list[tuple[int, Text]]) -> int:
    return sum(text.cell_len for _, text in parts) + 3 * (len(parts) - 1)
