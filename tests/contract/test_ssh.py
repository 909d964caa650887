"""The SSH connection against a real sshd (OpenSSH) on loopback, with throw-away keys."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncssh
import pytest

from mailtui.config.load import parse
from mailtui.connections.errors import SourceError, ToolMissing
from mailtui.connections.pool import Connections
from mailtui.connections.runner import command

SSHD = shutil.which("sshd") or "/usr/sbin/sshd"
pytestmark = pytest.mark.skipif(
    not Path(SSHD).exists() or os.geteuid() != 0, reason="needs OpenSSH's sshd, as root"
)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def keypair(path: Path) -> Path:
    key = asyncssh.generate_private_key("ssh-ed25519")
    path.write_bytes(key.export_private_key())
    path.chmod(0o600)
    path.with_suffix(".pub").write_bytes(key.export_public_key())
    return path


class Sshd:
    """One sshd in its own directory."""

    def __init__(self, directory: Path, extra: str = "") -> None:
        directory.mkdir()
        directory.chmod(0o755)
        self.directory, self.extra = directory, extra
        self.port = free_port()
        self.host_key = keypair(directory / "host_key")
        self.user_key = keypair(directory / "user_key")
        # sshd reads it as the user who logs in, and pytest's directories are root's alone
        self.public = Path(tempfile.mkdtemp(prefix="mailtui-sshd-"))
        self.public.chmod(0o755)
        self.authorized = self.public / "authorized_keys"
        self.authorized.write_bytes((directory / "user_key.pub").read_bytes())
        self.known = directory / "known_hosts"
        self.know(self.host_key)
        self.process: subprocess.Popen[bytes] | None = None

    def know(self, key: Path) -> None:
        public = key.with_suffix(".pub").read_text().strip()
        self.known.write_text(f"[127.0.0.1]:{self.port} {public}\n")

    def start(self) -> None:
        config = self.directory / "sshd_config"
        config.write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {self.host_key}\n"
            f"AuthorizedKeysFile {self.authorized}\nPidFile none\nUsePAM no\nStrictModes no\n"
            f"PasswordAuthentication no\nPermitRootLogin yes\nAllowTcpForwarding yes\n{self.extra}"
        )
        Path("/run/sshd").mkdir(exist_ok=True)
        self.process = subprocess.Popen(
            [SSHD, "-D", "-e", "-f", str(config)],
            stderr=(self.directory / "log").open("wb"),
            start_new_session=True,
        )
        for _ in range(100):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                return
            time.sleep(0.05)
        raise AssertionError((self.directory / "log").read_text())

    def sessions(self) -> list[int]:
        """Process ids of the connections' sshd children."""
        assert self.process is not None
        found = subprocess.run(
            ["pgrep", "-P", str(self.process.pid)], capture_output=True, text=True, check=False
        )
        return [int(pid) for pid in found.stdout.split()]

    def cut(self) -> None:
        """Break every connection."""
        for pid in self.sessions():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def stop(self) -> None:
        if self.process is not None:
            self.cut()
            self.process.terminate()
            self.process.wait(10)
            self.process = None
        shutil.rmtree(self.public, ignore_errors=True)


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[Sshd]:
    tmp_path.chmod(0o755)
    server = Sshd(tmp_path / "sshd")
    server.start()
    yield server
    server.stop()


@contextlib.asynccontextmanager
async def connected(
    server: Sshd, host: str = "", ssh: str = "", user: str = "root", count: int = 1
) -> AsyncIterator[Connections]:
    text = (
        "contexts:\n  t:\n    ssh: {agent: false, "
        + (ssh or f"use_config: false, known_hosts: [{server.known}], keys: [{server.user_key}]")
        + "}\n    hosts:\n"
    )
    host = host or f"address: 127.0.0.1, port: {server.port}, user: {user}"
    for number in range(count):
        text += f"      h{number or ''}: {{{host}}}\n"
    connections = Connections(parse(text, Path("/tmp/config.yaml")).choose()[1])
    yield connections
    began = time.monotonic()
    await connections.close()
    assert time.monotonic() - began < 1.0, "closing waits for nobody"


