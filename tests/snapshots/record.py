"""Record the readings that the snapshot tests show: `python -m tests.snapshots.record`.

The console's own collectors read the sandbox; its world starts at a fixed time with a fixed seed
and stands still, so two recordings differ only where the world or a collector changed.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
from pathlib import Path

import msgspec

from mailtui.collectors import recording
from mailtui.collectors.platform import Platform as ConsolePlatform
from mailtui.collectors.state import State
from mailtui.config.load import load
from mailtui.model import clock
from mailtui.model.mail import QueueListing
from mailtui.model.reading import Fault
from mailtui.sandbox.platform import Platform
from mailtui.sandbox.world import World

DATA = Path(__file__).parent / "data"
TIME = 1_795_528_800.0  # 2026-11-24 14:00:00 UTC
SCENARIOS = {"quiet": "quiet", "incident": "destination-deferred"}
KEPT_MESSAGES = 150
"""Messages kept of one host: enough for every screen, small enough for a repository."""
AFTER = 12.0
"""Seconds between the reads and the moment that the screens show."""


async def read(scenario: str) -> State:
    """One read of every source of a frozen world."""
    world = World(seed=1, scenario=scenario, now=TIME, frozen=True)
    clock.set_clock(lambda: TIME)
    with tempfile.TemporaryDirectory() as folder:
        sandbox = Platform(world, Path(folder))
        config = await sandbox.start()
        console = ConsolePlatform(*load(config).choose())
        try:
            await console.read_all()
            await console.read_all()
        finally:
            await console.stop()
            await sandbox.stop()
    return console.state


def cut(state: State) -> State:
    """The same with fewer messages, steady durations and no port numbers."""
    result = State()
    steady = random.Random(1)
    for reading in state.all():
        value = reading.value
        if isinstance(value, QueueListing):
            kept = [m for m in value.messages if m.queue_name != "deferred"]
            deferred = [m for m in value.messages if m.queue_name == "deferred"]
            kept += deferred[:: max(1, -(-len(deferred) // KEPT_MESSAGES))]
            value = msgspec.structs.replace(value, messages=tuple(kept))
        took = round(steady.uniform(0.005, 0.2), 3)
        read_at = TIME - round(steady.uniform(0, 8), 1) if reading.read_at else 0.0
        result.put(msgspec.structs.replace(reading, value=value, took=took, read_at=read_at, seq=1))
    return result


def stale(state: State) -> State:
    """Every source failing in its own way; one host was never read."""
    result = State()
    faults = {
        "prometheus": Fault(
            "protocol",
            "prometheus: answers an HTML page 'Sign in', not JSON",
            "is a login page in between?",
            TIME - 118,
            6,
        ),
        "rabbitmq": Fault(
            "auth",
            "rabbitmq: 401 not authorised (Login failed)",
            "check the credentials of rabbitmq",
            TIME - 95,
            5,
        ),
        "elasticsearch": Fault(
            "timeout", "elasticsearch: no answer within 10 s", "", TIME - 140, 7
        ),
        "audit": Fault("timeout", "elasticsearch: no answer within 10 s", "", TIME - 140, 30),
    }
    for reading in state.all():
        fault = faults.get(reading.source)
        if fault is None:
            fault = Fault(
                "timeout", f"{reading.target}: no answer over SSH within 10 s", "", TIME - 130, 6
            )
        if reading.target == "mx2":
            changed = msgspec.structs.replace(
                reading,
                value=None,
                read_at=0.0,
                absent=False,
                fault=Fault(
                    "host-key",
                    "mx2: the host key CHANGED (it shows SHA256:Zm9vYmFy)",
                    "if the host was reinstalled, compare the fingerprint there",
                    TIME - 600,
                    12,
                ),
            )
        elif reading.absent:
            changed = reading
        else:
            changed = msgspec.structs.replace(reading, fault=fault, read_at=TIME - 150)
        result.put(changed)
    return result


def empty(state: State) -> State:
    """Every source answers that it has nothing."""
    from mailtui.model import audit, bans, broker, host, metrics, search

    nothing = {
        "prometheus": metrics.MetricsReport(),
        "rabbitmq": broker.BrokerReport(cluster="rabbit@mon1", version="4.1.2"),
        "elasticsearch": search.SearchReport(cluster="audit", status="green"),
        "hosts": host.HostFacts(),
        "postfix": QueueListing((), 0, {}),
        "fail2ban": bans.BanReport(),
        "audit": audit.AuditTail() if hasattr(audit, "AuditTail") else None,
    }
    result = State()
    for reading in state.all():
        if reading.source in nothing and not reading.absent:
            result.put(msgspec.structs.replace(reading, value=nothing[reading.source]))
        else:
            result.put(reading)
    return result


def main() -> None:
    """Write every recording."""
    states = {name: cut(asyncio.run(read(scenario))) for name, scenario in SCENARIOS.items()}
    states["stale"] = stale(states["incident"])
    states["empty"] = empty(states["quiet"])
    DATA.mkdir(exist_ok=True)
    for name, state in states.items():
        data = recording.dump(state, TIME + (0 if name == "stale" else AFTER))
        (DATA / f"{name}.json").write_bytes(data)
        print(f"{name}: {len(data):,} bytes, {len(state.all())} readings")


if __name__ == "__main__":
    main()
