"""What the audit screen shows, from the tail and from the search that is under way."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mailtui.collectors.audit_follow import FollowedSearch
from mailtui.model import clock
from mailtui.model import format as fmt
from mailtui.model.audit import AuditEvent, AuditTail, Histogram
from mailtui.model.reading import AnyReading
from mailtui.model.window import Window

if TYPE_CHECKING:
    from mailtui.collectors.platform import Platform
    from mailtui.config.sources.elasticsearch import Audit


class AuditFindings:
    """Rows, counts and what is wrong with them."""

    def __init__(self, window: Window) -> None:
        self.query = ""
        self.window = window
        """Query and window of what is shown."""
        self._platform: Platform | None = None
        self._settings: Audit | None = None
        self._current: FollowedSearch | None = None

    @property
    def _tail(self) -> AuditTail | None:
        """The live tail, if the rows are its events."""
        if self._platform is None or self.query or not self.window.live:
            return None
        return self._platform.state.value("audit", AuditTail)

    def rows(self) -> list[AuditEvent] | None:
        """Newest first; None if nothing was read yet."""
        current, tail = self._current, self._tail
        found = current.events if current is not None else ()
        if tail is None or not tail.events:
            known = tail is not None or (current is not None and current.begun)
            return list(found) if known else None
        start, _ = self.window.at(clock.now())
        events = tail.events
        first = bisect_left(events, start, key=lambda event: event.time)
        rows = list(events[first:] if first else events)
        rows.reverse()
        # the tail began with the newest: what is older is the search's
        if first == 0 and not tail.dropped and not tail.gaps:
            oldest = events[0].time
            older = [event for event in found if start <= event.time <= oldest]
            if older:
                held = {event.id for event in rows}
                rows += [event for event in older if event.id not in held]
        return rows

    def readings(self) -> list[AnyReading]:
        """How old the rows are, and what went wrong."""
        if self._platform is None:
            return []
        current = self._current
        tail = self._platform.state.of("audit")
        if not self.query and self.window.live:
            return tail
        interval = max((reading.interval for reading in tail), default=0.0)
        return [current.reading(interval)] if current is not None else tail

    @property
    def failing(self) -> bool:
        """True if the last read failed."""
        return any(reading.fault is not None for reading in self.readings())

    @property
    def histogram(self) -> Histogram | None:
        """Events over the window."""
        return self._current.histogram if self._current is not None else None

    def histogram_note(self) -> str:
        """What is wrong with the histogram."""
        current = self._current
        if current is None or current.count_fault is None:
            return ""
        why = current.count_fault.message
        if not current.counted_at:
            return f"never counted: {why}"
        return f"stale {fmt.age(clock.now() - current.counted_at)}: {why}"

    @property
    def more(self) -> bool:
        """True if there are more events than rows, and nobody knows how many."""
        current = self._current
        return current is not None and current.total is not None and self._unknown(current)

    def _unknown(self, current: FollowedSearch) -> bool:
        return current.histogram is None and current.total_is_lower_bound

    def counts_text(self, loaded: int) -> str:
        """`12,431 in range, 310 failed, loaded`: the number of rows, `loaded`, follows it."""
        current = self._current
        if current is None or current.total is None or self._unknown(current):
            return ""
        histogram = current.histogram
        total = max(current.total, loaded)
        more = "more than " if current.total_is_lower_bound else ""
        failed = ""
        if histogram is not None:
            failures = sum(bucket.failures for bucket in histogram.buckets)
            failed = f", {fmt.count(failures)} failed"
        return f"{more}{fmt.count(total)} in range{failed}, loaded"

    def notes(self) -> Sequence[str]:
        """Why events may be missing, the worst first."""
        found: list[str] = []
        if (tail := self._tail) is not None:
            if (skipped := sum(gap.count for gap in tail.gaps)) and self._settings is not None:
                gap = tail.gaps[-1]
                found.append(
                    f"{fmt.count(skipped)} events were skipped, the last at "
                    f"{fmt.clock_time(gap.end)}: more than {fmt.count(self._settings.limit)} "
                    "came at once; a search finds them"
                )
            found += tail.notes
        if (current := self._current) is not None:
            found += current.notes
            if current.histogram is not None:
                found += current.histogram.notes
        return list(dict.fromkeys(found))