async def failure_of(connections: Connections, timeout: float = 10) -> SourceError:
    with pytest.raises(SourceError) as caught:
        await connections.runner("h").run(command("true"), timeout=timeout)
    return caught.value


async def test_run_batch_and_chunks(sshd: Sshd) -> None:
    async with connected(sshd) as connections:
        runner = connections.runner("h")
        done = await runner.run(command("sh", "-c", "echo out; echo err >&2; exit 3"), timeout=10)
        assert (done.status, done.stdout, done.stderr) == (3, "out\n", "err\n")
        done = await runner.run(command("cat", stdin=b"a\nb"), timeout=10)
        assert done.stdout == "a\nb"
        one, two, three, four = await runner.batch(
            [
                command("printf", "%s", "no line feed"),
                command("nosuch-tool"),
                command("sh", "-c", "echo e1 >&2; echo e2 >&2; exit 7"),
                command("printf", "a\\0b\\n\\n"),
            ],
            timeout=10,
        )
        assert (one.stdout, one.status) == ("no line feed", 0)
        assert two.missing
        with pytest.raises(ToolMissing):
            two.check()
        assert (three.status, three.stderr.split()) == (7, ["e1", "e2"])
        assert four.stdout == "a\ufffdb\n\n"
        lines: list[bytes] = []
        async for some in runner.chunks(command("printf", "x\\ny\\n\\nz"), timeout=10):
            lines += some
        assert lines == [b"x", b"y", b"", b"z"]
        with pytest.raises(SourceError, match="exit code 4: why"):
            async for _ in runner.chunks(command("sh", "-c", "echo why >&2; exit 4"), timeout=10):
                pass


async def test_thirty_megabytes_arrive_whole(sshd: Sshd) -> None:
    async with connected(sshd) as connections:
        size = 0
        script = "head -c 30000000 /dev/zero | tr '\\0' x | fold -w 1000"
        async for lines in connections.runner("h").chunks(command("sh", "-c", script), timeout=60):
            size += sum(map(len, lines))
        assert size == 30_000_000


async def test_a_line_of_megabytes_is_one_line(sshd: Sshd) -> None:
    async with connected(sshd) as connections:
        found: list[int] = []
        async for lines in connections.runner("h").chunks(
            command("sh", "-c", "head -c 5000000 /dev/zero | tr '\\0' x; echo; echo end"),
            timeout=60,
        ):
            found += map(len, lines)
        assert found == [5_000_000, 3]


async def test_much_standard_error_stops_nothing(sshd: Sshd) -> None:
    async with connected(sshd) as connections:
        script = "head -c 3000000 /dev/zero | tr '\\0' e >&2; echo done"
        lines: list[bytes] = []
        async for some in connections.runner("h").chunks(command("sh", "-c", script), timeout=20):
            lines += some
        assert lines == [b"done"]


async def test_what_is_not_utf8_is_readable_and_harmless(sshd: Sshd) -> None:
    async with connected(sshd) as connections:
        done = await connections.runner("h").run(
            command("printf", "\\377\\033[31mred\\302\\233x\\n"), timeout=10
        )
        assert done.stdout == "\ufffd\ufffd[31mred\ufffdx\n"


async def test_an_unknown_key_names_the_fix(sshd: Sshd) -> None:
    sshd.known.write_text("")
    async with connected(sshd) as connections:
        error = await failure_of(connections)
    fingerprint = asyncssh.read_public_key(sshd.host_key.with_suffix(".pub")).get_fingerprint()
    assert error.kind == "host-key"
    assert "not known" in error.message
    assert fingerprint in error.message
    assert f"ssh -p {sshd.port} 127.0.0.1" in error.hint


async def test_a_changed_key_is_refused_loudly(sshd: Sshd, tmp_path: Path) -> None:
    sshd.know(keypair(tmp_path / "another"))
    async with connected(sshd) as connections:
        error = await failure_of(connections)
    assert error.kind == "host-key"
    assert "CHANGED" in error.message
    assert f"ssh-keygen -R '[127.0.0.1]:{sshd.port}'" in error.hint


async def test_a_refused_key_names_the_user(sshd: Sshd) -> None:
    sshd.authorized.write_text("")
    async with connected(sshd) as connections:
        error = await failure_of(connections)
    assert error.kind == "auth"
    assert "root" in error.message
    assert "authorized_keys" in error.hint


