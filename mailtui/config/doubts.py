"""What a valid configuration says that will hardly be meant: each becomes a warning."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from mailtui.config.settings import Settings
from mailtui.config.sources import hosts

Loc = tuple[str | int, ...]


def doubts(settings: Settings) -> Iterator[tuple[Loc, str]]:
    """(path of keys, sentence): roles that ask for nothing, key files that are not there."""
    for name, context in settings.contexts.items():
        own = context.source("hosts", hosts.Settings)
        known = sorted({*hosts.ROLES, *(own.roles if own is not None else ())})
        for host_name, host in context.hosts.items():
            for role in host.roles:
                if role not in known:
                    near = difflib.get_close_matches(role, known, n=1)
                    hint = f"; did you mean {near[0]}?" if near else ""
                    yield (
                        ("contexts", name, "hosts", host_name, "roles"),
                        f"the role {role} asks for nothing{hint} (known: {', '.join(known)})",
                    )
        for key in context.ssh.keys:
            if not key.is_file():
                yield ("contexts", name, "ssh", "keys"), f"{key}: no such file"
