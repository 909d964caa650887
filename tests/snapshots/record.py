"""Record the readings that the snapshot tests show: `python -m tests.snapshots.record`.

The console's own collectors read the sandbox; its world starts at a fixed time with a fixed seed
and stands still, so two recordings differ only where the world or a collector changed.
"""

from __future__ import annotations

import asyncio
import lzma
import random
import tempfile
from pathlib import Path

import msgspec

from mailtui.collectors import recording
from mailtui.collectors.audit_search import AuditSearch
from mailtui.collectors.platform import Platform as ConsolePlatform
from mailtui.collectors.state import State
from mailtui.config.load import load
from mailtui.model import clock
from mailtui.model.audit import Histogram
from mailtui.model.mail import QueueListing
from mailtui.model.reading import Fault
from mailtui.sandbox.platform import Platform
from mailtui.sandbox.world import World

DATA = Path(__file__).parent / "data"
TIME = 1_795_528_800.0  # 2026-11-24 14:00:00 UTC
SCENARIOS = {"quiet": "quiet", "incident": "destination-deferred"}
AFTER = 12.0
"""Seconds between the reads and the moment that the screens show."""


async def read(scenario: str) -> tuple[State, Histogram]:
    """One read of every source of a frozen world, and the audit trail's last quarter of an hour."""
    world = World(seed=1, scenario=scenario, now=TIME, frozen=True)
    clock.set_clock(lambda: TIME)
    with tempfile.TemporaryDirectory() as folder:
        sandbox = Platform(world, Path(folder))
        config = await sandbox.start()
        console = ConsolePlatform(*load(config).choose())
        try:
            await console.read_all()
            await console.read_all()
            search = AuditSearch.of(console)
            assert search is not None
            events = await search.histogram("", TIME - 900, TIME, 120)
        finally:
            await console.stop()
            await sandbox.stop()
    return console.state, events


def steady(state: State) -> State:
    """The same with durations and ages that do not depend on the machine."""
    result = State()
    dice = random.Random(1)
    for reading in state.all():
        took = round(dice.uniform(0.005, 0.2), 3)
        read_at = TIME - round(dice.uniform(0, 8), 1) if reading.read_at else 0.0
        result.put(msgspec.structs.replace(reading, took=took, read_at=read_at, seq=1))
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
    found = {name: asyncio.run(read(scenario)) for name, scenario in SCENARIOS.items()}
    states = {name: steady(state) for name, (state, _) in found.items()}
    states["stale"] = stale(states["incident"])
    states["empty"] = empty(states["quiet"])
    histograms = {name: events for name, (_, events) in found.items()}
    DATA.mkdir(exist_ok=True)
    for name, state in states.items():
        data = recording.dump(state, TIME + (0 if name == "stale" else AFTER))
        packed = lzma.compress(data, preset=9)
        (DATA / f"{name}.json.xz").write_bytes(packed)
        print(f"{name}: {len(data):,} bytes, {len(packed):,} packed, {len(state.all())} readings")
    (DATA / "histograms.json").write_bytes(msgspec.json.format(msgspec.json.encode(histograms)))


if __name__ == "__main__":
    main()
