"""Banned addresses: one row an address, across all hosts and jails."""

from __future__ import annotations

import msgspec

from mailtui.collectors.state import State
from mailtui.model import clock
from mailtui.model import format as fmt
from mailtui.model.bans import Ban, BanReport
from mailtui.resources.base import Column, Resource

SOURCES = ("fail2ban",)


class Address(msgspec.Struct, frozen=True, gc=False):
    """One address wherever it is banned."""

    address: str
    hosts: tuple[str, ...]
    jails: tuple[str, ...]
    bans: int
    last: float | None
    """Epoch seconds of the newest ban."""
    ends: float | None
    """Epoch seconds at which the last of the bans ends; None if permanent or unknown."""
    permanent: bool = False

    def left(self) -> float | None:
        """Seconds until the last ban ends."""
        return None if self.ends is None else max(0.0, self.ends - clock.now())


def _left(row: Address) -> str:
    return "permanent" if row.permanent else fmt.age(row.left())


RESOURCE: Resource[Address] = Resource(
    name="addresses",
    title="addresses",
    columns=(
        Column("address", "address", lambda a: a.address, width=24, flex=1, truncate="never"),
        Column("bans", "bans", lambda a: a.bans, lambda a: fmt.count(a.bans), "right", 6),
        Column("hosts", "hosts", lambda a: " ".join(a.hosts), width=12, flex=1),
        Column("jails", "jails", lambda a: " ".join(a.jails), width=16, flex=2, priority=1),
        Column(
            "banned",
            "last banned",
            lambda a: a.last,
            lambda a: fmt.since(a.last, clock.now()),
            "right",
            12,
            priority=2,
        ),
        Column(
            "left",
            "time left",
            lambda a: float("inf") if a.permanent else a.left(),
            _left,
            "right",
            10,
        ),
    ),
    key=lambda a: a.address,
    empty="no address is banned",
    sort="-bans",
    tick=1.0,
)


def rows(state: State) -> list[Address]:
    """One row an address, the most banned first."""
    by_address: dict[str, list[Ban]] = {}
    for _, report in state.values("fail2ban", BanReport):
        for ban in report.bans:
            by_address.setdefault(ban.address, []).append(ban)
    found = [_address(address, bans) for address, bans in by_address.items()]
    return sorted(found, key=lambda a: (-a.bans, a.address))


def _address(address: str, bans: list[Ban]) -> Address:
    permanent = any(ban.permanent for ban in bans)
    ends = [ban.expires_at for ban in bans if ban.expires_at is not None]
    starts = [ban.banned_at for ban in bans if ban.banned_at is not None]
    return Address(
        address=address,
        hosts=tuple(dict.fromkeys(ban.host for ban in bans)),
        jails=tuple(dict.fromkeys(ban.jail for ban in bans)),
        bans=len(bans),
        last=max(starts, default=None),
        ends=None if permanent else max(ends, default=None),
        permanent=permanent,
    )