@pytest.mark.parametrize(
    ("option", "content", "words"),
    [
        ("keys", None, "no such file"),
        ("keys", "garbage", "Invalid private key"),
        ("known_hosts", "@@@ x\n", "known hosts"),
        ("config", "Host *\n  Port many\n", "Invalid Port"),
    ],
)
async def test_files_that_cannot_be_used_are_named(
    sshd: Sshd, tmp_path: Path, option: str, content: str | None, words: str
) -> None:
    path = tmp_path / "file"
    if content is not None:
        path.write_text(content)
    value = str(path) if option == "config" else f"[{path}]"
    ssh = f"{option}: {value}" + ("" if option == "config" else ", use_config: false")
    async with connected(sshd, ssh=ssh) as connections:
        error = await failure_of(connections)
    assert error.kind == "config"
    assert words in error.message


async def test_a_key_with_a_passphrase_belongs_into_the_agent(sshd: Sshd, tmp_path: Path) -> None:
    key = tmp_path / "locked"
    made = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "secret words", "-f", str(key)]
    subprocess.run(made, check=True)
    async with connected(sshd, ssh=f"use_config: false, keys: [{key}]") as connections:
        error = await failure_of(connections)
    assert error.kind == "config"
    assert "ssh-add" in error.hint


async def test_a_jump_host_that_is_down_is_named(sshd: Sshd) -> None:
    host = f"address: 127.0.0.1, port: {sshd.port}, jump: 'root@127.0.0.1:9'"
    async with connected(sshd, host) as connections:
        error = await failure_of(connections)
    assert error.kind == "unreachable"
    assert error.message.startswith("jump host 127.0.0.1:")


async def test_nobody_listens(sshd: Sshd) -> None:
    sshd.stop()
    async with connected(sshd) as connections:
        error = await failure_of(connections)
    assert error.kind == "unreachable"
    assert "connection refused" in error.message


async def test_sources_that_wait_for_one_host_share_one_attempt(sshd: Sshd) -> None:
    connects = 0

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connects
        connects += 1
        await asyncio.sleep(0.2)
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with connected(sshd, f"address: 127.0.0.1, port: {port}, user: root") as connections:
        runner = connections.runner("h")
        reads = [runner.run(command("true"), timeout=10) for _ in range(3)]
        found = await asyncio.gather(*reads, return_exceptions=True)
        assert all(isinstance(error, SourceError) for error in found)
        assert connects == 1
        await failure_of(connections)
        assert connects == 2, "the next read tries again"
    server.close()


async def test_a_host_that_accepts_and_says_nothing(sshd: Sshd) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        host = f"address: 127.0.0.1, port: {port}, user: root"
        async with connected(sshd, host) as connections:
            error = await failure_of(connections, timeout=1.0)
    assert error.kind == "timeout"
    assert "connect timed out" in error.message


async def test_a_silent_host_ends_by_the_connect_timeout_too(sshd: Sshd) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        ssh = f"use_config: false, known_hosts: [{sshd.known}], connect_timeout: 500ms"
        async with connected(sshd, f"address: 127.0.0.1, port: {port}", ssh) as connections:
            error = await failure_of(connections, timeout=20.0)
    assert error.kind in ("timeout", "unreachable")


async def test_a_server_that_is_no_sshd(sshd: Sshd) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mx1 ESMTP Postfix\r\n" * 2000)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with connected(sshd, f"address: 127.0.0.1, port: {port}, user: root") as connections:
        error = await failure_of(connections)
    server.close()
    assert error.kind in ("protocol", "unreachable")


async def test_a_late_command_takes_no_other_with_it(sshd: Sshd) -> None:
    async with connected(sshd) as connections:
        runner = connections.runner("h")
        await runner.run(command("true"), timeout=10)
        other = asyncio.create_task(
            runner.run(command("sh", "-c", "sleep 1; echo fine"), timeout=10)
        )
        with pytest.raises(SourceError) as caught:
            await runner.run(command("sleep", "30"), timeout=0.3)
        assert caught.value.kind == "timeout"
        assert (await other).stdout == "fine\n"
        assert len(sshd.sessions()) == 1


