"""This machine: psutil in place of `cat` and `df`, the same record."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import psutil

from mailtui.collectors import host_facts
from mailtui.collectors.hosts import DF_PATIENCE, HostCollector, unit_facts
from mailtui.connections.clean import clean
from mailtui.connections.daemon_executor import DaemonExecutor
from mailtui.connections.errors import SourceError
from mailtui.model import clock
from mailtui.model.host import HostFacts, Mount

if TYPE_CHECKING:
    from mailtui.config.settings import Host
    from mailtui.config.sources.hosts import Settings
    from mailtui.connections.pool import Connections
    from mailtui.connections.runner import Runner


class LocalHostCollector(HostCollector):
    """Reads this machine; only systemd and the certificates are asked by commands."""

    def __init__(self, name: str, host: Host, settings: Settings, connections: Connections) -> None:
        super().__init__(name, host, settings, connections)
        self._threads = DaemonExecutor("disks")
        self.commands = {
            key: asked for key, asked in self.commands.items() if key in ("failed", "units")
        }

    async def facts(self, runner: Runner) -> HostFacts:
        """psutil's answers, and systemd's."""
        done = await runner.batch(list(self.commands.values()), timeout=self.settings.timeout)
        facts = unit_facts(dict(zip(self.commands, done, strict=True)), self.wanted)
        notes = list(facts.notes)
        mounts: tuple[Mount, ...] = ()
        try:
            # statvfs(2) hangs on a network file system whose server is gone
            found = await self._threads.call(_mounts, DF_PATIENCE)
            mounts = host_facts.chosen(found, self.settings.ignore_filesystems)
        except SourceError as error:
            notes.append(error.message)
        memory, swap = psutil.virtual_memory(), psutil.swap_memory()
        return msgspec.structs.replace(
            facts,
            hostname=clean(platform.node()),
            os=_os_name(),
            kernel=clean(platform.release()),
            uptime=max(0.0, clock.now() - psutil.boot_time()),
            load=psutil.getloadavg(),
            cpus=psutil.cpu_count(),
            memory_total=memory.total,
            memory_available=memory.available,
            swap_total=swap.total,
            swap_free=swap.free,
            mounts=mounts,
            notes=tuple(notes),
        )

    async def close(self) -> None:
        """End the look at the certificates, and the thread."""
        await super().close()
        self._threads.close()


def _os_name() -> str:
    try:
        text = Path("/etc/os-release").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return platform.system()
    return clean(host_facts.os_name(text.splitlines()))


def _mounts() -> list[Mount]:
    found = []
    for part in psutil.disk_partitions(all=True):
        try:
            stat = os.statvfs(part.mountpoint)
        except OSError:  # no permission, or gone since the list was made
            continue
        found.append(
            Mount(
                target=clean(part.mountpoint),
                source=clean(part.device),
                fstype=clean(part.fstype),
                size=stat.f_blocks * stat.f_frsize,
                used=(stat.f_blocks - stat.f_bfree) * stat.f_frsize,
                available=stat.f_bavail * stat.f_frsize,
                inodes=stat.f_files,
                inodes_used=stat.f_files - stat.f_ffree,
            )
        )
    return found
