"""Hosts that break: each way on its own, the other hosts go on; then the host is well again."""

from __future__ import annotations

import asyncio
from pathlib import Path

from mailtui.app import ConsoleApp
from mailtui.model.reading import FaultKind
from mailtui.sandbox.faults import Kind
from tests.withstand.console import (
    SandboxThread,
    all_fresh,
    console,
    faults,
    fresh,
    go,
    reading,
    screen_text,
    until,
)

ALONE = {"prometheus": None, "rabbitmq": None, "elasticsearch": None}
"""Hosts only."""
KINDS: dict[Kind, tuple[FaultKind, ...]] = {
    "down": ("unreachable",),
    "hang": ("timeout",),
    "slow": ("timeout",),
    "cut": ("unreachable", "protocol"),
    "truncated": ("protocol", "server", "unreachable"),
    "429": ("server",),
    "500": ("protocol", "server"),
}
SICK = "mx1"


async def _others_go_on(app: ConsoleApp, what: str) -> None:
    seq = {host: reading(app, "hosts", host).seq for host in ("mx2", "store1")}
    await until(
        lambda: all(
            reading(app, "hosts", h).seq > n and fresh(app, "hosts", h) for h, n in seq.items()
        ),
        lambda: f"{what} stops other hosts\n{faults(app)}",
    )


async def test_host_fails_and_recovers(sandbox: SandboxThread) -> None:
    """Down, hanging, slow, cut off, no channels, no processes."""
    async with console(sandbox.config(ALONE)) as (app, pilot):
        await until(lambda: all_fresh(app), lambda: faults(app))
        await go(app, pilot, "hosts")
        for kind, expected in KINDS.items():
            sandbox.fault(f"ssh:{SICK}", kind, seconds=5.0)
            await until(
                lambda: reading(app, "hosts", SICK).fault is not None,
                lambda kind=kind: f"{kind}: no fault\n{faults(app)}",
            )
            fault = reading(app, "hosts", SICK).fault
            assert fault is not None
            assert fault.kind in expected, (kind, fault)
            assert reading(app, "hosts", SICK).value is not None
            await _others_go_on(app, kind)
            await until(
                lambda: f"{SICK} stale" in screen_text(app),
                lambda kind=kind: f"{kind} is not on the screen\n{screen_text(app)}",
            )
            sandbox.heal()
            await until(lambda: all_fresh(app), lambda kind=kind: f"after {kind}:\n{faults(app)}")


async def test_refused_key(sandbox: SandboxThread) -> None:
    """A key that the host no longer takes; the old connection was lost."""
    async with console(sandbox.config(ALONE)) as (app, _):
        await until(lambda: all_fresh(app), lambda: faults(app))
        sandbox.fault(f"ssh:{SICK}", "down")
        await until(lambda: reading(app, "hosts", SICK).fault is not None, "down")
        sandbox.fault(f"ssh:{SICK}", "401")
        await until(
            lambda: (f := reading(app, "hosts", SICK).fault) is not None and f.kind == "auth",
            lambda: faults(app),
        )
        fault = reading(app, "hosts", SICK).fault
        assert fault is not None and "authorized_keys" in fault.hint
        await _others_go_on(app, "a refused key")
        await until(lambda: "SSH refused every key" in screen_text(app), lambda: screen_text(app))
        sandbox.heal()
        await until(lambda: all_fresh(app), lambda: faults(app))


async def test_changed_host_key(sandbox: SandboxThread) -> None:
    """A reinstalled host is not trusted until its new key is known; then it is read again."""
    config = sandbox.config(ALONE)
    known = config.parent / "known_hosts"
    async with console(config) as (app, _):
        await until(lambda: all_fresh(app), lambda: faults(app))
        server = sandbox.platform.servers["ssh"]
        sandbox.run(server.change_host_key(SICK))
        sandbox.fault(f"ssh:{SICK}", "down", times=1)  # its connection is lost as it is installed
        await until(
            lambda: (f := reading(app, "hosts", SICK).fault) is not None and f.kind == "host-key",
            lambda: faults(app),
        )
        fault = reading(app, "hosts", SICK).fault
        assert fault is not None
        assert "CHANGED" in fault.message and "ssh-keygen -R" in fault.hint
        await _others_go_on(app, "a changed key")
        await until(lambda: "host key CHANGED" in screen_text(app), lambda: screen_text(app))
        await asyncio.to_thread(known.write_text, server.known_hosts())
        await until(lambda: all_fresh(app), lambda: faults(app))


async def test_connection_refused_and_host_without_postfix(
    sandbox: SandboxThread, tmp_path: Path
) -> None:
    """A port where nobody listens; a host that has no Postfix says so and is no error."""
    config = sandbox.config(ALONE)
    port = sandbox.platform.ports[f"ssh:{SICK}"]
    config.write_text(config.read_text().replace(f"port: {port}\n", "port: 1\n"))
    async with console(config, start="queues") as (app, pilot):
        await until(lambda: reading(app, "hosts", SICK).fault is not None, "refused")
        fault = reading(app, "hosts", SICK).fault
        assert fault is not None
        assert fault.kind == "unreachable" and "refused" in fault.message, fault
        assert reading(app, "hosts", SICK).status == "never"
        await until(lambda: reading(app, "postfix", "store1").absent, lambda: faults(app))
        await until(lambda: fresh(app, "postfix", "mx2"), lambda: faults(app))
        assert not any(
            "postqueue" in p.text and "store1" in p.hosts for p in app.problems
        )  # not an error
        await until(lambda: "never read" in screen_text(app), lambda: screen_text(app))
        await go(app, pilot, "sources")
        await until(
            lambda: any(
                "absent" in line and "store1" in line for line in screen_text(app).splitlines()
            ),
            lambda: screen_text(app),
        )
