"""The Journal: what it shows, and what can be done from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mailtui.collectors.journal import JournalCollector, JournalReport
from mailtui.model import clock
from mailtui.model.operation import Plan, Step, Target
from mailtui.model.reading import Reading
from mailtui.model.where import compile_where
from mailtui.operations.gate import Gate
from mailtui.problems import journal as problems
from mailtui.resources import journal as resource
from mailtui.screens.entry import EntryDialog
from mailtui.screens.plan_dialog import PlanDialog
from mailtui.widgets.choice import Choice
from tests.snapshots import conftest, double
from tests.snapshots.double import Double, Somebody, armed
from tests.snapshots.journals import fill
from tests.snapshots.still import StillApp
from tests.snapshots.test_screens import settled
from tests.unit.test_acting import dialog, until, words

steady, doubles = conftest.steady, double.doubles


class Configured:
    """Settings that name a journal."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.journal = self

    def file(self) -> Path:
        """The file."""
        return self.path


async def reading(gate: Gate) -> JournalReport:
    """What the collector makes of a gate's journal."""
    return await JournalCollector(Configured(gate.ledger.journal.path)).read()  # type: ignore[arg-type]


async def screen(tmp_path: Path, person: Somebody | None = None) -> tuple[StillApp, Gate]:
    """A console at the Journal, with an entry of every kind."""
    app = StillApp("incident", "journal")
    gate = armed(app, tmp_path, person)
    await fill(app, gate)
    return app, gate


def at(app: StillApp, **facts: Any) -> None:
    """Put the cursor on the first entry with these facts."""
    table: Any = app.view.table  # type: ignore[union-attr]
    for number, entry in enumerate(table.shown_rows):
        if all(getattr(entry, name) == value for name, value in facts.items()):
            table.move_cursor(number)
            return
    raise AssertionError(facts)


async def test_a_run_is_undone_from_its_entry(doubles: type[Double], tmp_path: Path) -> None:
    """u plans what the entry says; what cannot be undone says why."""
    app, _ = await screen(tmp_path)
    async with app.run_test(size=(120, 40)) as pilot:
        await settled(pilot)
        at(app, state="refused")
        await pilot.press("u")
        await until(pilot, lambda: words(app) and "no inverse" in words(app)[-1])
        at(app, state="partly", who="alice")
        await pilot.press("u")
        shown = await dialog(pilot, PlanDialog)
        assert doubles.requests[-1].operation == "example.release"
        assert doubles.requests[-1].undoes == "000000000001"
        assert [c.id for c in shown.query(Choice)] == ["cancel", "go"]


async def test_an_interrupted_run_is_read_back(doubles: type[Double], tmp_path: Path) -> None:
    """b settles it, and only it; the outcome is in the journal and on the line."""
    app, gate = await screen(tmp_path)
    async with app.run_test(size=(120, 40)) as pilot:
        await settled(pilot)
        at(app, state="done")
        await pilot.press("b")
        await settled(pilot)
        assert "only an interrupted run" in words(app)[-1]
        at(app, state="interrupted")
        await pilot.press("b")
        await until(pilot, lambda: app.acting.jobs.told)
        entry = next(e for e in await gate.ledger.entries() if e.id == "000000000003")
        assert entry.state == "partly"


async def test_a_request_is_approved_with_a_code(doubles: type[Double], tmp_path: Path) -> None:
    """a shows the frozen plan and asks for the second factor; one's own is not approved."""
    app, gate = await screen(tmp_path, Somebody(code="zz98zz"))
    async with app.run_test(size=(120, 40)) as pilot:
        await settled(pilot)
        at(app, state="waiting", who="alice")
        await pilot.press("a")
        shown = await dialog(pilot, PlanDialog)
        assert [c.id for c in shown.query(Choice)] == ["cancel", "decline"]
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.view)
        at(app, state="waiting", who="bob")
        await pilot.press("a")
        shown = await dialog(pilot, PlanDialog)
        assert shown.query_one("#title").render().plain.startswith("bob asks: Delete 12")
        shown.query_one("#code").focus()
        await pilot.pause()
        await pilot.press(*"zz98zz", "enter", "enter")
        await until(pilot, lambda: words(app) and "is approved" in words(app)[-1])
        entry = next(
            e for e in await gate.ledger.entries() if e.kind == "request" and e.who == "bob"
        )
        assert (entry.state, entry.approved_by) == ("approved", "alice")
        assert not doubles.ran


async def test_a_request_is_declined(doubles: type[Double], tmp_path: Path) -> None:
    """x, without more."""
    app, gate = await screen(tmp_path)
    async with app.run_test(size=(120, 40)) as pilot:
        await settled(pilot)
        at(app, state="waiting", who="alice")
        await pilot.press("x")
        await until(pilot, lambda: words(app) and "is declined" in words(app)[-1])
        states = {e.who: e.state for e in await gate.ledger.entries() if e.kind == "request"}
        assert states == {"alice": "declined", "bob": "waiting"}


