"""Users hand in their mail here; Postfix is configured by `mx`, which such a host has too."""

from __future__ import annotations

from lab.host import Host


def configure(host: Host) -> None:
    """Nothing beyond what `mx` does."""
