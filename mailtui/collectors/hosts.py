"""Hosts: load, memory, disks, units and served certificates; one batch of commands a poll."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import msgspec

from mailtui.collectors import host_facts, host_units
from mailtui.connections.errors import SourceError, ToolMissing
from mailtui.connections.runner import Command, Completed, command
from mailtui.model.host import Certificate, HostFacts, Unit

if TYPE_CHECKING:
    from mailtui.config.settings import Context, Host
    from mailtui.config.sources.hosts import Served, Settings
    from mailtui.connections.pool import Connections
    from mailtui.connections.runner import Runner

DF_PATIENCE = 5
"""Seconds for `df`: it hangs on a network file system whose server is gone."""
FIRST_CERTIFICATES = 1.0
"""Seconds that the first read waits for certificates, so that one read shows them all."""


class HostCollector:
    """Reads one host over its runner."""

    source: ClassVar[str] = "hosts"
    overview: ClassVar[bool] = True

    def __init__(self, name: str, host: Host, settings: Settings, connections: Connections) -> None:
        self.target = name
        self.interval = settings.interval
        self.timeout = settings.timeout + FIRST_CERTIFICATES + 1.0
        self.wanted = settings.units(host.roles)
        self.settings = settings
        self.connections = connections
        self._certificates = Certificates(
            settings.certificates(host.roles), settings.certificate_interval, host.address
        )
        units = dict.fromkeys(name for names in self.wanted for name in names.split("|"))
        self.commands = {
            "files": command("cat", *host_facts.FILES),
            "cpus": command("nproc"),
            "blocks": _df("-PT", "-B1"),
            "inodes": _df("-iPT"),
            "failed": host_units.FAILED,
            **({"units": host_units.show(units)} if units else {}),
        }

    async def read(self) -> HostFacts:
        """Everything but the certificates anew, those when they are due. Raises SourceError."""
        runner = self.connections.runner(self.target)
        facts = await self.facts(runner)
        self._certificates.start(runner)
        await self._certificates.first(FIRST_CERTIFICATES)
        return msgspec.structs.replace(
            facts,
            certificates=self._certificates.found,
            missing=(*facts.missing, *self._certificates.missing),
            notes=(*facts.notes, *self._certificates.notes),
        )

    async def close(self) -> None:
        """End the look at the certificates."""
        self._certificates.close()

    async def facts(self, runner: Runner) -> HostFacts:
        """One batch, parsed."""
        done = await runner.batch(list(self.commands.values()), timeout=self.settings.timeout)
        return parse(
            dict(zip(self.commands, done, strict=True)),
            self.wanted,
            self.settings.ignore_filesystems,
        )


class Certificates:
    """The certificates of one host's ports: on an interval of their own, each port in a channel
    of its own, so that a port that hangs delays nothing."""

    def __init__(self, served: Sequence[Served], interval: float, address: str | None) -> None:
        self.missing: tuple[str, ...] = ()
        self.notes: tuple[str, ...] = ()
        self._served = served
        self._interval = interval
        self._address = address
        self._held: dict[int, Certificate] = {}
        self._due = 0.0
        self._waited = False
        self._task: asyncio.Task[None] | None = None

    @property
    def found(self) -> tuple[Certificate, ...]:
        """What is known of each port, in the order of the configuration."""
        return tuple(self._held[s.port] for s in self._served if s.port in self._held)

    def start(self, runner: Runner) -> None:
        """Look in the background, if it is time."""
        running = self._task is not None and not self._task.done()
        if self._served and not running and time.monotonic() >= self._due:
            self._due = time.monotonic() + self._interval
            self._task = asyncio.create_task(self._look(runner))

    async def first(self, patience: float) -> None:
        """Wait a little for the first look."""
        if self._task is not None and not self._waited:
            self._waited = True
            await asyncio.wait({self._task}, timeout=patience)

    def close(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()

    async def _look(self, runner: Runner) -> None:
        await asyncio.gather(*(self._look_at(runner, one) for one in self._served))

    async def _look_at(self, runner: Runner, served: Served) -> None:
        from mailtui.collectors import certificates

        try:
            self._held[served.port] = await certificates.read(runner, served, self._address)
            self.missing = self.notes = ()
        except ToolMissing:
            self.missing = ("openssl",)
        except SourceError as error:
            # the host itself did not answer: what is known of the port stays, and soon again
            self._due = time.monotonic() + 30.0
            self.notes = (f"certificates: {error.message}",)


def _df(*options: str) -> Command:
    return command("timeout", "-s", "KILL", str(DF_PATIENCE), "df", *options)


def unit_facts(done: dict[str, Completed], wanted: Sequence[str]) -> HostFacts:
    """The units, and which tools are missing, in a batch's answers."""
    notes: list[str] = []
    units = _units(done, wanted, notes)
    missing = dict.fromkeys(_tool(answer) for answer in done.values() if answer.missing)
    return HostFacts(units=tuple(units), missing=tuple(missing), notes=tuple(notes))


