"""The gate is opened in the background: the first paint, and what is read, do not wait for it."""

from __future__ import annotations

import asyncio
import importlib
import logging
from typing import TYPE_CHECKING

from mailtui.access.journal import JournalError
from mailtui.connections.errors import SourceError
from mailtui.operations import registry
from mailtui.operations.base import Refused

if TYPE_CHECKING:
    from mailtui.collectors.platform import Platform
    from mailtui.config.settings import Settings
    from mailtui.operations.gate import Gate
    from mailtui.screens.acting import Acting

log = logging.getLogger("mailtui.acting")

FAULTS = (Refused, SourceError, JournalError)
"""What is told in its own words."""


async def open_and_ship(acting: Acting, platform: Platform, settings: Settings) -> None:
    """Open the gate of a platform; then ship its journal for as long as it is in view."""
    gate, why = None, ""
    try:
        # on a thread: it imports what the first paint did not
        await asyncio.to_thread(registry.every)
        acting.app.acting_ready = True
        acting.changed()
        module = await asyncio.to_thread(importlib.import_module, "mailtui.operations.acting")
        gate = await module.open_gate(platform, settings)
    except (*FAULTS, OSError) as error:
        why = f"nothing can be done from here: {error}"
    except Exception as error:
        log.exception("opening the gate")
        why = f"nothing can be done from here: mailtui broke ({type(error).__name__})"
    if acting.app.platform is not platform:
        return
    acting.use(gate, why)
    if gate is not None and not platform.context.read_only:
        await _ship(acting, settings, gate)


async def _ship(acting: Acting, settings: Settings, gate: Gate) -> None:
    from mailtui.operations.shipping import EVERY, Shipper

    shipper = await asyncio.to_thread(Shipper.of, settings, gate.ledger.journal)
    if shipper is None:
        return
    try:
        while acting.gate is gate:
            done = await shipper.ship()
            behind = f"{done.behind:,} records behind" if done.behind else "has every record"
            acting.shipping = f"audit index {shipper.index}: {behind}"
            if done.error:
                acting.shipping += f"; {done.error}"
            await asyncio.sleep(EVERY)
    finally:
        acting.shipping = ""
        await shipper.close()
