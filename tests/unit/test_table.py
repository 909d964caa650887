"""The table on a (headless) screen: what is under the cursor, what is painted, what is posted."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from rich.cells import cell_len
from textual.app import App, ComposeResult
from textual.message import Message
from textual.pilot import Pilot

from mailtui.model.where import compile_where
from mailtui.resources.base import Column, Resource
from mailtui.widgets import table_core, table_order
from mailtui.widgets.table import RowTable


@dataclass(frozen=True)
class Item:
    id: str
    n: float | None = 0
    state: str = ""
    note: str = ""


RESOURCE: Resource[Item] = Resource(
    "items",
    "Items",
    (
        Column("id", "id", lambda i: i.id, width=10, truncate="never"),
        Column("n", "count", lambda i: i.n, width=8, align="right"),
        Column(
            "state",
            "state",
            lambda i: i.state,
            width=10,
            level=lambda i: "critical" if i.state == "down" else "ok" if i.state else "",
        ),
        Column("note", "note", lambda i: i.note, width=10, flex=1, priority=1, truncate="middle"),
    ),
    lambda i: i.id,
    "there is no item",
)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Host(App[None]):
    BINDINGS = [("r", "read_now", ""), ("escape", "back", "")]

    def __init__(self, resource: Resource[Any] = RESOURCE) -> None:
        super().__init__()
        self.clock = Clock()
        self.table = RowTable(resource, clock=self.clock)
        self.posted: list[Message] = []
        self.screen_keys: list[str] = []

    def compose(self) -> ComposeResult:
        yield self.table

    def on_mount(self) -> None:
        self.table.focus()

    def action_read_now(self) -> None:
        self.screen_keys.append("r")

    def action_back(self) -> None:
        self.screen_keys.append("escape")

    def on_row_table_selected(self, event: RowTable.Selected) -> None:
        self.posted.append(event)

    def on_row_table_highlighted(self, event: RowTable.Highlighted) -> None:
        self.posted.append(event)

    def on_row_table_cursor_row_vanished(self, event: RowTable.CursorRowVanished) -> None:
        self.posted.append(event)

    def keys_of(self, kind: type[Message]) -> list[Any]:
        return [event.key for event in self.posted if type(event) is kind]  # type: ignore[attr-defined]


def items(count: int, start: int = 0) -> list[Item]:
    return [Item(f"k{i:06d}", i) for i in range(start, start + count)]


@asynccontextmanager
async def shown(
    rows: list[Item] | None, size: tuple[int, int] = (60, 12), resource: Any = RESOURCE
) -> AsyncIterator[tuple[Host, RowTable, Pilot[None]]]:
    app = Host(resource)
    async with app.run_test(size=size) as pilot:
        if rows is not None:
            app.table.set_rows(rows)
        await pilot.pause()
        yield app, app.table, pilot


def painted(table: RowTable) -> list[str]:
    return [table.render_line(y).text for y in range(table.size.height)]


async def settle(table: RowTable, pilot: Pilot[None]) -> None:
    while table.busy:
        await asyncio.sleep(0)
    await pilot.pause()


async def test_paints_head_rows_and_cursor() -> None:
    async with shown([Item("a", 1, "up"), Item("b", None, "down", "x" * 90)]) as (_, table, _p):
        lines = painted(table)
        assert all(cell_len(line) == 60 for line in lines)
        assert lines[0].split() == ["id", "count", "state", "note"]
        assert lines[1].startswith("▸  a")
        assert lines[1].split() == ["▸", "a", "1", "●", "up"]
        assert "✖ down" in lines[2]
        assert " ? " in lines[2]
        assert "xx…xx" in lines[2]
        assert lines[3].strip() == ""


async def test_ascii_only_has_no_other_character() -> None:
    async with shown([Item("a", 1, "down", "y" * 90), Item("b")]) as (_, table, pilot):
        table.ascii_only = True
        await pilot.press("space", "s")
        await pilot.pause()
        text = "".join(painted(table))
        assert text.isascii()
        assert " * a" in text
        assert ">" in text


async def test_hostile_text_stays_on_its_line_and_is_not_markup() -> None:
    rows = [Item("[/foo]", 1, "[red]x", "a\nb\x1b]52;c;AAAA\x07"), Item("b", 1, "", "漢字" * 40)]
    async with shown(rows) as (_, table, _p):
        lines = painted(table)
        assert "[/foo]" in lines[1]
        assert "[red]x" in lines[1]
        assert "\n" not in lines[1]
        assert "\x1b" not in lines[1]
        assert cell_len(lines[2]) == 60


async def test_a_queue_id_is_never_cut() -> None:
    long = "4bXk2Q7zWnz1KpABCDEF"
    async with shown([Item(long, 12345, "down", "note")]) as (_, table, _p):
        line = painted(table)[1]
        assert long in line
        assert cell_len(line) == 60


async def test_columns_leave_when_narrow_and_come_back() -> None:
    async with shown([Item("a", 1, "up", "note")], size=(34, 10)) as (_, table, pilot):
        assert "note" not in painted(table)[0]
        await pilot.resize_terminal(60, 12)
        await pilot.pause()
        assert "note" in painted(table)[0]


async def test_keys_move_the_cursor_and_scroll() -> None:
    async with shown(items(100)) as (app, table, pilot):
        page = table.page
        await pilot.press("down", "j", "k")
        assert table.cursor_row == 1
        await pilot.press("pagedown")
        assert table.cursor_row == 1 + page
        assert table.scroll_offset.y == page
        await pilot.press("G")
        assert table.cursor_key == "k000099"
        assert painted(table)[page].startswith("▸  k000099")
        await pilot.press("g", "up")
        assert table.cursor_row == 0
        await pilot.press("enter")
        await pilot.pause()
        assert app.keys_of(RowTable.Selected) == ["k000000"]
        assert app.keys_of(RowTable.Highlighted)[-1] == "k000000"


async def test_cursor_marks_and_scroll_follow_keys_when_rows_above_go() -> None:
    async with shown(items(100)) as (app, table, pilot):
        table.move_cursor(50)
        await pilot.press("space")
        line = table.cursor_row - table.scroll_offset.y
        table.set_rows(items(90, start=10))
        await pilot.pause()
        assert table.cursor_key == "k000051"
        assert table.cursor_row == 41
        assert table.cursor_row - table.scroll_offset.y == line
        assert table.marked_keys == ["k000050"]
        assert app.keys_of(RowTable.CursorRowVanished) == []


async def test_scroll_follows_the_first_visible_row_when_the_cursor_is_elsewhere() -> None:
    async with shown(items(200)) as (_, table, pilot):
        table.move_cursor(3)
        table.scroll_to(y=100, animate=False)
        await pilot.pause()
        table.set_rows([*items(50), *items(140, start=60)])
        await pilot.pause()
        assert "k000100" in painted(table)[1]
        assert table.cursor_key == "k000003"


async def test_vanished_cursor_row_moves_to_the_next_and_says_so() -> None:
    rows = items(10)
    async with shown(rows) as (app, table, pilot):
        table.move_cursor(4)
        table.set_rows([row for row in rows if row.id not in ("k000004", "k000005")])
        await pilot.pause()
        assert table.cursor_key == "k000006"
        assert table.vanished_key == "k000004"
        assert app.keys_of(RowTable.CursorRowVanished) == ["k000004"]
        assert app.keys_of(RowTable.Highlighted)[-1] == "k000006"
        await pilot.press("down")
        assert table.vanished_key is None


async def test_a_filter_that_hides_the_cursor_row_is_not_a_vanishing() -> None:
    async with shown(items(10)) as (app, table, pilot):
        table.move_cursor(4)
        table.set_filter(compile_where("n:>6", RESOURCE.columns))
        await pilot.pause()
        assert table.cursor_key == "k000007"
        assert table.vanished_key is None
        assert app.keys_of(RowTable.CursorRowVanished) == []


async def test_new_rows_are_held_back_while_someone_is_inside() -> None:
    async with shown(items(10, start=5)) as (app, table, pilot):
        table.move_cursor(3)
        changed = [Item("k000006", 600), *items(5), *items(9, start=6)]
        table.set_rows(changed[:1] + [r for r in changed[1:] if r.id != "k000006"])
        await pilot.pause()
        assert table.pending_new == 5
        assert [row.id for row in table._rows.view] == [r.id for r in items(9, start=6)]
        assert table._rows.view[0].n == 600
        assert table.cursor_key == "k000008"
        assert table.count_text == "9 of 14"
        await pilot.press("r")
        assert table.pending_new == 0
        assert table.shown == 14
        assert table.cursor_key == "k000008"
        assert app.screen_keys == []
        await pilot.press("r")
        assert app.screen_keys == ["r"]


async def test_new_rows_come_in_when_nobody_is_inside() -> None:
    async with shown(items(5, start=5)) as (app, table, pilot):
        table.set_rows(items(10))
        await pilot.pause()
        assert table.shown == 10
        assert table.pending_new == 0
        assert table.cursor_key == "k000005"
        await pilot.press("g")
        table.set_rows(items(11))
        assert table.pending_new == 1
        app.clock.now += 21
        table.set_rows(items(11))
        await pilot.pause()
        assert table.pending_new == 0
        assert table.shown == 11


async def test_holding_back_can_be_switched_off() -> None:
    async with shown(items(5)) as (_, table, pilot):
        table.hold_new = False
        table.move_cursor(2)
        table.set_rows(items(8))
        await pilot.pause()
        assert table.shown == 8
        assert table.cursor_key == "k000002"


async def test_equal_rows_do_nothing() -> None:
    async with shown(items(20)) as (_, table, pilot):
        painted(table)
        view, cached = table._rows.view, len(table._lines)
        table._commit = None  # type: ignore[method-assign, assignment]
        table.set_rows(items(20))
        await pilot.pause()
        assert table._rows.view is view
        assert len(table._lines) == cached


async def test_sorting_by_key_and_by_head_keeps_the_cursor_on_its_row() -> None:
    rows = [Item("a", 2), Item("b", None), Item("c", 3), Item("d", 1)]
    async with shown(rows) as (_, table, pilot):
        table.move_cursor(3)
        await pilot.press("s", "s")
        assert table.sort_spec == "-n"
        assert [r.id for r in table._rows.view] == ["c", "a", "d", "b"]
        assert table.cursor_key == "d"
        assert "↓ count" in painted(table)[0]
        await pilot.press("minus")
        assert [r.id for r in table._rows.view] == ["d", "a", "c", "b"]
        assert "↑ count" in painted(table)[0]
        await pilot.press("S")
        assert table.sort_spec == "id"
        await pilot.click(RowTable, offset=(18, 0))
        assert table.sort_spec == "-n"
        await pilot.click(RowTable, offset=(18, 0))
        assert table.sort_spec == "n"
        assert table.cursor_key == "d"


async def test_default_sort_of_the_resource() -> None:
    resource: Resource[Item] = Resource(
        "x", "X", RESOURCE.columns, RESOURCE.key, RESOURCE.empty, sort="-n"
    )
    async with shown(items(5), resource=resource) as (_, table, _p):
        assert table.cursor_key == "k000004"
        assert table.cursor_row == 0


async def test_marks_toggle_all_range_and_clear() -> None:
    async with shown(items(10)) as (app, table, pilot):
        await pilot.press("space", "space")
        assert table.marked_keys == ["k000000", "k000001"]
        assert painted(table)[1].startswith(" ● k000000")
        await pilot.press("up", "space")
        assert table.marked_keys == ["k000000"]
        await pilot.press("v", "down", "down")
        assert painted(table)[4].startswith(" ○ k000003")
        await pilot.press("v")
        assert table.marked_keys == ["k000000", "k000002", "k000003", "k000004"]
        await pilot.press("shift+down")
        assert table.marked_keys[-1] == "k000005"
        await pilot.press("v", "escape")
        assert len(table.marked_keys) == 5
        await pilot.press("escape")
        assert table.marked_keys == []
        assert app.screen_keys == []
        await pilot.press("escape")
        assert app.screen_keys == ["escape"]
        await pilot.press("asterisk")
        assert len(table.marked_keys) == 10
        await pilot.press("asterisk")
        assert table.marked_keys == []


async def test_marked_rows_that_the_filter_hides_are_counted() -> None:
    async with shown(items(10)) as (_, table, pilot):
        await pilot.press("space", "space", "space")
        table.set_filter(compile_where("n:>=2", RESOURCE.columns))
        await pilot.pause()
        assert table.marked_hidden == 2
        assert table.count_text == "8 of 10"
        await pilot.press("asterisk")
        assert len(table.marked_keys) == 10
        assert table.marked_hidden == 2
        table.set_rows(items(9, start=1))
        await pilot.pause()
        assert table.marked_hidden == 1
        assert table.marked_rows[0] == Item("k000001", 1)
        table.set_filter(None)
        assert table.marked_hidden == 0
        table.set_resource(RESOURCE)
        assert table.marked_keys == []
        assert table.shown == 0


async def test_mouse_selects_opens_and_marks_ranges() -> None:
    async with shown(items(30)) as (app, table, pilot):
        app.clock.now += 5
        await pilot.click(RowTable, offset=(5, 4))
        assert table.cursor_key == "k000003"
        assert app.keys_of(RowTable.Selected) == []
        await pilot.click(RowTable, offset=(5, 4))
        assert app.keys_of(RowTable.Selected) == ["k000003"]
        await pilot.click(RowTable, offset=(5, 6), shift=True)
        assert table.marked_keys == ["k000003", "k000004", "k000005"]
        await pilot.click(RowTable, offset=(5, 6), control=True)
        assert table.marked_keys == ["k000003", "k000004"]


async def test_the_click_that_focuses_does_not_open() -> None:
    async with shown(items(3)) as (app, table, pilot):
        app.set_focus(None)
        await pilot.pause()
        await pilot.click(RowTable, offset=(5, 1))
        assert table.has_focus
        assert app.keys_of(RowTable.Selected) == []


async def test_an_empty_table_says_why() -> None:
    async with shown(None) as (_, table, pilot):
        assert "never read" in painted(table)[1]
        assert table.count_text == "?"
        table.notice = "never read: connecting to mx1"
        assert "connecting to mx1" in painted(table)[1]
        table.notice = ""
        table.set_rows([])
        assert "there is no item" in painted(table)[1]
        await pilot.press("down", "space", "enter", "s", "asterisk", "v", "pagedown", "G")
        assert table.cursor_key is None
        table.set_rows(items(5))
        table.set_filter(compile_where("nowhere", RESOURCE.columns))
        assert "nothing of 5 matches nowhere" in painted(table)[1]
        table.set_rows(items(5), total_more=True)
        assert "nothing of the first 5 matches nowhere" in painted(table)[1]
        assert table.count_text == "0 of more than 5"


async def test_stale_changes_the_style_not_the_text() -> None:
    async with shown([Item("a", 1, "down"), Item("b", 1, "down")]) as (_, table, pilot):
        before, style = painted(table), table.render_line(2)._segments[1].style
        table.stale = True
        await pilot.pause()
        assert painted(table) == before
        assert table.render_line(2)._segments[1].style != style


async def test_cursor_is_visible_without_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with shown(items(3)) as (_, table, _p):
        strip = table.render_line(1)
        assert strip.text.startswith("▸")
        style = strip._segments[0].style
        assert style is not None
        assert style.reverse


async def test_many_rows_are_arranged_in_slices_without_losing_the_cursor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(table_core, "AT_ONCE", 1000)
    async with shown(items(20_000)) as (_, table, pilot):
        assert not table.busy
        table.move_cursor(7)
        table.sort_by("n", reverse=True)
        assert table.busy
        table.move_cursor(8)
        await settle(table, pilot)
        assert table.cursor_key == "k000008"
        assert table.cursor_row == 19_991
        table.set_filter(compile_where("n:<100", RESOURCE.columns))
        table.set_rows(items(19_999, start=1))
        await settle(table, pilot)
        assert table.shown == 99
        assert table.loaded == 19_999
        assert table.cursor_key == "k000008"
        table.set_filter(None)
        table.set_resource(RESOURCE)
        await settle(table, pilot)
        assert table.shown == 0


async def test_a_poll_during_a_long_sort_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_core, "AT_ONCE", 1000)
    monkeypatch.setattr(table_order, "TURN", 0)
    async with shown(items(50_000)) as (_, table, pilot):
        table.move_cursor(5)
        table.sort_by("id", reverse=True)
        for _turn in range(5):
            await asyncio.sleep(0)
        assert table.busy
        table.set_rows(items(50_010, start=1))
        assert table.loaded == 50_000
        await settle(table, pilot)
        assert table.loaded == 50_010
        assert table.pending_new == 11
        assert table.cursor_key == "k000005"
        assert table.cursor_row == 49_994


async def test_resizing_keeps_the_cursor_visible() -> None:
    async with shown(items(100), size=(80, 24)) as (_, table, pilot):
        table.move_cursor(20)
        await pilot.resize_terminal(40, 10)
        await pilot.pause()
        assert any(line.startswith("▸  k000020") for line in painted(table))
        await pilot.resize_terminal(80, 24)
        await pilot.pause()
        assert any(line.startswith("▸  k000020") for line in painted(table))


async def test_sample_is_spread_over_all_that_is_loaded() -> None:
    async with shown(items(100)) as (_, table, _p):
        assert [row.n for row in table.sample(4)] == [0, 25, 50, 75]
        assert len(table.sample(99)) == 50
        assert table.sample() == items(100)
        table.sort_by("n", reverse=True)
        assert table.shown_rows[0].n == 99


async def test_a_poll_repaints_and_reports_only_what_differs() -> None:
    async with shown(items(8)) as (app, table, pilot):
        app.posted.clear()
        lines: list[int] = []
        refresh_line = table.refresh_line

        def recorded(y: int) -> None:
            lines.append(y)
            refresh_line(y)

        table.refresh_line = recorded  # type: ignore[method-assign]
        table.set_rows([*items(5), Item("k000005", 50), *items(2, start=6)])
        await pilot.pause()
        assert lines == [1, 6]
        assert app.keys_of(RowTable.Highlighted) == []
        assert "50" in painted(table)[6]
        table.set_rows([Item("k000000", 99), *items(7, start=1)])
        await pilot.pause()
        assert app.keys_of(RowTable.Highlighted) == ["k000000"]


@pytest.mark.parametrize("seed", range(4))
async def test_no_sequence_of_events_puts_another_row_under_the_cursor_silently(seed: int) -> None:
    chance = random.Random(seed)
    async with shown(items(30)) as (app, table, pilot):
        for step in range(120):
            before, marks = table.cursor_key, set(table.marked_keys)
            app.posted.clear()
            action = chance.choice(
                ["poll", "poll", "poll", "sort", "filter", "move", "mark", "age"]
            )
            if action == "poll":
                numbers = chance.sample(range(60), chance.randrange(60))
                rows = [Item(f"k{i:06d}", chance.choice([i, None, step])) for i in numbers]
                table.set_rows(rows)
                present = {row.id for row in rows}
                assert set(table.marked_keys) == marks & present
            elif action == "sort":
                table.sort_by(chance.choice(["id", "n", ""]), reverse=chance.random() < 0.5)
            elif action == "filter":
                expr = chance.choice(["n:<20", "n:?", "k00001|k00003", ""])
                table.set_filter(compile_where(expr, RESOURCE.columns))
            elif action == "move":
                table.move_cursor(chance.randrange(60))
            elif action == "mark":
                table.action_mark()
            else:
                app.clock.now += 30
            await pilot.pause()
            keys = [row.id for row in table.shown_rows]
            assert len(keys) == len(set(keys))
            assert table.cursor_key == (keys[table.cursor_row] if keys else None)
            shown_marks = [key for key in table.marked_keys if key in keys]
            assert table.marked_hidden == len(table.marked_keys) - len(shown_marks)
            if action in ("poll", "sort", "age") and before is not None:
                told = app.keys_of(RowTable.CursorRowVanished)
                assert table.cursor_key == before or told == [before]
                assert not (table.cursor_key == before and told)
            assert 0 <= table.scroll_offset.y <= max(0, len(keys) - table.page)
