"""Settings of what changes the platform: the journal, the evidence, the rules of a context."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from mailtui.config.base import Duration, FilePath, Strict
from mailtui.config.paths import state_folder

_UNITS = {"": 1, "K": 1000, "M": 1000**2, "G": 1000**3, "T": 1000**4,
          "Ki": 1024, "Mi": 1024**2, "Gi": 1024**3, "Ti": 1024**4}  # fmt: skip


def _bytes(value: object) -> object:
    if not isinstance(value, str):
        return value
    number = value.strip().removesuffix("B").strip()
    unit = next((u for u in sorted(_UNITS, key=len, reverse=True) if u and number.endswith(u)), "")
    try:
        return int(float(number.removesuffix(unit)) * _UNITS[unit])
    except ValueError:
        raise ValueError("expected a size like 500M, 2G or 1Gi") from None


def _some(value: int) -> int:
    if value <= 0:
        raise ValueError("expected a size greater than 0")
    return value


Size = Annotated[int, BeforeValidator(_bytes), AfterValidator(_some)]
"""Bytes; written as `500M` (1000s), `2Gi` (1024s) or a number."""


class Journal(Strict):
    """`journal`: what every operation and every change of operators is written to."""

    path: FilePath | None = None
    """The file; default: `journal.jsonl` in the state folder. Its folder also holds the plans."""
    index: str | None = None
    """Index or data stream of the search engine that it is shipped to; default: not shipped."""
    context: str | None = None
    """The context whose search engine that is; default: the first that has one."""

    def file(self) -> Path:
        """The journal's file. Raises OSError if the state folder cannot be made."""
        return self.path or state_folder() / "journal.jsonl"


class Evidence(Strict):
    """`evidence`: what a delete or a purge destroys is kept here first, encrypted."""

    path: FilePath | None = None
    """Folder; default: `evidence` in the state folder."""
    keep: Duration = 30 * 86400.0
    """After this it is removed."""
    limit: Size = 2 * 1024**3
    """Bytes in all; what would exceed it is refused before anything is destroyed."""

    def folder(self) -> Path:
        """The folder of the store. Raises OSError if the state folder cannot be made."""
        return self.path or state_folder() / "evidence"


class Operations(Strict):
    """`operations` of a context."""

    two_person: tuple[str, ...] = ()
    """Operations that a second operator must approve: `postfix.delete`, `rabbitmq.*`, `*`."""
    approval: Duration = 15 * 60.0
    """How long a request waits for its approval, and an approval for its run."""
    batch: int = Field(default=1000, ge=1, le=100_000)
    """Queue IDs given to one postsuper; between two of them a run can be stopped."""
    requeue_batch: int = Field(default=200, ge=1)
    """The same for requeue: every message goes through pickup(8), which is single-threaded."""
    timeout: Duration = 120.0
    """Hard limit of one command on a host."""
    move_rate: int = Field(default=0, ge=0)
    """Messages a second that a broker move may publish; 0: as fast as the broker confirms."""
