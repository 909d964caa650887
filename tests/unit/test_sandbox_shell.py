"""The sandbox's shell: compared with a real dash where there is one, and its refusals."""

from __future__ import annotations

import asyncio
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from mailtui.sandbox import hosts
from mailtui.sandbox.commands import USER_PATH, Context
from mailtui.sandbox.shell import Shell
from mailtui.sandbox.streams import Collected, Pipe
from mailtui.sandbox.world import World

DASH = shutil.which("dash")


class Given:
    """Standard input with this content."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    async def read(self) -> bytes:
        data, self.data = self.data, b""
        return data


@pytest.fixture(scope="module")
def world() -> World:
    return World(seed=3, now=1_795_000_000, frozen=True)


async def sh(world: World, script: str, host: str = "mx1", stdin: bytes = b"") -> tuple:
    out, err = Collected(), Collected()
    context = Context(
        machine=hosts.machine(world, host),
        user="mailtui",
        env={"PATH": USER_PATH, "HOME": "/home/mailtui"},
        stdin=Given(stdin),
        stdout=out,
        stderr=err,
    )
    status = await Shell(context).run(script)
    return status, out.value(), err.value()


SAME_AS_DASH = [
    'A="x  y"; B=$A; printf "<%s>" $A "$A" \'$A\' $B; echo "$B"',
    "false; echo $?; true && echo a || echo b; false && echo a || echo b",
    "{ echo one; echo two; } | { cat; echo three; }",
    "! true; echo $?; ! false; echo $?",
    "(exit 3); echo $?; (A=1); echo \"[$A]\"; { A=2; }; echo $A",
    "echo $(printf 'a\\nb\\n\\n') \"$(printf 'a\\nb\\n\\n')\"",
    "printf '\\036%d %5s|%-5s|%05d %%\\t%s\\n' 12 ab cd 42 end",
    "printf '%s-%s\\n' 1 2 3; printf '%x %o %u\\n' 255 8 7; printf '%.2s|%c\\n' abc xyz",
    "printf '%b' 'a\\tb\\n\\0101'; printf 'no newline'",
    "printf '%d\\n' 12x; echo $?",
    "if [ a = a ] && [ 2 -lt 10 ]; then echo yes; elif true; then echo elif; else echo no; fi",
    "for i in 1 2 'a b'; do echo \"<$i>\"; done; for i in; do echo never; done; echo $?",
    "set -e; true; false || echo handled; false; echo not reached",
    "set -u; echo ${X:-default}${X-d2}; A=; echo [${A:-e}] [${A-e}]; echo $nope; echo no",
    "X=1 env | grep ^X=; echo [$X]",
    "export Y=2; env | grep -c ^Y=2; unset Y; env | grep -c ^Y=",
    "sh -c 'echo $0 $1 $#; exit 7' name arg; echo $?",
    "sh -c 'for a in \"$@\"; do echo \"<$a>\"; done' n 'x y' z",
    "exec echo done; echo never",
    "echo out; echo err >&2; { echo both >&2; } 2>/dev/null; echo a >/dev/null",
    "{ echo x >&2; } 2>&1 | cat; echo e 2>&1 >/dev/null",
    "cat </dev/null; echo $?; echo a | cat - ; cat /nonexistent; echo $?",
    "nosuchcommand; echo $?; nosuchcommand 2>/dev/null || echo fallback",
    "echo a#b #comment\necho 'c # d'",
    "echo a \\\n b; echo \"a\\\nb\" 'a\\b' \"\\$x \\\\ \\`\"",
    "echo *nomatch* 'q*' \"?\"; echo -n x; echo; echo 'a\\tb\\nc'",
    "test -z '' && echo z; test -n x && echo n; [ ! a = b ]; echo $?; [ 1 -eq 2 ]; echo $?",
    "[ ]; echo $?",
    "command -v echo; command -v nosuch; echo $?; command echo hi",
    "printf 'b 2\\na 10\\nb 2\\n' | sort | uniq -c; printf '10\\n9\\n' | sort -n",
    "printf '1\\n2\\n' | sort -r",
    "printf '1\\n2\\n3\\n4\\n' | head -n 2; printf '1\\n2\\n3\\n4\\n' | tail -n 2 | wc -l",
    "printf 'a\\nb\\n' | tail -n +2",
    "printf 'x:1:a\\ny:2:b\\n' | cut -d: -f2; printf 'abc\\n' | cut -c1-2",
    "printf 'x:1:a\\n' | cut -d: -f1,3",
    "printf 'Foo\\nbar\\n[x]\\n' | grep -i foo; printf 'a+b\\nab\\n' | grep -F a+b",
    "printf 'aab\\n' | grep -E 'a{2}'",
    "printf 'aab\\nb\\n' | grep 'a\\{2\\}'; printf 'a1\\nb\\n' | grep -c '[[:digit:]]'",
    "printf 'x\\n' | grep -q y; echo $?",
    "printf 'k=v\\nn\\n' | grep -v =; printf 'ab\\n' | grep -o b",
    "printf 'a\\nb\\n' | grep -n b; printf 'a b\\n' | grep -w b",
    "printf 'a\\n' | wc; printf 'a b\\n' | wc -w; printf 'abc' | wc -c; printf 'abc' | head -c 2",
    "A=$(false); echo $?; A=$(exit 4) true; echo $?; echo ${A}b $Ab",
    "timeout 0.05 sleep 5; echo $?; timeout 5 true; echo $?; nice -n 5 echo n; env -i A=1 env",
    "true | false; echo $?; false | true; echo $?; echo \"$(echo \"a b\")\" | (cat; echo c)",
    "echo \"'\" '\"' \"a'b\"'c\"d'; A=\"it's\"; echo $A",
    "exit 300",
    "{ e=$({ echo out; echo err >&2; } 2>&1 >&3 3>&- </dev/null); echo \"$? [$e]\"; } 3>&1",
    "exec 5>&1; echo five >&5; { echo six >&6; } 6>&5; echo x >&7; echo $?",
    "echo a 3>/dev/null; sh -c 'echo inner >&4' 4>&1; { echo x; } 2>&1 | cat 3<&0",
    "e=$(echo err >&2; exit 6) 2>/dev/null; echo $? $e; e=$(false) || echo failed $?",
    "exec >/dev/null; echo gone; echo e >&2",
    "{ exit 5; }; echo no",
    "echo \"unterminated",
    "if true; then echo a",
    "echo a;; echo b",
    "echo a | | cat",
    ") echo",
]  # fmt: skip


@pytest.mark.skipif(not DASH, reason="no dash here")
@pytest.mark.parametrize("script", SAME_AS_DASH)
async def test_same_as_dash(world: World, script: str, tmp_path: Path) -> None:
    real = await asyncio.to_thread(
        subprocess.run,
        ["sh", "-c", script],
        executable=DASH,
        capture_output=True,
        stdin=subprocess.DEVNULL,
        cwd=tmp_path,
        env={"PATH": USER_PATH, "HOME": "/home/mailtui", "PWD": str(tmp_path), "LC_ALL": "C"},
        check=False,
    )
    status, out, err = await sh(world, script)
    assert (status, out) == (real.returncode, real.stdout)
    assert bool(err) == bool(real.stderr), (err, real.stderr)


@pytest.mark.parametrize(
    "script",
    [
        "sleep 1 &",
        "f() { echo; }",
        "cat <<EOF\nx\nEOF",
        "while true; do :; done",
        "case a in a) echo;; esac",
        "echo $((1+1))",
        "echo `date`",
        "echo ${x%%y}",
        "echo a >&-",
        "cd /etc",
        "journalctl -n 3",
        "echo x > /etc/motd",
        "set -o pipefail",
    ],
)
async def test_what_is_not_supported_is_an_error(world: World, script: str) -> None:
    status, out, err = await sh(world, script)
    assert (status, out) == (2, b"")
    assert err.startswith((b"sh: 1: ", script.split(maxsplit=1)[0].encode() + b": not supported"))


async def test_tools_are_found_by_path_as_on_debian(world: World) -> None:
    status, _, err = await sh(world, "postqueue -j")
    assert (status, err) == (127, b"sh: 1: postqueue: not found\n")
    status, out, _ = await sh(world, "PATH=$PATH:/usr/sbin; command -v postqueue")
    assert (status, out) == (0, b"/usr/sbin/postqueue\n")
    status, _, err = await sh(world, "/usr/sbin/postqueue -j", host="store1")
    assert (status, err) == (127, b"sh: 1: /usr/sbin/postqueue: not found\n")
    status, _, err = await sh(world, "sudo -n postqueue -j", host="store1")
    assert (status, err) == (1, b"sudo: postqueue: command not found\n")


async def test_sudo_asks_for_a_password_where_it_is_not_allowed(world: World) -> None:
    machine = hosts.machine(world, "mx1")
    machine.sudo = ("/usr/sbin/postqueue",)
    out, err = Collected(), Collected()
    context = Context(machine, "mailtui", {"PATH": USER_PATH}, Given(b""), out, err)
    assert await Shell(context).run("sudo -n whoami") == 1
    assert err.value() == b"sudo: a password is required\n"
    assert await Shell(context).run("sudo -n postqueue -p") == 0
    assert out.value().startswith(b"----Queue ID-----")


async def test_standard_input_reaches_a_command_and_a_script(world: World) -> None:
    assert await sh(world, "cat; cat", stdin=b"a\xff\nb") == (0, b"a\xff\nb", b"")
    assert await sh(world, "sh", stdin=b"echo one\nexit 4\n") == (4, b"one\n", b"")


async def test_a_pipe_waits_for_its_reader_and_ends_with_it() -> None:
    pipe = Pipe(limit=10)
    await pipe.write(b"x" * 10)
    blocked = asyncio.create_task(pipe.write(b"y"))
    for _ in range(3):
        await asyncio.sleep(0)
    assert not blocked.done()
    assert await pipe.read() == b"x" * 10
    await blocked
    pipe.break_()
    with pytest.raises(BrokenPipeError):
        await pipe.write(b"z")


async def test_a_broken_pipe_ends_the_writer(world: World) -> None:
    status, out, err = await sh(world, "PATH=$PATH:/usr/sbin; postqueue -p | head -n 1; echo $?")
    assert (status, err) == (0, b"")
    assert out == b"----Queue ID----- --Size-- ---Arrival Time---- --Sender/Recipient------\n0\n"


async def test_random_scripts_end_with_a_status(world: World) -> None:
    source = random.Random(5)
    parts = ["echo", "a", "'", '"', "$", "{", "}", ";", "|", "&&", "(", ")", "<", ">", "\n", "\\"]
    for _ in range(1500):
        script = " ".join(source.choice(parts) for _ in range(source.randrange(1, 14)))
        status, _, _ = await sh(world, script)
        assert 0 <= status <= 255, script
