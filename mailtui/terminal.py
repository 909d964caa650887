"""Runs the console on the terminal, and gives the terminal back whatever happens."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mailtui.app import ConsoleApp


def run_app(app: ConsoleApp) -> int:
    """Run until the operator quits or a signal ends it; the exit code.

    Not `App.run`: asyncio.run would wait for threads that hang in a name lookup.
    """
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    for number in (signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, app.leave, 128 + number)
    try:
        loop.run_until_complete(app.run_async())
    finally:
        app.ended()
    return app.return_code or 0