async def test_a_host_that_freezes_after_connecting(sshd: Sshd) -> None:
    async with connected(sshd) as connections:
        runner = connections.runner("h")
        await runner.run(command("true"), timeout=10)
        frozen = sshd.sessions()
        for pid in frozen:
            os.kill(pid, signal.SIGSTOP)
        error = await failure_of(connections, timeout=0.5)
        assert error.kind == "timeout"
        # the next read does not wait for the dead connection: it makes a new one
        done = await runner.run(command("echo", "again"), timeout=10)
        assert done.stdout == "again\n"


async def test_a_connection_cut_in_a_command_recovers(sshd: Sshd) -> None:
    async with connected(sshd) as connections:
        runner = connections.runner("h")
        await runner.run(command("true"), timeout=10)
        task = asyncio.create_task(runner.run(command("sleep", "30"), timeout=20))
        await asyncio.sleep(0.3)
        sshd.cut()
        with pytest.raises(SourceError) as caught:
            await task
        assert caught.value.kind == "unreachable"
        assert (await runner.run(command("echo", "back"), timeout=10)).stdout == "back\n"


async def test_a_stream_cut_in_the_middle_is_an_error(sshd: Sshd) -> None:
    async with connected(sshd) as connections:
        lines = 0
        with pytest.raises(SourceError) as caught:
            async for some in connections.runner("h").chunks(
                command("sh", "-c", "while echo line; do sleep 0.02; done"), timeout=20
            ):
                lines += len(some)
                if lines > 5:
                    sshd.cut()
        assert lines > 5
        assert caught.value.kind == "unreachable"


async def test_closing_while_a_host_hangs(sshd: Sshd) -> None:
    async with connected(sshd) as connections:
        runner = connections.runner("h")
        await runner.run(command("true"), timeout=10)
        task = asyncio.create_task(runner.run(command("sleep", "30"), timeout=30))
        await asyncio.sleep(0.2)
        await connections.close()
        with pytest.raises(SourceError):
            await task