async def test_what_was_approved_is_run_as_it_was_frozen(
    doubles: type[Double], tmp_path: Path
) -> None:
    """R shows the same plan once more; its digest is that of the request."""
    app = StillApp("incident", "journal")
    gate = armed(app, tmp_path, two_person=("example.*",))
    steps = (Step("mx1", "mx1", "postsuper", 1, (Target("mx1", "4jYk0001", "m"),)),)
    plan = Plan(
        "example.hold", "demo", "alice", "Hold 1 message", "reversible", clock.now(), "1 row", steps
    )
    number = await gate.approvals.ask(plan)
    gate.ledger.journal.append(
        "approval", "bob", request=number, digest=plan.digest, verdict="approved",
        expires=clock.now() + 600,
    )  # fmt: skip
    app._still.state.put(Reading("journal", value=await reading(gate), read_at=1.0, seq=1))
    async with app.run_test(size=(120, 40)) as pilot:
        await settled(pilot)
        at(app, state="approved")
        await pilot.press("R")
        await dialog(pilot, PlanDialog)
        await pilot.press("right", "enter")
        await until(pilot, lambda: doubles.ran)
        assert doubles.ran[0].digest == plan.digest
        await until(pilot, lambda: app.acting.jobs.told)
        entries = await gate.ledger.entries()
        assert entries[0].approved_by == "bob"


async def test_an_entry_in_full(doubles: type[Double], tmp_path: Path) -> None:
    """Steps, what was left, the exact commands; a plan that was changed is not shown as it."""
    app, gate = await screen(tmp_path)
    async with app.run_test(size=(120, 40)) as pilot:
        await settled(pilot)
        at(app, state="partly")
        await pilot.press("enter")
        shown = await dialog(pilot, EntryDialog)
        await until(pilot, lambda: len(shown.query("#middle > *")) > 6)
        text = _text(shown)
        assert "4jYkGONE2" in text and "held 2187" in text and "mx2" in text
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.view)
        for path in gate.ledger.plans.folder.glob("*.plan.gz"):
            path.write_bytes(b"nothing of the kind")
        await pilot.press("enter")
        shown = await dialog(pilot, EntryDialog)
        await until(pilot, lambda: "the plan:" in _text(shown))


def _text(shown: Any) -> str:
    import io

    from rich.console import Console

    console = Console(width=200, file=io.StringIO(), record=True)
    for widget in shown.query("Static"):
        console.print(widget.content)
    return console.export_text()


async def test_a_broken_chain_is_said(doubles: type[Double], tmp_path: Path) -> None:
    """One changed byte, and where."""
    app, gate = await screen(tmp_path)
    lines = gate.ledger.journal.path.read_bytes().splitlines(keepends=True)
    lines[4] = lines[4].replace(b"bob", b"eve", 1)
    gate.ledger.journal.path.write_bytes(b"".join(lines))
    async with app.run_test(size=(120, 40)) as pilot:
        chain = app.view.query_one("#chain")  # type: ignore[union-attr]
        await until(pilot, lambda: "BROKEN" in str(chain.render()))
        assert "record 5" in str(chain.render())


async def test_the_first_line_counts_what_waits(doubles: type[Double], tmp_path: Path) -> None:
    """An interrupted run is a problem that leads here; others' requests are counted, not mine."""
    app, gate = await screen(tmp_path)
    async with app.run_test(size=(120, 40)) as pilot:
        await settled(pilot)
        app.update_top()
        facts = app.view.query_one("TopLine").facts  # type: ignore[union-attr]
        assert (facts.interrupted, facts.waiting) == (1, 1)
        assert facts.may == "may act as operator" and facts.armed is None
    found = list(problems.find(app._still.state, app._still.context, clock.now()))
    assert [(p.screen, p.severity) for p in found] == [("journal", "warning")]
    where = compile_where(found[0].where, resource.RESOURCE.columns)
    assert [e.state for e in resource.rows(app._still.state) if where.matches(e)] == ["interrupted"]
    assert await gate.ledger.entries()


async def test_the_collector_follows_the_file(tmp_path: Path) -> None:
    """New records are read from where it was; a journal that began anew is read anew."""
    from mailtui.access.journal import Journal

    book = Journal(tmp_path / "journal.jsonl")
    collector = JournalCollector(Configured(book.path))  # type: ignore[arg-type]
    assert (await collector.read()).entries == ()
    book.append("operator", "root", text="one")
    first = await collector.read()
    assert [e.sentence for e in first.entries] == ["one"]
    assert await collector.read() is first
    book.append("operator", "root", text="two")
    assert [e.sentence for e in (await collector.read()).entries] == ["two", "one"]
    book.path.unlink()
    book.head_path.unlink()
    assert (await collector.read()).entries == ()
    book.append("operator", "root", text="three")
    assert [e.sentence for e in (await collector.read()).entries] == ["three"]
