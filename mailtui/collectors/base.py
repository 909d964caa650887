"""What a collector is."""

from __future__ import annotations

from typing import Any, ClassVar, Protocol


class Collector(Protocol):
    """Reads one source at one target. It knows no screen and keeps no schedule."""

    source: ClassVar[str]
    """Name of what it reads; with `target` it identifies its reading in the state."""
    overview: ClassVar[bool]
    """True if the overview needs it: then it is never paused."""

    @property
    def target(self) -> str:
        """Host name, or empty for a source of the whole platform."""

    @property
    def interval(self) -> float:
        """Seconds between reads."""

    @property
    def timeout(self) -> float:
        """Seconds after which a read is given up, whatever it does."""

    async def read(self) -> Any:
        """Read once and return the record. Raises SourceError; ToolMissing means "not here"."""

    async def close(self) -> None:
        """Close what belongs to this collector alone."""
