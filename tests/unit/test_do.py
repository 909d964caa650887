"""`mailtui do`, `undo`, `approve`, `journal`: options, exit codes, what is printed and written."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import os
import pty
import re
import select
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from mailtui import cli
from mailtui.access import history
from mailtui.access.journal import Journal
from mailtui.access.locks import Locks
from mailtui.config.settings import Settings
from mailtui.headless import exits, gated, resources, session
from mailtui.headless.errors import explain
from mailtui.model import clock
from mailtui.model.reading import Fault, Reading
from mailtui.operations import registry
from mailtui.resources.base import Column, Resource
from tests.unit import acting
from tests.unit.acting import WALL, Brick, Person, bricks

BRICKS: Resource[Brick] = Resource(
    name="bricks",
    title="bricks",
    columns=(
        Column("id", "id", lambda b: b.id),
        Column("host", "host", lambda b: b.host),
        Column("tenant", "tenant", lambda b: b.tenant),
    ),
    key=lambda b: b.id,
    empty="there is no brick",
)


class House:
    """A platform with nothing but the wall, behind the real verbs."""

    def __init__(self, folder: Path) -> None:
        self.journal = Journal(folder / "journal.jsonl")
        self.person = Person()
        self.name = "lab"
        self.rows = bricks(6)
        self.more: int | None = 0
        self.readings: list[Any] = [Reading("bricks", "mx1", value=1, read_at=1.0)]
        self.settings = Settings.model_validate(
            {"contexts": {"lab": {"hosts": {"here": {"local": True}}, "read_only": False}},
             "journal": {"path": str(self.journal.path)}}
        )  # fmt: skip
        self.context: dict[str, Any] = {}
        self.opened_with: list[Any] = []

    async def read_all(self, sources: Any) -> None:
        return None

    def gate(self) -> Any:
        found = acting.gate(self.journal, self.person, self.name, **self.context)
        state = SimpleNamespace(all=lambda: self.readings)
        platform: Any = found.platform
        platform.state, platform.read_all = state, self.read_all
        return found


def patch(found: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the house behind the verbs."""
    known = resources.Known(
        "bricks", BRICKS, ("bricks",), lambda s, c: found.rows, lambda s: found.more
    )

    @asynccontextmanager
    async def opened(args: Any, verb: str, sources: Any = None) -> AsyncIterator[gated.Acting]:
        found.opened_with.append(sources)
        gate = found.gate()
        yield gated.Acting(gate, found.settings, gate.platform.context)

    @asynccontextmanager
    async def loaded(args: Any, verb: str) -> AsyncIterator[tuple[None, Settings]]:
        yield None, found.settings

    monkeypatch.setattr(registry, "every", lambda: acting.OPERATIONS)
    monkeypatch.setattr(resources, "one", lambda name: known)
    monkeypatch.setattr(gated, "opened", opened)
    monkeypatch.setattr(session, "loaded", loaded)


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    found = House(tmp_path)
    WALL.__init__()  # type: ignore[misc]
    patch(found, monkeypatch)
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    yield found
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def run(*argv: str) -> int:
    """The exit code, as `cli.main` makes it."""
    words = cli.joined(list(argv))
    args = cli.parser(words[0]).parse_args(words)
    try:
        module = __import__(f"mailtui.headless.{args.verb}", fromlist=["run"])
        return int(module.run(args))
    except Exception as error:
        return explain(args.verb, error)
    finally:
        # one that is collected later would take the signals away from the next
        with suppress(RuntimeError):
            asyncio.get_event_loop_policy().get_event_loop().close()
        asyncio.set_event_loop(None)


