"""Acting from the console: keys lead to the gate, and nothing runs without consent."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path
from typing import Any

from textual.pilot import Pilot
from textual.widgets import Input

from mailtui.screens.listing import Listing, RowDialog
from mailtui.screens.outcome import OutcomeDialog
from mailtui.screens.parameters import ParametersDialog
from mailtui.screens.plan_dialog import PlanDialog
from mailtui.widgets.choice import Choice
from mailtui.widgets.panel import Caption
from tests.snapshots import conftest, double
from tests.snapshots.double import Double, Somebody, armed
from tests.snapshots.still import StillApp
from tests.snapshots.test_screens import settled

DEADLINE = 20.0
steady, doubles = conftest.steady, double.doubles


async def until(pilot: Pilot[Any], holds: Any) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(DEADLINE):
        while not holds():
            await pilot.pause(0.01)


async def dialog(pilot: Pilot[Any], kind: type[Any]) -> Any:
    """Wait for a dialog."""
    await until(pilot, lambda: isinstance(pilot.app.screen, kind))
    await pilot.pause()
    return pilot.app.screen


def words(app: StillApp) -> list[str]:
    """What was notified."""
    return [note.message for note in app._notifications]


async def test_from_the_overview_to_hold_in_five_keys(
    doubles: type[Double], tmp_path: Path
) -> None:
    """The problem's line, Enter, h, to the button, Enter: the whole destination is held."""
    app = StillApp("incident", "overview")
    gate = armed(app, tmp_path)
    async with app.run_test(size=(120, 40)) as pilot:
        await settled(pilot)
        table = app.view.table  # type: ignore[union-attr]
        at = next(i for i, p in enumerate(table.shown_rows) if "destination:" in p.where)
        table.move_cursor(at)
        await settled(pilot)
        keys = 0
        for key in ("enter", "h", "right", "enter"):
            await pilot.press(key)
            await settled(pilot)
            keys += 1
            if key == "h":
                shown = await dialog(pilot, PlanDialog)
                assert shown.focused.id == "cancel"
        await until(pilot, lambda: doubles.ran)
        assert keys <= 5
        plan = doubles.ran[0]
        where = doubles.requests[0]
        assert plan.count == len(where.rows) > 100
        assert {m.destination for m in where.rows} == {"gmail.com"}
        assert {m.queue_name for m in where.rows} == {"deferred"}
        assert "group destination gmail.com" in where.selection
        entries = await gate.ledger.entries()
        assert [(e.state, e.count) for e in entries] == [("done", plan.count)]


async def test_enter_without_a_thought_changes_nothing(
    doubles: type[Double], tmp_path: Path
) -> None:
    """Cancel has the focus; Escape is the same."""
    app = StillApp("incident", "queues")
    gate = armed(app, tmp_path)
    async with app.run_test(size=(120, 40)) as pilot:
        await settled(pilot)
        await pilot.press("tab")
        for key in ("enter", "escape"):
            await pilot.press("h")
            await dialog(pilot, PlanDialog)
            await pilot.press(key)
            await until(pilot, lambda: app.screen is app.view)
        await settled(pilot)
        assert len(doubles.requests) == 2
        assert not doubles.ran
        assert await gate.ledger.entries() == []


async def test_marks_hidden_by_the_filter_are_said(doubles: type[Double], tmp_path: Path) -> None:
    """Marked rows are acted on, seen or not, and the dialog says so."""
    app = StillApp("incident", "queues")
    armed(app, tmp_path)
    async with app.run_test(size=(120, 40)) as pilot:
        await settled(pilot)
        await pilot.press("tab", "space", "space")
        view = app.view
        assert view is not None and view.table is not None
        assert view.apply_filter(view.table, "size:>1T") == ""
        await settled(pilot)
        await pilot.press("h")
        await dialog(pilot, PlanDialog)
        assert len(doubles.requests[0].rows) == 2
        assert doubles.requests[0].selection == ("2 marked rows, 2 of them hidden by the filter")


