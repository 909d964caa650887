"""Every server of the sandbox around one world, and the console's configuration for them."""

from __future__ import annotations

import asyncio
import base64
import logging
import os
import secrets
import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mailtui.sandbox.faults import Faults

if TYPE_CHECKING:
    from mailtui.sandbox.world import World

USER = "mailtui"
CONTEXT = "demo"
ACTED = "acted"
"""Folder for what a console that acts here writes: journal, plans, evidence, operators."""
_HTTP = ("prometheus", "rabbitmq", "elasticsearch")
_WARM_BLOCKS = 2
"""Minutes of past audit events made each second, until all are there."""

log = logging.getLogger(__name__)


class Platform:
    """The servers of one world on 127.0.0.1, at ports that are free."""

    def __init__(self, world: World, directory: Path, faults: Faults | None = None) -> None:
        """`directory` receives the configuration, keys and passwords; it is made if missing."""
        self.world = world
        self.directory = directory
        self.faults = faults or Faults()
        self.config = directory / "config.yaml"
        self.ports: dict[str, int] = {}
        """Server name, or `ssh:HOST` → port."""
        self.servers: dict[str, Any] = {}
        self._written: list[Path] = []
        self._made_directory = False
        self._ticker: asyncio.Task[None] | None = None

    async def start(self) -> Path:
        """Start every server; the path of the configuration, once all of them listen.

        Raises OSError if the directory or a port cannot be used.
        """
        self._make_directory()
        try:
            await self._start_servers()
        except BaseException:
            await self.stop()
            raise
        self._ticker = asyncio.create_task(self._tick())
        return self.config

    async def stop(self) -> None:
        """Stop the servers and remove what was written; safe to call twice."""
        if self._ticker is not None:
            self._ticker.cancel()
            await asyncio.gather(self._ticker, return_exceptions=True)
            self._ticker = None
        servers, self.servers = list(self.servers.values()), {}
        await asyncio.gather(*(s.stop() for s in servers), return_exceptions=True)
        for path in self._written:
            with suppress(OSError):
                path.unlink()
        self._written.clear()
        shutil.rmtree(self.directory / ACTED, ignore_errors=True)
        if self._made_directory:
            with suppress(OSError):
                self.directory.rmdir()
            self._made_directory = False

    async def _tick(self) -> None:
        """Let the world follow the clock, and make its past while nobody asks."""
        warm = True
        while True:
            await asyncio.sleep(1.0)
            try:
                self.world.tick()
                warm = warm and self.world.audit.warm(_WARM_BLOCKS)
            except Exception:
                log.exception("the world could not move on")

    async def _start_servers(self) -> None:
        from mailtui.sandbox import amqp, elasticsearch, prometheus, rabbitmq, ssh
        from mailtui.sandbox.rabbitmq_account import Account

        password = secrets.token_urlsafe(18)
        api_key = base64.b64encode(
            f"{secrets.token_urlsafe(15)}:{secrets.token_urlsafe(16)}".encode()
        ).decode()
        self._write("rabbitmq.password", password + "\n")
        self._write("elasticsearch.key", api_key + "\n")
        # RabbitMQ lets only an administrator close the connections of others
        account = Account(USER, password, ["administrator"])
        broker = rabbitmq.Server(self.world, self.faults, account)
        amqp_server = amqp.Server(self.world, self.faults, account)
        search = elasticsearch.Server(self.world, self.faults)
        search.api_key = api_key
        self.servers = {
            "prometheus": prometheus.Server(self.world, self.faults),
            "rabbitmq": broker,
            "elasticsearch": search,
        }
        self.servers["amqp"] = amqp_server
        self.ports["amqp"] = await amqp_server.start()
        for name in _HTTP:
            self.ports[name] = await self.servers[name].start()
        shells = self.servers["ssh"] = ssh.Server(self.world, self.faults)
        shells.authorize(self._client_key())
        for host, port in (await shells.start()).items():
            self.ports[f"ssh:{host}"] = port
        self._write("known_hosts", shells.known_hosts())
        acted = self.directory / ACTED
        acted.mkdir(mode=0o700, exist_ok=True)
        self._write("config.yaml", self._configuration())

    def _client_key(self) -> str:
        """Makes the console's key; returns its public half."""
        import asyncssh

        key = asyncssh.generate_private_key("ssh-ed25519", comment=f"{USER}@sandbox")
        self._write("id_ed25519", key.export_private_key().decode())
        public: str = key.export_public_key().decode()
        return public

    def _make_directory(self) -> None:
        try:
            self.directory.mkdir(mode=0o700)
            self._made_directory = True
        except FileExistsError:
            self.directory.chmod(0o700)

    def _write(self, name: str, text: str) -> None:
        """A file that only its owner can read."""
        path = self.directory / name
        path.unlink(missing_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        self._written.append(path)

    def _configuration(self) -> str:
        """The console's config.yaml."""
        import yaml

        url = {name: f"http://127.0.0.1:{self.ports[name]}" for name in _HTTP}
        hosts = {
            host.name: {
                "address": "127.0.0.1",
                "port": self.ports[f"ssh:{host.name}"],
                "roles": list(host.roles),
                "tags": list(host.tags),
                "instance": host.name,
            }
            for host in self.world.hosts.values()
        }
        context = {
            "label": f"DEMO {self.world.scenario}",
            "color": "magenta",
            "simulation": True,
            "read_only": False,
            "ssh": {
                "user": USER,
                "keys": ["./id_ed25519"],
                "known_hosts": ["./known_hosts"],
                "use_config": False,
                "agent": False,
            },
            "hosts": hosts,
            "sources": {
                "prometheus": {"url": url["prometheus"]},
                "rabbitmq": {
                    "url": url["rabbitmq"],
                    "amqp": f"amqp://127.0.0.1:{self.ports['amqp']}",
                    "username": USER,
                    "password": {"file": "./rabbitmq.password"},
                },
                "elasticsearch": {
                    "urls": [url["elasticsearch"]],
                    "api_key": {"file": "./elasticsearch.key"},
                    "audit": {"index": "audit-*"},
                },
                "hosts": {},
                "postfix": {},
                "fail2ban": {},
            },
        }
        head = "# Written by the sandbox; removed when it ends.\n"
        whole = {
            "context": CONTEXT,
            "contexts": {CONTEXT: context},
            "journal": {"path": f"./{ACTED}/journal.jsonl"},
            "evidence": {"path": f"./{ACTED}/evidence"},
            "access": {"url": f"sqlite:///./{ACTED}/operators.db"},
        }
        body: str = yaml.safe_dump(whole, sort_keys=False, width=100)
        return head + body
