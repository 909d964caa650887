"""Everybody else: the destinations of mail, and the users who send it."""

from __future__ import annotations

import json
from pathlib import Path

from lab.host import Host
from lab.roles import db

PROGRAMS = Path(__file__).resolve().parents[1] / "programs"


def configure(host: Host) -> None:
    """One unit for the destinations, one for the users."""
    plan = host.plan
    facts = {
        "domain": plan.domain,
        "rate": plan.traffic,
        "servers": [one.name for one in plan.having("submission")],
        "store": plan.having("store")[0].name,
        "accounts": {f"{name}@{plan.domain}": db.password_of(name) for name in plan.accounts},
        "destinations": plan.destinations,
    }
    host.write("/opt/lab/world.json", json.dumps(facts))
    for name in ("destinations", "users", "attack"):
        host.write(f"/opt/lab/{name}.py", (PROGRAMS / f"{name}.py").read_text())
    host.service("destinations", "/usr/bin/python3 /opt/lab/destinations.py")
    # before the mail hosts answer, every message would be a failure
    waiting = " && ".join(
        f"until (exec 3<>/dev/tcp/{one.name}/587) 2>/dev/null; do sleep 0.3; done"
        for one in plan.having("submission")
    )
    host.service(
        "users",
        "/usr/bin/python3 -u /opt/lab/users.py",
        f"ExecStartPre=/bin/bash -c '{waiting}'\nTimeoutStartSec=infinity",
    )


def started(host: Host) -> None:
    """The users have sent what lay waiting: queues, mailboxes and the audit trail are not empty."""
    host.wait_for("test -e /opt/lab/begun")