def answer(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def kinds(house: House) -> list[str]:
    return [record.kind for _, record in house.journal.records()]


PAINT = ("do", "test.paint", "--where", "id:b")


# --- the plan ---


def test_a_dry_run_shows_everything_and_leaves_an_entry(
    house: House, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*PAINT, "--colour", "blue", "--dry-run") == exits.OK
    text = capsys.readouterr().out
    for words in (
        "Paint 6 bricks  (test.paint, reversible)", "chosen by  filter id:b", "colour     blue",
        "mx1  3\n    $ brush mx1 -", "mx2  3\n    $ brush mx2 -", "mx1 b0", "undo: test.strip",
        "needs: a yes", "dry run: nothing was changed",
    ):  # fmt: skip
        assert words in text
    assert (kinds(house), WALL.commands) == (["plan"], [])


def test_a_dry_run_as_json_is_the_frozen_plan(
    house: House, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*PAINT, "--dry-run", "-o", "json") == exits.OK
    found = answer(capsys)
    assert list(found) == [
        "context", "simulation", "operation", "dry_run", "exit_code", "why", "resource", "where",
        "read", "matched", "more", "sources", "plan", "needs", "planned", "request", "outcome",
    ]  # fmt: skip
    plan = found["plan"]
    assert (found["read"], found["matched"], plan["count"]) == (6, 6, 6)
    assert [step["targets"] for step in plan["steps"]] == [["b0", "b2", "b4"], ["b1", "b3", "b5"]]
    _, record = next(house.journal.records())
    assert record.facts["digest"] == plan["digest"]
    (file,) = (house.journal.path.parent / "plans").iterdir()
    import hashlib

    assert hashlib.sha256(gzip.decompress(file.read_bytes())).hexdigest() == plan["digest"]
    assert found["needs"] == {
        "confirm": "dialog", "word": None, "code": False, "approval": False, "refusal": None,
    }  # fmt: skip


@pytest.mark.parametrize("where", [(), ("--where", ""), ("--where", "  "), ("--where", '""')])
def test_an_empty_filter_never_means_everything(
    house: House, where: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("do", "test.paint", *where, "--yes") == exits.USAGE
    assert not WALL.commands
    assert not house.opened_with  # refused before anything is opened
    if where != ("--where", "''"):
        assert "an empty filter means nothing, never everything" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("do", "test.pain", "--where", "x", "--yes"), "did you mean test.paint"),
        (("do", "test.paint", "--where", "hots:x", "--yes"), "did you mean host"),
        ((*PAINT,), "no terminal, so nobody can be asked"),
        ((*PAINT, "-o", "json"), "needs --yes or --dry-run"),
        (("do", "test.strip", "--where", "id:b", "--yes"), "by undo only"),
        (("do", "--yes"), "do what?"),
        (("do", "--approved", "3", "--where", "x", "--yes"), "takes no --where"),
        (("do", "--approved", "3", "--yes"), "#3 is no request"),
        (("do", "test.paint", "--planned", "3", "--colour", "red", "--yes"), "takes no --where"),
        (("do", "--planned", "3", "--yes"), "#3 is no dry run"),
        (("undo", "abcd", "--yes"), "there is no run 'abcd'"),
        (("undo", "--yes"), "can be taken back"),
        (("undo",), "no terminal"),
        (("do", "test.burn", "--where", "id:b", "--yes"), "--yes also needs --confirm 'burn 6'"),
        (("do", "test.look", "--where", "id:b", "--yes"), "exactly one row, and 6 are selected"),
        (("approve", "7", "--yes"), "#7 is no request"),
        (("approve", "--decline"), "approve which?"),
        (("journal", "show"), "needs a RUN"),
        (("journal", "list", "abc"), "takes no RUN"),
        (("journal", "list", "--where", "stat:x"), "did you mean state"),
    ],
)
def test_wrong_usage_runs_nothing(
    house: House, argv: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*argv) == exits.USAGE
    assert words in capsys.readouterr().err
    assert not WALL.commands
    assert "intent" not in kinds(house)