async def test_everything_needs_a_filter(doubles: type[Double], tmp_path: Path) -> None:
    """On the line of all messages nothing is done without one; with one, what it shows."""
    app = StillApp("incident", "queues")
    armed(app, tmp_path)
    async with app.run_test(size=(120, 40)) as pilot:
        await settled(pilot)
        await pilot.press("h")
        await settled(pilot)
        assert not doubles.requests
        assert "set a filter" in words(app)[-1]
        view: Any = app.view
        assert view.apply_filter(view.main_panel.table, "destination:=gmail.com") == ""
        await settled(pilot)
        await pilot.press("h")
        await dialog(pilot, PlanDialog)
        assert len(doubles.requests[0].rows) == view.main_panel.table.shown
        assert doubles.requests[0].selection.endswith("filter destination:=gmail.com")


async def test_a_key_for_a_row_that_has_gone(doubles: type[Double], tmp_path: Path) -> None:
    """It was meant for the row before: the next one is not touched."""
    app = StillApp("incident", "queues")
    armed(app, tmp_path)
    async with app.run_test(size=(120, 40)) as pilot:
        await settled(pilot)
        await pilot.press("tab")
        table: Any = app.view.table  # type: ignore[union-attr]
        gone = table.row
        table.set_rows([row for row in table.shown_rows if row is not gone])
        await pilot.press("h")
        await settled(pilot)
        assert not doubles.requests
        assert "has just gone" in words(app)[-1]
        await pilot.press("h")
        await dialog(pilot, PlanDialog)
        assert doubles.requests[0].rows == (table.row,)


async def test_destructive_needs_word_and_code(doubles: type[Double], tmp_path: Path) -> None:
    """A wrong word stays in the dialog; a wrong code comes back to it; both right run."""
    app = StillApp("incident", "queues")
    gate = armed(app, tmp_path, Somebody(code="zz98zz"))
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await pilot.press("tab", "D")
        shown = await dialog(pilot, PlanDialog)
        shown.query_one("#word", Input).value = "yes"
        shown.query_one("#go", Choice).action_press()
        await pilot.pause()
        assert app.screen is shown
        assert "type delete 1" in str(shown.query_one("#said").render())
        for code in ("yy00yy", "zz98zz"):
            shown = await dialog(pilot, PlanDialog)
            # typed with Cancel in focus: it goes to the word, and its space cancels nothing
            shown.query_one("#word", Input).value = ""
            shown.query_one("#cancel", Choice).focus()
            await pilot.pause()
            await pilot.press(*"delete", "space", "1", "enter", *code, "enter", "enter")
            if code == "yy00yy":
                await until(pilot, lambda old=shown: app.screen is not old)
                again = await dialog(pilot, PlanDialog)
                assert "wrong or was used" in str(again.query_one("#said").render())
                assert not doubles.ran
        await until(pilot, lambda: doubles.ran)
        journal = gate.ledger.journal.path.read_text()
        assert "zz98zz" not in journal and "yy00yy" not in journal


