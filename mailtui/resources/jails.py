"""fail2ban's jails on all hosts."""

from __future__ import annotations

from mailtui.collectors.state import State
from mailtui.model import format as fmt
from mailtui.model.bans import BanReport, Jail
from mailtui.resources.base import Column, Resource

SOURCES = ("fail2ban",)


def _ban_time(jail: Jail) -> str:
    if jail.ban_time is not None and jail.ban_time < 0:
        return "permanent"
    return fmt.age(jail.ban_time)


RESOURCE: Resource[Jail] = Resource(
    name="jails",
    title="jails",
    columns=(
        Column("jail", "jail", lambda j: j.name, width=16, flex=1),
        Column("host", "host", lambda j: j.host, width=10),
        Column(
            "banned",
            "banned",
            lambda j: j.currently_banned,
            lambda j: fmt.count(j.currently_banned),
            "right",
            8,
        ),
        Column(
            "failed",
            "failing",
            lambda j: j.currently_failed,
            lambda j: fmt.count(j.currently_failed),
            "right",
            8,
        ),
        Column(
            "total_banned",
            "banned in all",
            lambda j: j.total_banned,
            lambda j: fmt.count(j.total_banned),
            "right",
            13,
            priority=2,
        ),
        Column(
            "total_failed",
            "failed in all",
            lambda j: j.total_failed,
            lambda j: fmt.count(j.total_failed),
            "right",
            13,
            priority=3,
        ),
        Column("ban_time", "ban time", lambda j: j.ban_time, _ban_time, "right", 10, priority=1),
        Column(
            "find_time",
            "find time",
            lambda j: j.find_time,
            lambda j: fmt.age(j.find_time),
            "right",
            10,
            priority=4,
        ),
        Column(
            "max_retry",
            "retries",
            lambda j: j.max_retry,
            lambda j: fmt.count(j.max_retry),
            "right",
            7,
            priority=4,
        ),
    ),
    key=lambda j: j.key,
    empty="no host has a jail",
    sort="-banned",
)


def rows(state: State) -> list[Jail]:
    """Every jail of every host."""
    return [jail for _, report in state.values("fail2ban", BanReport) for jail in report.jails]