async def test_twenty_hosts_at_once_pass_max_startups(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    server = Sshd(tmp_path / "sshd", "MaxStartups 20:100:20\n")
    server.start()
    try:
        async with connected(server, count=20) as connections:
            names = ["h", *(f"h{n}" for n in range(1, 20))]
            done = await asyncio.gather(
                *(connections.runner(n).run(command("echo", n), timeout=30) for n in names)
            )
            assert [d.stdout.strip() for d in done] == names
    finally:
        server.stop()


async def test_a_jump_host(sshd: Sshd, tmp_path: Path) -> None:
    jump = Sshd(tmp_path / "jump")
    jump.authorized.write_bytes((sshd.directory / "user_key.pub").read_bytes())
    jump.start()
    both = tmp_path / "both"
    both.write_text(sshd.known.read_text() + jump.known.read_text())
    try:
        ssh = f"use_config: false, known_hosts: [{both}], keys: [{sshd.user_key}], user: root"
        host = f"address: 127.0.0.1, port: {sshd.port}, jump: 'root@127.0.0.1:{jump.port}'"
        async with connected(sshd, host, ssh, count=3) as connections:
            for name in ("h", "h1", "h2"):
                done = await connections.runner(name).run(command("echo", name), timeout=10)
                assert done.stdout.strip() == name
            assert len(jump.sessions()) == 1, "hosts share the connection to their jump host"
        both.write_text(sshd.known.read_text())
        async with connected(sshd, host, ssh) as connections:
            error = await failure_of(connections)
        assert error.kind == "host-key", "the jump host's key is verified too"
    finally:
        jump.stop()


async def test_openssh_configuration_with_alias_and_proxyjump(sshd: Sshd, tmp_path: Path) -> None:
    jump = Sshd(tmp_path / "jump")
    jump.authorized.write_bytes((sshd.directory / "user_key.pub").read_bytes())
    jump.start()
    both = tmp_path / "both"
    both.write_text(sshd.known.read_text() + jump.known.read_text())
    config = tmp_path / "config"
    config.write_text(
        f"Host *\n  User root\n  IdentityFile {sshd.user_key}\n  UserKnownHostsFile {both}\n"
        f"Host bastion\n  HostName 127.0.0.1\n  Port {jump.port}\n"
        f"Host store\n  HostName 127.0.0.1\n  Port {sshd.port}\n  ProxyJump bastion\n"
    )
    try:
        async with connected(sshd, "address: store", f"config: {config}") as connections:
            done = await connections.runner("h").run(command("echo", "here"), timeout=10)
            assert done.stdout == "here\n"
            assert len(jump.sessions()) == 1
    finally:
        jump.stop()


@pytest.mark.parametrize("where", ["host", "jump"])
async def test_verification_is_never_off(sshd: Sshd, tmp_path: Path, where: str) -> None:
    config = tmp_path / "config"
    off = "UserKnownHostsFile none\n  StrictHostKeyChecking no\n"
    config.write_text(
        f"Host *\n  User root\n  IdentityFile {sshd.user_key}\n"
        f"Host store\n  HostName 127.0.0.1\n  Port {sshd.port}\n  "
        + (off if where == "host" else f"ProxyJump bastion\n  UserKnownHostsFile {sshd.known}\n")
        + f"Host bastion\n  HostName 127.0.0.1\n  Port {sshd.port}\n  {off}"
    )
    async with connected(sshd, "address: store", f"config: {config}") as connections:
        error = await failure_of(connections)
    assert error.kind == "host-key"


async def test_dev_null_as_known_hosts_knows_no_key(sshd: Sshd, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text(
        f"Host *\n  User root\n  IdentityFile {sshd.user_key}\n"
        "  UserKnownHostsFile /dev/null\n  StrictHostKeyChecking no\n"
    )
    host = f"address: 127.0.0.1, port: {sshd.port}"
    async with connected(sshd, host, f"config: {config}") as connections:
        error = await failure_of(connections)
    assert error.kind == "host-key"


@pytest.fixture
def agent(sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    path = tmp_path / "agent"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", str(path)], stdout=subprocess.DEVNULL)
    for _ in range(100):
        if path.exists():
            break
        time.sleep(0.02)
    monkeypatch.setenv("SSH_AUTH_SOCK", str(path))
    subprocess.run(["ssh-add", "-q", str(sshd.user_key)], check=True)
    yield
    process.terminate()
    process.wait(5)


@pytest.mark.usefixtures("agent")
async def test_the_agent_s_keys(sshd: Sshd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(sshd.directory))
    ssh = f"use_config: false, known_hosts: [{sshd.known}]"
    host = f"address: 127.0.0.1, port: {sshd.port}, user: root"
    text = f"contexts:\n  t:\n    ssh: {{{ssh}}}\n    hosts:\n      h: {{{host}}}\n"
    connections = Connections(parse(text, Path("/tmp/config.yaml")).choose()[1])
    done = await connections.runner("h").run(command("echo", "by agent"), timeout=10)
    assert done.stdout == "by agent\n"
    await connections.close()


@pytest.fixture
def account() -> Iterator[str]:
    """A throw-away account without rights."""
    if not shutil.which("sudo") or not shutil.which("useradd"):
        pytest.skip("needs sudo and useradd")
    name = f"mtest{os.getpid() % 10000}"
    subprocess.run(["useradd", "-M", "-p", "*", "-s", "/bin/bash", name], check=True)
    yield name
    subprocess.run(["userdel", name], check=False, capture_output=True)


async def test_sudo_that_is_refused_says_what_to_allow(sshd: Sshd, account: str) -> None:
    async with connected(sshd, user=account) as connections:
        runner = connections.runner("h")
        done = await runner.run(command("fail2ban-client", "status", root=True), timeout=10)
        with pytest.raises(SourceError) as caught:
            done.check()
        assert caught.value.kind == "auth"
        assert "sudo -n fail2ban-client was refused" in caught.value.message
        assert "install mailtui's deploy/sudoers there" in caught.value.hint
        (batched,) = await runner.batch([command("id", root=True)], timeout=10)
        with pytest.raises(SourceError, match="sudo -n id was refused"):
            batched.check()
        assert "uid=0" not in batched.stdout


async def test_root_needs_no_sudo(sshd: Sshd) -> None:
    async with connected(sshd) as connections:
        done = await connections.runner("h").run(command("id", "-u", root=True), timeout=10)
        assert done.stdout == "0\n"
