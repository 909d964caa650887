"""The journal: one chain whatever happens, and every change in it is found and named."""

from __future__ import annotations

import errno
import multiprocessing
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailtui.access import journal as journal_module
from mailtui.access.history import fold
from mailtui.access.journal import FIRST, Broken, Journal, JournalError, Record, Verified

BIG = 10_000


def build(path: Path, count: int) -> Journal:
    """A journal of `count` records, written as `append` does, without 10,000 fsyncs."""
    journal, prev, lines = Journal(path), FIRST, []
    path.parent.mkdir(parents=True, exist_ok=True)
    for seq in range(1, count + 1):
        facts = {"run": f"{seq // 4:012x}", "place": "mx1", "count": seq, "title": "Hold ü €"}
        fields = (seq, 1_700_000_000.0 + seq, "step", "ops", facts)
        digest = journal_module._hash(prev, *fields)
        record = Record(*fields, prev, digest)
        lines.append(msgspec.json.encode(record) + b"\n")
        prev = digest
    path.write_bytes(b"".join(lines))
    journal._write_head(record)
    return journal


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> Journal:
    return build(tmp_path_factory.mktemp("big") / "journal.jsonl", BIG)


@pytest.fixture
def small(tmp_path: Path) -> Journal:
    return build(tmp_path / "journal.jsonl", 50)


def lines_of(journal: Journal) -> list[bytes]:
    return journal.path.read_bytes().splitlines(keepends=True)


def places(found: Verified) -> list[tuple[int, int | None]]:
    return [(one.line, one.seq) for one in found.broken]


# --- what is written is what is read ---


def test_records_come_back_as_they_were_written(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "state" / "journal.jsonl")
    assert journal.verify() == Verified(0)
    assert journal.last() is None
    assert list(journal.records()) == []
    one = journal.append(
        "plan", "ops", title="Hold ü\u2028", nested={"a": [1, None, 2.5]}, t=(1, 2)
    )
    two = journal.append("intent", "ann", run="abc")
    assert (one.seq, one.prev, two.seq, two.prev) == (1, FIRST, 2, one.hash)
    assert one.facts["t"] == [1, 2]
    assert [record for _, record in journal.records()] == [one, two]
    (offset, _), _ = journal.records()
    assert [record for _, record in journal.records(offset)] == [two]
    assert journal.last() == two
    assert journal.verify() == Verified(2)
    assert journal.path.stat().st_mode & 0o777 == 0o600
    assert journal.path.parent.stat().st_mode & 0o777 == 0o700


def test_a_folder_that_a_group_shares_makes_files_that_it_shares(tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o2770)
    previous = os.umask(0o077)
    try:
        journal = Journal(folder / "journal.jsonl")
        journal.append("plan", "ops")
    finally:
        os.umask(previous)
    modes = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}
    assert set(modes.values()) == {0o660}, modes


def test_a_record_that_is_too_long_is_refused_and_leaves_nothing(small: Journal) -> None:
    before = small.path.read_bytes()
    with pytest.raises(JournalError, match="too long"):
        small.append("plan", "ops", title="x" * journal_module.LONGEST)
    assert small.path.read_bytes() == before


# --- what was changed is found, and named ---


@pytest.mark.parametrize("seed", range(12))
def test_one_changed_byte_among_ten_thousand_records(big: Journal, seed: int) -> None:
    data = big.path.read_bytes()
    dice = random.Random(seed)
    at = dice.randrange(len(data))
    changed = bytearray(data)
    changed[at] ^= 1 << dice.randrange(8)
    line = data.count(b"\n", 0, at) + 1
    copy = Journal(big.path.with_name(f"copy-{seed}.jsonl"))
    copy.path.write_bytes(bytes(changed))
    copy.head_path.write_bytes(big.head_path.read_bytes())
    found = copy.verify()
    copy.path.unlink()
    named = [one.line for one in found.broken]
    assert named, f"byte {at} was changed in line {line}"
    # a line feed that is gone makes two lines one; one that is put in makes one line two
    assert named[0] == line
    assert len(named) <= 3


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_change_is_found_in_its_line(data: st.DataObject) -> None:
    journal = SMALL[0]
    whole = journal.path.with_suffix(".whole")
    original = whole.read_bytes()
    at = data.draw(st.integers(0, len(original) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda b: b != original[at]))
    journal.path.write_bytes(original[:at] + bytes([byte]) + original[at + 1 :])
    found = journal.verify()
    line = original.count(b"\n", 0, at) + 1
    if at == len(original) - 1:
        assert found.torn or found.broken  # the last line feed
    else:
        assert found.broken[0].line == line


SMALL: list[Journal] = []


@pytest.fixture(autouse=True, scope="module")
def small_for_hypothesis(tmp_path_factory: pytest.TempPathFactory) -> None:
    journal = build(tmp_path_factory.mktemp("small") / "journal.jsonl", 20)
    journal.path.with_suffix(".whole").write_bytes(journal.path.read_bytes())
    SMALL[:] = [journal]


