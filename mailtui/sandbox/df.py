"""df(1) of coreutils 9."""

from __future__ import annotations

import getopt
import math
from dataclasses import dataclass

from mailtui.sandbox.commands import Context, UsageError
from mailtui.sandbox.world.hosts import Mount

_UNITS = {
    "": 1,
    "1": 1,
    "K": 1024,
    "1K": 1024,
    "M": 1024**2,
    "1M": 1024**2,
    "G": 1024**3,
    "1G": 1024**3,
}
_HEADS = {1: "1", 1024: "1K", 1024**2: "1M", 1024**3: "1G"}
_FIELDS = (
    "source", "fstype", "size", "used", "avail", "pcent",
    "itotal", "iused", "iavail", "ipcent", "target",
)  # fmt: skip
_WIDTHS = {"source": 14, "fstype": 4, "pcent": 4, "ipcent": 4, "target": 0}


@dataclass
class _Style:
    block: int = 1024
    human: bool = False
    posix: bool = False
    inodes: bool = False
    kind: bool = False
    output: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()

    def columns(self) -> list[str]:
        """Names of the columns, as --output has them."""
        if self.output:
            return list(self.output)
        middle = (
            ["itotal", "iused", "iavail", "ipcent"]
            if self.inodes
            else ["size", "used", "avail", "pcent"]
        )
        return ["source", *(["fstype"] if self.kind else []), *middle, "target"]

    def head(self, column: str) -> str:
        """What stands above a column."""
        size = "Size" if self.human else f"{_HEADS[self.block]}{'B' * (self.block == 1)}-blocks"
        if self.posix:
            size = f"{self.block}-blocks"
        return {
            "source": "Filesystem",
            "fstype": "Type",
            "size": size,
            "used": "Used",
            "avail": "Avail" if self.human or self.output else "Available",
            "pcent": "Capacity" if self.posix else "Use%",
            "itotal": "Inodes",
            "iused": "IUsed",
            "iavail": "IFree",
            "ipcent": "IUse%",
            "target": "Mounted on",
        }[column]

    def amount(self, size: int, *, blocks: bool = True) -> str:
        """A size in blocks rounded up (or a number of inodes), or for people."""
        if not self.human:
            return str(-(-size // self.block) if blocks else size)
        value, unit = float(size), 0
        while value >= 1024 and unit < 5:
            value, unit = value / 1024, unit + 1
        if unit == 0:
            return str(size)
        rounded = math.ceil(value * 10) / 10
        text = f"{rounded:.1f}" if rounded < 10 else str(math.ceil(value))
        return text + " KMGTP"[unit]

    def cell(self, mount: Mount, column: str) -> str:
        """The text of one cell."""
        # file systems hand out whole blocks
        used = _blocks(mount.size - mount.free)
        available = _blocks(mount.available)
        inodes_used = int(mount.inodes_used)
        match column:
            case "source":
                return mount.source
            case "fstype":
                return mount.fstype
            case "size":
                return self.amount(mount.size)
            case "used":
                return self.amount(used)
            case "avail":
                return self.amount(available)
            case "pcent":
                return _percent(used, available)
            case "itotal":
                return self.amount(mount.inodes, blocks=False)
            case "iused":
                return self.amount(inodes_used, blocks=False)
            case "iavail":
                return self.amount(max(0, mount.inodes - inodes_used), blocks=False)
            case "ipcent":
                return _percent(inodes_used, mount.inodes - inodes_used)
        return mount.target


def _blocks(size: int) -> int:
    return size - size % 4096


def _percent(used: int, available: int) -> str:
    total = used + available
    return f"{-(-used * 100 // total)}%" if total else "-"


def _style(argv: list[str]) -> tuple[_Style, list[str]]:
    options, operands = getopt.gnu_getopt(
        argv[1:],
        "PTikmhlaB:x:t:",
        [
            "portability", "print-type", "inodes", "human-readable", "local", "all", "block-size=",
            "exclude-type=", "type=", "output=", "sync", "no-sync",
        ],
    )  # fmt: skip
    style = _Style()
    for name, value in options:
        if name in ("-P", "--portability"):
            style.posix = True
        elif name in ("-T", "--print-type"):
            style.kind = True
        elif name in ("-i", "--inodes"):
            style.inodes = True
        elif name in ("-h", "--human-readable"):
            style.human = True
        elif name in ("-k", "-m"):
            style.block = 1024 if name == "-k" else 1024**2
        elif name in ("-B", "--block-size"):
            if value not in _UNITS:
                raise UsageError(f"invalid --block-size argument '{value}'")
            style.block = _UNITS[value]
        elif name in ("-x", "--exclude-type"):
            style.excluded += (value,)
        elif name in ("-t", "--type"):
            style.only += (value,)
        elif name == "--output":
            style.output = tuple(value.split(","))
            unknown = [column for column in style.output if column not in _FIELDS]
            if unknown:
                raise UsageError(f"option --output: field '{unknown[0]}' unknown")
    return style, operands


async def df(context: Context, argv: list[str]) -> int:
    """`df` with -P -T -i -k -m -h -l -a -B, -x and -t, --output=, and paths."""
    style, operands = _style(argv)
    status = 0
    mounts: list[Mount] = context.machine.host.mounts
    if operands:
        chosen = []
        for operand in operands:
            if not _exists(context, operand):
                await context.err(f"df: {operand}: No such file or directory")
                status = 1
                continue
            holders = [m for m in mounts if _holds(m, operand)]
            chosen.append(max(holders, key=lambda m: len(m.target)))
        mounts = chosen
    rows = [
        mount
        for mount in mounts
        if mount.fstype not in style.excluded and (not style.only or mount.fstype in style.only)
    ]
    if not rows:
        if status == 0:
            await context.err("df: no file systems processed")
        return 1
    columns = style.columns()
    table = [[style.head(c) for c in columns]]
    table += [[style.cell(mount, c) for c in columns] for mount in rows]
    widths = [
        max(_WIDTHS.get(c, 5), *(len(row[i]) for row in table)) for i, c in enumerate(columns)
    ]
    for row in table:
        cells = [
            text.ljust(w) if c in ("source", "fstype", "target") else text.rjust(w)
            for text, w, c in zip(row, widths, columns, strict=True)
        ]
        await context.out(" ".join(cells).rstrip())
    return status


def _holds(mount: Mount, path: str) -> bool:
    return mount.target in ("/", path) or path.startswith(mount.target + "/")


def _exists(context: Context, path: str) -> bool:
    from mailtui.sandbox.hosts import DIRECTORIES

    clean = path.rstrip("/") or "/"
    known = {"/", *DIRECTORIES, *context.machine.files, *context.machine.commands}
    known |= {mount.target for mount in context.machine.host.mounts}
    return clean in known or any(k.startswith(clean + "/") for k in known)
