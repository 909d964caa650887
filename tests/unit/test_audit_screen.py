"""The audit screen over a search that is held in memory."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from mailtui.app import ConsoleApp
from mailtui.collectors.audit_follow import FollowedSearch
from mailtui.collectors.audit_search import QueryError
from mailtui.collectors.state import State
from mailtui.config.settings import Context
from mailtui.connections.errors import SourceError
from mailtui.loading import Loading
from mailtui.model import clock
from mailtui.model.audit import AuditEvent, AuditPage, AuditTail, Bucket, Gap, Histogram
from mailtui.model.querystring import narrowed, term
from mailtui.model.reading import Fault, Reading
from mailtui.model.window import between, parse_window
from mailtui.screens import audit_desk
from mailtui.screens.audit import View
from mailtui.screens.event import EventDetail, FieldMenu, choices, painted
from mailtui.widgets.histogram import GUTTER, HistogramView

NOW = 1_795_521_600.0
HOSTILE = "\x1b]52;c;AAAA\x07[red]\u202egnp.exe"


def event(number: int, at: float, user: str = "bob@example.org", **more: Any) -> AuditEvent:
    outcome = more.pop("outcome", "success")
    document = {"user": {"name": user}, "event": {"outcome": outcome}, **more}
    return AuditEvent(
        id=f"audit/{number}",
        time=at,
        action="user-login",
        outcome=outcome,
        user=user,
        source_ip="192.0.2.1",
        message=more.get("message", f"login {number}"),
        document=json.dumps(document),
    )


class MemorySearch:
    """Understands `field:"value"` alone; says how many requests were under way at once."""

    def __init__(self, events: list[AuditEvent]) -> None:
        self.events = events
        self.asked: list[tuple[str, float | None, float | None, int]] = []
        self.counted = 0
        self.error: SourceError | None = None
        self.at_once = self.most_at_once = 0
        self.delay = 0.0

    @asynccontextmanager
    async def _request(self) -> AsyncIterator[None]:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await asyncio.sleep(self.delay)
            if self.error is not None:
                raise self.error
            yield
        finally:
            self.at_once -= 1

    def _matching(self, query: str, start: float | None, end: float | None) -> list[AuditEvent]:
        wanted = dict(re.findall(r'([\w.]+):"([^"]*)"', query))
        if query and not wanted:
            raise QueryError("the query is not understood: Encountered <EOF>", len(query))
        names = {"user.name": "user", "event.outcome": "outcome"}
        return [
            e
            for e in self.events
            if (start is None or e.time >= start)
            and (end is None or e.time < end)
            and all(getattr(e, names[field]) == value for field, value in wanted.items())
        ]

    async def search(
        self, query: str, start: float | None, end: float | None, limit: int
    ) -> AuditPage:
        async with self._request():
            self.asked.append((query, start, end, limit))
            found = sorted(self._matching(query, start, end), key=lambda e: -e.time)
            return AuditPage(tuple(found[:limit]), len(found))

    async def histogram(self, query: str, start: float, end: float, buckets: int) -> Histogram:
        async with self._request():
            self.counted += 1
            found = self._matching(query, start, end)
            width = 60.0
            bars = []
            for number in range(int((end - start) / width) + 1):
                at = start + number * width
                inside = [e for e in found if at <= e.time < at + width]
                failed = sum(e.outcome == "failure" for e in inside)
                bars.append(Bucket(at, len(inside), failed))
            return Histogram(width, tuple(bars), len(found))


class FakePlatform:
    """State and search; nothing is polled."""

    name = "test"

    def __init__(self, search: MemorySearch | None) -> None:
        name = "elasticsearch" if search else "prometheus"
        address = "http://127.0.0.1:9"
        sources = {name: {"urls": [address]} if search else {"url": address}}
        self.context = Context.model_validate({"label": "TEST", "sources": sources})
        self.state = State()
        self.collectors: list[Any] = []
        self.search = search
        self.seq = 0
        if search:
            self.state.expect("audit", "", 2.0)

    def find(self, kind: type[Any], where: Callable[[Any], bool] = lambda _: True) -> Any:
        return None if self.search is None else SimpleNamespace(search=self.search)

    def look_at(self, sources: Any) -> None: ...

    def readings(self, _: Any = ()) -> list[Any]:
        return self.state.all()

    def read_now(self, sources: Any = ()) -> None: ...

    async def stop(self, patience: float = 0.2) -> None: ...

    def tail(self, events: list[AuditEvent], **more: Any) -> None:
        """The tail was read."""
        self.seq += 1
        value = AuditTail(tuple(events), total_seen=more.pop("seen", len(events)), **more)
        self.state.put(Reading("audit", "", value, clock.now(), seq=self.seq, interval=2.0))


class Console(ConsoleApp):
    """The console on a platform that is there already."""

    def __init__(self, platform: FakePlatform) -> None:
        super().__init__(Loading("test", load=lambda: None), start="audit")  # type: ignore[arg-type, return-value]
        self.fake = platform

    def begin(self) -> None:
        self.attach(self.fake)  # type: ignore[arg-type]

    @property
    def audit(self) -> View:
        view = self.view
        assert isinstance(view, View)
        return view

    def text(self) -> str:
        strips = self.screen._compositor.render_strips()
        return "\n".join("".join(segment.text for segment in line) for line in strips)


@pytest.fixture(autouse=True)
def _frozen(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("TERM", "xterm-256color")
    clock.set_clock(lambda: NOW)
    monkeypatch.setattr(audit_desk, "DEBOUNCE", 0.0)
    yield
    clock.set_clock(None)


async def settled(app: Console, pilot: Any) -> None:
    for _ in range(200):
        await pilot.pause(0.01)
        desk = app.audit._desk
        if desk.connected and not (desk.work_due() or desk.working or app.changes_wait):
            await pilot.pause()
            return
    raise AssertionError("the screen does not come to rest")


def some(count: int, first: float = NOW - 100, step: float = 1.0) -> list[AuditEvent]:
    return [
        event(n, first + n * step, outcome="failure" if n % 5 == 0 else "success")
        for n in range(count)
    ]


def test_a_term_is_escaped_for_query_string() -> None:
    assert term("user.name", 'a "b" \\ c') == 'user.name:"a \\"b\\" \\\\ c"'
    assert term("odd field:x", "v", exclude=True) == 'NOT odd\\ field\\:x:"v"'


def test_a_query_is_narrowed_without_changing_its_meaning() -> None:
    assert narrowed("", 'a:"1"') == 'a:"1"'
    assert narrowed("a:1 OR b:2", 'c:"3"') == '(a:1 OR b:2) AND c:"3"'
    assert narrowed("(a:1 OR b:2)", 'c:"3"') == '(a:1 OR b:2) AND c:"3"'
    assert narrowed('m:"x OR y"', 'c:"3"') == 'm:"x OR y" AND c:"3"'
    assert narrowed('a:"1" AND c:"3"', 'c:"3"') == 'a:"1" AND c:"3"'


def test_a_span_slides_and_a_time_stays() -> None:
    window = parse_window("15m", NOW)
    assert window.at(NOW + 60) == (NOW + 60 - 900, None)
    assert window.label == "last 15 m"
    fixed = parse_window("2h..1h", NOW)
    assert fixed.at(NOW + 60) == (NOW - 7200, NOW - 3600)
    assert not fixed.live
    today = parse_window("00:00", NOW)
    assert today.live
    assert today.at(NOW + 60) == today.at(NOW)


def test_a_window_between_two_times_can_be_typed_again() -> None:
    for start, end in ((NOW - 90, NOW - 30), (NOW - 200_000, NOW - 100_000)):
        window = between(start, end, NOW)
        assert parse_window(window.text, NOW).at(NOW) == (start, end)


async def test_following_has_no_gap_and_no_double() -> None:
    search = MemorySearch(some(50))
    found = FollowedSearch(search, "", lambda now: (NOW - 900, None), keep=5000, overlap=10.0)
    await found.step()
    late = event(900, NOW - 52.5)  # became visible late, within the overlap
    search.events += [late, *(event(n, NOW - 50 + n) for n in range(50, 60))]
    await found.step()
    ids = [e.id for e in found.events]
    assert len(ids) == len(set(ids)) == 61
    assert list(found.events) == sorted(search.events, key=lambda e: -e.time)
    assert found.seen == 11


async def test_more_than_one_step_can_read_leaves_no_hole() -> None:
    search = MemorySearch(some(50, first=NOW - 800))
    found = FollowedSearch(search, "", lambda now: (NOW - 900, None), keep=1200, overlap=10.0)
    await found.step()
    search.events += [event(1000 + n, NOW - 700 + n * 0.2) for n in range(3000)]
    await found.step()
    newest = sorted(search.events, key=lambda e: -e.time)[:1200]
    assert list(found.events) == newest


async def test_an_event_from_the_future_hides_nothing() -> None:
    search = MemorySearch([*some(10), event(99, NOW + 3600)])
    found = FollowedSearch(search, "", lambda now: (NOW - 900, None), keep=5000, overlap=10.0)
    await found.step()
    search.events.append(event(100, NOW - 1))
    await found.step()
    assert "audit/100" in {e.id for e in found.events}


async def test_live_rows_are_the_tails_and_the_search_fills_in_what_is_older() -> None:
    events = some(80)
    platform = FakePlatform(MemorySearch(events))
    platform.tail(events[60:])
    app = Console(platform)
    async with app.run_test(size=(120, 40)) as pilot:
        await settled(app, pilot)
        table = app.audit.events_panel.table
        assert [e.id for e in table.shown_rows] == [e.id for e in reversed(events)]
        assert "80 in range, 16 failed, loaded  80" in app.text()
        asked = len(platform.search.asked)  # type: ignore[union-attr]
        events.append(event(200, NOW))
        platform.tail([*events[60:80], events[-1]])
        await settled(app, pilot)
        assert table.shown_rows[0].id == "audit/200"
        assert table.cursor_row == 0
        assert len(platform.search.asked) == asked  # type: ignore[union-attr]


async def test_a_query_is_followed_on_each_read_of_the_tail() -> None:
    search = MemorySearch([*some(30), event(40, NOW - 40, user="eve@example.org")])
    platform = FakePlatform(search)
    platform.tail(search.events)
    app = Console(platform)
    async with app.run_test(size=(100, 30)) as pilot:
        await settled(app, pilot)
        await pilot.press("Q", *"user.name", "colon", "quotation_mark", *"eve")
        await pilot.press("at", *"example", "full_stop", *"org", "quotation_mark", "enter")
        await settled(app, pilot)
        table = app.audit.events_panel.table
        assert app.audit.bar.editing is None
        assert app.focused is table
        assert [e.id for e in table.shown_rows] == ["audit/40"]
        search.events.append(event(41, NOW - 1, user="eve@example.org"))
        platform.tail(search.events)
        await settled(app, pilot)
        assert [e.id for e in table.shown_rows] == ["audit/41", "audit/40"]
        assert search.most_at_once == 1
        await pilot.press("Q", "up")
        assert app.audit.bar._inputs["query"].value == 'user.name:"eve@example.org"'


async def test_a_wrong_query_changes_nothing_and_is_said_in_place() -> None:
    search = MemorySearch(some(30))
    platform = FakePlatform(search)
    platform.tail(search.events)
    app = Console(platform)
    async with app.run_test(size=(100, 30)) as pilot:
        await settled(app, pilot)
        await pilot.press("Q", *"user", "left_parenthesis", "enter")
        await settled(app, pilot)
        assert app.audit.bar.editing == "query"
        assert "Encountered <EOF>" in app.text()
        assert app.audit.events_panel.table.shown == 30
        await pilot.press("escape")
        await settled(app, pilot)
        assert app.audit.bar.editing is None
        assert "all events" in app.text()
        assert "Encountered" not in app.text()


async def test_a_failed_search_shows_no_rows_of_the_one_before() -> None:
    search = MemorySearch(some(30))
    platform = FakePlatform(search)
    platform.tail(search.events)
    app = Console(platform)
    async with app.run_test(size=(100, 30)) as pilot:
        await settled(app, pilot)
        search.error = SourceError("timeout", "no answer within 10 s")
        app.audit._ask(query='user.name:"x"')
        await settled(app, pilot)
        table = app.audit.events_panel.table
        assert table.shown == 0
        assert table.count_text == "?"
        assert "no answer within 10 s" in app.text()
        assert "never counted" in app.text()


async def test_results_that_fail_to_go_on_stay_with_the_error() -> None:
    search = MemorySearch(some(30))
    platform = FakePlatform(search)
    platform.tail(search.events)
    app = Console(platform)
    async with app.run_test(size=(120, 30)) as pilot:
        await settled(app, pilot)
        app.audit._ask(query='user.name:"bob@example.org"')
        await settled(app, pilot)
        search.error = SourceError("unreachable", "connection refused")
        platform.tail(search.events)
        await settled(app, pilot)
        assert app.audit.events_panel.table.shown == 30
        assert app.audit.events_panel.table.stale
        assert "connection refused" in app.text()
        assert "stale" in app.audit.bar.line.state[1]


async def test_a_later_wish_ends_the_request_under_way() -> None:
    search = MemorySearch(some(30))
    platform = FakePlatform(search)
    app = Console(platform)
    async with app.run_test(size=(100, 30)) as pilot:
        await settled(app, pilot)
        search.delay = 30.0
        app.audit._ask(query='user.name:"slow"')
        await pilot.pause(0.1)
        assert search.at_once == 1
        search.delay = 0.0
        app.audit._ask(query='user.name:"bob@example.org"')
        await settled(app, pilot)
        assert app.audit._desk.query == 'user.name:"bob@example.org"'
        assert search.most_at_once == 1


async def test_the_end_of_the_list_reads_further_back() -> None:
    search = MemorySearch(some(2000, first=NOW - 800, step=0.4))
    platform = FakePlatform(search)
    platform.tail(search.events[1500:])
    app = Console(platform)
    async with app.run_test(size=(100, 30)) as pilot:
        await settled(app, pilot)
        table = app.audit.events_panel.table
        assert table.shown == 500
        await pilot.press("end")
        await settled(app, pilot)
        assert table.shown == 1499  # the oldest one was asked for again
        assert table.cursor_row == 499
        await pilot.press("end")
        await settled(app, pilot)
        ids = [e.id for e in table.shown_rows]
        assert ids == [e.id for e in reversed(search.events)]
        asked = len(search.asked)
        await pilot.press("end")
        await settled(app, pilot)
        assert len(search.asked) == asked


async def test_ranges_cycle_and_can_be_typed() -> None:
    platform = FakePlatform(MemorySearch(some(30)))
    app = Console(platform)
    async with app.run_test(size=(100, 30)) as pilot:
        await settled(app, pilot)
        await pilot.press("t", "t")
        await settled(app, pilot)
        assert app.audit.bar.line.range_text == "last 6 h"
        await pilot.press("T", *["backspace"] * 2, *"xx", "enter")
        assert "not a time" in app.text()
        await pilot.press(*["backspace"] * 2, *"30m", "enter")
        await settled(app, pilot)
        assert app.audit.bar.line.range_text == "last 30 m"
        assert platform.search.asked[-1][1] == NOW - 1800  # type: ignore[union-attr]


async def test_zooming_into_bars_and_out_again() -> None:
    platform = FakePlatform(MemorySearch(some(80)))
    app = Console(platform)
    async with app.run_test(size=(100, 30)) as pilot:
        await settled(app, pilot)
        await pilot.press("left_square_bracket", "left", "shift+left", "enter")
        await settled(app, pilot)
        start, end = app.audit._desk.window.at(NOW)
        assert (start, end) == (NOW - 900 + 13 * 60, NOW - 900 + 15 * 60)
        shown = app.audit.events_panel.table.shown_rows
        assert shown
        assert all(start <= e.time < end for e in shown)
        assert app.audit.bar.line.state[1] == "fixed"
        await pilot.press("backspace")
        await settled(app, pilot)
        assert app.audit._desk.window.text == "15m"
        assert isinstance(app.screen, View)


async def test_a_click_on_a_bar_zooms() -> None:
    platform = FakePlatform(MemorySearch(some(80)))
    app = Console(platform)
    async with app.run_test(size=(100, 30)) as pilot:
        await settled(app, pilot)
        await pilot.click(HistogramView, offset=(1 + GUTTER, 1))
        await settled(app, pilot)
        assert app.audit._desk.window.at(NOW) == (NOW - 900, NOW - 840)


async def test_pause_counts_what_comes() -> None:
    search = MemorySearch(some(30))
    platform = FakePlatform(search)
    platform.tail(search.events, seen=30)
    app = Console(platform)
    async with app.run_test(size=(100, 30)) as pilot:
        await settled(app, pilot)
        await pilot.press("p")
        search.events.append(event(77, NOW))
        platform.tail(search.events, seen=31)
        await settled(app, pilot)
        assert app.audit.events_panel.table.shown == 30
        assert "PAUSED 1 new" in app.text()
        await pilot.press("p")
        await settled(app, pilot)
        assert app.audit.events_panel.table.shown == 31
        assert "PAUSED" not in app.text()


async def test_skipped_events_are_said() -> None:
    search = MemorySearch(some(30))
    platform = FakePlatform(search)
    platform.tail(
        search.events,
        skipped=1204,
        gaps=(Gap("audit/3", NOW - 99, NOW - 97, 1204),),
        notes=("1 of 3 shards did not answer: events may be missing",),
    )
    app = Console(platform)
    async with app.run_test(size=(120, 30)) as pilot:
        await settled(app, pilot)
        assert "1,204 events were skipped" in app.text()
        assert "more than 5,000 came at once" in app.text()
        assert "1 of 3 shards" in app.text()


async def test_a_value_under_the_cursor_becomes_a_term() -> None:
    search = MemorySearch([*some(5), event(50, NOW - 5, user="eve@example.org")])
    platform = FakePlatform(search)
    platform.tail(search.events)
    app = Console(platform)
    async with app.run_test(size=(100, 30)) as pilot:
        await settled(app, pilot)
        app.audit.events_panel.table.move_cursor(0)
        await pilot.press("f")
        assert isinstance(app.screen, FieldMenu)
        await pilot.press("enter")
        await settled(app, pilot)
        assert app.audit._desk.query == 'user.name:"eve@example.org"'
        await pilot.press("f", "down", "x")
        await pilot.pause()
        assert app.audit._desk.wanted_query == (
            'user.name:"eve@example.org" AND NOT event.outcome:"success"'
        )


def test_each_item_of_a_list_is_a_choice() -> None:
    one = AuditEvent("a/1", NOW, document=json.dumps({"source": {"ip": ["192.0.2.1", "::1"]}}))
    found = choices(one, [("from", "source.ip")])
    assert [(c.title, c.value) for c in found] == [("from", "192.0.2.1"), ("from", "::1")]


async def test_the_event_opens_and_is_copied_whole() -> None:
    search = MemorySearch([event(1, NOW - 5, message=HOSTILE)])
    platform = FakePlatform(search)
    platform.tail(search.events)
    app = Console(platform)
    async with app.run_test(size=(100, 40)) as pilot:
        await settled(app, pilot)
        raw = app.text()
        assert not any(char in raw for char in "\x1b\x07\u202e")
        assert "[red]" in raw
        await pilot.press("enter")
        await pilot.pause()
        assert isinstance(app.screen, EventDetail)
        raw = app.text()
        assert not any(char in raw for char in "\x1b\x07\u202e")
        assert "[red]" in raw
        await pilot.press("y")
        assert '"name": "bob@example.org"' in app.clipboard
        assert not any(char in app.clipboard for char in "\x1b\x07\u202e")


def test_a_document_that_is_no_json_is_shown_as_it_is() -> None:
    assert painted("not {json").plain == "not {json"


async def test_without_elasticsearch_the_screen_says_so() -> None:
    app = Console(FakePlatform(None))
    async with app.run_test(size=(100, 30)) as pilot:
        await settled(app, pilot)
        assert "this context has no elasticsearch" in app.text()


@pytest.mark.parametrize("size", [(40, 10), (80, 24), (120, 40), (200, 60), (20, 8)])
async def test_every_size_and_every_dialog(size: tuple[int, int]) -> None:
    search = MemorySearch(some(80))
    platform = FakePlatform(search)
    platform.tail(search.events)
    platform.state.put(
        Reading("audit", "", None, 0.0, fault=Fault("timeout", "no answer"), seq=9)
    ) if size == (20, 8) else None
    app = Console(platform)
    async with app.run_test(size=size) as pilot:
        await settled(app, pilot)
        for keys in ("Q escape", "T escape", "f escape", "enter escape", "p p", "[ escape", "0"):
            await pilot.press(*keys.split())
        await settled(app, pilot)
        assert "query" in app.text() or size[0] < 70


async def test_ascii_has_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "linux")
    search = MemorySearch(some(80))
    platform = FakePlatform(search)
    platform.tail(search.events)
    app = Console(platform)
    async with app.run_test(size=(100, 30)) as pilot:
        await settled(app, pilot)
        lines = app.text().splitlines()
        bars = app.audit.bars
        painted_bars = lines[bars.region.y : bars.region.bottom]
        assert all(line.isascii() for line in painted_bars)
        assert "#" in "".join(painted_bars)
        assert app.audit.bar.line.state[1].isascii()