def test_an_edit_that_forges_its_own_hash_breaks_the_next(small: Journal) -> None:
    lines = lines_of(small)
    record = msgspec.json.decode(lines[9], type=Record)
    facts = {**record.facts, "count": 0}
    digest = journal_module._hash(
        record.prev, record.seq, record.at, record.kind, record.who, facts
    )
    forged = msgspec.structs.replace(record, facts=facts, hash=digest)
    lines[9] = msgspec.json.encode(forged) + b"\n"
    small.path.write_bytes(b"".join(lines))
    (broken,) = small.verify().broken
    assert (broken.line, broken.seq) == (11, 11)
    assert "not the one that it was written after" in broken.what


def left_out(lines: list[bytes]) -> list[bytes]:
    return lines[:19] + lines[20:]


def twice(lines: list[bytes]) -> list[bytes]:
    return [*lines[:20], lines[19], *lines[20:]]


def reordered(lines: list[bytes]) -> list[bytes]:
    return [*lines[:19], lines[20], lines[19], *lines[21:]]


def cut_at_the_front(lines: list[bytes]) -> list[bytes]:
    return lines[3:]


def nonsense_in_between(lines: list[bytes]) -> list[bytes]:
    return [*lines[:19], b"{}\n", *lines[19:]]


@pytest.mark.parametrize(
    ("change", "line", "words"),
    [
        (left_out, 20, "1 records before it are missing"),
        (twice, 21, "put in twice"),
        (reordered, 20, "1 records before it are missing"),
        (cut_at_the_front, 1, "3 records before it are missing"),
        (nonsense_in_between, 20, "it is no record"),
    ],
)
def test_records_that_are_not_where_they_were(
    small: Journal, change: Callable[[list[bytes]], list[bytes]], line: int, words: str
) -> None:
    small.path.write_bytes(b"".join(change(lines_of(small))))
    found = small.verify()
    assert found.broken[0].line == line
    assert words in found.broken[0].what


def test_a_journal_cut_at_its_end(small: Journal) -> None:
    small.path.write_bytes(b"".join(lines_of(small)[:-7]))
    (broken,) = small.verify().broken
    assert broken == Broken(43, 43, "cut at its end: 7 records after it are missing")
    # and it is still found when somebody goes on writing
    small.append("plan", "ops")
    small.append("plan", "ops")
    (broken,) = small.verify().broken
    assert (broken.line, broken.seq) == (44, 44)
    assert "somebody cut the journal: cut at its end: 7 records after it" in broken.what
    assert [r.kind for _, r in small.records()][-3:] == ["cut", "plan", "plan"]


def test_a_journal_that_is_gone(small: Journal) -> None:
    small.path.unlink()
    (broken,) = small.verify().broken
    assert "cut at its end: 50 records" in broken.what
    small.append("plan", "ops")
    (broken,) = small.verify().broken
    assert (broken.line, "50 records after it are missing" in broken.what) == (1, True)


def test_the_head_is_missing_or_names_another(small: Journal) -> None:
    small.head_path.write_text(f"50 {'a' * 64}\n")
    (broken,) = small.verify().broken
    assert (broken.seq, "not the record that" in broken.what) == (50, True)
    small.head_path.unlink()
    (broken,) = small.verify().broken
    assert (broken.seq, "missing or unreadable" in broken.what) == (50, True)
    small.append("plan", "ops")
    (broken,) = small.verify().broken
    assert (broken.seq, "missing or unreadable" in broken.what) == (51, True)


# --- torn lines ---


@pytest.mark.parametrize("kept", [1, 40, -1])
def test_a_torn_last_line_is_put_aside_and_told(small: Journal, kept: int) -> None:
    lines = lines_of(small)
    torn = lines[-1][:kept]
    before = b"".join(lines[:-1])
    small.path.write_bytes(before + torn)
    small._write_head(msgspec.json.decode(lines[-2], type=Record))  # it was never finished
    assert small.verify() == Verified(49, (), torn=True)
    assert len(list(small.records())) == 49
    assert small.last() == msgspec.json.decode(lines[-2], type=Record)
    small.append("plan", "ops")
    assert small.path.read_bytes().startswith(before)
    found = [record for _, record in small.records()][-2:]
    assert [record.kind for record in found] == ["recovered", "plan"]
    aside = small.path.with_name(found[0].facts["aside"])
    assert aside.read_bytes() == torn
    assert small.verify() == Verified(51)


def test_nothing_is_added_after_a_last_line_that_is_no_record(small: Journal) -> None:
    with small.path.open("ab") as file:
        file.write(b"nonsense\n")
    before = small.path.read_bytes()
    with pytest.raises(JournalError, match="journal verify says where"):
        small.append("plan", "ops")
    assert small.path.read_bytes() == before


