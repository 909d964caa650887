"""What node_exporter says of a host."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailtui.sandbox.world.clock import Course, noise
from mailtui.sandbox.world.hosts import Host, Mount, Unit

if TYPE_CHECKING:
    from mailtui.sandbox.world import World
    from mailtui.sandbox.world.series import Target

_MODES = (
    ("user", 0.11),
    ("system", 0.04),
    ("iowait", 0.015),
    ("softirq", 0.005),
    ("steal", 0.002),
    ("nice", 0.001),
    ("irq", 0.0),
    ("idle", 0.827),
)
_STATES = ("active", "activating", "deactivating", "failed", "inactive")


def add(target: Target, world: World, host: Host) -> None:
    """All of a host's series."""
    _load_and_memory(target, host)
    _cpu(target, host)
    for mount in host.mounts:
        _mount(target, world, mount)
    _network_and_disk(target, host)
    for unit in host.units.values():
        _unit(target, unit)
    _identity(target, host)


def _load_and_memory(target: Target, host: Host) -> None:
    for i, name in enumerate(("node_load1", "node_load5", "node_load15")):
        target.add(name, lambda t, i=i: host.load_at(t)[i])  # type: ignore[misc]
    total = float(host.memory_total)
    for name, share in (("Buffers", 0.02), ("Cached", 0.36), ("Slab", 0.04), ("Shmem", 0.01)):
        target.add(f"node_memory_{name}_bytes", total * share)
    target.add("node_memory_MemTotal_bytes", total)
    target.add("node_memory_MemAvailable_bytes", lambda t: float(host.memory_at(t)))
    target.add("node_memory_MemFree_bytes", lambda t: float(int(host.memory_at(t) * 0.3)))
    target.add("node_memory_SwapTotal_bytes", float(host.swap_total))
    target.add("node_memory_SwapFree_bytes", float(host.swap_free), lambda: float(host.swap_free))


def _cpu(target: Target, host: Host) -> None:
    for cpu in range(host.cpus):
        for number, (mode, share) in enumerate(_MODES):
            key = host.key * 131 + cpu * 17 + number

            def seconds(t: float, share: float = share, key: int = key) -> float:
                lag = min(1.5, share * 6.0) * noise(key, int(t) // 15)
                return round(max(0.0, (t - host.boot_time) * share - lag), 2)

            target.add("node_cpu_seconds_total", seconds, cpu=str(cpu), mode=mode)


def _mount(target: Target, world: World, mount: Mount) -> None:
    labels = {"device": mount.source, "fstype": mount.fstype, "mountpoint": mount.target}
    start, used, growth = world.start, mount.used, mount.growth
    size, reserved = float(mount.size), float(mount.reserved)

    def free(t: float) -> float:
        return float(int((size - used + growth * (start - t)) / 4096) * 4096)

    def live_free() -> float:
        return float(mount.free // 4096 * 4096)

    target.add("node_filesystem_size_bytes", size, lambda: float(mount.size), **labels)
    target.add("node_filesystem_free_bytes", free, live_free, **labels)
    target.add(
        "node_filesystem_avail_bytes",
        lambda t: max(0.0, free(t) - reserved),
        lambda: max(0.0, live_free() - mount.reserved),
        **labels,
    )
    target.add("node_filesystem_files", float(mount.inodes), **labels)
    target.add(
        "node_filesystem_files_free",
        float(mount.inodes - int(mount.inodes_used)),
        lambda: float(mount.inodes - int(mount.inodes_used)),
        **labels,
    )
    target.add("node_filesystem_readonly", 0.0, **labels)
    target.add("node_filesystem_device_error", 0.0, **labels)


def _network_and_disk(target: Target, host: Host) -> None:
    uptime = target.start - host.boot_time
    busy = {"mx": 260e3, "store": 900e3, "db": 400e3}.get(host.roles[0], 90e3)
    rates: tuple[tuple[str, float, dict[str, str]], ...] = (
        ("node_network_receive_bytes_total", busy, {"device": "eth0"}),
        ("node_network_transmit_bytes_total", busy * 0.8, {"device": "eth0"}),
        ("node_disk_written_bytes_total", busy * 0.6, {"device": "vda"}),
        ("node_disk_read_bytes_total", busy * 0.2, {"device": "vda"}),
        ("node_context_switches_total", 9_000.0 * host.cpus, {}),
    )
    for name, rate, labels in rates:
        course = target.counted(name, uptime * rate, ((Course(rate), 1.0),))
        target.add(name, course, **labels)

    def io_time(t: float) -> float:
        return round((t - host.boot_time) * 0.06, 3)

    target.add("node_disk_io_time_seconds_total", io_time, device="vda")


def _unit(target: Target, unit: Unit) -> None:
    kind = "notify" if unit.name.endswith(".service") else ""
    for state in _STATES:

        def live(state: str = state) -> float:
            return float(unit.active == state)

        past = 1.0 if state == "active" else 0.0
        target.add("node_systemd_unit_state", past, live, name=unit.name, state=state, type=kind)


def _identity(target: Target, host: Host) -> None:
    target.add("node_boot_time_seconds", host.boot_time)
    target.add("node_time_seconds", lambda t: t)
    target.add(
        "node_uname_info",
        1.0,
        domainname="(none)",
        machine="x86_64",
        nodename=host.name,
        release=host.kernel,
        sysname="Linux",
        version="#1 SMP PREEMPT_DYNAMIC Debian",
    )
    target.add(
        "node_os_info",
        1.0,
        id="debian",
        name="Debian GNU/Linux",
        pretty_name=host.os,
        version_id=host.os_version,
    )
    newer = host.os_version == "13"
    target.add(
        "node_exporter_build_info",
        1.0,
        branch="debian/sid",
        goarch="amd64",
        goos="linux",
        goversion="go1.24.4" if newer else "go1.19.8",
        revision="1.9.0-1+b4" if newer else "1.5.0-1+b6",
        version="1.9.0" if newer else "1.5.0",
    )
