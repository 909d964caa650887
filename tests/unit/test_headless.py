"""The headless verbs: rows, order, what is unknown, exit codes, following without gaps."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import psutil
import pytest

from mailtui.collectors.audit_search import AuditSearch, QueryError
from mailtui.config import load
from mailtui.config.settings import Context
from mailtui.connections.errors import SourceError
from mailtui.headless import audit, exits, get, resources, session, sources, status, tail, text
from mailtui.headless.errors import Refused
from mailtui.model.audit import AuditEvent, AuditPage
from mailtui.model.reading import AnyReading, Fault, Reading
from mailtui.resources import export
from mailtui.resources.base import Column, Resource
from tests.unit.test_cli import parse

Row = dict[str, Any]


def column(name: str, **more: Any) -> Column[Row]:
    return Column(name, name, lambda row: row.get(name), **more)


THINGS: Resource[Row] = Resource(
    name="things",
    title="things",
    columns=(
        column("name", width=6, flex=1, truncate="middle"),
        column("size", align="right", priority=1),
        column("note", priority=2),
    ),
    key=lambda row: str(row["name"]),
    empty="there is no thing",
)
ROWS: list[Row] = [
    {"name": "b", "size": 2, "note": "x"},
    {"name": "a", "size": None, "note": None},
    {"name": "C", "size": 10.5, "note": "-1+1"},
]


def plan(*argv: str, resource: Resource[Row] = THINGS) -> get.Plan:
    known = resources.Known("things", resource, (), lambda p: ROWS, lambda s: 0)
    return get.Plan(known, parse("get", "things", *argv))


def names(rows: list[Row]) -> str:
    return "".join(row["name"] for row in rows)


# --- get: order, filter, columns ---


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        ((), "baC"),
        (("--sort", "name"), "abC"),
        (("--sort", "-name"), "Cba"),
        (("--sort", "size"), "bCa"),
        (("--sort", "-size"), "Cba"),  # unknown is last in both directions
        (("--where", "size:>1"), "bC"),
        (("--where", "-size:?"), "bC"),
        (("--where", "note:?"), "a"),
    ],
)
def test_rows_that_match_in_order(argv: tuple[str, ...], expected: str) -> None:
    assert names(plan(*argv).chosen(ROWS)) == expected
    assert names(ROWS) == "baC"  # the state's own list is left as it was


def test_wrong_columns_and_filters_are_refused_before_anything_is_read() -> None:
    for argv, words in (
        (("--sort", "nmae"), "no column 'nmae' .*name, size, note"),
        (("--columns", "name,nothing"), "no column 'nothing'"),
        (("--where", "siez:>3"), "did you mean size"),
    ):
        with pytest.raises(Refused, match=words) as refused:
            plan(*argv)
        assert refused.value.code == exits.USAGE


def test_columns_are_chosen_and_ordered() -> None:
    assert [c.name for c in plan("--columns", "size, name").columns] == ["size", "name"]


def test_every_resource_of_the_house_is_there() -> None:
    known = resources.known()
    assert set(known) >= {
        "alerts", "audit", "bans", "broker", "broker-connections", "broker-nodes", "certificates",
        "disks", "hosts", "indices", "jails", "messages", "problems", "queues", "units",
    }  # fmt: skip
    everything = {"problems", "sources"}
    for name, entry in known.items():
        columns = [c.name for c in entry.resource.columns]
        assert len(set(columns)) == len(columns), name
        assert all(c == c.lower() and " " not in c for c in columns), name
        assert entry.sources or name in everything, name
    with pytest.raises(Refused, match="did you mean messages"):
        resources.one("mesages")
    assert resources.one("broker_nodes").name == "broker-nodes"


# --- get: formats ---


def test_json_knows_unknown() -> None:
    values = json.loads(export.as_json(THINGS, ROWS))
    assert values[1] == {"name": "a", "size": None, "note": None}
    assert export.plain(float("nan")) is None
    assert export.plain((1, float("inf"), {"b", "a"})) == [1, None, ["a", "b"]]


def test_csv_guards_against_formulas() -> None:
    rows = [
        {"name": name, "size": -3, "note": None}
        for name in ("=HYPERLINK(1)", "+1", "-1", "@x", "\tx", "plain", 'quo"te,', "a\nb")
    ]
    head, *lines = list(csv.reader(io.StringIO(export.as_csv(THINGS, rows))))
    assert head == ["name", "size", "note"]
    assert [line[0] for line in lines] == [
        "'=HYPERLINK(1)", "'+1", "'-1", "'@x", "'\tx", "plain", 'quo"te,', "a\nb",
    ]  # fmt: skip
    assert {line[1] for line in lines} == {"-3"}  # a number stays a number
    assert {line[2] for line in lines} == {""}
    assert export.as_csv(THINGS, [{"name": ("=a", "b")}]).splitlines()[1] == "'=a b,,"


class Stream(io.StringIO):
    encoding = "utf-8"

    def __init__(self, terminal: bool) -> None:
        super().__init__()
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal


def lines_of(
    rows: list[Row], monkeypatch: pytest.MonkeyPatch, width: int | None, **env: str
) -> list[str]:
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"COLUMNS": str(width or 80), **env}.items():
        monkeypatch.setenv(name, value)
    return list(text.table(THINGS.columns, rows, Stream(width is not None)))


def test_a_table_is_aligned_by_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[Row] = [
        {"name": "日本", "size": 7, "note": "wide"},
        {"name": "e\u0301x", "size": 12345, "note": "combining"},
        {"name": "x" * 200, "size": None, "note": ""},
    ]
    head, *lines = lines_of(rows, monkeypatch, None)
    assert head.split() == ["NAME", "SIZE", "NOTE"]
    assert lines[2].startswith("x" * 200)  # a pipe has no width
    assert lines[2].endswith("?")
    from rich.cells import cell_len

    ends = {
        cell_len(line[: line.index(word)])
        for line, word in zip(lines, ("wide", "comb"), strict=False)
    }
    assert len(ends) == 1


def test_a_table_fits_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[Row] = [{"name": "x" * 60, "size": 1, "note": "n" * 60}]
    from rich.cells import cell_len

    for width in (80, 40, 20):
        lines = lines_of(rows, monkeypatch, width, TERM="xterm")
        assert all(cell_len(line) <= width for line in lines), lines
    assert "NOTE" not in lines_of(rows, monkeypatch, 20, TERM="xterm")[0]
    assert "NAME" in lines_of(rows, monkeypatch, 20, TERM="xterm")[0]


def test_colours_only_on_a_terminal_that_wants_them(monkeypatch: pytest.MonkeyPatch) -> None:
    for terminal, env, wanted in (
        (True, {"TERM": "xterm"}, True),
        (True, {"TERM": "xterm", "NO_COLOR": "1"}, False),
        (True, {"TERM": "dumb"}, False),
        (False, {"TERM": "xterm"}, False),
    ):
        monkeypatch.delenv("NO_COLOR", raising=False)
        for name, value in env.items():
            monkeypatch.setenv(name, value)
        assert text.wants_color(Stream(terminal)) is wanted
    assert text.painted("x", "critical", True) == "\x1b[1;31mx\x1b[0m"
    assert text.painted("x", "critical", False) == "x"


# --- sources ---

GOOD: AnyReading = Reading("postfix", "mx1", value=1, read_at=100.0)
ABSENT: AnyReading = Reading("postfix", "db1", fault=Fault("missing-tool", "no"), absent=True)
NEVER: AnyReading = Reading("postfix", "mx2", fault=Fault("timeout", "no answer", "try"))
STALE: AnyReading = Reading("postfix", "mx3", value=1, read_at=90.0, fault=Fault("auth", "denied"))


def test_what_the_sources_said_as_objects() -> None:
    objects = sources.as_objects([GOOD, ABSENT, NEVER, STALE], 103.5)
    assert [o["status"] for o in objects] == ["fresh", "absent", "never", "stale"]
    assert [o["age"] for o in objects] == [3.5, None, None, 13.5]
    assert [o["error"] for o in objects] == [None, "no", "no answer; try", "denied"]


@pytest.mark.parametrize(
    ("counts", "readings", "code"),
    [
        ((0, 0, 0), [GOOD], exits.OK),
        ((0, 0, 0), [GOOD, ABSENT], exits.OK),
        ((0, 1, 0), [GOOD, NEVER], exits.WARNING),
        ((1, 1, 1), [GOOD], exits.CRITICAL),
        ((0, 0, 1), [GOOD], exits.UNKNOWN),
        ((0, 0, 0), [GOOD, NEVER], exits.UNKNOWN),
        ((0, 0, 0), [GOOD, STALE], exits.UNKNOWN),
        ((0, 0, 0), [NEVER], exits.UNKNOWN),
        ((0, 0, 0), [], exits.UNKNOWN),
    ],
)
def test_exit_code_of_status(
    counts: tuple[int, int, int], readings: list[AnyReading], code: int
) -> None:
    named = dict(zip(("critical", "warning", "unknown"), counts, strict=True))
    assert status.exit_code(named, readings) == code


def test_a_context_is_narrowed_to_what_is_needed() -> None:
    example = load.parse(Path("config.example.yaml").read_text(), Path("x.yaml"))
    context = example.contexts["production"]
    from mailtui.config.settings import SOURCES

    def on(narrowed: Context) -> set[str]:
        return {n for n, model in SOURCES.items() if narrowed.source(n, model) is not None}

    assert on(session.narrowed(context, ("postfix",))) == {"postfix"}
    assert on(session.narrowed(context, ("audit",))) == {"elasticsearch"}
    assert on(session.narrowed(context, ("hosts", "prometheus"))) == {"hosts", "prometheus"}
    assert on(session.narrowed(context, ("broker_connections",))) == {"rabbitmq"}
    assert on(session.narrowed(context, ())) == set(SOURCES)


def test_every_source_that_a_resource_names_is_read_somewhere() -> None:
    from mailtui.config.settings import SOURCES

    for name, entry in resources.known().items():
        for source in entry.sources:
            # the journal is this machine's, not a context's
            assert source == "journal" or session.SETTINGS_OF.get(source, source) in SOURCES, name


# --- tail ---


class Server:
    """An audit trail: events become visible when they are put, whatever their time is."""

    def __init__(self) -> None:
        self.events: list[AuditEvent] = []
        self.down: Exception | None = None
        self.requests = 0

    def put(self, *events: tuple[str, float]) -> None:
        self.events += [AuditEvent(id=name, time=at, action=name) for name, at in events]

    async def search(
        self,
        query: str,
        start: float | None,
        end: float | None,
        limit: int,
        *,
        newest_first: bool = True,
    ) -> AuditPage:
        self.requests += 1
        if self.down is not None:
            raise self.down
        found = [
            e
            for e in self.events
            if (start is None or e.time >= start) and (end is None or e.time < end)
        ]
        found.sort(key=lambda e: e.time, reverse=newest_first)
        return AuditPage(tuple(found[:limit]), len(found))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.setattr(audit, "BATCH", 4)
    return Server()


def follower(server: Server, overlap: float = 10.0) -> audit.Follower:
    return audit.Follower(cast("AuditSearch", server), "", overlap)


async def came(following: audit.Follower) -> list[str]:
    return [event.id async for event in following.follow()]


async def test_a_tail_gives_every_event_once(server: Server) -> None:
    now = time.time()
    server.put(*((f"old{n}", now - 100 + n) for n in range(12)))
    following = follower(server)
    first = [event.id for event in await following.begin(None)]
    assert first == [f"old{n}" for n in range(2, 12)]
    assert await came(following) == []
    server.put(("new1", now - 1), ("new2", now - 1))
    assert await came(following) == ["new1", "new2"]
    server.put(("late", now - 8))
    assert await came(following) == ["late"]
    assert await came(following) == []


async def test_a_burst_within_the_overlap_is_read_whole(server: Server) -> None:
    now = time.time()
    following = follower(server)
    assert await following.begin(60.0) == ()
    server.put(*((f"e{n}", now) for n in range(40)))  # ten batches at one moment
    assert sorted(await came(following)) == sorted(f"e{n}" for n in range(40))
    assert await came(following) == []


async def test_a_long_outage_leaves_no_gap(server: Server) -> None:
    now = time.time()
    following = follower(server, overlap=1.0)
    await following.begin(1000.0)
    server.put(*((f"e{n}", now - 900 + n * 5) for n in range(100)))
    assert await came(following) == [f"e{n}" for n in range(100)]


async def test_an_event_of_the_future_hides_nothing(server: Server) -> None:
    now = time.time()
    following = follower(server)
    await following.begin(10.0)
    server.put(("ahead", now + 3600))
    assert await came(following) == ["ahead"]
    server.put(("after", now))
    assert await came(following) == ["after"]
    assert await came(following) == []


async def test_a_lost_connection_is_said_once_and_nothing_is_lost(
    server: Server, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time()
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 2:
            server.down = SourceError("unreachable", "elasticsearch: connection refused")
            server.put(("meanwhile", now - 1))
        if len(slept) == 5:
            server.down = None
        if len(slept) == 6:
            server.put(("last", now))

    server.put(("first", now - 5))
    monkeypatch.setattr(asyncio, "sleep", sleep)
    await tail.follow(follower(server), None, tail.Printer("text", 3), 2.0, "")
    said = capsys.readouterr()
    assert [line.split("  ")[3] for line in said.out.splitlines()] == ["first", "meanwhile", "last"]
    errors = said.err.splitlines()
    assert len(errors) == 2
    assert "connection refused; trying again" in errors[0]
    assert "answers again" in errors[1]
    assert slept[2:5] == [2.0, 4.0, 8.0]


async def test_a_query_that_is_not_understood_ends_the_tail(server: Server) -> None:
    server.down = QueryError("the query is not understood: x", 3)
    with pytest.raises(Refused) as refused:
        await tail.follow(follower(server), None, tail.Printer("text", 3), 2.0, "a: b")
    assert refused.value.code == exits.USAGE
    assert str(refused.value).splitlines()[1:] == ["  a: b", "     ^"]


def test_rows_of_a_tail_are_those_of_get() -> None:
    event = AuditEvent(id="i/1", time=5.0, action="login", user="bob", outcome="failure")
    row = json.loads(tail.as_jsonl(event))
    assert set(row) == {c.name for c in resources.one("audit").resource.columns}
    assert row["user"] == "bob"


# --- the whole program ---


@pytest.fixture
def here(tmp_path: Path) -> dict[str, str]:
    """An environment in which this machine has a Postfix queue that a stranger wrote."""
    queue = (
        b'{"queue_name":"deferred","queue_id":"4bXk2Q7zWnz1Kp","arrival_time":1700000000,'
        b'"message_size":3000,"forced_expire":false,'
        b'"sender":"=cmd\\u001b]52;c;ZXZpbA==\\u0007@x.example",'
        b'"recipients":[{"address":"[/red]a\xe2\x80\xaeb@Example.org",'
        b'"delay_reason":"\xc2\x9b5m\xff 421 \x1b[2J busy"}]}\n'
    )
    (tmp_path / "queue").write_bytes(queue)
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    (bin_ / "postqueue").write_text(f"#!/bin/sh\ncat {tmp_path}/queue\n")
    (bin_ / "postqueue").chmod(0o755)
    config = tmp_path / "config.yaml"
    config.write_text("contexts: {lab: {hosts: {here: {local: true, roles: [mx]}}}}\n")
    return {"PATH": f"{bin_}:/usr/sbin:/usr/bin:/bin", "HOME": str(tmp_path), "TERM": "dumb",
            "MAILTUI_CONFIG": str(config), "PYTHONUTF8": "1"}  # fmt: skip


def mailtui(env: dict[str, str], *argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mailtui", *argv],
        capture_output=True, text=True, stdin=subprocess.DEVNULL, env=env, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("form", ["table", "json", "jsonl", "csv"])
def test_what_a_stranger_wrote_reaches_no_terminal(here: dict[str, str], form: str) -> None:
    done = mailtui(here, "get", "messages", "-o", form)
    assert done.returncode == exits.OK, done.stderr
    assert "4bXk2Q7zWnz1Kp" in done.stdout
    assert "421" in done.stdout
    for bad in ("\x1b", "\x07", "\x9b", "\u202e"):
        assert bad not in done.stdout
        assert bad not in done.stderr
    assert "[/red]a\ufffdb@" in done.stdout
    if form == "json":
        answer = json.loads(done.stdout)
        assert list(answer) == ["context", "simulation", "resource", "read_at", "count", "matched",
                                "more", "sources", "rows"]  # fmt: skip
        assert (answer["context"], answer["simulation"]) == ("lab", False)
        assert (answer["count"], answer["matched"], answer["more"]) == (1, 1, 0)
        assert [s["source"] for s in answer["sources"]] == ["postfix"]
        assert answer["rows"][0]["arrived"] == 1700000000
    if form == "csv":
        assert "'=cmd\ufffd]52;" in done.stdout


def test_a_source_without_an_answer(here: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "bin" / "postqueue").write_text(
        "#!/bin/sh\necho 'postqueue: fatal: \x1b[2Jbroken' >&2\nexit 69\n"
    )
    done = mailtui(here, "get", "messages", "-o", "json")
    assert done.returncode == exits.UNAVAILABLE
    assert json.loads(done.stdout)["sources"][0]["status"] == "never"
    assert "postfix here:" in done.stderr
    assert "\x1b" not in done.stderr
    done = mailtui(here, "get", "broker")
    assert done.returncode == exits.UNAVAILABLE
    assert "rabbitmq, which this context does not have" in done.stderr


def test_status_of_this_machine_as_json(here: dict[str, str]) -> None:
    done = mailtui(here, "status", "-o", "json")
    answer = json.loads(done.stdout)
    assert answer["exit_code"] == done.returncode
    assert answer["status"] == status.WORDS[done.returncode].lower()
    assert [tile["name"] for tile in answer["flow"]] == [
        "in", "deferred", "out", "oldest", "logins", "pipeline",
    ]  # fmt: skip
    flow = {tile["name"]: tile["value"] for tile in answer["flow"]}
    assert flow["in"] is None  # there is no Prometheus: unknown, not 0
    assert flow["deferred"] == 1
    brief = mailtui(here, "status", "--brief")
    assert brief.stdout.startswith(f"MAILTUI {status.WORDS[brief.returncode]} - lab: ")
    assert brief.stdout.count("\n") == 1
    assert "| critical=" in brief.stdout


# --- the demo ---


def test_demo_messages_as_json_with_no_terminal() -> None:
    done = mailtui({"PATH": "/usr/bin:/bin"}, "--demo", "get", "messages", "-o", "json")
    assert done.returncode == exits.OK, done.stderr
    answer = json.loads(done.stdout)
    assert answer["simulation"] is True
    assert answer["count"] == len(answer["rows"]) > 100
    assert {row["queue"] for row in answer["rows"]} >= {"deferred"}


@pytest.mark.parametrize("term", [None, "dumb", "linux"])
def test_demo_shot_with_no_terminal(term: str | None, tmp_path: Path) -> None:
    env = {"PATH": "/usr/bin:/bin", **({"TERM": term, "NO_COLOR": "1"} if term else {})}
    svg = tmp_path / "overview.svg"
    done = mailtui(env, "--demo", "shot", "overview", "-o", str(svg))
    assert done.returncode == exits.OK, done.stderr
    picture = svg.read_text()
    assert picture.startswith("<svg")
    assert "SIMULATION" in picture
    assert "▲" in picture or "✖" in picture


def test_demo_shot_as_text(tmp_path: Path) -> None:
    done = mailtui({"PATH": "/usr/bin:/bin"}, "--demo", "shot", "overview", "--size", "90x24")
    assert done.returncode == exits.OK, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 24
    assert all(len(line) <= 90 for line in lines)
    assert "\x1b" not in done.stdout
    assert "SIMULATION" in lines[0]
    assert "reading…" not in done.stdout
    missing = tmp_path / "no" / "x.svg"
    done = mailtui({"PATH": "/usr/bin:/bin"}, "--demo", "shot", "overview", "-o", str(missing))
    assert done.returncode == exits.CANNOT_CREATE
    assert str(missing) in done.stderr


def test_demo_shot_of_a_filtered_list() -> None:
    env = {"PATH": "/usr/bin:/bin"}
    done = mailtui(env, "--demo", "shot", "hosts", "--where", "disks mount:=/var/vmail")
    assert done.returncode == exits.OK, done.stderr
    assert "/var/vmail" in done.stdout
    assert "/srv/borg" not in done.stdout
    done = mailtui(env, "--demo", "shot", "hosts", "--where", "disks muont:x")
    assert done.returncode == exits.USAGE
    assert "did you mean mount" in done.stderr


@pytest.mark.parametrize(
    ("end", "code"),
    [
        (psutil.Process.terminate, 143),
        (lambda process: process.send_signal(2), exits.INTERRUPTED),
        (psutil.Process.kill, -9),
    ],
)
def test_the_sandbox_ends_with_the_verb(end: Callable[[psutil.Process], None], code: int) -> None:
    verb = subprocess.Popen(
        [sys.executable, "-m", "mailtui", "tail", "audit", "--demo"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert verb.stdout is not None
    assert verb.stdout.readline()  # it follows
    process = psutil.Process(verb.pid)
    (sandbox,) = process.children()
    assert "mailtui.sandbox.main" in sandbox.cmdline()
    end(process)
    assert verb.wait(20) == code
    gone, alive = psutil.wait_procs([sandbox], timeout=20)
    for left in alive:
        left.kill()
    assert gone, "the sandbox outlived the verb"
    assert verb.stderr is not None
    assert "Traceback" not in verb.stderr.read()