def parse(done: dict[str, Completed], wanted: Sequence[str], ignored: Sequence[str]) -> HostFacts:
    """The facts in a batch's answers."""
    facts = unit_facts(done, wanted)
    files = host_facts.files(done["files"].stdout)
    notes = list(facts.notes)
    # df tells what it could read even when it ends with an error
    blocks, inodes = done["blocks"], done["inodes"]
    for answer in (blocks, inodes):
        if answer.status and not answer.missing:
            notes.append(_df_note(answer))
    return msgspec.structs.replace(
        facts,
        hostname=files.hostname,
        os=files.os,
        kernel=files.kernel,
        uptime=files.uptime,
        load=files.load,
        cpus=host_facts.cpus(done["cpus"].stdout),
        memory_total=files.memory.get("MemTotal"),
        memory_available=files.memory.get("MemAvailable"),
        swap_total=files.memory.get("SwapTotal"),
        swap_free=files.memory.get("SwapFree"),
        mounts=host_facts.mounts(blocks.stdout, inodes.stdout, ignored),
        notes=tuple(dict.fromkeys(notes)),
    )


def _tool(answer: Completed) -> str:
    """The tool that a command is about."""
    argv = answer.command.argv
    return argv[4] if argv[0] == "timeout" else argv[0]


def _df_note(answer: Completed) -> str:
    if answer.status in (124, 137):
        return f"df gave no answer within {DF_PATIENCE} s: is a network file system gone?"
    words = answer.stderr.strip().splitlines()
    return f"df: {words[0].removeprefix('df: ')}" if words else f"df: exit code {answer.status}"


def _units(done: dict[str, Completed], wanted: Sequence[str], notes: list[str]) -> list[Unit]:
    failed = done["failed"]
    if failed.missing:
        return []
    if failed.status:
        words = failed.stderr.strip().splitlines()
        why = words[0] if words else f"exit code {failed.status}"
        if "not been booted with systemd" in why or "Failed to connect to bus" in why:
            why = "systemd does not run here"
        notes.append(f"units: {why}")
        return []
    units = host_units.of_roles(wanted, host_units.shown(done["units"].stdout if wanted else ""))
    names = {unit.name for unit in units}
    units += [unit for unit in host_units.failed(failed.stdout) if unit.name not in names]
    return units


def collectors(context: Context, connections: Connections) -> list[HostCollector]:
    """One for each host; this machine is read without SSH."""
    from mailtui.config.sources.hosts import Settings

    settings = context.source("hosts", Settings)
    if settings is None:
        return []
    found: list[HostCollector] = []
    for name, host in context.hosts.items():
        if host.local:
            from mailtui.collectors.host_local import LocalHostCollector

            found.append(LocalHostCollector(name, host, settings, connections))
        else:
            found.append(HostCollector(name, host, settings, connections))
    return found
