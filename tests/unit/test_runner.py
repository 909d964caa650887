"""How commands become shell scripts, and how their answers come apart; this machine's runner."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailtui.connections.errors import SourceError, ToolMissing
from mailtui.connections.local import LocalRunner
from mailtui.connections.runner import Batch, Command, Completed, command, failure
from mailtui.connections.streams import lines

SHELLS = [
    [path, *options]
    for name, *options in (["dash"], ["bash", "--posix"], ["busybox", "sh"])
    if (path := shutil.which(name))
]


def run(shell: list[str], cmds: list[Command]) -> list[Completed]:
    batch = Batch(cmds, sudo=False)
    done = subprocess.run([*shell, "-c", batch.script], capture_output=True, check=False)
    return batch.split("h", done.stdout, done.stderr)


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: Path(shell[0]).name)
def test_every_answer_is_its_own(shell: list[str]) -> None:
    done = run(
        shell,
        [
            command("printf", "%s", "no line feed"),
            command("nosuch-tool"),
            command("sh", "-c", "echo out; echo e1 >&2; echo e2 >&2; exit 3"),
            command("printf", "a\\0b\\n\\n"),
            command("cat"),
            command("sh", "-c", "kill -9 $$"),
            command("true"),
        ],
    )
    assert [d.status for d in done] == [0, 127, 3, 0, 0, 137, 0]
    assert [d.stdout for d in done] == ["no line feed", "", "out\n", "a\ufffdb\n\n", "", "", ""]
    assert done[2].stderr.split() == ["e1", "e2"]
    assert done[1].missing and not done[0].missing


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: Path(shell[0]).name)
def test_arguments_are_never_interpreted(shell: list[str]) -> None:
    hostile = 'it\'s "q" $HOME `id` $(id) ; id | id > /tmp/x & * ~ \\ ! #'
    (done,) = run(shell, [command("printf", "%s", hostile)])
    assert done.stdout == hostile


@settings(max_examples=30, deadline=None)
@given(st.binary(max_size=400))
def test_no_output_is_taken_for_a_frame(data: bytes) -> None:
    octal = "".join(f"\\{byte:03o}" for byte in data)
    before, after = run(SHELLS[0], [command("printf", octal), command("echo", "next")])
    assert (before.status, after.stdout) == (0, "next\n")


def test_an_answer_that_is_cut_is_an_error() -> None:
    batch = Batch([command("echo", "a"), command("echo", "b")], sudo=False)
    done = subprocess.run(["sh", "-c", batch.script], capture_output=True, check=True)
    for end in range(len(done.stdout)):
        with pytest.raises(SourceError) as caught:
            batch.split("h", done.stdout[:end], b"ssh: broken")
        assert caught.value.kind == "protocol"


def test_the_host_s_banner_does_no_harm() -> None:
    batch = Batch([command("echo", "a")], sudo=False)
    script = f"echo 'Welcome!'; echo warning >&2; {batch.script}"
    done = subprocess.run(["sh", "-c", script], capture_output=True, check=True)
    (answer,) = batch.split("h", done.stdout, done.stderr)
    assert answer.stdout.endswith("a\n")


def test_sudo_stands_before_what_needs_root_only() -> None:
    assert command("id", root=True).line(sudo=True) == "sudo -n -- id"
    assert command("id", root=True).line(sudo=False) == "id"
    assert command("id").line(sudo=True) == "id"
    assert shlex.split(command("a b", "").line(sudo=False)) == ["a b", ""]


@pytest.mark.parametrize(
    ("status", "stderr", "kind", "words"),
    [
        (127, "sh: 1: tool: not found", "missing-tool", "tool is not on h"),
        (1, "sudo: tool: command not found", "missing-tool", "tool is not on h"),
        (1, "sudo: a password is required", "auth", "was refused (a password is required)"),
        (1, "sudo: sorry, you must have a tty to run sudo", "auth", "must have a tty"),
        (127, "sh: 1: sudo: not found", "auth", "sudo is not there"),
        (3, "first\nlast words\n", "server", "exit code 3: last words"),
        (3, "", "server", "exit code 3: no message"),
        (1, "grep: x: command not found in file", "server", "exit code 1"),
        (127, "tool: error while loading shared libraries: libx.so", "server", "libx.so"),
    ],
)
def test_a_failure_says_what_it_means(status: int, stderr: str, kind: str, words: str) -> None:
    error = failure("h", command("tool", root=True), status, stderr)
    assert error.kind == kind
    assert words in str(error)
    assert isinstance(error, ToolMissing) == (kind == "missing-tool")


class Pieces:
    """A reader that gives data in the pieces that it was made of."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = [piece for piece in pieces if piece]

    async def read(self, n: int = -1) -> bytes:
        return self._pieces.pop(0) if self._pieces else b""


@given(st.lists(st.binary(max_size=20).map(lambda b: b.replace(b"x", b"\n")), max_size=12))
def test_lines_do_not_depend_on_how_they_arrive(pieces: list[bytes]) -> None:
    async def collect() -> list[bytes]:
        return [line async for some in lines(Pieces(pieces), 10_000, "h") for line in some]

    whole = b"".join(pieces)
    expected = whole.split(b"\n")
    if not expected[-1]:
        expected.pop()
    assert asyncio.run(collect()) == expected


async def test_a_line_without_end_is_given_up() -> None:
    with pytest.raises(SourceError, match="longer than 100 bytes"):
        async for _ in lines(Pieces([b"x" * 60, b"y" * 60]), 100, "h"):
            pass


async def test_this_machine() -> None:
    runner = LocalRunner("here")
    done = await runner.run(command("cat", stdin=b"fed"), timeout=10)
    assert (done.status, done.stdout) == (0, "fed")
    first, second = await runner.batch([command("echo", "a"), command("nosuch-tool")], timeout=10)
    assert first.stdout == "a\n" and second.missing
    found: list[bytes] = []
    async for some in runner.chunks(command("printf", "x\\ny"), timeout=10):
        found += some
    assert found == [b"x", b"y"]
    warnings: list[str] = []
    async for _ in runner.chunks(
        command("sh", "-c", "echo careful >&2"), timeout=10, warnings=warnings
    ):
        pass
    assert warnings == ["careful"]


async def test_a_local_command_that_hangs_is_ended_with_its_children() -> None:
    runner = LocalRunner("here")
    mark = f"31{os.getpid()}"
    began = time.monotonic()
    with pytest.raises(SourceError) as caught:
        await runner.run(command("sh", "-c", f"sleep {mark}; true"), timeout=0.3)
    assert caught.value.kind == "timeout"
    assert time.monotonic() - began < 5
    left = subprocess.run(["pgrep", "-f", f"^sleep {mark}"], capture_output=True, check=False)
    assert left.stdout == b""


async def test_a_local_command_that_ignores_its_input() -> None:
    done = await LocalRunner("here").run(command("true", stdin=b"x" * 2_000_000), timeout=10)
    assert done.status == 0


async def test_too_much_output_is_an_error_not_a_full_memory() -> None:
    with pytest.raises(SourceError, match="more than 1000 bytes"):
        await LocalRunner("here").run(
            command("head", "-c", "5000", "/dev/zero"), timeout=10, limit=1000
        )