# --- the disk ---


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    if os.geteuid() != 0:
        pytest.skip("needs root: a small file system")
    folder = tmp_path / "disk"
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if subprocess.run(["mount", *options], check=False, capture_output=True).returncode:
        pytest.skip("cannot mount here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_refuses_and_leaves_no_half_line(tiny_disk: Path) -> None:
    journal = Journal(tiny_disk / "journal.jsonl")
    written = -1
    with pytest.raises(JournalError, match=r"nothing runs that is not in it; make room there"):
        while written < 1000:
            written += 1
            journal.append("step", "ops", text="x" * 700)
    assert written > 10
    data = journal.path.read_bytes()
    assert data.endswith(b"\n")
    assert data.count(b"\n") == written
    found = journal.verify()
    assert (found.records, found.torn) == (written, False)
    # whoever makes room can go on
    assert not [one for one in found.broken if "cut" in one.what]
    with suppress(JournalError):
        journal.append("step", "ops")


def limited(path: str) -> None:
    """Appends with a limit on the size of a file, in a process of its own."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    size = Path(path).stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, resource.RLIM_INFINITY))
    try:
        Journal(Path(path)).append("step", "ops", text="y" * 500)
    except JournalError:
        os._exit(7)
    os._exit(0)


def test_a_write_that_stops_in_the_middle_is_taken_back(small: Journal) -> None:
    """write(2) may write a part and then fail: that part must not stay."""
    before = small.path.read_bytes()
    process = multiprocessing.get_context("fork").Process(target=limited, args=(str(small.path),))
    process.start()
    process.join(20)
    assert process.exitcode == 7
    assert small.path.read_bytes() == before
    assert small.verify() == Verified(50)


def test_a_record_that_fsync_does_not_confirm_is_not_there(
    small: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = small.path.read_bytes()

    def fails(descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fails)
        with pytest.raises(JournalError, match="Input/output error"):
            small.append("step", "ops")
    assert small.path.read_bytes() == before
    assert small.append("step", "ops").seq == 51


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError, match="cannot be written"):
        Journal(tmp_path / "file" / "journal.jsonl").append("plan", "ops")


# --- several processes, and those that die ---


def writes(path: str, who: str, count: int) -> None:
    journal = Journal(Path(path))
    for number in range(count):
        journal.append("step", who, number=number)


def test_two_processes_make_one_chain(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    context = multiprocessing.get_context("fork")
    processes = [
        context.Process(target=writes, args=(str(path), who, 60)) for who in ("ann", "bob", "cy")
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    journal = Journal(path)
    assert journal.verify() == Verified(180)
    records = [record for _, record in journal.records()]
    for who in ("ann", "bob", "cy"):
        assert [r.facts["number"] for r in records if r.who == who] == list(range(60))


ENDLESS = """
import sys
from pathlib import Path
from mailtui.access.journal import Journal
journal = Journal(Path(sys.argv[1]))
number = 0
while True:
    journal.append("step", "ops", number=number, text="z" * 3000)
    print(number, flush=True)
    number += 1
"""


@pytest.mark.parametrize("seed", range(5))
def test_a_process_that_is_killed_while_it_appends(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "journal.jsonl"
    process = subprocess.Popen(
        [sys.executable, "-c", ENDLESS, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(random.Random(seed).uniform(0.0, 0.05))
    process.kill()
    told = [int(line) for line in process.stdout.read().split()]
    process.wait(10)
    journal = Journal(path)
    journal.append("plan", "ann")
    found = journal.verify()
    assert not found.broken
    assert not found.torn
    numbers = [r.facts["number"] for _, r in journal.records() if r.kind == "step"]
    assert numbers == list(range(len(numbers)))
    # what was announced as written is there; one more may be, whose announcement was not made
    assert len(numbers) >= max(told, default=0) + 1


def test_a_head_that_was_not_written_any_more(small: Journal) -> None:
    """Killed between the record and its head: the next record mends it, and it is no break."""
    head = small.head_path.read_bytes()
    small.append("step", "ops")
    small.head_path.write_bytes(head)
    assert small.verify() == Verified(51)
    small.append("step", "ops")
    assert small.verify() == Verified(52)


# --- folded ---


def records(journal: Journal) -> list[Record]:
    return [record for _, record in journal.records()]


def test_a_run_is_folded_with_its_steps_and_its_end(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    say: Any = journal.append
    say("intent", "ops", run="aa", operation="test.paint", context="lab", title="Paint 2", count=2)
    say("step", "ops", run="aa", step="mx1", place="mx1", does="paint", count=2)
    (entry,) = fold(records(journal), time.time(), ["aa"])
    assert entry.state == "running"
    (entry,) = fold(records(journal), time.time())
    assert entry.state == "interrupted"
    assert "not known whether this ran: mx1: paint" in entry.sentence
    say("step-end", "ops", run="aa", step="mx1", place="mx1", held=2)
    say("outcome", "ops", run="aa", state="done", sentence="painted 2", done=2,
        undo={"operation": "test.strip", "count": 2}, digest="d")  # fmt: skip
    (entry,) = fold(records(journal), time.time())
    assert (entry.state, entry.done, entry.undo, entry.can_undo) == ("done", 2, "test.strip", True)
    assert entry.steps[0].facts == {"held": 2}
    say("intent", "ops", run="bb", undoes="aa", operation="test.strip", title="Strip 2", count=2)
    say("outcome", "ops", run="bb", state="done", sentence="stripped 2", done=2)
    newest, first = fold(records(journal), time.time())
    assert (first.undone_by, first.can_undo, newest.undoes) == ("bb", False, "aa")
