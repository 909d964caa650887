"""Suspended destinations: the operation, what is seen of it, and the program on the hosts."""

from __future__ import annotations

import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mailtui.model import clock
from mailtui.model.suspension import Suspension, parse
from mailtui.operations.base import NothingToDo, Refused
from mailtui.operations.postfix_suspender import domain_of, span_of
from mailtui.problems.postfix_suspended import find
from mailtui.resources import suspended
from tests.operating import NOW, Bench, sandbox_bench

PROGRAM = Path(__file__).resolve().parents[2] / "deploy" / "mailtui-suspend"


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    clock.set_clock(lambda: NOW + 1)
    async with sandbox_bench(tmp_path) as found:
        yield found
    clock.set_clock(None)


def problems(bench: Bench) -> list[str]:
    return [p.text for p in find(bench.platform.state, bench.platform.context, NOW + 2)]


async def test_suspend_is_seen_holds_mail_and_is_taken_back(bench: Bench) -> None:
    plan = await bench.plan(
        "postfix.suspend", destination="Gmail.com.", reason="they limit us", given={"for": "2h"}
    )
    assert plan.blockers == ()
    assert [step.place for step in plan.steps] == ["mx1", "mx2"]
    assert plan.steps[0].does == (
        "sudo -n -- /usr/local/sbin/mailtui-suspend <<< "
        f"add gmail.com {NOW + 7201} tester they limit us"
    )
    outcome = await bench.carry_out(plan)
    assert outcome.state == "done", outcome
    assert outcome.sentence == "suspended gmail.com on mx1, mx2"

    await bench.platform.read_all(["postfix_suspended"])
    rows = suspended.rows(bench.platform.state)
    assert [(r.host, r.destination, r.who, r.reason) for r in rows] == [
        ("mx1", "gmail.com", "tester", "they limit us"),
        ("mx2", "gmail.com", "tester", "they limit us"),
    ]
    assert "gmail.com is suspended until" in problems(bench)[0]
    assert problems(bench)[0].endswith("by tester: they limit us")

    spool = bench.spool()
    due = next(m for m in spool.queue("deferred") if m.recipients[0].address.endswith("@gmail.com"))
    spool.flush(bench.world.now, [due.queue_id])
    bench.world.advance(bench.world.now + 2)
    assert due.recipients[0].delay_reason == "delivery suspended by tester"

    back = await bench.undo(outcome)
    assert (back.state, back.sentence) == ("done", "resumed gmail.com on mx1, mx2"), back
    assert spool.suspended == {}
    again = await bench.undo(back)
    assert again.state == "done"
    assert spool.suspended["gmail.com"].until == NOW + 7201


async def test_it_ends_without_a_console(bench: Bench) -> None:
    plan = await bench.plan(
        "postfix.suspend", destination="gmail.com", reason="x", given={"for": "1m"}
    )
    await bench.carry_out(plan)
    bench.world.advance(bench.world.now + 70)
    assert bench.spool().suspended == {}
    with pytest.raises(NothingToDo, match="not suspended"):
        await bench.plan("postfix.resume", destination="gmail.com")


async def test_resume_of_rows(bench: Bench) -> None:
    plan = await bench.plan("postfix.suspend", destination="gmail.com", reason="x")
    await bench.carry_out(plan)
    await bench.platform.read_all(["postfix_suspended"])
    first, _ = suspended.rows(bench.platform.state)
    resume = await bench.plan("postfix.resume", [first])  # type: ignore[list-item]
    assert (await bench.carry_out(resume)).state == "done"
    assert bench.spool("mx1").suspended == {}
    assert set(bench.spool("mx2").suspended) == {"gmail.com"}


async def test_a_host_without_the_program_blocks(bench: Bench) -> None:
    machine = bench.sandbox.servers["ssh"].machine("mx2")
    del machine.commands["/usr/local/sbin/mailtui-suspend"]
    plan = await bench.plan("postfix.suspend", destination="gmail.com", reason="x")
    assert len(plan.blockers) == 1
    assert plan.blockers[0].startswith("mx2: /usr/local/sbin/mailtui-suspend is not there: install")


async def test_a_timer_that_does_not_run_is_said(bench: Bench) -> None:
    plan = await bench.plan(
        "postfix.suspend", destination="gmail.com", reason="x", given={"for": "1m"}
    )
    await bench.carry_out(plan)
    await bench.platform.read_all(["postfix_suspended"])
    (late,) = find(bench.platform.state, bench.platform.context, NOW + 1000)
    assert "mailtui-suspend.timer does not run" in late.text


@pytest.mark.parametrize(
    "text", ["", "gmail", "-x.com", "a..b", "a b.com", "x.com\nremove y.com", "*.com", "a_b.com"]
)
def test_what_is_no_domain_is_refused(text: str) -> None:
    with pytest.raises(Refused):
        domain_of(text)


def test_domains_and_spans() -> None:
    assert domain_of(" Bücher.Example. ") == "xn--bcher-kva.example"
    assert [span_of(t) for t in ("30m", "2h", "1 d")] == [1800.0, 7200.0, 86400.0]
    for text in ("", "2", "0m", "31d", "-1h", "1h 2m"):
        with pytest.raises(Refused):
            span_of(text)


# --- the program on the hosts