async def test_a_blocked_plan_has_no_button(doubles: type[Double], tmp_path: Path) -> None:
    """It is shown with its reason, and can only be closed."""
    app = StillApp("incident", "queues")
    armed(app, tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await pilot.press("tab", "R")
        shown = await dialog(pilot, PlanDialog)
        assert [choice.id for choice in shown.query(Choice)] == ["cancel"]


async def test_why_not(doubles: type[Double], tmp_path: Path) -> None:
    """A viewer's keys are dimmed and say why; read-only says it too; so does a missing gate."""
    app = StillApp("incident", "queues")
    armed(app, tmp_path, Somebody(denied="mail.hold"))
    async with app.run_test(size=(120, 40)) as pilot:
        await settled(pilot)
        await pilot.press("tab", "h")
        await settled(pilot)
        assert "takes an operator" in words(app)[-1]
        keys: Any = app.view.query_one("FootLine").keys  # type: ignore[union-attr]
        dimmed = {key.label: key.dimmed for key in keys}
        assert dimmed["hold"] and not dimmed["delete"]
        app.acting.use(None, "the journal cannot be opened")
        await pilot.press("D")
        await settled(pilot)
        assert words(app)[-1] == "the journal cannot be opened"
        assert not doubles.requests


async def test_parameters(doubles: type[Double], tmp_path: Path) -> None:
    """The form says in place what is missing; what cannot be planned comes back to it."""
    app = StillApp("incident", "queues")
    armed(app, tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await pilot.press("tab", "x")
        form = await dialog(pilot, ParametersDialog)
        await pilot.press("enter")
        assert "needed" in str(form.query_one("#about-reason").render())
        await pilot.press(*"bad", "enter", "down", "enter", "enter")
        await until(pilot, lambda: app.screen is not form)
        again = await dialog(pilot, ParametersDialog)
        assert "nobody" not in words(app)
        assert "no reason that anybody" in str(again.query_one("#said").render())
        again.query_one("#field-reason", Input).value = "retired"
        again.query_one("#go", Choice).action_press()
        await dialog(pilot, PlanDialog)
        assert dict(doubles.requests[-1].parameters) == {"reason": "retired", "status": "5.1.1"}


async def test_stop_outcome_and_undo(
    doubles: type[Double], tmp_path: Path, monkeypatch: Any
) -> None:
    """A run leaves the console usable, stops between two steps, tells its end, and is undone."""
    app = StillApp("incident", "queues", where="destination:=gmail.com")
    gate = armed(app, tmp_path)
    monkeypatch.setattr(Double, "hurdle", asyncio.Event())
    async with app.run_test(size=(120, 40)) as pilot:
        await settled(pilot)
        await pilot.press("h")
        await dialog(pilot, PlanDialog)
        await pilot.press("right", "enter")
        await until(pilot, lambda: any(job.progress for job in app.acting.jobs.running))
        await pilot.press("1")
        await until(pilot, lambda: app.view is not None and app.view.NAME == "overview")
        lines = app.view.query_one("RunLine").lines  # type: ignore[union-attr]
        assert lines[0].label == "stop"
        assert app.switch_context("demo") != "" or app.settings is None
        await pilot.press("q")
        assert app.is_running and "is in progress" in words(app)[-1]
        await pilot.press("full_stop")
        assert app.acting.jobs.running[0].run.stopping  # type: ignore[union-attr]
        assert Double.hurdle is not None
        Double.hurdle.set()
        await until(pilot, lambda: app.acting.jobs.told)
        await pilot.press("o")
        shown = await dialog(pilot, OutcomeDialog)
        assert "stopped by the operator" in "".join(str(line) for line in _texts(shown))
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.view)
        assert not app.acting.jobs.lines()
        first = (await gate.ledger.entries())[0]
        await pilot.press("u")
        await dialog(pilot, PlanDialog)
        assert doubles.requests[-1].operation == "example.release"
        assert len(doubles.requests[-1].targets) == first.done
        await pilot.press("right", "enter")
        await until(pilot, lambda: app.acting.jobs.told)
        entries = await gate.ledger.entries()
        assert entries[0].undoes == first.id and entries[1].undone_by == entries[0].id
        await pilot.press("u")
        await until(pilot, lambda: "could be taken back" in words(app)[-1])


def _texts(screen: Any) -> list[str]:
    from rich.console import Console

    console = Console(width=200, file=io.StringIO(), record=True)
    for widget in screen.query("Static"):
        console.print(widget.content)
    return console.export_text().splitlines()


async def test_commands_and_palette(doubles: type[Double], tmp_path: Path) -> None:
    """A command for each operation, with its filter completed; nothing for an empty one."""
    from mailtui.screens import commands

    app = StillApp("incident", "hosts")
    armed(app, tmp_path)
    async with app.run_test(size=(120, 40)) as pilot:
        await settled(pilot)
        assert commands.complete(app, "example.h") == ["example.hold"]
        assert "example.hold queue:=deferred destination:" in commands.complete(
            app, "example.hold queue:=deferred dest"
        )
        assert "needs a filter" in app.run_command("example.hold")
        assert "matches" in app.run_command("example.hold destination:=nowhere.test")
        assert app.run_command("example.hold destination:=gmail.com") == ""
        await dialog(pilot, PlanDialog)
        assert {m.destination for m in doubles.requests[0].rows} == {"gmail.com"}
        titles = [command.title for command in app.get_system_commands(app.screen)]
        assert "example.hold" in titles and "undo" in titles


async def test_what_a_run_finds_is_listed(doubles: type[Double], tmp_path: Path) -> None:
    """Without a dialog, since it changes nothing; the list has the keys of its own rows."""
    app = StillApp("incident", "broker")
    armed(app, tmp_path)
    async with app.run_test(size=(120, 40)) as pilot:
        await settled(pilot)
        below = app.view
        await pilot.press("p")
        await until(pilot, lambda: isinstance(app.screen, Listing))
        await settled(pilot)
        table: Any = app.view.table  # type: ignore[union-attr]
        assert table.shown == 3
        await pilot.press("enter")
        await dialog(pilot, RowDialog)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, Listing))
        await pilot.press("space", "space", "h")
        await dialog(pilot, PlanDialog)
        assert list(doubles.requests[-1].rows) == table.marked_rows
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, Listing))
        await pilot.press("escape", "escape")
        await until(pilot, lambda: app.screen is below)


