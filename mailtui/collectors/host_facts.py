"""What a host's own files and `df` say: proc(5), os-release(5), POSIX df with types."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping

import msgspec

from mailtui.model.host import Mount

_DF = re.compile(
    r"(?P<source>\S.*?)\s+(?P<fstype>\S+)\s+(?P<size>\d+|-)\s+(?P<used>-?\d+|-)\s+"
    r"(?P<free>-?\d+|-)\s+(?:\d+%|-)\s+(?P<target>/.*)"
)
_OUR_BUSINESS = re.compile(r"/(?!(?:run|sys|proc|dev)/)")
"""Mounts below these are the kernel's and systemd's own."""


class Files(msgspec.Struct, frozen=True):
    """What the files of FILES say; None or empty where a file is not there."""

    hostname: str = ""
    kernel: str = ""
    os: str = ""
    uptime: float | None = None
    load: tuple[float, float, float] | None = None
    memory: dict[str, int] = {}
    """Bytes by name of /proc/meminfo."""


FILES = (
    "/proc/loadavg",
    "/proc/uptime",
    "/proc/sys/kernel/hostname",
    "/proc/sys/kernel/osrelease",
    "/proc/meminfo",
    "/etc/os-release",
)
"""Read by one `cat`: no two of them have lines of the same form (proc(5), os-release(5))."""

_LOAD = re.compile(r"(\d+\.\d+) (\d+\.\d+) (\d+\.\d+) \d+/\d+ \d+")
_UPTIME = re.compile(r"(\d+\.\d+) \d+\.\d+")
_MEMORY = re.compile(r"([\w()]+):\s+(\d+)( kB)?")
_KERNEL = re.compile(r"\d+\.\d+\S*")


def files(text: str) -> Files:
    """The values in `cat` of FILES."""
    hostname = kernel = ""
    uptime: float | None = None
    load: tuple[float, float, float] | None = None
    memory: dict[str, int] = {}
    release: list[str] = []
    for line in text.splitlines():
        if match := _MEMORY.fullmatch(line):
            memory[match[1]] = int(match[2]) * (1024 if match[3] else 1)
        elif "=" in line:
            release.append(line)
        elif match := _LOAD.fullmatch(line):
            load = float(match[1]), float(match[2]), float(match[3])
        elif match := _UPTIME.fullmatch(line):
            uptime = float(match[1])
        elif _KERNEL.fullmatch(line):
            kernel = line
        elif not memory:
            hostname = hostname or line.strip()
    return Files(hostname, kernel, os_name(release), uptime, load, memory)


def os_name(release: Iterable[str]) -> str:
    """PRETTY_NAME in the lines of os-release(5), or NAME, or nothing."""
    values: dict[str, str] = {}
    for line in release:
        name, _, value = line.partition("=")
        if name in ("PRETTY_NAME", "NAME"):
            try:
                values[name] = " ".join(shlex.split(value))
            except ValueError:  # an open quotation mark
                values[name] = value.strip("\"'")
    return values.get("PRETTY_NAME") or values.get("NAME", "")


def cpus(nproc: str) -> int | None:
    """The number that nproc(1) prints."""
    return int(nproc) if nproc.strip().isdigit() else None


def mounts(blocks: str, inodes: str, ignored: Iterable[str]) -> tuple[Mount, ...]:
    """Mounts of `df -PT -B1` and `df -iPT`; see `chosen`."""
    counted: dict[str, tuple[int, int]] = {}
    for row in _rows(inodes):
        counted[row["target"]] = (_number(row["size"]), _number(row["used"]))
    found = [
        Mount(
            target=row["target"],
            source=row["source"],
            fstype=row["fstype"],
            size=_number(row["size"]),
            used=_number(row["used"]),
            available=_number(row["free"]),
            inodes=counted.get(row["target"], (0, 0))[0],
            inodes_used=counted.get(row["target"], (0, 0))[1],
        )
        for row in _rows(blocks)
    ]
    return chosen(found, ignored)


def chosen(found: Iterable[Mount], ignored: Iterable[str]) -> tuple[Mount, ...]:
    """Those on which something can run full: no pseudo file systems, and of one device that is
    mounted several times (bind mounts, subvolumes) the shortest path. `/` always counts."""
    skip = frozenset(ignored)
    by_device: dict[tuple[str, int], Mount] = {}
    for mount in found:
        if mount.target != "/" and (mount.fstype in skip or not _OUR_BUSINESS.match(mount.target)):
            continue
        if mount.size <= 0:
            continue
        # overlays and network shares of one name are told apart by their path
        device = mount.source if mount.source.startswith("/dev/") else mount.target
        held = by_device.get((device, mount.size))
        if held is None or len(mount.target) < len(held.target):
            by_device[device, mount.size] = mount
    return tuple(sorted(by_device.values(), key=lambda m: m.target))


def _rows(df: str) -> Iterable[Mapping[str, str]]:
    for line in df.splitlines()[1:]:
        match = _DF.fullmatch(line.rstrip())
        if match is not None:
            yield match.groupdict()


def _number(text: str) -> int:
    return 0 if text == "-" else max(0, int(text))
