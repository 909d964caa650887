"""Each HTTP source goes wrong in each way, one at a time; then it is well again."""

from __future__ import annotations

import pytest

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

KINDS: dict[Kind, tuple[FaultKind, ...]] = {
    "down": ("unreachable",),
    "slow": ("timeout",),
    "hang": ("timeout",),
    "html": ("protocol",),
    "truncated": ("protocol",),
    "cut": ("protocol", "unreachable"),
    "401": ("auth",),
    "429": ("rate-limited",),
    "500": ("server",),
    "503": ("server",),
}
OTHERS = ("prometheus", "rabbitmq", "elasticsearch")


@pytest.mark.parametrize("source", OTHERS)
async def test_source_fails_and_recovers(sandbox: SandboxThread, source: str) -> None:
    """The screen says what and since when, the others go on, and it comes back by itself."""
    config = sandbox.config({"hosts": {"interval": "3s"}, "postfix": {"interval": "3s"}})
    async with console(config) as (app, pilot):
        await until(lambda: all_fresh(app), lambda: faults(app))
        for kind, expected in KINDS.items():
            since = reading(app, source).read_at
            sandbox.fault(source, kind, seconds=4.0)
            await until(
                lambda: reading(app, source).fault is not None, f"{source} {kind}: no fault"
            )
            fault = reading(app, source).fault
            assert fault is not None
            assert fault.kind in expected, (source, kind, fault)
            assert fault.since >= since
            if kind == "429":
                assert "4 s" in fault.hint, fault
            if kind == "html":
                assert "HTML" in fault.message and "Sign in" in fault.message, fault
            # what was read before is still there, with its age
            assert reading(app, source).value is not None
            assert reading(app, source).status == "stale"
            # the others are read again meanwhile
            for other in OTHERS:
                if other != source:
                    seq = reading(app, other).seq
                    await until(
                        lambda other=other, seq=seq: (
                            reading(app, other).seq > seq and fresh(app, other)
                        ),
                        lambda other=other, kind=kind: (
                            f"{source} {kind} stops {other}\n{faults(app)}"
                        ),
                    )
            said = fault.message.removeprefix(f"{source}: ")[:30]
            await until(
                lambda said=said: said in screen_text(app),
                lambda said=said: f"{said!r} is not on\n{screen_text(app)}",
            )
            sandbox.heal(source)
            await until(lambda: all_fresh(app), lambda kind=kind: f"after {kind}:\n{faults(app)}")
        await go(app, pilot, "sources")
        sandbox.fault(source, "500")

        def says_so() -> bool:
            # another source of the same server may say it first
            lines = screen_text(app).splitlines()
            return any("stale" in x and f" {source} " in x and "500" in x for x in lines)

        await until(says_so, lambda: screen_text(app))