async def test_what_was_found_is_stale_after_a_run_on_it(
    doubles: type[Double], tmp_path: Path
) -> None:
    """The rows were read once: the list says that they are as before the run."""
    app = StillApp("incident", "broker")
    armed(app, tmp_path)
    async with app.run_test(size=(120, 40)) as pilot:
        await settled(pilot)
        await pilot.press("p")
        await until(pilot, lambda: isinstance(app.screen, Listing))
        await settled(pilot)
        caption = app.screen.query_one(Caption)
        assert "from before" not in str(caption.render())
        await pilot.press("space", "space", "h")
        await dialog(pilot, PlanDialog)
        await pilot.press("right", "enter")
        await until(pilot, lambda: len(doubles.ran) == 2 and app.screen is app.view)
        await until(pilot, lambda: "from before 'Hold 2 messages'" in str(caption.render()))
        assert not words(app)


async def test_a_list_without_a_screen(doubles: type[Double], tmp_path: Path) -> None:
    """:list shows any resource, filtered, and going elsewhere leaves it."""
    app = StillApp("incident", "overview")
    armed(app, tmp_path)
    async with app.run_test(size=(120, 40)) as pilot:
        await settled(pilot)
        assert "no list 'nosuch'" in app.run_command("list nosuch")
        assert app.run_command("list messages destination:=gmail.com") == ""
        await until(pilot, lambda: isinstance(app.screen, Listing))
        await settled(pilot)
        table: Any = app.view.table  # type: ignore[union-attr]
        assert {m.destination for m in table.shown_rows} == {"gmail.com"}
        await pilot.press("2")
        await until(pilot, lambda: app.view is not None and app.view.NAME == "queues")
        await pilot.press("escape")
        await until(pilot, lambda: app.view is not None and app.view.NAME == "overview")


def test_no_key_means_two_things() -> None:
    """Keys of the registry's own operations are free on the screens that show their rows."""
    from mailtui.operations import registry
    from mailtui.screens.keys import BINDINGS
    from mailtui.screens.lists import ListsScreen
    from mailtui.screens.queues import View as Queues
    from mailtui.widgets.table_keys import TABLE_BINDINGS

    taken: set[str] = set()
    for binding in (*BINDINGS, *TABLE_BINDINGS, *Queues.BINDINGS, *ListsScreen.BINDINGS):
        taken |= set(binding.key.split(","))  # type: ignore[union-attr]
    by_resource: dict[str, list[str]] = {}
    for operation in registry.every():
        if operation.key and not operation.hidden:
            by_resource.setdefault(operation.resource, []).append(operation.key)
    assert by_resource
    for keys in by_resource.values():
        assert not taken & set(keys)
        assert len(keys) == len(set(keys))


async def test_two_persons(doubles: type[Double], tmp_path: Path) -> None:
    """Without a second operator it can only be asked for."""
    app = StillApp("incident", "queues")
    gate = armed(app, tmp_path, two_person=("example.*",))
    async with app.run_test(size=(120, 40)) as pilot:
        await settled(pilot)
        await pilot.press("tab", "h")
        shown = await dialog(pilot, PlanDialog)
        assert [choice.id for choice in shown.query(Choice)] == ["cancel", "ask"]
        await pilot.press("right", "enter")
        await until(pilot, lambda: words(app) and "waits for a second" in words(app)[-1])
        assert [entry.state for entry in await gate.ledger.entries()] == ["waiting"]
        assert not doubles.ran
