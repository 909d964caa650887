"""One run of a verb on a platform: its settings, the sources that it needs, and its end."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Callable, Collection, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

from mailtui.headless.source import required

if TYPE_CHECKING:
    from mailtui.collectors.platform import Platform
    from mailtui.config.settings import Context, Settings
    from mailtui.loading import Loading

T = TypeVar("T")

SETTINGS_OF = {
    "audit": "elasticsearch",
    "broker_connections": "rabbitmq",
    "postfix_suspended": "postfix",
}
"""Sources whose settings stand under another name."""


catches: Callable[[int], bool] | None = None
"""Is told of a signal first; true: it is dealt with, and the verb goes on."""


def run(work: Coroutine[Any, Any, int]) -> int:
    """Run a verb; a signal cancels it, so that it ends what it started. The exit code.

    Not `asyncio.run`: that would wait for threads which hang in a source.
    """
    quiet_logs()
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    task = loop.create_task(work)
    got: list[int] = []

    def end(number: int) -> None:
        if catches is not None and catches(number):
            return
        got.append(number)
        task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup keeps its meaning
            loop.add_signal_handler(number, end, number)
    try:
        return loop.run_until_complete(task)
    except asyncio.CancelledError:
        return 128 + got[0] if got else 1


def quiet_logs() -> None:
    """What the libraries log is not for standard error: each fault is said once, by us."""
    logging.getLogger().addHandler(logging.NullHandler())


async def on_thread(function: Callable[[], T]) -> T:
    """The result of a blocking function, on a thread that nobody waits for at the end."""
    from mailtui.connections.daemon_executor import DaemonExecutor

    return await DaemonExecutor("loading").call(function, timeout=60.0)


@asynccontextmanager
async def loaded(args: argparse.Namespace, verb: str) -> AsyncIterator[tuple[Loading, Settings]]:
    """The settings that the options ask for; a sandbox that was started ends with the block."""
    loading = required(args, verb)
    try:
        settings = await on_thread(loading.load)
        yield loading, settings
    finally:
        loading.stop()


@asynccontextmanager
async def opened(
    args: argparse.Namespace, verb: str, sources: Collection[str] = ()
) -> AsyncIterator[Platform]:
    """The platform that the options ask for, with these sources alone (all, if none is named)."""
    async with loaded(args, verb) as (loading, settings):
        from mailtui.collectors.platform import Platform

        name, context = settings.choose(loading.context)
        platform = Platform(name, narrowed(context, sources))
        if "journal" in sources:
            from mailtui.collectors.journal import add_to

            add_to(platform, settings)
        try:
            yield platform
        finally:
            with suppress(asyncio.CancelledError):
                await platform.stop()


def narrowed(context: Context, sources: Collection[str]) -> Context:
    """`context` without the sources that are not named: their libraries are not imported."""
    from mailtui.config.base import HostSource
    from mailtui.config.settings import SOURCES

    if not sources:
        return context
    wanted = {SETTINGS_OF.get(name, name) for name in sources}
    off = {
        name: model(enabled=False) if issubclass(model, HostSource) else None
        for name, model in SOURCES.items()
        if name not in wanted
    }
    return context.model_copy(update={"sources": context.sources.model_copy(update=off)})
