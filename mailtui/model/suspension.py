"""Destinations to which a host's delivery is suspended (deploy/mailtui-suspend)."""

from __future__ import annotations

import msgspec

TABLE = "/etc/postfix/mailtui_suspended"
"""The table of transport(5) that has them, on each mail host."""


class Suspension(msgspec.Struct, frozen=True):
    """One destination on one host."""

    host: str
    destination: str
    until: float
    """Epoch seconds."""
    who: str
    reason: str

    @property
    def key(self) -> str:
        """Identity across polls."""
        return f"{self.host}/{self.destination}"


class Suspensions(msgspec.Struct, frozen=True):
    """All of one host."""

    entries: tuple[Suspension, ...] = ()


def parse(host: str, text: str, begin: str = "# mailtui ") -> tuple[Suspension, ...]:
    """The suspensions in lines of `BEGIN DOMAIN UNTIL WHO REASON`; other lines are passed over."""
    found = []
    for line in text.splitlines():
        if not line.startswith(begin):
            continue
        words = line.removeprefix(begin).split(" ", 3)
        if len(words) >= 3 and words[1].isdigit():
            found.append(Suspension(host, words[0], float(words[1]), words[2], "".join(words[3:])))
    return tuple(found)