class Host:
    """The program with its paths below a folder, and a postconf and postmap of our own."""

    def __init__(self, folder: Path, maps: str = "hash:TABLE, hash:/etc/postfix/transport") -> None:
        self.folder, self.table = folder, folder / "mailtui_suspended"
        bin_ = folder / "bin"
        bin_.mkdir()
        (bin_ / "postconf").write_text(
            "#!/bin/sh\ncase $2 in default_database_type) echo hash;; "
            f"*) echo '{maps.replace('TABLE', str(self.table))}';; esac\n"
        )
        (bin_ / "postmap").write_text('#!/bin/sh\ncp "${1#hash:}" "${1#hash:}.db"\n')
        for tool in bin_.iterdir():
            tool.chmod(0o755)
        text = PROGRAM.read_text()
        for old, new in (
            ("PATH=/usr/sbin:", f"PATH={bin_}:/usr/sbin:"),
            ("/run/mailtui-suspend.lock", str(folder / "lock")),
            ("table=/etc/postfix/mailtui_suspended", f"table={self.table}"),
        ):
            assert old in text
            text = text.replace(old, new)
        self.program = folder / "program"
        self.program.write_text(text)

    def __call__(self, given: str, *argv: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sh", self.program, *argv], input=given, capture_output=True, text=True, check=False
        )


def test_the_program_keeps_the_lines_of_others(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.table.write_text("# ours by hand\nold.example smtp:[relay]\n")
    until = int(time.time()) + 3600
    done = host(f"add gmail.com {until} ann too many, 421 <x> $(id) `id` 'q'\n")
    assert done.returncode == 0, done.stderr
    lines = host.table.read_text().splitlines()
    assert lines[:2] == ["# ours by hand", "old.example smtp:[relay]"]
    assert lines[2] == f"# mailtui gmail.com {until} ann too many, 421 <x> $(id) `id` 'q'"
    assert lines[3].startswith("gmail.com retry:4.3.2 delivery suspended until 20")
    assert (tmp_path / "mailtui_suspended.db").read_text() == host.table.read_text()
    assert host.table.stat().st_mode & 0o777 == 0o644

    listed = host("list\n").stdout.splitlines()
    assert listed[0] == f"table hash:{host.table} first"
    (one,) = parse("mx1", "\n".join(listed), "suspended ")
    assert one == Suspension("mx1", "gmail.com", float(until), "ann",
                             "too many, 421 <x> $(id) `id` 'q'")  # fmt: skip

    assert host(f"add gmail.com {until + 60} bob again\n").returncode == 0
    assert host.table.read_text().count("gmail.com retry:") == 1
    assert host("remove gmail.com\n").returncode == 0
    assert host.table.read_text() == "# ours by hand\nold.example smtp:[relay]\n"
    assert [p.name for p in tmp_path.glob("mailtui_suspended.*")] == ["mailtui_suspended.db"]


def test_the_program_removes_what_has_expired(tmp_path: Path) -> None:
    host = Host(tmp_path)
    now = int(time.time())
    host.table.write_text(
        f"# mailtui a.example {now - 1} ann x\na.example retry:4.3.2 x\n"
        f"# mailtui b.example {now + 900} ann x\nb.example retry:4.3.2 x\n"
    )
    assert host("expire\n").returncode == 0
    assert [line.split()[0] for line in host.table.read_text().splitlines()] == ["#", "b.example"]
    assert (tmp_path / "mailtui_suspended.db").read_text() == host.table.read_text()


def test_the_program_compiles_again_after_a_crash(tmp_path: Path) -> None:
    host = Host(tmp_path)
    assert host("list\n").returncode == 0
    host.table.write_text("x.example smtp:[y]\n")
    assert host("expire\n").returncode == 0
    assert (tmp_path / "mailtui_suspended.db").read_text() == "x.example smtp:[y]\n"


@pytest.mark.parametrize(
    "line",
    [
        "add gmail 9 ann x", "add -x.com 9 ann x", "add a..b 9 ann x", "add *.com 9 ann x",
        "add x.com/../y 9 ann x", "add GMAIL.com 9 ann x", "add gmail.com 9 ann x",
        "add gmail.com $(id) ann x", "add gmail.com 99999999999999 ann x", "remove",
        "remove ../x.com", "stop", "add gmail.com SOON a;b x",
    ],
)  # fmt: skip
def test_the_program_refuses_what_it_does_not_know(tmp_path: Path, line: str) -> None:
    host = Host(tmp_path)
    done = host(line.replace("SOON", str(int(time.time()) + 60)) + "\n")
    assert done.returncode == 65
    assert done.stderr.startswith("mailtui-suspend: ")
    assert host.table.read_text() == ""


def test_the_program_takes_no_arguments(tmp_path: Path) -> None:
    assert Host(tmp_path)("list\n", "list").returncode == 65


def test_the_program_leaves_an_entry_of_others(tmp_path: Path) -> None:
    host = Host(tmp_path, "hash:/etc/postfix/transport hash:TABLE")
    host.table.write_text("gmail.com smtp:[relay]\n")
    done = host(f"add gmail.com {int(time.time()) + 60} ann x\n")
    assert done.returncode == 65 and "not mailtui's" in done.stderr
    assert host.table.read_text() == "gmail.com smtp:[relay]\n"
    assert host("list\n").stdout.splitlines()[0].endswith(" listed")
