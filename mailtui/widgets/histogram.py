"""Events over time as bars, failures on a scale of their own below them.

Failures are often one in a thousand: stacked on the other events they would not be seen. They
have their own row with its own greatest number, so that glyph and place tell them apart where
there is no colour.
"""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Sequence

from rich.style import Style
from rich.text import Text
from textual import events
from textual.binding import Binding
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

from mailtui.model import format as fmt
from mailtui.model.audit import Bucket, Histogram
from mailtui.widgets.glyphs import UNICODE, Glyphs

GUTTER = 8
"""Cells at the left for the scale."""
BLOCKS = " ▁▂▃▄▅▆▇█"
RAMP = " .:#"
_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)


class HistogramView(Widget, can_focus=True):
    """Bars; a selection of buckets becomes a time range."""

    COMPONENT_CLASSES = {
        f"histogram--{name}" for name in ("bar", "failure", "axis", "selected", "note", "stale")
    }
    DEFAULT_CSS = """
    HistogramView {
        height: 5; padding: 0 1;
        & > .histogram--bar { color: $primary; }
        & > .histogram--failure { color: $warning; }
        & > .histogram--axis { color: $foreground 65%; }
        & > .histogram--selected { color: $accent; text-style: bold; }
        & > .histogram--note { color: $warning; text-style: bold; }
        & > .histogram--stale { color: $foreground 65%; text-style: dim; }
    }
    """
    BINDINGS = [
        Binding("left,h", "move(-1)", "Earlier", show=False, tooltip="Select the bar before"),
        Binding("right,l", "move(1)", "Later", show=False, tooltip="Select the next bar"),
        Binding("shift+left", "extend(-1)", "Extend", show=False, tooltip="Select more bars"),
        Binding("shift+right", "extend(1)", "Extend", show=False, tooltip="Select more bars"),
        Binding("home", "move(-100000)", "First", show=False, tooltip="Select the first bar"),
        Binding("end", "move(100000)", "Last", show=False, tooltip="Select the last bar"),
        Binding("enter", "zoom", "Zoom in", show=False, tooltip="Show the selected time only"),
        Binding("escape", "leave", "To the list", show=False, tooltip="Give up the selection"),
    ]
    histogram: reactive[Histogram | None] = reactive(None)
    note: reactive[str] = reactive("")
    """What is wrong with it; it then counts as stale."""
    selection: reactive[tuple[int, int] | None] = reactive(None)
    """First and last of the selected buckets: the second is where the keys move."""
    glyphs: Glyphs = UNICODE

    class Zoomed(Message):
        """These seconds were chosen."""

        def __init__(self, start: float, end: float) -> None:
            self.start = start
            self.end = end
            super().__init__()

    class Left(Message):
        """The selection was given up."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._dragging = False

    @property
    def buckets(self) -> Sequence[Bucket]:
        """The bars."""
        return self.histogram.buckets if self.histogram is not None else ()

    @property
    def room(self) -> int:
        """Cells for bars: as many buckets can be seen."""
        return max(1, self.content_size.width - GUTTER)

    def watch_histogram(self, old: Histogram | None, new: Histogram | None) -> None:
        """The selection stays on its time."""
        if self.selection is None or old is None:
            return
        if new is None or new.interval != old.interval or not new.buckets:
            self.selection = None
            return
        shift = round((old.buckets[0].start - new.buckets[0].start) / new.interval)
        last = len(new.buckets) - 1
        one, other = (index + shift for index in self.selection)
        gone = max(one, other) < 0
        self.selection = None if gone else (min(max(0, one), last), min(max(0, other), last))

    # --- painting ---

    def render(self) -> Text:
        """Bars, failures, axis."""
        height = self.content_size.height
        if not self.buckets:
            return self._message()
        lines: list[Text] = []
        failed = 0 if height < 3 else 1 if height < 7 else 2
        counts = [bucket.count for bucket in self.buckets]
        failures = [bucket.failures for bucket in self.buckets]
        lines += self._rows(counts, height - failed - 1, "bar", "")
        lines += self._rows(failures, failed, "failure", self.glyphs.warning)
        lines.append(self._axis())
        text = Text("\n", no_wrap=True, end="").join(lines)
        text.end = ""
        return text

    def _message(self) -> Text:
        words = self.note or ("no time to show" if self.histogram is not None else "counting")
        style = self._style("note" if self.note else "axis")
        return Text(words, style=style, no_wrap=True, overflow="ellipsis", end="")

    def _rows(self, values: Sequence[int], height: int, name: str, glyph: str) -> list[Text]:
        """`height` lines of bars, with the greatest value at the left of the first."""
        if height <= 0:
            return []
        most = max(values)
        ramp = RAMP if self.glyphs.ascii else BLOCKS
        steps = len(ramp) - 1
        levels = [_level(value, most, height * steps) for value in values]
        plain = self._style("stale" if self.note else name)
        selected = self._style("selected")
        places = self._places()
        chosen = self._chosen()
        lines = []
        for row in range(height):
            floor = (height - 1 - row) * steps
            scale = f"{glyph} {fmt.short(most).replace(' ', '')}".strip() if row == 0 else ""
            line = Text(f"{scale:>{GUTTER - 1}} ", style=self._style("axis"), no_wrap=True)
            chars = "".join(ramp[min(steps, max(0, levels[i] - floor))] for i in places)
            if chosen is None:
                line.append(chars, style=plain)
            else:
                first = _index(places, chosen[0])
                end = _index(places, chosen[1] + 1)
                line.append(chars[:first], style=plain)
                line.append(chars[first:end], style=selected)
                line.append(chars[end:], style=plain)
            lines.append(line)
        return lines

    def _places(self) -> list[int]:
        """For each cell the bucket that it shows; with more buckets than cells some are left out
        of sight, so ask for at most `room` of them."""
        width, count = self.room, len(self.buckets)
        return [cell * count // width for cell in range(width)]

    def _chosen(self) -> tuple[int, int] | None:
        if self.selection is None:
            return None
        return min(self.selection), max(self.selection)

    def _axis(self) -> Text:
        style = self._style("axis")
        line = Text(" " * GUTTER, no_wrap=True)
        if self._chosen() is not None:
            line.append(self.chosen_text, style=self._style("selected"))
        elif self.note:
            line.append(f"{self.glyphs.stale} {self.note}", style=self._style("note"))
        else:
            line.append(self._times(), style=style)
        line.truncate(self.content_size.width, overflow="ellipsis")
        return line

    @property
    def chosen_text(self) -> str:
        """`14:03:15-14:03:30  31 events, 2 failed  Enter zooms in`."""
        chosen = self._chosen()
        if chosen is None or self.histogram is None:
            return ""
        inside = self.buckets[chosen[0] : chosen[1] + 1]
        start, end = inside[0].start, inside[-1].start + self.histogram.interval
        count = sum(bucket.count for bucket in inside)
        failed = sum(bucket.failures for bucket in inside)
        day = end - start >= 86400 or self._long
        write = fmt.date_time if day else fmt.clock_time
        return (
            f"{write(start)} to {write(end)}  {fmt.count(count)} "
            f"{'event' if count == 1 else 'events'}, {fmt.count(failed)} failed"
            f"  {self.glyphs.enter} zooms in"
        )

    @property
    def _long(self) -> bool:
        buckets = self.buckets
        return bool(buckets) and buckets[-1].start - buckets[0].start > 20 * 3600

    def _times(self) -> str:
        """Round local times below their bars."""
        histogram = self.histogram
        assert histogram is not None
        width, start = self.room, self.buckets[0].start
        span = len(self.buckets) * histogram.interval
        pattern = "%H:%M:%S" if span < 300 else "%m-%d %H:%M" if self._long else "%H:%M"
        cells = 14 if self._long else 10
        least = span * cells / width
        step = next((s for s in _STEPS if s >= least), -(-int(least) // 86400) * 86400)
        offset = time.localtime(start).tm_gmtoff
        line = [" "] * width
        at = -(-(start + offset) // step) * step - offset
        while at < start + span:
            place = int((at - start) / span * width)
            label = time.strftime(pattern, time.localtime(at))
            mark = "|" if self.glyphs.ascii else "╷"
            if place + len(label) + 1 <= width:
                line[place : place + len(label) + 1] = mark + label
            at += step
        return "".join(line)

    def _style(self, name: str) -> Style:
        return self.get_component_rich_style(f"histogram--{name}")

    # --- keys ---

    def action_move(self, by: int) -> None:
        """Select the bar before or after; the last one first."""
        if (last := len(self.buckets) - 1) < 0:
            return
        at = last if self.selection is None else min(max(0, self.selection[1] + by), last)
        self.selection = (at, at)

    def action_extend(self, by: int) -> None:
        """Select from where the selection began to one bar further."""
        if self.selection is None:
            self.action_move(0)
        else:
            at = min(max(0, self.selection[1] + by), len(self.buckets) - 1)
            self.selection = (self.selection[0], at)

    def action_zoom(self) -> None:
        """Tell what time was selected."""
        chosen, histogram = self._chosen(), self.histogram
        if chosen is None or histogram is None:
            return
        start = self.buckets[chosen[0]].start
        end = self.buckets[chosen[1]].start + histogram.interval
        self.selection = None
        self.post_message(self.Zoomed(start, end))

    def action_leave(self) -> None:
        """Give up the selection."""
        self.selection = None
        self.post_message(self.Left())

    def on_focus(self) -> None:
        """There is always something under the keys."""
        if self.selection is None:
            self.action_move(0)

    def on_blur(self) -> None:
        """What is not in focus has no selection."""
        self.selection = None

    # --- mouse ---

    def _bucket_at(self, x: int) -> int | None:
        cell = x - GUTTER - self.gutter.left
        if not self.buckets or not 0 <= cell < self.room:
            return None
        return cell * len(self.buckets) // self.room

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """Begin a selection."""
        at = self._bucket_at(event.x)
        if event.button == 1 and at is not None:
            event.stop()
            self.capture_mouse()
            self._dragging = True
            self.selection = (at, at)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Draw it on."""
        at = self._bucket_at(event.x)
        if self._dragging and at is not None and self.selection is not None:
            self.selection = (self.selection[0], at)

    def on_mouse_up(self, event: events.MouseUp) -> None:
        """Zoom into what was drawn."""
        if self._dragging:
            event.stop()
            self._dragging = False
            self.release_mouse()
            self.action_zoom()


def _level(value: int, most: int, steps: int) -> int:
    """Height in steps; what is not nothing is seen."""
    if value <= 0 or most <= 0:
        return 0
    return max(1, min(steps, round(value / most * steps)))


def _index(places: Sequence[int], bucket: int) -> int:
    """First cell of a bucket."""
    return bisect_right(places, bucket - 1)
