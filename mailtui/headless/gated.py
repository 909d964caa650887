"""A verb that acts: its platform, its gate, and what the gate's refusals mean as exit codes."""

from __future__ import annotations

import argparse
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mailtui.headless import exits

if TYPE_CHECKING:
    from mailtui.config.settings import Context, Settings
    from mailtui.operations.base import Operation
    from mailtui.operations.gate import Gate

SHIPPING = 2.0
"""Seconds for which the end of a verb waits for the audit index."""


@dataclass
class Acting:
    """One verb's gate, and what it was opened with."""

    gate: Gate
    settings: Settings
    context: Context
    """As it is configured: the platform of the gate has only the sources that are needed."""

    @property
    def label(self) -> str:
        """What says where this acts, and that it is a simulation."""
        name = self.context.label or self.gate.context
        return f"SIMULATION {name}" if self.context.simulation else name


@asynccontextmanager
async def opened(
    args: argparse.Namespace, verb: str, sources: Collection[str] | None = None
) -> AsyncIterator[Acting]:
    """The gate of the platform that the options ask for, with these sources alone (None: all).

    At the end the journal's new records are shipped, for a short time. Raises what opening raises.
    """
    from mailtui.collectors.platform import Platform
    from mailtui.headless import session
    from mailtui.operations.acting import open_gate

    async with session.loaded(args, verb) as (loading, settings):
        name, context = settings.choose(loading.context)
        narrowed = context if sources is None else session.narrowed(context, sources or ("",))
        platform = Platform(name, narrowed)
        try:
            acting = Acting(await open_gate(platform, settings), settings, context)
            yield acting
            await _ship(acting)
        finally:
            import asyncio

            with suppress(asyncio.CancelledError):
                await platform.stop()


def sources_of(operation: Operation, also: Collection[str] = ()) -> set[str]:
    """Sources that an operation needs, its own among them."""
    from mailtui.config.settings import SOURCES

    own = operation.id.partition(".")[0]
    return {*operation.sources, *also, *((own,) if own in SOURCES else ())}


async def _ship(acting: Acting) -> None:
    """What the audit index has not yet; it never changes the exit code."""
    import asyncio

    from mailtui.operations.shipping import Shipper

    shipper = Shipper.of(acting.settings, acting.gate.ledger.journal)
    if shipper is None:
        return
    with suppress(TimeoutError):
        async with asyncio.timeout(SHIPPING):
            await shipper.ship()
    with suppress(TimeoutError):
        async with asyncio.timeout(0.2):
            await shipper.close()


def code_of(error: Exception) -> int | None:
    """The exit code of what the gate, the journal or a source raises; None: it is a defect."""
    from mailtui.access.errors import AccessError
    from mailtui.access.evidence import EvidenceError
    from mailtui.access.journal import JournalError
    from mailtui.connections.errors import SourceError
    from mailtui.operations import base, refusals, rehearsed

    codes: tuple[tuple[type[Exception], int], ...] = (
        (base.NothingToDo, exits.OK),
        (refusals.NotPermitted, exits.NO_PERMISSION),
        (refusals.NeedsApproval, exits.TRY_LATER),
        (refusals.AtWork, exits.TRY_LATER),
        (rehearsed.NotYours, exits.NO_PERMISSION),
        (rehearsed.Stale, exits.UNAVAILABLE),
        (base.Refused, exits.USAGE),
        (JournalError, exits.CANNOT_CREATE),
        (EvidenceError, exits.CANNOT_CREATE),
        (SourceError, exits.UNAVAILABLE),
    )
    if isinstance(error, AccessError):
        return {"permission": exits.NO_PERMISSION, "usage": exits.USAGE}.get(
            error.kind, exits.UNAVAILABLE
        )
    return next((code for kind, code in codes if isinstance(error, kind)), None)
