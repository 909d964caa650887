"""sshd of every simulated host: one listener each on 127.0.0.1, its own host key, one user.

Public-key authentication, exec channels with separate standard error and exit status, several
channels a connection (10, as sshd's MaxSessions), and a small interactive shell for people.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import struct
from typing import TYPE_CHECKING, Any, cast

import asyncssh

from mailtui.sandbox import hosts
from mailtui.sandbox.commands import USER_PATH, Context, Machine
from mailtui.sandbox.faults import HTML, Fault, Faults
from mailtui.sandbox.shell import Shell
from mailtui.sandbox.ssh_channel import Input, Output, Process, as_bytes
from mailtui.sandbox.streams import Null, Sink, Source

if TYPE_CHECKING:
    from mailtui.sandbox.world import World

log = logging.getLogger(__name__)

MAX_SESSIONS = 10
"""Channels at once on one connection (sshd_config(5), MaxSessions)."""

_AT_ACCEPT = ("down", "hang", "html")
_AFTER_FORK = ("500", "503")


class Server:
    """The sshd of all hosts of a world."""

    def __init__(self, world: World, faults: Faults) -> None:
        """Faults of "ssh:HOST": down and hang meet new connections and the commands on old ones,
        html new connections, 401 refuses the key, 429 refuses channels, slow delays each command,
        cut and truncated break the output in the middle, 500 and 503 fail before the command
        starts. A fault with a `path` concerns only commands that contain it.
        """
        self.world = world
        self.faults = faults
        self.ports: dict[str, int] = {}
        self.connections: set[asyncssh.SSHServerConnection] = set()
        self._authorized: set[bytes] = set()
        self._keys: dict[str, asyncssh.SSHKey] = {}
        self._options: dict[str, asyncssh.SSHServerConnectionOptions] = {}
        self._machines: dict[str, Machine] = {}
        self._listeners: list[socket.socket] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def authorize(self, public_key: str) -> None:
        """Let in user `mailtui` with this key (a line of authorized_keys or of a .pub file)."""
        self._authorized.add(asyncssh.import_public_key(public_key).public_data)

    def is_authorized(self, host: str, user: str, key: asyncssh.SSHKey) -> bool:
        """Whether the key opens this host now."""
        fault = self.faults.get(_name(host))
        refused = fault is not None and fault.kind == "401"
        if refused:
            self.faults.take(_name(host))
        return not refused and user == hosts.USER and key.public_data in self._authorized

    def machine(self, host: str) -> Machine:
        """The host's tools and files."""
        return self._machines[host]

    async def start(self) -> dict[str, int]:
        """Listen for every host; host → port on 127.0.0.1."""
        for name in self.world.hosts:
            self._machines[name] = hosts.machine(self.world, name)
            await self.change_host_key(name)
            listener = socket.create_server(("127.0.0.1", 0), backlog=64)
            listener.setblocking(False)
            self._listeners.append(listener)
            self.ports[name] = listener.getsockname()[1]
            self._spawn(self._accept(name, listener))
        return dict(self.ports)

    async def change_host_key(self, host: str) -> None:
        """Give a host a new key, as after a reinstallation; open connections stay."""
        key = asyncssh.generate_private_key("ssh-ed25519")
        self._keys[host] = key
        self._options[host] = await asyncssh.SSHServerConnectionOptions.construct(
            config=None,
            server_factory=lambda: _Session(self, host),
            server_host_keys=[key],
            server_version="OpenSSH_9.2p1_mailtui-sandbox",
            encoding=None,
            kex_algs=["curve25519-sha256", "curve25519-sha256@libssh.org"],
            # chacha20-poly1305 costs asyncssh five times as much
            encryption_algs=["aes128-gcm@openssh.com", "aes256-gcm@openssh.com"],
            mac_algs=["hmac-sha2-256-etm@openssh.com", "hmac-sha2-256"],
            compression_algs=None,
            password_auth=False,
            kbdint_auth=False,
            agent_forwarding=False,
            x11_forwarding=False,
            allow_scp=False,
            line_editor=True,
            login_timeout=30,
        )

    def known_hosts(self) -> str:
        """Lines for a known_hosts file, `[127.0.0.1]:PORT key`."""
        return "".join(
            f"[127.0.0.1]:{port} {_public(self._keys[name])}\n" for name, port in self.ports.items()
        )

    async def stop(self) -> None:
        """Close listeners and connections, end what runs."""
        for task in list(self._tasks):
            task.cancel()
        for connection in list(self.connections):
            connection.abort()
        ending = [connection.wait_closed() for connection in self.connections]
        await asyncio.gather(*self._tasks, *ending, return_exceptions=True)
        for listener in self._listeners:
            listener.close()
        self._listeners.clear()

    # -- connections

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept(self, name: str, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(listener)
            except OSError as error:  # out of file descriptors: try again later
                log.warning("ssh:%s cannot accept: %s", name, error)
                await asyncio.sleep(0.2)
                continue
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._spawn(self._serve(name, connection))

    async def _serve(self, name: str, connection: socket.socket) -> None:
        try:
            await self._reachable(name)
            fault = self.faults.get(_name(name))
            if fault is not None and not fault.path and fault.kind in _AT_ACCEPT:
                self.faults.take(_name(name))
                await self._refuse(name, fault, connection)
                return
            options = self._options[name]
            with contextlib.suppress(asyncssh.Error, OSError):
                await asyncssh.run_server(connection, config=None, options=options)
        except BaseException:
            connection.close()
            raise

    async def _reachable(self, name: str) -> None:
        """Waits while the world says that the host does not answer."""
        while not self.world.hosts[name].reachable:  # noqa: ASYNC110 - a plain attribute
            await asyncio.sleep(0.5)

    async def _refuse(self, name: str, fault: Fault, connection: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        if fault.kind == "hang":
            await self.faults.changed(_name(name))
        elif fault.kind == "html":
            data = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n{HTML}".encode()
            with contextlib.suppress(OSError):
                await loop.sock_sendall(connection, data)
        else:
            # linger 0: the close is a reset
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()

    # -- commands

    async def run(self, name: str, process: asyncssh.SSHServerProcess[bytes]) -> None:
        """One channel, from its request to its exit status."""
        try:
            status = await self._run(name, process)
        except BrokenPipeError:
            status = 141
        except asyncio.CancelledError:
            process.close()
            raise
        if not process.channel.is_closing():
            process.exit(status)

    async def _run(self, name: str, process: asyncssh.SSHServerProcess[bytes]) -> int:
        await self._reachable(name)
        self.world.tick()
        if process.subsystem:
            return 127
        command = process.command
        self.faults.happen(_name(name), command or "")
        fault = await self._fault(name, command or "")
        if fault is not None and fault.kind == "down":
            process.channel.get_connection().abort()
            raise BrokenPipeError
        spoil = fault if fault is not None and fault.kind in ("cut", "truncated") else None
        output = Output(process, process.stdout, spoil)
        errors = Output(process, process.stderr)
        if fault is not None and fault.kind in _AFTER_FORK:
            await errors.write(b"-bash: fork: retry: Resource temporarily unavailable\n")
            errors.flush()
            return 254
        context = self._context(name, process, output, errors)
        try:
            if command is None:
                return await self._interactive(name, process, context)
            return await Shell(context).run(command)
        finally:
            output.flush()
            errors.flush()

    async def _fault(self, name: str, command: str) -> Fault | None:
        """The fault that this command meets, after its delay."""
        fault = self.faults.get(_name(name))
        if fault is None or fault.path not in command:
            return None
        if fault.kind in ("401", "html"):
            return None
        self.faults.take(_name(name), fault.path)
        if fault.kind == "slow":
            await asyncio.sleep(fault.seconds)
        elif fault.kind == "hang":
            await self.faults.changed(_name(name))
        return fault

    def _context(
        self,
        name: str,
        process: asyncssh.SSHServerProcess[bytes],
        output: Sink,
        errors: Sink,
    ) -> Context:
        peer = process.get_extra_info("peername") or ("127.0.0.1", 0)
        port = self.ports[name]
        env = {
            "SHELL": "/bin/sh",
            "PWD": f"/home/{hosts.USER}",
            "LOGNAME": hosts.USER,
            "HOME": f"/home/{hosts.USER}",
            "LANG": "C.UTF-8",
            "SSH_CONNECTION": f"{peer[0]} {peer[1]} 127.0.0.1 {port}",
            "SSH_CLIENT": f"{peer[0]} {peer[1]} {port}",
            "USER": hosts.USER,
            "PATH": USER_PATH,
        }
        return Context(
            machine=self._machines[name],
            user=hosts.USER,
            env=env,
            stdin=cast(Source, Input(process.stdin)),
            stdout=output,
            stderr=errors,
        )

    async def _interactive(
        self, name: str, process: asyncssh.SSHServerProcess[bytes], context: Context
    ) -> int:
        """A shell without a command: a line, its output, a prompt."""
        if process.term_type is None:
            lines = [chunk async for chunk in _chunks(context.stdin)]
            script = b"".join(lines).decode("utf-8", "surrogateescape")
            context.stdin = Null()
            return await Shell(context).run(script)
        host = self.world.hosts[name]
        await context.out(
            f"{host.os}, {name} of a simulated mail platform (mailtui sandbox).\n"
            "A part of the shell and of the tools is here; `exit` or Ctrl-D ends."
        )
        shell = Shell(context)
        while True:
            await context.stdout.write(f"{hosts.USER}@{name}:~$ ".encode())
            try:
                line = await process.stdin.readline()
            except asyncssh.TerminalSizeChanged:
                continue
            except (asyncssh.BreakReceived, asyncssh.SignalReceived):
                await context.out("")
                continue
            if not line:
                await context.out("")
                return shell.status
            text = as_bytes(line).decode("utf-8", "surrogateescape").strip()
            self.world.tick()
            context.stdin = Null()
            if text in ("exit", "logout"):
                return shell.status
            shell.status = await shell.run(text)


async def _chunks(source: Source) -> Any:
    while data := await source.read():
        yield data


def _name(host: str) -> str:
    return f"ssh:{host}"


def _public(key: asyncssh.SSHKey) -> str:
    return key.export_public_key().decode().strip()


class _Session(asyncssh.SSHServer):
    """One connection to one host."""

    def __init__(self, server: Server, host: str) -> None:
        self._server = server
        self._host = host
        self._connection: asyncssh.SSHServerConnection | None = None
        self._running: set[asyncio.Task[None]] = set()

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self._server.connections.add(conn)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._connection is not None:
            self._server.connections.discard(self._connection)
        for task in list(self._running):
            task.cancel()

    def begin_auth(self, username: str) -> bool:
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return self._server.is_authorized(self._host, username, key)

    def session_requested(self) -> Any:
        fault = self._server.faults.get(_name(self._host))
        if fault is not None and fault.kind == "429":
            self._server.faults.take(_name(self._host), fault.path)
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_CONNECT_FAILED, "open failed")
        if len(self._running) >= MAX_SESSIONS:
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_CONNECT_FAILED, "open failed")
        return Process(self._start, None, 3, False)

    async def _start(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        await self._server.run(self._host, process)
