"""The evidence store: what goes in comes out, what was changed does not, no plaintext on disk."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailtui.access import evidence as evidence_module
from mailtui.access.evidence import Evidence, EvidenceError
from mailtui.model import clock

KEY = bytes(range(32))
RUN = "0123456789ab"
BODIES = [b"Subject: hello-secret\r\n\r\n" + bytes(range(256)), b"", b"x" * 300_000]


def store(folder: Path, *, key: bytes = KEY, limit: int = 10_000_000) -> Evidence:
    return Evidence(folder / "evidence", key, keep=3600.0, limit=limit)


def fill(evidence: Evidence, run: str = RUN) -> list[str]:
    box = evidence.box(run)
    ids = [box.put({"place": "mx1", "id": f"4b{n}"}, body) for n, body in enumerate(BODIES)]
    box.close()
    return ids


def test_what_goes_in_comes_out(tmp_path: Path) -> None:
    evidence = store(tmp_path)
    ids = fill(evidence)
    items = list(evidence.items(RUN))
    assert [item.id for item in items] == ids == [f"{RUN}/{n}" for n in range(3)]
    assert [item.body for item in items] == BODIES
    assert items[1].meta == {"place": "mx1", "id": "4b1"}
    (kept,) = evidence.kept()
    assert kept.run == RUN
    assert kept.size == evidence.used() == evidence.path(RUN).stat().st_size
    assert evidence.path(RUN).stat().st_mode & 0o777 == 0o600
    assert evidence.folder.stat().st_mode & 0o777 == 0o700


def test_nothing_is_on_disk_in_the_clear(tmp_path: Path) -> None:
    evidence = store(tmp_path)
    fill(evidence)
    data = evidence.path(RUN).read_bytes()
    for plain in (b"hello-secret", b"Subject", b"mx1", b"4b1", b"x" * 16, KEY):
        assert plain not in data
    assert KEY.hex() not in repr(evidence)
    # the same content twice is not the same on disk
    fill(evidence, "ba9876543210")
    assert evidence.path("ba9876543210").read_bytes()[40:200] != data[40:200]


def test_another_key_opens_nothing(tmp_path: Path) -> None:
    fill(store(tmp_path))
    other = store(tmp_path, key=bytes(32))
    with pytest.raises(EvidenceError, match=r"item 0 cannot be decrypted; .*access.key"):
        list(other.items(RUN))


@pytest.mark.parametrize("place", [0.0, 0.1, 0.5, 0.999])
def test_one_changed_byte_is_refused(tmp_path: Path, place: float) -> None:
    evidence = store(tmp_path)
    fill(evidence)
    path = evidence.path(RUN)
    data = bytearray(path.read_bytes())
    first = len(evidence_module.MAGIC) + 16 + 4  # after the head and the first length
    data[first + int((len(data) - first - 1) * place)] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(EvidenceError):
        list(evidence.items(RUN))


def test_a_changed_length_gives_no_content(tmp_path: Path) -> None:
    evidence = store(tmp_path)
    fill(evidence)
    path = evidence.path(RUN)
    data = bytearray(path.read_bytes())
    data[len(evidence_module.MAGIC) + 16 + 3] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(EvidenceError):
        list(evidence.items(RUN))


def frames(path: Path) -> tuple[bytes, list[bytes]]:
    """(head, raw items)."""
    head = len(evidence_module.MAGIC) + 16
    data = path.read_bytes()
    found, at = [], head
    while at < len(data):
        length = 4 + 12 + int.from_bytes(data[at : at + 4], "big")
        found.append(data[at : at + length])
        at += length
    return data[:head], found


def test_items_cannot_be_exchanged_left_out_or_brought_from_another_run(tmp_path: Path) -> None:
    evidence = store(tmp_path)
    fill(evidence)
    fill(evidence, "ba9876543210")
    path = evidence.path(RUN)
    head, (a, b, c) = frames(path)
    _, (other, *_) = frames(evidence.path("ba9876543210"))
    for changed in ((b, a, c), (b, c), (a, a, b), (other, b, c)):
        path.write_bytes(head + b"".join(changed))
        with pytest.raises(EvidenceError):
            list(evidence.items(RUN))
    # the file of one run under the name of another
    path.write_bytes(evidence.path("ba9876543210").read_bytes())
    with pytest.raises(EvidenceError):
        list(evidence.items(RUN))


def test_a_torn_end_is_dropped_and_written_over(tmp_path: Path) -> None:
    evidence = store(tmp_path)
    fill(evidence)
    path = evidence.path(RUN)
    whole = path.read_bytes()
    for cut in (1, 100, 299_000):
        path.write_bytes(whole[:-cut])
        assert [item.body for item in evidence.items(RUN)] == BODIES[:2]
    box = evidence.box(RUN)
    assert box.put({"again": True}, b"third") == f"{RUN}/2"
    box.close()
    assert [item.body for item in evidence.items(RUN)] == [*BODIES[:2], b"third"]


def test_a_run_goes_on_where_it_was(tmp_path: Path) -> None:
    evidence = store(tmp_path)
    fill(evidence)
    box = store(tmp_path).box(RUN)
    assert box.put({}, b"more") == f"{RUN}/3"
    box.close()
    assert [item.body for item in evidence.items(RUN)] == [*BODIES, b"more"]


def test_a_run_that_died_before_its_head_was_written(tmp_path: Path) -> None:
    evidence = store(tmp_path)
    evidence.folder.mkdir(mode=0o700)
    for left in (b"", evidence_module.MAGIC, evidence_module.MAGIC + b"half a salt"):
        evidence.path(RUN).write_bytes(left)
        assert list(evidence.items(RUN)) == []
        box = evidence.box(RUN)
        box.put({}, b"now")
        box.close()
        assert [item.body for item in evidence.items(RUN)] == [b"now"]


def test_what_is_flushed_is_there_after_a_kill(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from mailtui.access.evidence import Evidence\n"
        "box = Evidence(Path(sys.argv[1]), bytes(range(32)), keep=9, limit=10**9).box('a' * 12)\n"
        "box.put({}, b'one'); box.flush(); box.put({}, b'two'); os.kill(os.getpid(), 9)\n"
    )
    python = Path(__file__).parents[2] / ".venv/bin/python"
    done = subprocess.run([python, "-c", code, tmp_path / "evidence"], check=False)
    assert done.returncode == -9
    evidence = store(tmp_path)
    bodies = [item.body for item in evidence.items("a" * 12)]
    assert bodies[:1] == [b"one"]
    box = evidence.box("a" * 12)
    box.put({}, b"three")
    box.close()
    assert [item.body for item in evidence.items("a" * 12)] == [*bodies, b"three"]


def test_the_limit_is_refused_before_and_kept_meanwhile(tmp_path: Path) -> None:
    evidence = store(tmp_path, limit=1000)
    assert evidence.why_not(900) == ""
    assert "more than evidence.limit (1,000)" in evidence.why_not(1001)
    box = evidence.box(RUN)
    box.put({}, b"x" * 500)
    with pytest.raises(EvidenceError, match="nothing is destroyed that is not kept"):
        box.put({}, b"x" * 500)
    box.close()
    assert [len(item.body) for item in evidence.items(RUN)] == [500]
    assert evidence.why_not(900) != ""
    # what was refused takes no room from what fits
    box = evidence.box("b" * 12)
    box.put({}, b"x" * 100)
    box.close()


def test_a_disk_without_room_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    evidence = store(tmp_path)
    monkeypatch.setattr(evidence_module, "SPARE", 1 << 62)
    assert "bytes free, and the evidence needs" in evidence.why_not(1)


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


def test_a_full_disk_is_an_error_before_anything_is_destroyed(tiny_disk: Path) -> None:
    evidence = store(tiny_disk)
    box = evidence.box(RUN)
    box.put({}, b"x" * 20_000)
    box.flush()
    with pytest.raises(EvidenceError, match="nothing is destroyed that is not kept; make room"):
        for _ in range(5):
            box.put({}, os.urandom(20_000))
            box.flush()
    bodies = [item.body for item in evidence.items(RUN)]
    assert bodies[0] == b"x" * 20_000


def test_what_expired_is_removed(tmp_path: Path) -> None:
    evidence = store(tmp_path)
    fill(evidence)
    fill(evidence, "ba9876543210")
    old = 1_700_000_000.0
    os.utime(evidence.path(RUN), (old, old))
    try:
        clock.set_clock(lambda: old + 3599)
        assert evidence.expire() == []
        clock.set_clock(lambda: old + 3600)
        assert [kept.run for kept in evidence.expire()] == [RUN]
    finally:
        clock.set_clock(None)
    assert [kept.run for kept in evidence.kept()] == ["ba9876543210"]
    with pytest.raises(EvidenceError, match=r"there is no evidence of run .* it expired"):
        list(evidence.items(RUN))


def test_a_name_never_leaves_the_folder(tmp_path: Path) -> None:
    evidence = store(tmp_path)
    for name in ("../x", "a/b", "", "x" * 300):
        with pytest.raises(EvidenceError):
            evidence.box(name)
        with pytest.raises(EvidenceError):
            list(evidence.items(name))


def test_in_a_shared_folder_it_is_the_group_s(tmp_path: Path) -> None:
    """The operators of one machine restore what a colleague deleted, and delete themselves."""
    tmp_path.chmod(0o2770)
    evidence = store(tmp_path)
    fill(evidence)
    assert evidence.folder.stat().st_mode & 0o7777 == 0o2770
    assert evidence.path(RUN).stat().st_mode & 0o777 == 0o660
