"""systemd units as `systemctl show` and `systemctl list-units` print them (systemctl(1))."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from mailtui.connections.runner import Command, command
from mailtui.model.host import Unit

PROPERTIES = "Id,LoadState,ActiveState,SubState,Result,ActiveEnterTimestamp,NRestarts"


def show(names: Iterable[str]) -> Command:
    """The command that tells of these units."""
    return command("systemctl", "show", "--timestamp=unix", "-p", PROPERTIES, "--", *names)


FAILED = command(
    "systemctl", "list-units", "--state=failed", "--plain", "--no-legend", "--no-pager"
)
"""The command that lists the units that failed."""


def shown(text: str) -> list[Unit]:
    """Units of `systemctl show`: blocks of NAME=VALUE, in the order asked for."""
    found = []
    for block in text.split("\n\n"):
        values = {
            name: value for name, _, value in (line.partition("=") for line in block.splitlines())
        }
        if values.get("Id"):
            found.append(_unit(values))
    return found


def failed(text: str) -> list[Unit]:
    """Units of `systemctl list-units --plain --no-legend`."""
    found = []
    for line in text.splitlines():
        parts = line.lstrip("●* ").split(None, 4)
        if len(parts) >= 4:
            found.append(Unit(name=parts[0], load=parts[1], active=parts[2], sub=parts[3]))
    return found


def of_roles(wanted: Sequence[str], told: Sequence[Unit]) -> list[Unit]:
    """One unit for each of `wanted`; `a|b` is the one of these that the host uses."""
    by_name = {unit.name: unit for unit in told}
    found = []
    for names in wanted:
        units = [by_name[name] for name in names.split("|") if name in by_name]
        if units:
            found.append(min(units, key=_standing))
    return found


def _standing(unit: Unit) -> int:
    """Which of several alternatives speaks: one that failed, one that runs, one that ran.

    On Debian 12 `postfix.service` is `active (exited)` whatever `postfix@-.service` does, and on
    Debian 13 `postfix@-.service` exists and is never started.
    """
    if unit.load != "loaded":
        return 7 if unit.load == "masked" else 8
    if unit.active == "failed":
        return 0
    if unit.active == "active":
        return 5 if unit.sub == "exited" else 1
    if unit.active != "inactive":
        return 2
    return 3 if unit.since is not None else 4


def _unit(values: Mapping[str, str]) -> Unit:
    restarts = values.get("NRestarts", "")
    since = values.get("ActiveEnterTimestamp", "").removeprefix("@")
    return Unit(
        name=values["Id"],
        load=values.get("LoadState", ""),
        active=values.get("ActiveState", ""),
        sub=values.get("SubState", ""),
        result=values.get("Result", ""),
        since=float(since) if since.isdigit() and int(since) > 0 else None,
        restarts=int(restarts) if restarts.isdigit() else None,
        expected=True,
    )
