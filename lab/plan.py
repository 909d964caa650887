"""hosts.yaml as records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).resolve().parent
STATE = Path("/run/mailtui-lab")
"""Everything that a running lab keeps on this machine; `down` removes it."""


@dataclass(frozen=True)
class HostPlan:
    """One host as hosts.yaml describes it."""

    name: str
    address: str
    disk: str
    """Size of its file system, as tmpfs(5) takes it."""
    roles: tuple[str, ...]
    suite: str


@dataclass(frozen=True)
class Plan:
    """The whole description."""

    name: str
    network: str
    gateway: str
    domain: str
    traffic: int
    hosts: dict[str, HostPlan]
    accounts: tuple[str, ...]
    destinations: dict[str, dict[str, str]]

    def having(self, role: str) -> list[HostPlan]:
        """The hosts with this role."""
        return [host for host in self.hosts.values() if role in host.roles]

    @property
    def bridge(self) -> str:
        """Name of the bridge that joins the hosts."""
        return f"{self.name}0"


def load(path: Path = HERE / "hosts.yaml", suites: Mapping[str, str] | None = None) -> Plan:
    """The plan in a file like hosts.yaml; `suites` has other suites for some hosts."""
    text: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    suite, hosts = text.pop("suite"), text.pop("hosts")
    return Plan(
        hosts={
            name: HostPlan(
                name,
                one["address"],
                one["disk"],
                tuple(one["roles"]),
                (suites or {}).get(name, one.get("suite", suite)),
            )
            for name, one in hosts.items()
        },
        accounts=tuple(text.pop("accounts")),
        **text,
    )