@pytest.mark.parametrize(
    "argv",
    [
        (*PAINT, "--colour", "green", "--yes"),
        (*PAINT, "--depth", "3", "--yes"),
        (*PAINT, "--yes", "--dry-run"),
        (*PAINT, "--code", "123456"),
        ("do", "test.burn", "--colour", "red", "--where", "id:b"),
    ],
)
def test_options_that_are_not_the_operations(house: House, argv: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as ended:
        run(*argv)
    assert ended.value.code == exits.USAGE


def test_help_shows_the_parameters_of_the_operation(
    house: House, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        run("do", "test.paint", "--help")
    text = capsys.readouterr().out
    assert "parameters of test.paint" in text
    assert "{red,blue}" in text or "--colour" in text
    assert "in 100 % of the cases" in text


def test_no_parameter_of_an_operation_is_an_option_of_the_verb() -> None:
    verbs = next(a for a in cli.parser("do")._actions if a.dest == "verb").choices
    own = {o for a in (verbs or {})["do"]._actions for o in a.option_strings}
    for operation in registry.every():
        for one in operation.parameters:
            assert f"--{one.name.replace('_', '-')}" not in own, (operation.id, one.name)


# --- running ---


def test_yes_runs_it_and_prints_how_it_ended(
    house: House, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*PAINT, "--yes", "--expect", "6") == exits.OK
    text = capsys.readouterr().out
    assert "done: painted 6 of 6" in text
    (command,) = re.findall(r"mailtui (undo [0-9a-f]{12})", text)
    assert kinds(house)[0] == "intent" and kinds(house)[-1] == "outcome"
    assert set(WALL.colours.values()) == {"red"}
    assert run(*command.split(), "--yes") == exits.OK
    assert set(WALL.colours.values()) == {"none"}
    assert "done: stripped 6 of 6" in capsys.readouterr().out
    assert run(*command.split(), "--yes") == exits.USAGE
    assert "was taken back already by" in capsys.readouterr().err
    # and the last that can be taken back is chosen without a name: there is none left
    assert run("undo", "--yes") == exits.USAGE


def test_undo_without_a_name_takes_the_last_of_ones_own(house: House) -> None:
    assert run("do", "test.paint", "--where", "id:b0", "--yes") == exits.OK
    assert run("do", "test.paint", "--where", "id:b1", "--yes") == exits.OK
    house.person = Person(name="ann")
    assert run("do", "test.paint", "--where", "id:b2", "--yes") == exits.OK
    house.person = Person()
    assert run("undo", "--yes") == exits.OK
    assert WALL.colours == {("mx1", "b0"): "red", ("mx2", "b1"): "none", ("mx1", "b2"): "red"}
    assert run("undo", "--yes") == exits.OK
    assert WALL.colours["mx1", "b0"] == "none"


def stops(step: Any, task: Any) -> None:
    task.stop()


def unpaints(step: Any, task: Any) -> None:
    WALL.colours.clear()


@pytest.mark.parametrize(
    ("during", "reading", "code", "state"),
    [
        (stops, None, exits.WARNING, "partly"),
        (acting.lost, None, exits.WARNING, "partly"),
        (unpaints, None, exits.CRITICAL, "failed"),
        (None, acting.lost, exits.UNKNOWN, "unknown"),
    ],
)
def test_the_exit_code_is_how_it_ended(
    house: House, during: Any, reading: Any, code: int, state: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    if during is not None:
        WALL.during = during
    if reading is not None:
        WALL.reading = reading
    assert run(*PAINT, "--yes", "-o", "json") == code
    found = answer(capsys)
    assert (found["exit_code"], found["outcome"]["state"]) == (code, state)
    if state == "partly":
        assert len(found["outcome"]["left"]) == 3
        assert found["outcome"]["undo"]["command"] == f"mailtui undo {found['outcome']['run']}"
    if state == "unknown":
        assert found["outcome"]["done"] is None


def test_many_that_were_left_are_shortened_in_text_alone(
    house: House, capsys: pytest.CaptureFixture[str]
) -> None:
    house.rows = bricks(100)
    WALL.during = stops
    assert run(*PAINT, "--yes") == exits.WARNING
    text = capsys.readouterr().out
    assert text.count("stopped by the operator") == 20
    assert "30 more" in text


def test_nothing_to_do_is_fine(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("do", "test.paint", "--where", "id:nothing", "--yes") == exits.OK
    assert "none of 6 bricks matches: there is nothing to do" in capsys.readouterr().err
    house.person.limited = frozenset({"c"})
    assert run(*PAINT, "--yes") == exits.OK
    assert "nothing to paint" in capsys.readouterr().err
    assert kinds(house) == []


def test_rows_beyond_those_that_were_read_are_said(
    house: House, capsys: pytest.CaptureFixture[str]
) -> None:
    house.more = 1000
    assert run(*PAINT, "--dry-run") == exits.OK
    assert "6 rows were read, and 1,000 more exist: those are not in the plan" in (
        capsys.readouterr().out
    )


def test_a_source_that_gave_no_answer(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    house.rows = ()
    house.readings = [Reading("bricks", "mx1", fault=Fault("timeout", "mx1: no answer"))]
    assert run(*PAINT, "--yes") == exits.UNAVAILABLE
    assert "mx1: no answer" in capsys.readouterr().err
    house.readings = []
    assert run(*PAINT, "--yes") == exits.UNAVAILABLE
    assert "which this context does not have" in capsys.readouterr().err


def test_a_blocker_and_a_count_that_is_not_as_expected(
    house: House, capsys: pytest.CaptureFixture[str]
) -> None:
    for flag in ("--yes", "--dry-run"):
        assert run(*PAINT, flag, "--expect", "5") == exits.UNAVAILABLE
        assert "--expect 5: the plan has 6" in capsys.readouterr().err
    house.rows = (*bricks(2), Brick("mx1", "rain"))
    for flag in ("--yes", "--dry-run"):
        assert run("do", "test.paint", "--where", "host:mx", flag) == exits.UNAVAILABLE
        assert "it rains" in capsys.readouterr().err
    assert (WALL.commands, kinds(house)) == ([], ["plan", "plan"])
    house.rows = (Brick("mx1", "wet"),)
    assert run("do", "test.paint", "--where", "id:wet", "--yes") == exits.USAGE


def test_who_may_not(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    house.person.refusal = "wall.paint needs the role operator"
    for flag in ("--yes", "--dry-run"):
        assert run(*PAINT, flag, "-o", "json") == exits.NO_PERMISSION
        assert answer(capsys)["why"] == "wall.paint needs the role operator"
    assert (kinds(house), WALL.commands) == (["refused", "refused"], [])
    assert run("do") == exits.OK
    listed = capsys.readouterr().out
    assert "nothing can be done here now" in listed
    assert listed.count("not now: wall.paint needs the role operator") == 3


def test_a_read_only_context(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    house.context = {"read_only": True}
    assert run(*PAINT, "--yes") == exits.NO_PERMISSION
    assert "read-only" in capsys.readouterr().err


def test_the_list_as_json(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("do", "-o", "json") == exits.OK
    found = answer(capsys)
    assert [o["operation"] for o in found["operations"]] == ["test.burn", "test.look", "test.paint"]
    assert found["operations"][2]["parameters"][0] == {
        "name": "colour", "required": False, "default": "red", "choices": ["red", "blue"],
        "help": "what to paint them",
    }  # fmt: skip
    assert found["operations"][0]["why_not"] is None


def test_the_word_and_the_code_of_what_destroys(
    house: House, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    burn = ("do", "test.burn", "--where", "id:b", "--yes")
    assert run(*burn, "--confirm", "burn 5") == exits.USAGE
    assert "the word to type was 'burn 6'" in capsys.readouterr().err
    house.person = Person(needs_code=True, enrolled=True, good={"123456"})
    word = ("--confirm", "burn 6")
    assert run(*burn, *word) == exits.USAGE
    assert "--code-stdin reads it" in capsys.readouterr().err
    for text, code in (("", exits.USAGE), ("654321\n", exits.NO_PERMISSION), ("123456\n", 0)):
        assert not WALL.commands
        monkeypatch.setattr(sys, "stdin", io.StringIO(text))
        assert run(*burn, *word, "--code-stdin") == code, text
    assert WALL.commands
    assert "123456" not in house.journal.path.read_text()
    said = capsys.readouterr()
    assert "123456" not in said.out + said.err


def test_somebody_else_is_at_work(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    held = Locks(house.journal.path).take(["lab test mx2"], "ann runs 'Burn 9 bricks' there")
    assert run(*PAINT, "--yes", "-o", "json") == exits.TRY_LATER
    assert "ann runs 'Burn 9 bricks' there" in answer(capsys)["why"]
    held.release()
    assert run(*PAINT, "--yes") == exits.OK


def test_the_journal_cannot_be_written(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    (house.journal.path.parent / "file").write_text("")
    house.journal = Journal(house.journal.path.parent / "file" / "journal.jsonl")
    for flag in ("--yes", "--dry-run"):
        assert run(*PAINT, flag) == exits.CANNOT_CREATE
        assert "cannot be written" in capsys.readouterr().err
    assert not WALL.commands


# --- two persons ---


def test_a_second_operator(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    house.context = {"operations": {"two_person": ("test.paint",)}}
    assert run(*PAINT, "--yes", "-o", "json") == exits.TRY_LATER
    number = answer(capsys)["request"]
    assert not WALL.commands
    approved = ("do", "--approved", str(number), "--yes")
    assert run(*approved) == exits.TRY_LATER
    assert f"request #{number} still waits" in capsys.readouterr().err
    assert run("approve", str(number), "--yes") == exits.NO_PERMISSION  # his own
    house.person = Person(name="ann")
    capsys.readouterr()
    assert run("approve", "-o", "json") == exits.OK
    assert [one["seq"] for one in json.loads(capsys.readouterr().out)] == [number]
    assert run("approve", str(number)) == exits.USAGE  # nobody can be asked
    capsys.readouterr()
    assert run("approve", f"#{number}", "--yes", "--why", "-seen") == exits.OK
    text = capsys.readouterr().out
    assert "Paint 6 bricks" in text
    assert "brush mx1 -" in text
    assert run(*approved) == exits.NO_PERMISSION  # it is not hers
    house.person = Person()
    house.rows = ()  # the frozen plan is run, whatever is there now
    assert run("do", "test.burn", *approved[1:]) == exits.USAGE
    assert run(*approved, "-o", "json") == exits.OK
    assert len(WALL.commands) == 2
    assert run(*approved) == exits.USAGE
    assert "is done: run as" in capsys.readouterr().err
    assert len(WALL.commands) == 2


def test_a_declined_request(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    house.context = {"operations": {"two_person": ("*",)}}
    assert run(*PAINT, "--yes") == exits.TRY_LATER
    house.person = Person(name="ann")
    number = house.journal.last().seq  # type: ignore[union-attr]
    assert run("approve", str(number), "--decline", "--why", "no", "--yes") == exits.OK
    house.person = Person()
    capsys.readouterr()
    assert run("do", "--approved", str(number), "--yes") == exits.NO_PERMISSION
    assert "declined by ann: no" in capsys.readouterr().err


def test_a_wrong_word_asks_nobody(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    house.context = {"operations": {"two_person": ("*",)}}
    burn = ("do", "test.burn", "--where", "id:b", "--yes", "--confirm")
    assert run(*burn, "burn 5") == exits.USAGE
    assert "the word to confirm was 'burn 6'" in capsys.readouterr().err
    assert "request" not in kinds(house)
    assert run(*burn, "burn 6") == exits.TRY_LATER
    assert "request" in kinds(house)


def test_an_undo_that_a_second_operator_approves(house: House) -> None:
    assert run(*PAINT, "--yes") == exits.OK
    house.context = {"operations": {"two_person": ("*",)}}
    assert run("undo", "--yes") == exits.TRY_LATER
    number = str(house.journal.last().seq)  # type: ignore[union-attr]
    house.person = Person(name="ann")
    assert run("approve", number, "--yes") == exits.OK
    house.person = Person()
    assert run("do", "--approved", number, "--yes") == exits.OK
    assert set(WALL.colours.values()) == {"none"}
    assert run("undo", "--yes") == exits.USAGE  # it is known as taken back


# --- a dry run's plan, as it was frozen ---


def last_line(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The words of the command that the dry run ends with, without the program's name."""
    words = shlex.split(capsys.readouterr().out.splitlines()[-1])
    assert words[0] == "mailtui"
    return words[1:]


def test_the_dry_runs_last_line_runs_exactly_its_plan(
    house: House, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("do", "test.burn", "--where", "id:b", "--dry-run") == exits.OK
    command = last_line(capsys)
    assert command == ["do", "--planned", "1", "--yes", "--confirm", "burn 6"]
    house.rows = bricks(40)  # more came meanwhile
    assert run("do", "test.burn", "--where", "id:b", *command[3:]) == exits.USAGE
    assert "the word to type was 'burn 40'" in capsys.readouterr().err
    assert run(*command) == exits.OK
    assert set(WALL.colours) == {(b.host, b.id) for b in bricks(6)}
    (entry,) = (e for e in history.read(house.journal, Locks(house.journal.path)) if e.seq == 1)
    ran = entry.sentence.removeprefix("run as ")
    assert (entry.state, entry.can_undo, len(ran)) == ("done", False, 12)
    assert run(*command) == exits.USAGE  # once
    assert f"dry run #1 was run already: {ran}" in capsys.readouterr().err
    assert len(WALL.commands) == 2


def test_the_last_line_names_the_platform(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    options = ("-c", "my file.yaml", "--context", "lab")
    assert run(*PAINT, "--dry-run", *options) == exits.OK
    assert last_line(capsys) == [*options, "do", "--planned", "1", "--yes"]
    assert run(*PAINT, "--dry-run", "--demo") == exits.OK  # it ends with the verb
    assert "--planned" not in capsys.readouterr().out
    house.person.refusal = "may not"
    assert run("do", "--planned", "1", "--yes") == exits.NO_PERMISSION


def test_whose_dry_run_it_is_and_where_and_which(
    house: House, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*PAINT, "--dry-run") == exits.OK
    planned = ("do", "--planned", "#1", "--yes")
    assert run("do", "test.burn", *planned[1:]) == exits.USAGE
    assert "dry run #1 is for test.paint, not test.burn" in capsys.readouterr().err
    house.person = Person(name="ann")
    assert run(*planned) == exits.NO_PERMISSION
    assert "dry run #1 is ops's" in capsys.readouterr().err
    house.person, house.name = Person(), "other"
    assert run(*planned) == exits.USAGE
    assert "dry run #1 is for lab, and this is other" in capsys.readouterr().err
    house.name = "lab"
    for argv in (("--planned", "1", "--approved", "1"), ("--planned", "x")):
        with pytest.raises(SystemExit):
            run("do", *argv, "--yes")
    assert not WALL.commands
    assert run(*planned[:-1], "--yes", "--expect", "5") == exits.UNAVAILABLE
    assert run("do", "test.paint", *planned[1:]) == exits.OK


def test_a_dry_run_grows_old_and_no_rehearsal_makes_it_young(
    house: House, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time()
    assert run(*PAINT, "--dry-run") == exits.OK
    monkeypatch.setattr(clock, "now", lambda: now + 14 * 60)
    assert run("do", "--planned", "1", "--dry-run") == exits.OK
    assert kinds(house) == ["plan", "plan"]
    monkeypatch.setattr(clock, "now", lambda: now + 16.5 * 60)
    capsys.readouterr()
    for number in ("1", "2"):
        assert run("do", "--planned", number, "--yes") == exits.UNAVAILABLE
        assert f"do: dry run #{number} is 16 m old, and 15 m is the most" in capsys.readouterr().err
    assert not WALL.commands


def test_a_frozen_plan_that_was_changed_is_not_run(
    house: House, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*PAINT, "--dry-run") == exits.OK
    (file,) = (house.journal.path.parent / "plans").iterdir()
    plan = gzip.decompress(file.read_bytes())
    file.write_bytes(gzip.compress(plan.replace(b'"b5"', b'"b7"')))
    assert run("do", "--planned", "1", "--yes") == exits.CANNOT_CREATE
    assert "was changed after it was frozen" in capsys.readouterr().err
    assert not WALL.commands


def test_a_dry_run_of_an_undo(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*PAINT, "--yes") == exits.OK
    capsys.readouterr()
    assert run("undo", "--dry-run") == exits.OK
    command = last_line(capsys)
    assert run(*command) == exits.OK
    assert set(WALL.colours.values()) == {"none"}
    assert run("undo", "--yes") == exits.USAGE  # it is known as taken back


def test_a_dry_run_that_a_second_operator_must_approve(
    house: House, capsys: pytest.CaptureFixture[str]
) -> None:
    house.context = {"operations": {"two_person": ("*",)}}
    assert run(*PAINT, "--dry-run") == exits.OK
    command = last_line(capsys)
    assert run(*command, "-o", "json") == exits.TRY_LATER
    number = str(answer(capsys)["request"])
    house.person = Person(name="ann")
    assert run("approve", number, "--yes") == exits.OK
    house.person = Person()
    capsys.readouterr()
    assert run("do", "--approved", number, "--dry-run") == exits.OK
    command = last_line(capsys)
    assert command == ["do", "--approved", number, "--yes"]
    assert run(*command) == exits.OK
    assert set(WALL.colours.values()) == {"red"}


# --- Ctrl-C ---


def test_ctrl_c_ends_it_after_the_step(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    async def ctrl_c(step: Any, task: Any) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        while not task.stopping:
            await asyncio.sleep(0.01)

    WALL.during = ctrl_c
    assert run(*PAINT, "--yes") == exits.WARNING
    said = capsys.readouterr()
    assert "Ctrl-C again ends it at once" in said.err
    assert "stopped by the operator" in said.out
    assert WALL.commands == ["brush mx1 -"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_one_ends_it_at_once(
    house: House, number: int, capsys: pytest.CaptureFixture[str]
) -> None:
    async def hangs(step: Any, task: Any) -> None:
        os.kill(os.getpid(), number)
        await asyncio.sleep(0.05)
        os.kill(os.getpid(), number)
        await asyncio.sleep(600)

    WALL.during = hangs
    assert run(*PAINT, "--yes") == 128 + number
    said = capsys.readouterr().err
    assert re.search(r"ended at once; run [0-9a-f]{12} is partly: painted 3 of 6", said), said


def test_a_second_one_while_it_cannot_be_read_back(
    house: House, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from mailtui.headless import carrying_out

    monkeypatch.setattr(carrying_out, "GRACE", 0.05)
    verify = acting.Paint.verify

    async def never(*_: Any) -> Any:
        await asyncio.sleep(600)

    async def hangs(step: Any, task: Any) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(600)

    WALL.during = hangs
    monkeypatch.setattr(acting.Paint, "verify", never)
    assert run(*PAINT, "--yes") == 143
    said = capsys.readouterr().err
    (number,) = re.findall(r"run ([0-9a-f]{12}) is interrupted", said)
    assert f"mailtui journal settle {number} reads back" in said
    monkeypatch.setattr(acting.Paint, "verify", verify)
    assert run("journal", "settle", number) == exits.WARNING
    assert "partly: painted 3 of 6" in capsys.readouterr().out
    assert run("journal", "settle", number) == exits.USAGE


# --- the journal's verbs ---


def test_journal_list_and_show(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("journal", "list") == exits.OK
    assert "the journal is empty" in capsys.readouterr().err
    run(*PAINT, "--dry-run")
    WALL.during = stops
    run(*PAINT, "--yes")
    capsys.readouterr()
    assert run("journal", "list", "-o", "json") == exits.OK
    first, second = answer(capsys)["entries"]
    assert (first["state"], first["done"], second["state"]) == ("partly", 3, "planned")
    assert run("journal", "list", "--where", "state:planned", "--limit", "1") == exits.OK
    out = capsys.readouterr().out
    assert "#1" in out and first["id"] not in out
    assert run("journal", "show", first["id"][:6]) == exits.OK
    text = capsys.readouterr().out
    for words in (
        "partly  Paint 6 bricks", "test.paint by ops at jump on lab", "the frozen plan:",
        "$ brush mx2 -", "partly: painted 3 of 6", "left  mx2  b1  stopped by the operator",
        "step-end  step=mx1  place=mx1  painted=3", f"mailtui undo {first['id']}",
    ):  # fmt: skip
        assert words in text, words
    assert run("journal", "show", "1", "-o", "json") == exits.OK
    found = answer(capsys)
    assert (found["id"], found["plan"]["count"], found["outcome"]) == ("#1", 6, None)


def test_journal_verify_names_what_is_broken(
    house: House, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("journal", "verify") == exits.OK
    run(*PAINT, "--yes")
    run(*PAINT, "--dry-run")
    capsys.readouterr()
    assert run("journal", "verify") == exits.OK
    # a rehearsal within the clock's same instant freezes the same plan: one file
    assert re.search("whole: 7 records, [23] plans and outcomes", capsys.readouterr().out)
    whole = house.journal.path.read_bytes()
    house.journal.path.write_bytes(whole.replace(b"brush mx2", b"brush mx3", 1))
    assert run("journal", "verify", "-o", "json") == exits.CRITICAL
    found = answer(capsys)
    assert found["whole"] is False
    assert found["broken"][0]["line"] == 1
    house.journal.path.write_bytes(whole)
    for file in (house.journal.path.parent / "plans").glob("*.outcome.gz"):
        file.write_bytes(gzip.compress(b"{}"))
    assert run("journal", "verify") == exits.CRITICAL
    assert re.search(r"#6: .*outcome.gz was changed after the run", capsys.readouterr().out)
    assert run("journal", "verify", "--audit") == exits.CRITICAL


def test_journal_verify_finds_one_byte_among_ten_thousand_records(
    house: House, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", lambda descriptor: None)
        for number in range(10_000):
            house.journal.append("step", "ops", run="aa", place="mx1", count=number)
    assert run("journal", "verify") == exits.OK
    assert "whole: 10,000 records" in capsys.readouterr().out
    lines = house.journal.path.read_bytes().splitlines(keepends=True)
    lines[7_215] = lines[7_215].replace(b'"count":7215', b'"count":7214')
    house.journal.path.write_bytes(b"".join(lines))
    assert run("journal", "verify") == exits.CRITICAL
    said = capsys.readouterr().out
    assert "BROKEN: 10,000 records" in said
    assert re.findall(r"^  line (\S+) \((\S+)\)", said, re.M) == [("7,216", "#7216")]


def test_a_journal_that_cannot_be_read(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    house.journal.path.write_bytes(b"nonsense\n")
    assert run("journal", "list") == exits.UNAVAILABLE
    assert "mailtui journal verify says which" in capsys.readouterr().err
    assert run("journal", "ship") == exits.UNAVAILABLE
    assert "journal.index is not set" in capsys.readouterr().err


# --- on a terminal ---

ON_A_TERMINAL = """
import sys
from pathlib import Path
import pytest
from tests.unit import acting, test_do
house = test_do.House(Path(sys.argv[1]))
if sys.argv[2] == "code":
    house.person = acting.Person(needs_code=True, enrolled=True, good={"123456"})
test_do.patch(house, pytest.MonkeyPatch())
code = test_do.run(*sys.argv[3:])
sys.stdout.flush()
print("commands", len(acting.WALL.commands), "exit", code, flush=True)
"""


def on_a_terminal(
    folder: Path, who: str, argv: tuple[str, ...], talk: list[tuple[str, str]]
) -> str:
    """What a terminal shows; `talk`: (what is waited for, what is typed then)."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(Path(__file__).parents[2])
        os.execv(sys.executable, [sys.executable, "-c", ON_A_TERMINAL, str(folder), who, *argv])
    shown, end = b"", time.monotonic() + 30
    while time.monotonic() < end:
        if not select.select([terminal], [], [], 0.1)[0]:
            continue
        try:
            data = os.read(terminal, 4096)
        except OSError:
            break
        if not data:
            break
        shown += data
        if talk and talk[0][0].encode() in shown.rpartition(b"$$")[2]:
            shown += b"$$"
            os.write(terminal, talk.pop(0)[1].encode())
    os.close(terminal)
    os.waitpid(pid, 0)
    assert not talk, shown.decode()
    return shown.decode()


BURN = ("do", "test.burn", "--where", "id:b")


@pytest.mark.parametrize(
    ("who", "argv", "talk", "result"),
    [
        ("", PAINT, [("run it? [y/N]", "y\n")], "commands 2 exit 0"),
        ("", PAINT, [("run it? [y/N]", "\n")], "commands 0 exit 0"),
        ("", PAINT, [("run it? [y/N]", "n\n")], "commands 0 exit 0"),
        ("", PAINT, [("run it? [y/N]", "\x04")], "commands 0 exit 64"),
        ("", PAINT, [("run it? [y/N]", "\x03")], ""),
        ("", BURN, [("type 'burn 6' to run it", "burn 6\n")], "commands 2 exit 0"),
        ("", BURN, [("type 'burn 6' to run it", "y\n")], "commands 0 exit 64"),
        ("", BURN, [("type 'burn 6' to run it", "\n")], "commands 0 exit 0"),
        ("code", BURN, [("to run it", "burn 6\n"), ("not shown", "123456\n")], "commands 2 exit 0"),
        ("code", BURN, [("to run it", "burn 6\n"), ("not shown", "000000\n")], "exit 77"),
    ],
)  # fmt: skip
def test_on_a_terminal_it_asks(
    tmp_path: Path, who: str, argv: tuple[str, ...], talk: list[tuple[str, str]], result: str
) -> None:
    shown = on_a_terminal(tmp_path, who, argv, list(talk))
    assert "brush mx1 -" in shown  # the plan, before the question
    if result:
        assert result in shown
    else:
        assert "exit 0" not in shown  # Ctrl-C at the question
        assert not Journal(tmp_path / "journal.jsonl").last()
    assert "123456" not in shown
    assert "000000" not in shown


# --- on the sandbox ---


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A configuration that may act on a sandbox, with a journal of its own that is shipped."""
    folder = tmp_path_factory.mktemp("do")
    process = subprocess.Popen(
        [sys.executable, "-m", "mailtui.sandbox.main", "--parent", "--seed", "7",
         "--scenario", "destination-deferred", "--directory", str(folder / "box")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdin is not None and process.stdout is not None
    path = Path(json.loads(process.stdout.readline())["config"])
    settings = yaml.safe_load(path.read_text())
    (context,) = settings["contexts"].values()
    context["read_only"] = False
    settings["journal"] = {"path": str(folder / "state" / "journal.jsonl"), "index": "audit-acts"}
    settings["evidence"] = {"path": str(folder / "state" / "evidence")}
    settings["access"] = {"url": f"sqlite:///{folder / 'state' / 'operators.db'}"}
    (path.parent / "acting.yaml").write_text(yaml.safe_dump(settings))
    yield path.parent / "acting.yaml"
    process.stdin.close()
    process.wait(10)


def mailtui(config: Path, *argv: str) -> tuple[int, Any, str]:
    done = subprocess.run(
        [sys.executable, "-m", "mailtui", "-c", str(config), *argv],
        capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False,
        env={"PATH": "/usr/bin:/bin", "HOME": str(config.parent), "PYTHONUTF8": "1"},
    )  # fmt: skip
    try:
        return done.returncode, json.loads(done.stdout), done.stderr
    except ValueError:
        return done.returncode, done.stdout, done.stderr


WHERE = "destination:gmail.com reason:~421 age:>10m"
"""Old enough that none comes meanwhile."""


def held(config: Path) -> set[str]:
    code, found, _ = mailtui(config, "get", "messages", "--where", "queue:hold", "-o", "json")
    assert code == exits.OK
    return {row["id"] for row in found["rows"]}


def test_hold_on_the_sandbox_is_what_its_plan_said(sandbox: Path) -> None:
    before = held(sandbox)
    code, dry, _ = mailtui(
        sandbox, "do", "postfix.hold", "--where", WHERE, "--dry-run", "-o", "json"
    )
    assert code == exits.OK, dry
    planned = {one for step in dry["plan"]["steps"] for one in step["targets"]}
    assert len(planned) == dry["plan"]["count"] > 100
    assert all("postsuper -h -" in step["does"] for step in dry["plan"]["steps"])
    assert held(sandbox) == before  # nothing was changed
    code, done, errors = mailtui(
        sandbox, "do", "postfix.hold", "--where", WHERE, "--yes", "-o", "json"
    )
    assert code == exits.OK, errors
    outcome = done["outcome"]
    planned = {one for step in done["plan"]["steps"] for one in step["targets"]}
    left = {one["id"] for one in outcome["left"]}
    assert held(sandbox) - before == planned - left
    assert outcome["done"] + len(left) + outcome["left_more"] == outcome["planned"]
    code, listed, _ = mailtui(sandbox, "journal", "list", "-o", "json")
    assert [entry["state"] for entry in listed["entries"]] == ["done", "planned"]
    code, shown, _ = mailtui(sandbox, "journal", "show", outcome["run"], "-o", "json")
    assert {record["kind"] for record in shown["records"]} == {
        "intent", "step", "step-end", "outcome",
    }  # fmt: skip
    code, _, errors = mailtui(sandbox, "undo", "--yes", "-o", "json")
    assert code == exits.OK, errors
    assert held(sandbox) == before
    code, verified, errors = mailtui(sandbox, "journal", "verify", "--audit", "-o", "json")
    assert (code, verified["whole"]) == (exits.OK, True), errors
    assert verified["audit_records"] == verified["records"]
    # the audit's verb finds what was run, beside the platform's own events
    code, audit, _ = mailtui(
        sandbox, "get", "audit", "--where", "service:mailtui action:postfix.hold", "-o", "json"
    )
    ended = [row for row in audit["rows"] if ": outcome: " in row["message"]]
    assert (code, len(ended), ended[0]["outcome"]) == (exits.OK, 1, "success")
    assert outcome["sentence"] in ended[0]["message"]


def test_what_a_dry_run_froze_is_deleted_though_more_came(sandbox: Path) -> None:
    where = "destination:gmail.com reason:~421 host:mx1 size:>8k"
    code, dry, _ = mailtui(
        sandbox, "do", "postfix.delete", "--where", where, "--dry-run", "-o", "json"
    )
    assert code == exits.OK
    planned = {one for step in dry["plan"]["steps"] for one in step["targets"]}
    run = ("do", "--planned", str(dry["planned"]), "--yes", "-o", "json")
    code, answer, _ = mailtui(sandbox, *run, "--confirm", dry["needs"]["word"])
    outcome = answer["outcome"]
    assert (code, answer["plan"]["digest"]) == (
        exits.OK if outcome["done"] == len(planned) else exits.WARNING,  # delivered meanwhile
        dry["plan"]["digest"],
    )
    assert outcome["done"] + len(outcome["left"]) + outcome["left_more"] == len(planned) > 0
    code, found, _ = mailtui(sandbox, "get", "messages", "--where", where, "-o", "json")
    assert planned.isdisjoint(row["id"] for row in found["rows"] if row["host"] == "mx1")
    code, again, _ = mailtui(sandbox, *run, "--confirm", dry["needs"]["word"])
    assert (code, again["outcome"]) == (exits.USAGE, None)
    assert outcome["run"] in again["why"]


def test_acting_on_a_sandbox_that_is_gone(sandbox: Path, tmp_path: Path) -> None:
    settings = yaml.safe_load(sandbox.read_text())
    (context,) = settings["contexts"].values()
    for host in context["hosts"].values():
        host["port"] = 9  # discard: nobody listens
    settings["journal"] = {"path": str(tmp_path / "journal.jsonl")}
    gone = sandbox.with_name("gone.yaml")
    gone.write_text(yaml.safe_dump(settings))
    code, found, errors = mailtui(
        gone, "do", "postfix.hold", "--where", WHERE, "--yes", "-o", "json"
    )
    assert code == exits.UNAVAILABLE, errors
    assert found["plan"] is None
    assert (
        not (tmp_path / "journal.jsonl").exists() or not Journal(tmp_path / "journal.jsonl").last()
    )
